//! How strong a corruption is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CorruptionError;

/// The strength of a corruption, 1 (slight) to 5 (severe).
///
/// ```
/// use riptide_corruptions::Severity;
///
/// assert_eq!(Severity::new(3)?.get(), 3);
/// assert!(Severity::new(0).is_err() && Severity::new(6).is_err());
/// # Ok::<(), riptide_corruptions::CorruptionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Severity(u8);

impl Severity {
    /// 1 to 5.
    pub const ALL: [Self; 5] = [Self(1), Self(2), Self(3), Self(4), Self(5)];

    /// Checks that `severity` is 1 to 5.
    ///
    /// # Errors
    /// Returns [`CorruptionError::Severity`] otherwise.
    pub const fn new(severity: u8) -> Result<Self, CorruptionError> {
        match severity {
            1..=5 => Ok(Self(severity)),
            _ => Err(CorruptionError::Severity(severity as i64)),
        }
    }

    /// The number, 1 to 5.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The entry for this severity in a table from slight to severe.
    pub(crate) const fn of<T: Copy>(self, table: [T; 5]) -> T {
        table[self.0 as usize - 1]
    }
}

impl TryFrom<u8> for Severity {
    type Error = CorruptionError;

    fn try_from(severity: u8) -> Result<Self, Self::Error> {
        Self::new(severity)
    }
}

impl From<Severity> for u8 {
    fn from(severity: Severity) -> Self {
        severity.0
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Severity {
    type Err = CorruptionError;

    /// Accepts `1` to `5`.
    ///
    /// # Errors
    /// Returns [`CorruptionError::Severity`] for other numbers, and [`CorruptionError::SeverityText`] for what is not a number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: i64 = text
            .parse()
            .map_err(|_| CorruptionError::SeverityText(text.to_owned()))?;
        u8::try_from(number)
            .map_err(|_| CorruptionError::Severity(number))
            .and_then(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_to_five_are_severities() {
        for number in 0..=u8::MAX {
            assert_eq!(Severity::new(number).is_ok(), (1..=5).contains(&number));
            let json = serde_json::from_str::<Severity>(&number.to_string());
            assert_eq!(json.is_ok(), (1..=5).contains(&number));
            assert_eq!(
                number.to_string().parse::<Severity>().is_ok(),
                (1..=5).contains(&number)
            );
        }
        assert!("-1".parse::<Severity>().is_err() && "300".parse::<Severity>().is_err());
        assert!("three".parse::<Severity>().unwrap_err().to_string().contains("three"));
    }

    #[test]
    fn tables_are_read_from_slight_to_severe() {
        assert_eq!(
            Severity::ALL.map(|severity| severity.of([1, 2, 3, 4, 5])),
            Severity::ALL.map(Severity::get)
        );
    }
}
