//! The options of the distillation detector.

use serde::{Deserialize, Serialize};

use super::loss::{Loss, check_temperature};
use crate::error::DetectorError;

/// The options of a [`ModelDistillation`](super::ModelDistillation), which checks them when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DistillationConfig {
    /// The divergence; Kullback-Leibler by default.
    pub loss: Loss,
    /// The temperature of the classifier's probabilities, positive; 1 by default, which leaves them as they are.
    pub temperature: f64,
    /// How many images go through the networks at a time, at least 1; 256 by default. The scores do not depend on it.
    pub batch_size: usize,
    /// The score above which an image is flagged, if it is known already; none by default.
    pub threshold: Option<f64>,
    /// The kind of data, repeated in the outcome's meta; none by default.
    pub data_type: Option<String>,
}

impl Default for DistillationConfig {
    fn default() -> Self {
        Self {
            loss: Loss::default(),
            temperature: 1.0,
            batch_size: 256,
            threshold: None,
            data_type: None,
        }
    }
}

impl DistillationConfig {
    /// Sets the divergence.
    #[must_use]
    pub fn loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// Sets the temperature of the classifier's probabilities.
    #[must_use]
    pub fn temperature(self, temperature: f64) -> Self {
        Self { temperature, ..self }
    }

    /// Sets how many images go through the networks at a time.
    #[must_use]
    pub fn batch_size(self, batch_size: usize) -> Self {
        Self { batch_size, ..self }
    }

    /// Sets the score above which an image is flagged.
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        let threshold = Some(threshold);
        Self { threshold, ..self }
    }

    /// Sets the kind of data, repeated in the outcome's meta.
    #[must_use]
    pub fn data_type(self, data_type: impl Into<String>) -> Self {
        let data_type = Some(data_type.into());
        Self { data_type, ..self }
    }

    pub(super) fn check(&self) -> Result<(), DetectorError> {
        check_temperature(self.temperature)?;
        if self.batch_size == 0 {
            return Err(DetectorError::option("batch_size", 0, "at least 1"));
        }
        self.threshold.map_or(Ok(()), check_threshold)
    }
}

/// Returns an error if `threshold` is not a number.
pub(super) fn check_threshold(threshold: f64) -> Result<(), DetectorError> {
    if threshold.is_nan() {
        return Err(DetectorError::option("threshold", threshold, "a number"));
    }
    Ok(())
}
