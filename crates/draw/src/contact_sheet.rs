//! A contact sheet: any pictures with a few words below each.

use crate::error::DrawError;
use crate::legend::head;
use crate::paint::Paint;
use crate::picture::data_uri;
use crate::svg::{Anchor, SHEET_WIDTH, Svg};

/// One picture of a [`contact_sheet`].
#[derive(Debug, Clone)]
pub struct Picture<'a> {
    /// u8 (height, width, 3), row-major.
    pub pixels: &'a [u8],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The lines below it, about 20 characters each; longer ones are cut.
    pub lines: Vec<String>,
}

/// Draws pictures in the order given, six in a row, enlarged without smoothing, as the text of an SVG file;
/// `png` makes pixels of it.
///
/// # Errors
/// Those of [`data_uri`], for any of the pictures.
///
/// ```
/// use riptide_draw::{Picture, contact_sheet};
///
/// let grey = Picture { pixels: &[128; 12], height: 2, width: 2, lines: vec!["1. cat".into()] };
/// assert!(contact_sheet("Most harmful", &[grey])?.contains("1. cat"));
/// # Ok::<(), riptide_draw::DrawError>(())
/// ```
pub fn contact_sheet(title: &str, pictures: &[Picture<'_>]) -> Result<String, DrawError> {
    const COLUMNS: usize = 6;
    const SIDE: f64 = 128.0;
    const TEXT: f64 = 12.0;
    const LINE: f64 = 16.0;
    const LONGEST: usize = 21;
    let lines = pictures.iter().map(|picture| picture.lines.len()).max().unwrap_or(0);
    let top = head(&mut Svg::new(SHEET_WIDTH, 0.0, title), title, &[]) + 6.0;
    let (wide, tall) = (SHEET_WIDTH / COLUMNS as f64, SIDE + LINE * lines as f64 + 20.0);
    let height = top + pictures.len().div_ceil(COLUMNS) as f64 * tall + 4.0;
    let mut svg = Svg::new(SHEET_WIDTH, height, title);
    head(&mut svg, title, &[]);
    for (place, picture) in pictures.iter().enumerate() {
        let middle = ((place % COLUMNS) as f64 + 0.5) * wide;
        let y = top + (place / COLUMNS) as f64 * tall;
        let uri = data_uri(picture.pixels, picture.height, picture.width)?;
        svg.picture([middle - SIDE / 2.0, y, SIDE, SIDE], &uri);
        for (row, line) in (1..).zip(&picture.lines) {
            let baseline = y + SIDE + 2.0 + LINE * f64::from(row);
            let paint = if row == 1 { Paint::INK } else { Paint::SOFT };
            svg.text(
                (middle, baseline),
                &shortened(line, LONGEST),
                TEXT,
                Anchor::Middle,
                paint,
            );
        }
    }
    Ok(svg.file())
}

/// At most `longest` characters, the last an ellipsis if some are left out.
fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "png")]
    fn sheet(pictures: &[Picture<'_>]) -> image::RgbImage {
        image::load_from_memory(&crate::png(&contact_sheet("Sheet", pictures).unwrap()).unwrap())
            .unwrap()
            .into_rgb8()
    }

    #[cfg(feature = "png")]
    #[test]
    fn pictures_stand_in_their_order() {
        let colours = [[200u8, 0, 0], [0, 200, 0], [0, 0, 200]];
        let pixels = colours.map(|colour| colour.repeat(4));
        let pictures: Vec<_> = pixels
            .iter()
            .map(|pixels| Picture {
                pixels,
                height: 2,
                width: 2,
                lines: vec!["a name that is far too long for a line".to_owned()],
            })
            .collect();
        let drawn = sheet(&pictures);
        // Twice as many pixels as user units: the middles of the first three places.
        for (place, colour) in (0..).zip(colours) {
            assert_eq!(drawn.get_pixel(160 + 320 * place, 2 * (50 + 64)).0, colour);
        }
        assert!(sheet(&[]).height() < drawn.height());
    }

    #[test]
    fn long_lines_are_cut_and_wrong_sizes_refused() {
        assert_eq!(shortened("éèê", 3), "éèê");
        assert_eq!(shortened("éèêë", 3), "éè…");
        let wrong = Picture {
            pixels: &[0; 11],
            height: 2,
            width: 2,
            lines: Vec::new(),
        };
        assert!(contact_sheet("Sheet", &[wrong]).is_err());
    }
}
