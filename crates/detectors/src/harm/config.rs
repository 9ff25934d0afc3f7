//! The options of the harm-directed test.

use serde::{Deserialize, Serialize};

use super::fraction::check_confidence;
use crate::drift::check_level;
use crate::error::DetectorError;

/// The quantiles of the reference's scores at which the excess fraction is judged by default.
///
/// At one quantile alone the test is blind to a batch whose scores are spread wider than the reference's, if the two
/// distribution functions cross there. Harm raises the upper tail, so the quantiles lie at and above the median.
pub const QUANTILES: [f64; 4] = [0.5, 0.8, 0.9, 0.95];

/// The options of a [`HarmTest`](super::HarmTest), checked when the test is made.
///
/// ```
/// use riptide_detectors::harm::HarmConfig;
/// let config = HarmConfig::default().level(0.01).min_fraction(0.2);
/// assert_eq!((config.level, config.min_fraction, config.confidence), (0.01, 0.2, 0.95));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HarmConfig {
    /// Significance level of the one-sided test, strictly between 0 and 1; 0.05 by default. Earlier files call it `p_val`.
    #[serde(alias = "p_val")]
    pub level: f64,
    /// The least excess fraction that counts as harm, 0..=1; 0.1 by default. With 0, significance alone decides.
    pub min_fraction: f64,
    /// Two-sided confidence level of the interval, strictly between 0 and 1; 0.95 by default.
    pub confidence: f64,
    /// The one quantile of the reference's scores at which the excess fraction is judged, strictly between 0 and 1; by default
    /// it is judged at each of [`QUANTILES`], corrected for their number.
    pub quantile: Option<f64>,
}

impl Default for HarmConfig {
    fn default() -> Self {
        Self {
            level: 0.05,
            min_fraction: 0.1,
            confidence: 0.95,
            quantile: None,
        }
    }
}

impl HarmConfig {
    /// Sets the significance level of the one-sided test.
    #[must_use]
    pub fn level(self, level: f64) -> Self {
        Self { level, ..self }
    }

    /// Sets the least excess fraction that counts as harm.
    #[must_use]
    pub fn min_fraction(self, min_fraction: f64) -> Self {
        Self { min_fraction, ..self }
    }

    /// Sets the two-sided confidence level of the interval.
    #[must_use]
    pub fn confidence(self, confidence: f64) -> Self {
        Self { confidence, ..self }
    }

    /// Sets the one quantile of the reference's scores at which the excess fraction is judged; `None` judges it at each of
    /// [`QUANTILES`].
    #[must_use]
    pub fn quantile(self, quantile: impl Into<Option<f64>>) -> Self {
        Self {
            quantile: quantile.into(),
            ..self
        }
    }

    /// Where the excess fraction is judged.
    pub(super) fn quantiles(&self) -> Vec<f64> {
        self.quantile.map_or_else(|| QUANTILES.to_vec(), |one| vec![one])
    }

    pub(super) fn check(&self) -> Result<(), DetectorError> {
        check_level(self.level)?;
        check_confidence(self.confidence)?;
        if !(0.0..=1.0).contains(&self.min_fraction) {
            return Err(DetectorError::option(
                "min_fraction",
                self.min_fraction,
                "between 0 and 1",
            ));
        }
        match self.quantile {
            Some(quantile) if !(quantile > 0.0 && quantile < 1.0) => Err(DetectorError::option(
                "quantile",
                quantile,
                "between 0 and 1, both excluded",
            )),
            _ => Ok(()),
        }
    }
}
