//! Every kind of damage that there is, by name: the nineteen and our own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Corruption, CorruptionError, Extended};

/// A kind of damage at five severities: one of the nineteen of CIFAR-10-C, or one of our own.
///
/// Serde, [`FromStr`] and [`Display`](fmt::Display) use the name alone, which tells the two apart.
///
/// ```
/// use riptide_corruptions::{Corruption, Extended, Family};
///
/// assert_eq!("fog".parse::<Family>()?, Corruption::Fog.into());
/// assert_eq!("shadow".parse::<Family>()?, Extended::Shadow.into());
/// assert_eq!(Family::all().count(), 35);
/// # Ok::<(), riptide_corruptions::CorruptionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Family {
    /// One of CIFAR-10-C's.
    Published(Corruption),
    /// One of our own.
    Extended(Extended),
}

impl Family {
    /// All of them, the nineteen first.
    pub fn all() -> impl Iterator<Item = Self> {
        let published = Corruption::ALL.into_iter().map(Self::Published);
        published.chain(Extended::ALL.into_iter().map(Self::Extended))
    }

    /// The name, for instance `jpeg_compression` or `colour_cast`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published(corruption) => corruption.name(),
            Self::Extended(kind) => kind.name(),
        }
    }

    /// Whether it draws random numbers. The others do not depend on the seed.
    pub const fn is_random(self) -> bool {
        match self {
            Self::Published(corruption) => corruption.is_random(),
            Self::Extended(kind) => kind.is_random(),
        }
    }

    /// The number that keeps its random numbers apart from the others'.
    pub(crate) const fn stream(self) -> u64 {
        match self {
            Self::Published(corruption) => corruption as u64,
            // Far from the nineteen, should those ever become more.
            Self::Extended(kind) => 1000 + kind as u64,
        }
    }
}

impl From<Corruption> for Family {
    fn from(corruption: Corruption) -> Self {
        Self::Published(corruption)
    }
}

impl From<Extended> for Family {
    fn from(kind: Extended) -> Self {
        Self::Extended(kind)
    }
}

impl From<Family> for String {
    fn from(family: Family) -> Self {
        family.name().to_owned()
    }
}

impl TryFrom<String> for Family {
    type Error = CorruptionError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Family {
    type Err = CorruptionError;

    /// Accepts the names of CIFAR-10-C and those of [`Extended`].
    ///
    /// # Errors
    /// Returns [`CorruptionError::UnknownCorruption`] for anything else.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::all()
            .find(|family| family.name() == name)
            .ok_or_else(|| CorruptionError::UnknownCorruption {
                name: name.to_owned(),
                known: Self::all().map(Self::name).collect::<Vec<_>>().join(", "),
            })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_streams_are_all_different_and_names_parse_back() {
        let names: BTreeSet<_> = Family::all().map(Family::name).collect();
        let streams: BTreeSet<_> = Family::all().map(Family::stream).collect();
        assert_eq!((names.len(), streams.len()), (35, 35));
        for family in Family::all() {
            let json = serde_json::to_string(&family).unwrap();
            assert_eq!(json, format!("\"{family}\""));
            assert_eq!(serde_json::from_str::<Family>(&json).unwrap(), family);
        }
        let error = serde_json::from_str::<Family>("\"rain\"").unwrap_err().to_string();
        assert!(error.contains("rain") && error.contains("ghosting"), "{error}");
    }
}
