//! Tables as plain text.

/// A column of a [`text_table`]: its name, and whether its cells are flush right, as numbers should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    name: &'a str,
    right: bool,
}

impl<'a> Column<'a> {
    /// A column of words, flush left.
    pub const fn left(name: &'a str) -> Self {
        Self { name, right: false }
    }

    /// A column of numbers, flush right.
    pub const fn right(name: &'a str) -> Self {
        Self { name, right: true }
    }
}

/// Rows of text in columns as wide as their longest cell, two spaces apart, below the columns' names. Every line ends with a
/// line feed and none with a space. Cells beyond the last column are left out.
///
/// ```
/// use riptide_draw::{Column, text_table};
///
/// let rows = [["cat".to_owned(), "9".to_owned()], ["ship".to_owned(), "10".to_owned()]];
/// let text = text_table(&[Column::left("class"), Column::right("n")], &rows);
/// assert_eq!(text, "class   n\ncat     9\nship   10\n");
/// ```
pub fn text_table<R: AsRef<[String]>>(columns: &[Column<'_>], rows: &[R]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            let cells = rows.iter().filter_map(|row| row.as_ref().get(place));
            cells.map(|cell| width(cell)).fold(width(column.name), usize::max)
        })
        .collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(columns.iter().zip(&widths));
        let cells: Vec<String> = cells
            .map(|(cell, (column, width))| match column.right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    };
    line(&mut columns.iter().map(|column| column.name));
    for row in rows {
        line(&mut row.as_ref().iter().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_counted_in_characters_and_rows_may_be_short_or_long() {
        let cells = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let rows = [cells(&["±1", "a", "beyond"]), cells(&["100"]), cells(&[])];
        let columns = [Column::right("n"), Column::left("b")];
        assert_eq!(text_table(&columns, &rows), "  n  b\n ±1  a\n100\n\n");
        assert_eq!(text_table::<Vec<String>>(&columns, &[]), "n  b\n");
        assert_eq!(text_table::<Vec<String>>(&[], &[]), "\n");
    }
}
