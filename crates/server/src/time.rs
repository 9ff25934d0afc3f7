//! Time: milliseconds since 1970 in UTC, and the clock that gives them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) type Millis = i64;

pub(crate) const SECOND: Millis = 1000;

/// The system's clock, which tests may put forward and back.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// The time now.
    pub(crate) fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let system = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        system.saturating_add(self.0.load(Ordering::Relaxed))
    }

    /// Puts the clock forward (or back, if negative) by milliseconds: for tests of clocks that jump.
    pub fn shift(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

/// Seconds of a setting as milliseconds.
pub(crate) fn seconds(seconds: u64) -> Millis {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND)
}

/// Reads a time as RFC 3339 writes it.
pub(crate) fn parse(text: &str) -> Option<Millis> {
    // Longer texts are no times; the bound keeps hostile ones cheap.
    (text.len() <= 64)
        .then(|| text.parse::<Timestamp>().ok())?
        .map(Timestamp::as_millisecond)
}

/// RFC 3339 in UTC; years beyond its range are clamped.
pub(crate) fn rfc3339(millis: Millis) -> String {
    // A second inside the range, whose ends are no whole milliseconds.
    let (first, last) = (
        Timestamp::MIN.as_millisecond() + SECOND,
        Timestamp::MAX.as_millisecond() - SECOND,
    );
    let clamped = millis.clamp(first, last);
    Timestamp::from_millisecond(clamped).map_or_else(|_| String::from("?"), |time| time.to_string())
}

/// For people: `2026-03-01 12:30:05 UTC`.
pub(crate) fn readable(millis: Millis) -> String {
    let text = rfc3339(millis);
    match text.split_once('T') {
        Some((day, time)) => format!("{day} {} UTC", time.get(..8).unwrap_or(time)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        assert_eq!(parse("1970-01-01T00:00:01.5Z"), Some(1500));
        assert_eq!(parse("2026-03-01T12:00:00+02:00"), parse("2026-03-01T10:00:00Z"));
        for wrong in ["", "yesterday", "2026-13-01T00:00:00Z", "1970-01-01"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(rfc3339(1500), "1970-01-01T00:00:01.5Z");
        assert_eq!(readable(1_772_368_205_000), "2026-03-01 12:30:05 UTC");
        assert_eq!(rfc3339(i64::MAX).get(..4), Some("9999"));
    }
}
