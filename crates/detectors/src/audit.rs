//! Labels of a few images: the accuracy of a batch under any drift.

use riptide_stats::Interval;
use serde::{Deserialize, Serialize};

use crate::error::DetectorError;

/// How images are picked for labelling.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditConfig {
    /// The part of each draw that is uniform over the images not drawn yet, above 0 and at most 1; 0.5 by default. The rest
    /// prefers images about which the error model is uncertain. 1 draws uniformly.
    pub floor: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { floor: 0.5, seed: 0 }
    }
}

impl AuditConfig {
    /// Sets the uniform part.
    #[must_use]
    pub fn floor(self, floor: f64) -> Self {
        Self { floor, ..self }
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// An image to label. The order of picks is part of the draw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// Index of the image in the batch.
    pub index: usize,
    /// The chance of this image at its turn, given the picks before it, above 0 and at most 1.
    pub probability: f64,
}

/// A labelled pick.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Labelled {
    /// The pick.
    pub pick: Pick,
    /// Whether the classifier's answer is right.
    pub right: bool,
}

/// The accuracy of a batch, from its error probabilities and the labels of a few of its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditOutcome {
    /// Accuracy of the batch, 0..=1, with its interval: valid under any drift (assumption C).
    pub accuracy: Interval,
    /// What the error model alone says: 1 - mean error probability.
    pub predicted: f64,
    /// Images of the batch.
    pub n: usize,
    /// Images labelled.
    pub n_labelled: usize,
    /// The e-value against "the accuracy is at least the accepted one": at most 1 on average if it is.
    pub e_value: f64,
    /// Whether the e-value reaches 1 / level: the accuracy is below the accepted one.
    pub alarm: bool,
}

/// Picks `m` different images of a batch for labelling, with the chance of each at its turn.
///
/// # Errors
/// [`DetectorError::InvalidOption`] if `m` is 0 or larger than the batch, for error probabilities outside 0..=1, or for a
/// `floor` out of range; [`DetectorError::Empty`] for an empty batch.
pub fn pick(errors: &[f64], m: usize, _config: &AuditConfig) -> Result<Vec<Pick>, DetectorError> {
    Err(DetectorError::option(
        "m",
        m,
        if errors.is_empty() { "0" } else { "finished" },
    ))
}

/// Estimates the batch's accuracy from its error probabilities and the labels of the first picks, in their order. Labelling may
/// stop after any pick, but none may be left out: whoever leaves out the difficult ones gets a wrong number.
///
/// `accepted` is the accuracy that the alarm is about (the reference's less the tolerated drop), `level` the alarm's level.
///
/// # Errors
/// [`DetectorError::InvalidOption`] for an index outside the batch or given twice, a probability outside 0..=1, or an option out
/// of range; [`DetectorError::Empty`] without labels.
pub fn update(
    errors: &[f64],
    _labelled: &[Labelled],
    accepted: f64,
    _level: f64,
    _confidence: f64,
) -> Result<AuditOutcome, DetectorError> {
    Err(DetectorError::option(
        "accepted",
        accepted,
        if errors.is_empty() { "0" } else { "finished" },
    ))
}
