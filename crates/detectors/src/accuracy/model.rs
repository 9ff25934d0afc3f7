//! The fitted model.

use serde::{Deserialize, Serialize};

use super::config::{AccuracyConfig, AccuracyOptions};
use super::evidence::FamilyEvidence;
use super::outcome::AccuracyOutcome;
use super::set::{DescribedSet, Target};
use super::window::WindowValue;
use crate::error::DetectorError;
use crate::networks::Probabilities;
use crate::sequential::{SequentialConfig, SequentialTest};

/// Estimates the accuracy of a batch without labels; see the [module](super).
///
/// Serialises by serde; what is read back judges bit for bit alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracyModel {
    config: AccuracyConfig,
    n_classes: usize,
    views: u8,
}

/// What a fit gives.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Calibrated {
    /// The model to deploy, fitted on every declared family.
    pub model: AccuracyModel,
    /// One entry a declared family: what a model that did not see it says of it. The certificate is made from this; some
    /// ten bytes an image.
    pub evidence: Vec<FamilyEvidence>,
}

impl AccuracyModel {
    /// Fits the model.
    ///
    /// - `reference`: clean images, which are in none of the other sets: the deployed model's reference.
    /// - `clean`: the clean images whose corrupted versions `sets` are.
    /// - `sets`: corrupted images, several severities of many families. All sets hold the same images in the same order, or not;
    ///   both work.
    ///
    /// # Errors
    /// An error if a set is empty, if sets differ in classes, views or networks, if there are fewer than two families, or if
    /// no answer or every answer of the corrupted sets is wrong.
    pub fn fit(
        _reference: &DescribedSet,
        _clean: &DescribedSet,
        _sets: &[DescribedSet],
        _config: &AccuracyConfig,
    ) -> Result<Calibrated, DetectorError> {
        Err(unfinished())
    }

    /// The error probability of each image, 0..=1: the chance that the classifier's answer is wrong.
    ///
    /// # Errors
    /// An error if the shape does not fit the model, or if probabilities are none; `mirrored` must be given exactly if the
    /// model was fitted with two views.
    pub fn error_probabilities(
        &self,
        _probabilities: &Probabilities,
        _mirrored: Option<&[f32]>,
    ) -> Result<Vec<f64>, DetectorError> {
        Err(unfinished())
    }

    /// The sums over a batch's images that [`judge`](Self::judge) takes. An empty batch gives an empty window.
    ///
    /// # Errors
    /// As [`error_probabilities`](Self::error_probabilities).
    pub fn window(
        &self,
        _probabilities: &Probabilities,
        _mirrored: Option<&[f32]>,
    ) -> Result<WindowValue, DetectorError> {
        Err(unfinished())
    }

    /// Judges a batch.
    ///
    /// # Errors
    /// [`DetectorError::Empty`] for a window without images, [`DetectorError::Shape`] for one of another number of classes,
    /// [`DetectorError::InvalidOption`] for an option out of range.
    pub fn judge(&self, _window: &WindowValue, _options: &AccuracyOptions) -> Result<AccuracyOutcome, DetectorError> {
        Err(unfinished())
    }

    /// A sequential test for this model's error probabilities against the tolerated drop: feed it
    /// [`WindowValue::mean_error`] of one batch after another, or the error probabilities one by one.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range.
    pub fn sequential(
        &self,
        _options: &AccuracyOptions,
        _config: &SequentialConfig,
    ) -> Result<SequentialTest, DetectorError> {
        Err(unfinished())
    }

    /// What accuracy means to this model.
    #[must_use]
    pub fn target(&self) -> Target {
        self.config.target
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// 2 if the mirrored image is used, 1 if not.
    #[must_use]
    pub fn views(&self) -> u8 {
        self.views
    }

    /// The options that it was fitted with.
    #[must_use]
    pub fn config(&self) -> &AccuracyConfig {
        &self.config
    }
}

fn unfinished() -> DetectorError {
    DetectorError::option("accuracy model", "unfinished", "finished")
}
