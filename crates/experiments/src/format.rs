//! Numbers and names as text for people.

use riptide_corruptions::Corruption;

/// A fraction in percent, to a tenth; number and sign stay on one line.
pub(crate) fn percent(fraction: f64) -> String {
    let tenths = (fraction * 1000.0).round() / 10.0;
    format!("{tenths}\u{a0}%")
}

/// A number with so many digits after the point, or "none".
pub(crate) fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:.digits$}"))
}

/// The smallest and the largest of some fractions: "20 %" or "20 to 30 %".
pub(crate) fn range(values: impl IntoIterator<Item = f64>) -> Option<String> {
    let bounds = values.into_iter().fold(None, |bounds: Option<(f64, f64)>, value| {
        Some(bounds.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    });
    bounds.map(|(low, high)| {
        let (low, high) = (percent(low), percent(high));
        if low == high {
            high
        } else {
            format!("{} to {high}", low.trim_end_matches("\u{a0}%"))
        }
    })
}

/// The name of a corruption in words.
pub(crate) fn spaced(corruption: Corruption) -> String {
    corruption.name().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_as_short_as_they_can_be() {
        assert_eq!(range([0.2, 0.3, 0.25]).as_deref(), Some("20 to 30\u{a0}%"));
        assert_eq!(range([0.2001, 0.2002]).as_deref(), Some("20\u{a0}%"));
        assert_eq!(range([]), None);
        assert_eq!(percent(0.123_45), "12.3\u{a0}%");
    }
}
