//! The options: of fitting, and of judging a batch.

use serde::{Deserialize, Serialize};

use crate::drift::check_level;
use crate::error::DetectorError;
use crate::harm::check_confidence;

/// What the error model is taught to foresee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Target {
    /// The images are labelled: the classifier's answer is not the label. Accuracy then means the share of right answers.
    #[default]
    Errors,
    /// Without labels: the classifier's answer to the corrupted image differs from its answer to the clean twin. No clean image
    /// is then wrong, the reference's accuracy is 1, and accuracy means **agreement with the answers to the clean images**:
    /// an accuracy of 0.9 says that one answer in ten is another than it would have been without the drift. A flip from wrong
    /// to right counts as a loss too, so the drop is over-stated a little, never under-stated by that.
    Flips,
}

/// How an [`AccuracyModel`](super::AccuracyModel) is fitted. These are facts once it is fitted: they decide what the numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AccuracyConfig {
    /// What the sets' `wrong` says; [`Target::Errors`] by default.
    pub target: Target,
    /// Whether the distilled network's probabilities are used; true by default. If false they may be empty.
    pub distilled: bool,
    /// Weight of the ridge penalty on standardised coefficients, in images: the log-likelihood, a sum over images, is lowered
    /// by `ridge / 2` times the sum of squares. Above 0; 10 by default.
    pub ridge: f64,
    /// The largest number of images that the coefficients are fitted on, spread evenly over the sets; 60,000 by default. All
    /// images are used for the line and the interval.
    pub max_images: usize,
}

impl Default for AccuracyConfig {
    fn default() -> Self {
        Self {
            target: Target::Errors,
            distilled: true,
            ridge: 10.0,
            max_images: 60_000,
        }
    }
}

impl AccuracyConfig {
    /// Sets what the sets' `wrong` says.
    #[must_use]
    pub fn target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// Sets whether the distilled network is used.
    #[must_use]
    pub fn distilled(self, distilled: bool) -> Self {
        Self { distilled, ..self }
    }

    /// Sets the weight of the ridge penalty.
    #[must_use]
    pub fn ridge(self, ridge: f64) -> Self {
        Self { ridge, ..self }
    }

    /// Sets the largest number of images that the coefficients are fitted on.
    #[must_use]
    pub fn max_images(self, max_images: usize) -> Self {
        Self { max_images, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), DetectorError> {
        if !(self.ridge > 0.0 && self.ridge.is_finite()) {
            return Err(DetectorError::option("ridge", self.ridge, "above 0 and finite"));
        }
        if self.max_images < 100 {
            return Err(DetectorError::option("max_images", self.max_images, "at least 100"));
        }
        Ok(())
    }
}

/// How a batch is judged. Free to change: nothing in the fitted model depends on it.
///
/// ```
/// use riptide_detectors::accuracy::AccuracyOptions;
/// let options = AccuracyOptions::default().tolerated_drop(0.1);
/// assert_eq!((options.tolerated_drop, options.level, options.confidence), (0.1, 0.05, 0.95));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AccuracyOptions {
    /// The drop of accuracy that is accepted, 0..1 (0.05 = five points); 0.05 by default.
    pub tolerated_drop: f64,
    /// Significance level of every one-sided test, strictly between 0 and 1; 0.05 by default.
    pub level: f64,
    /// Confidence level of the accuracy's interval, strictly between 0 and 1; 0.95 by default. With K families declared no level
    /// above K / (K + 1) can be had: the interval is then infinite, that is, 0 to 1.
    pub confidence: f64,
}

impl Default for AccuracyOptions {
    fn default() -> Self {
        Self {
            tolerated_drop: 0.05,
            level: 0.05,
            confidence: 0.95,
        }
    }
}

impl AccuracyOptions {
    /// Sets the drop of accuracy that is accepted.
    #[must_use]
    pub fn tolerated_drop(self, tolerated_drop: f64) -> Self {
        Self { tolerated_drop, ..self }
    }

    /// Sets the significance level.
    #[must_use]
    pub fn level(self, level: f64) -> Self {
        Self { level, ..self }
    }

    /// Sets the confidence level of the interval.
    #[must_use]
    pub fn confidence(self, confidence: f64) -> Self {
        Self { confidence, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), DetectorError> {
        check_level(self.level)?;
        check_confidence(self.confidence)?;
        if !(0.0..1.0).contains(&self.tolerated_drop) {
            return Err(DetectorError::option(
                "tolerated_drop",
                self.tolerated_drop,
                "at least 0 and below 1",
            ));
        }
        Ok(())
    }
}
