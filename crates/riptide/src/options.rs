//! What may be changed about a monitor at any time: how its scores are judged.

use riptide_detectors::accuracy::AccuracyOptions;
use riptide_detectors::drift::DriftConfig;
use riptide_detectors::harm::HarmConfig;
use riptide_detectors::sequential::SequentialConfig;
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
    /// The drop of accuracy that is accepted, 0 up to but without 1; 0.05, five points, by default.
    pub tolerated_drop: f64,
    /// The level of the alarm over a sequence of batches, strictly between 0 and 1: the chance of ever a false alarm; 0.01 by
    /// default.
    pub sequential_level: f64,
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
            tolerated_drop: AccuracyOptions::default().tolerated_drop,
            sequential_level: SequentialConfig::default().level,
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

    /// Sets the drop of accuracy that is accepted.
    #[must_use]
    pub fn tolerated_drop(mut self, drop: f64) -> Self {
        self.tolerated_drop = drop;
        self
    }

    /// Sets the level of the alarm over a sequence of batches.
    #[must_use]
    pub fn sequential_level(mut self, level: f64) -> Self {
        self.sequential_level = level;
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

    pub(crate) fn accuracy(&self) -> AccuracyOptions {
        AccuracyOptions::default()
            .tolerated_drop(self.tolerated_drop)
            .level(self.level)
            .confidence(self.confidence)
    }

    pub(crate) fn sequential(&self) -> SequentialConfig {
        SequentialConfig::default().level(self.sequential_level)
    }

    pub(crate) fn harm(&self) -> HarmConfig {
        HarmConfig::default()
            .level(self.level)
            .min_fraction(self.least_excess_fraction)
            .confidence(self.confidence)
            .quantile(self.quantile)
    }
}
