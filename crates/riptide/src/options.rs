//! What may be changed about a monitor at any time: how its scores are judged.

use riptide_detectors::drift::DriftConfig;
use riptide_detectors::harm::HarmConfig;
use riptide_stats::ks::Alternative;
use serde::{Deserialize, Serialize};

/// How a monitor judges scores. A saved monitor keeps these in `options.json`, which may be edited freely: none of them
/// changes what the reference's scores are.
///
/// ```
/// use riptide::Options;
/// use riptide::stats::ks::Alternative;
///
/// let options = Options::default().level(0.01).alternative(Alternative::Greater);
/// assert_eq!(options.least_excess_fraction, 0.1);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// The significance level that p-values are compared with, strictly between 0 and 1; 0.05 by default.
    pub level: f64,
    /// What counts as drift of the scores; by default [`DriftConfig`]'s, as in the published example.
    pub alternative: Alternative,
    /// The least excess fraction that counts as harm, 0 to 1; 0.1 by default.
    pub least_excess_fraction: f64,
    /// Two-sided confidence level of the excess fraction's interval, strictly between 0 and 1; 0.95 by default.
    pub confidence: f64,
    /// The one quantile of the reference's scores at which the excess fraction is read, strictly between 0 and 1; by default it
    /// is read at several, see [`riptide_detectors::harm::QUANTILES`].
    pub quantile: Option<f64>,
    /// The percentile of the reference's scores above which a single image is flagged, 0 to 100; 99 by default.
    pub percentile: f64,
    /// The score above which a single image is flagged, if it is not to be the percentile's.
    pub threshold: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        let (drift, harm) = (DriftConfig::default(), HarmConfig::default());
        Self {
            level: drift.level,
            alternative: drift.alternative,
            least_excess_fraction: harm.min_fraction,
            confidence: harm.confidence,
            quantile: harm.quantile,
            percentile: 99.0,
            threshold: None,
        }
    }
}

impl Options {
    /// Sets the significance level.
    #[must_use]
    pub fn level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    /// Sets what counts as drift of the scores.
    #[must_use]
    pub fn alternative(mut self, alternative: Alternative) -> Self {
        self.alternative = alternative;
        self
    }

    /// Sets the least excess fraction that counts as harm.
    #[must_use]
    pub fn least_excess_fraction(mut self, fraction: f64) -> Self {
        self.least_excess_fraction = fraction;
        self
    }

    /// Sets the percentile of the reference's scores above which a single image is flagged.
    #[must_use]
    pub fn percentile(mut self, percentile: f64) -> Self {
        self.percentile = percentile;
        self
    }

    /// Sets the score above which a single image is flagged; `None` goes back to the percentile.
    #[must_use]
    pub fn threshold(mut self, threshold: impl Into<Option<f64>>) -> Self {
        self.threshold = threshold.into();
        self
    }

    pub(crate) fn drift(&self) -> DriftConfig {
        DriftConfig::default()
            .level(self.level)
            .alternative(self.alternative)
            .data_type("image")
    }

    pub(crate) fn harm(&self) -> HarmConfig {
        HarmConfig::default()
            .level(self.level)
            .min_fraction(self.least_excess_fraction)
            .confidence(self.confidence)
            .quantile(self.quantile)
    }
}
