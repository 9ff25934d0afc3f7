//! The Kolmogorov-Smirnov test: do two samples come from one distribution?
//!
//! With F_ref and F_batch the right-continuous empirical distribution functions of the two samples,
//!
//! ```text
//! d+ = max(0, max_t F_ref(t) - F_batch(t))      large when the batch's values are larger
//! d- = max(0, max_t F_batch(t) - F_ref(t))      large when the batch's values are smaller
//! ```
//!
//! over the values t of both samples. [`Alternative::Greater`] takes d+ as its statistic, [`Alternative::Less`] d-, and
//! [`Alternative::TwoSided`] the larger one. The p-value is the probability of a statistic at least as large under the
//! null hypothesis that both samples are drawn from one continuous distribution; with ties it is conservative.
//!
//! [`two_sample`] tests once, [`Reference`] sorts the reference once and tests any number of batches against it,
//! [`one_sample`] tests a sample against a known distribution function, and [`distribution`] holds the distributions.

mod asymptotic;
pub mod distribution;
mod exact;
mod one_sample;
mod reference;
mod statistic;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::StatsError;

pub use one_sample::one_sample;
pub use reference::Reference;

/// What counts as a departure from the null hypothesis, in terms of the distribution functions. Two-sided by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alternative {
    /// F_ref and F_batch differ, either way.
    #[default]
    TwoSided,
    /// F_ref lies below F_batch somewhere: the batch's values are smaller.
    Less,
    /// F_ref lies above F_batch somewhere: the batch's values are larger.
    Greater,
}

impl Alternative {
    /// All alternatives.
    pub const ALL: [Self; 3] = [Self::TwoSided, Self::Less, Self::Greater];

    /// The name, as in scipy: `two-sided`, `less` or `greater`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoSided => "two-sided",
            Self::Less => "less",
            Self::Greater => "greater",
        }
    }
}

impl fmt::Display for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Alternative {
    type Err = StatsError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|alternative| alternative.name() == name);
        found.ok_or_else(|| StatsError::UnknownName {
            what: "alternative",
            name: name.to_owned(),
            known: "two-sided, less, greater",
        })
    }
}

/// How the p-value is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Exact if both samples hold at most 10,000 values, otherwise asymptotic.
    #[default]
    Auto,
    /// By counting lattice paths, in time O(n m) and memory O(n + m). If the least common multiple of the sizes is
    /// 2^31 - 1 or more, asymptotic instead.
    Exact,
    /// By formulas for large samples, in constant time.
    Asymptotic,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Exact, Self::Asymptotic];

    /// The name: `auto`, `exact` or `asymptotic`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Exact => "exact",
            Self::Asymptotic => "asymptotic",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = StatsError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| StatsError::UnknownName {
            what: "method",
            name: name.to_owned(),
            known: "auto, exact, asymptotic",
        })
    }
}

/// The outcome of a Kolmogorov-Smirnov test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KsTest {
    /// The statistic: d+, d- or the larger one, in [0, 1].
    pub statistic: f64,
    /// The p-value, in [0, 1].
    pub p_value: f64,
    /// The value at which the distribution functions lie that far apart.
    pub location: f64,
    /// +1 if the statistic is d+ (F_ref above F_batch), -1 if it is d-.
    pub sign: i8,
    /// How the p-value was computed: exact or asymptotic, never auto.
    pub method: Method,
}

/// The two-sample test of `batch` against `reference`, in any order; ties and infinities are ordinary values.
///
/// The same numbers as scipy's `ks_2samp(reference, batch)`. For more than one batch against the same reference, see
/// [`Reference`].
///
/// # Errors
/// [`StatsError::TooFew`] for an empty sample, [`StatsError::NotANumber`], [`StatsError::TooLarge`].
///
/// ```
/// use riptide_stats::ks::{self, Alternative, Method};
///
/// let test = ks::two_sample(&[1.0, 2.0, 3.0, 4.0], &[3.5, 5.0, 6.0], Alternative::Greater, Method::Exact)?;
/// assert_eq!((test.statistic, test.location, test.sign), (0.75, 3.0, 1));
/// assert!((test.p_value - 4.0 / 35.0).abs() < 1e-15);
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn two_sample(
    reference: &[f64],
    batch: &[f64],
    alternative: Alternative,
    method: Method,
) -> Result<KsTest, StatsError> {
    Reference::new(reference)?.test(batch, alternative, method)
}
