//! Numbers and verdicts in words.

use serde_json::Value;

use crate::store::WindowRow;

/// Whether a window is shown red, green or grey.
pub(super) fn tone(verdict: Option<&str>) -> &'static str {
    match verdict {
        Some("harmful") => "bad",
        Some("fit") => "good",
        _ => "unsure",
    }
}

/// The verdict in a table.
pub(super) fn short(row: &WindowRow) -> String {
    match (row.state, row.verdict.as_deref()) {
        (0, _) => "open".into(),
        (_, Some(verdict)) => verdict.into(),
        (1, None) => "closed".into(),
        (_, None) => "?".into(),
    }
}

/// The verdict as a sentence.
pub(super) fn sentence(row: &WindowRow) -> &'static str {
    match (row.state, row.verdict.as_deref()) {
        (0, _) => "Still open",
        (_, Some("harmful")) => "Harmful drift",
        (_, Some("fit")) => "No harmful drift",
        (_, Some("undecided")) => "Undecided: too few images to tell",
        (_, Some("outside")) => "Outside what can be judged",
        (_, Some("too few")) => "Too few images to judge",
        (_, Some("unjudged")) => "Not judged: the monitor was replaced",
        _ => "Waits to be judged",
    }
}

/// What was found out about a window, as JSON.
pub(super) fn findings(row: &WindowRow) -> Option<Value> {
    serde_json::from_str(row.findings.as_deref()?).ok()
}

/// A number among the findings.
pub(super) fn number(findings: &Value, pointer: &str) -> Option<f64> {
    findings.pointer(pointer)?.as_f64()
}

/// An interval among the findings: estimate, lower, upper.
pub(super) fn interval(findings: &Value, pointer: &str) -> Option<[f64; 3]> {
    let found = findings.pointer(pointer)?;
    let number = |key: &str| found.get(key)?.as_f64();
    Some([number("estimate")?, number("lower")?, number("upper")?])
}

/// A fraction as percent.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// A fraction with its interval.
pub(super) fn with_interval([estimate, lower, upper]: [f64; 3]) -> String {
    format!("{} ({} to {})", percent(estimate), percent(lower), percent(upper))
}

/// A p-value: three digits, or a power of ten if it is small.
pub(super) fn p_value(p: f64) -> String {
    match p {
        p if p >= 0.001 || p == 0.0 => format!("{p:.3}"),
        p => format!("{p:.1e}"),
    }
}

/// A count with its digits in groups.
pub(super) fn count(n: i64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0, 999, 1000, 1_234_567, -1000].map(count),
            ["0", "999", "1,000", "1,234,567", "-1,000"]
        );
        assert_eq!(
            (p_value(0.25), p_value(1.2e-8)),
            ("0.250".to_owned(), "1.2e-8".to_owned())
        );
        assert_eq!(with_interval([0.5, 0.25, 0.75]), "50.0 % (25.0 % to 75.0 %)");
    }
}
