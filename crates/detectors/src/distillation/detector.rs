//! The distillation detector: score, threshold, decision.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::fit::{Distiller, EpochReport, FitOptions, FitReport, Scale, TrainableNetwork, teacher_probabilities};
use super::loss::{Loss, check_temperature, score};
use crate::drift::Meta;
use crate::error::DetectorError;
use crate::images::Images;
use crate::networks::{Classifier, ClassifierPair, Probabilities, ScoringNetworks};

/// Images that go through the networks at a time, unless told otherwise.
pub(crate) const DEFAULT_BATCH_SIZE: usize = 256;

/// The decision on each image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistillationData {
    /// Whether the score is above the threshold, strictly, for each image.
    pub is_adversarial: Vec<bool>,
    /// The score of each image, where it was asked for.
    pub instance_score: Option<Vec<f32>>,
    /// The threshold.
    pub threshold: f64,
}

/// What the distillation detector found out about a batch of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistillationOutcome {
    /// Which detector spoke.
    pub meta: Meta,
    /// What it found.
    pub data: DistillationData,
}

/// Scores images by how far the distilled network's answer lies from the classifier's, and tells those above a threshold.
///
/// ```
/// use riptide_detectors::{BoxError, Images, ModelDistillation, Probabilities, ScoringNetworks};
///
/// /// A classifier that is as sure as the image is bright, and a distilled network that never is.
/// struct Toy;
/// impl ScoringNetworks for Toy {
///     fn n_classes(&self) -> usize { 2 }
///     fn predict_proba(&self, images: &[u8], [n, h, w]: [usize; 3]) -> Result<Probabilities, BoxError> {
///         let brightness = images.chunks_exact(h * w * 3).map(|image| f32::from(image[0]) / 255.0);
///         let classifier = brightness.flat_map(|p| [p, 1.0 - p]).collect();
///         Ok(Probabilities::new(classifier, vec![0.5; n * 2], 2)?)
///     }
/// }
///
/// let mut detector = ModelDistillation::builder(Toy).build()?;
/// let clean: Vec<u8> = (100..150).flat_map(|v| [v; 3]).collect();
/// let clean = Images::new(clean, [50, 1, 1])?;
/// detector.infer_threshold(&clean, 99.0, 0.0)?;
/// let outcome = detector.predict(&Images::new(vec![127, 127, 127, 255, 255, 255], [2, 1, 1])?, true)?;
/// assert_eq!(outcome.data.is_adversarial, [false, true]);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelDistillation<N> {
    networks: N,
    loss: Loss,
    temperature: f64,
    batch_size: usize,
    threshold: Option<f64>,
    data_type: Option<String>,
}

/// Collects the options of a [`ModelDistillation`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ModelDistillationBuilder<N> {
    detector: ModelDistillation<N>,
}

impl<N: ScoringNetworks> ModelDistillationBuilder<N> {
    /// The divergence; Kullback-Leibler by default.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.detector.loss = loss;
        self
    }

    /// The temperature of the classifier's probabilities, positive; 1 by default, which leaves them as they are.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.detector.temperature = temperature;
        self
    }

    /// Images that go through the networks at a time, at least 1; 256 by default. The scores do not depend on it.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.detector.batch_size = batch_size;
        self
    }

    /// The threshold of `predict`, where it is known already.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.detector.threshold = Some(threshold);
        self
    }

    /// The kind of data, repeated in the outcome's meta.
    pub fn data_type(mut self, data_type: impl Into<String>) -> Self {
        self.detector.data_type = Some(data_type.into());
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range.
    pub fn build(self) -> Result<ModelDistillation<N>, DetectorError> {
        let detector = self.detector;
        check_temperature(detector.temperature)?;
        if detector.batch_size == 0 {
            return Err(DetectorError::option("batch_size", 0, "at least 1"));
        }
        if let Some(threshold) = detector.threshold {
            check_threshold(threshold)?;
        }
        Ok(detector)
    }
}

impl<N: ScoringNetworks> ModelDistillation<N> {
    /// Starts a detector over a classifier and its distilled network.
    pub fn builder(networks: N) -> ModelDistillationBuilder<N> {
        ModelDistillationBuilder {
            detector: Self {
                networks,
                loss: Loss::default(),
                temperature: 1.0,
                batch_size: DEFAULT_BATCH_SIZE,
                threshold: None,
                data_type: None,
            },
        }
    }

    /// The harmfulness score of each image, f32; larger is worse.
    ///
    /// # Errors
    /// [`DetectorError::Networks`] where the networks fail, and those of [`score`](super::score).
    pub fn score(&self, images: &Images<'_>) -> Result<Vec<f32>, DetectorError> {
        self.score_probabilities(&self.predict_proba(images)?)
    }

    /// The score of each instance from probabilities that are known already.
    ///
    /// # Errors
    /// Those of [`score`](super::score).
    pub fn score_probabilities(&self, probabilities: &Probabilities) -> Result<Vec<f32>, DetectorError> {
        let Probabilities {
            classifier,
            distilled,
            n_classes,
        } = probabilities;
        score(classifier, distilled, *n_classes, self.loss, self.temperature)
    }

    /// Probabilities of both networks for each image, `batch_size` images at a time.
    ///
    /// # Errors
    /// [`DetectorError::Networks`] where the networks fail, [`DetectorError::Shape`] where they give too few or too
    /// many values.
    pub fn predict_proba(&self, images: &Images<'_>) -> Result<Probabilities, DetectorError> {
        let mut all = Probabilities {
            n_classes: self.networks.n_classes(),
            ..Probabilities::default()
        };
        for batch in images.batches(self.batch_size) {
            all.extend(&predict_batch(&self.networks, &batch)?)?;
        }
        Ok(all)
    }

    /// Sets the threshold to the `percentile` (0..=100, numpy's linear rule) of the scores of clean `images`, plus `margin`,
    /// and returns it. The usual percentile is 99, the usual margin 0.
    ///
    /// # Errors
    /// [`DetectorError::Empty`] for no images, [`DetectorError::Stats`] for a percentile outside 0..=100,
    /// [`DetectorError::InvalidOption`] for a margin that is not finite, and those of [`score`](Self::score).
    pub fn infer_threshold(&mut self, images: &Images<'_>, percentile: f64, margin: f64) -> Result<f64, DetectorError> {
        let scores = self.score(images)?;
        self.infer_threshold_from_scores(&scores, percentile, margin)
    }

    /// As [`infer_threshold`](Self::infer_threshold), from scores of clean images that are known already.
    ///
    /// # Errors
    /// As [`infer_threshold`](Self::infer_threshold).
    pub fn infer_threshold_from_scores(
        &mut self,
        scores: &[f32],
        percentile: f64,
        margin: f64,
    ) -> Result<f64, DetectorError> {
        if scores.is_empty() {
            return Err(DetectorError::Empty {
                what: "the set of clean scores",
                unit: "score",
            });
        }
        if !margin.is_finite() {
            return Err(DetectorError::option("margin", margin, "finite"));
        }
        let scores: Vec<f64> = scores.iter().copied().map(f64::from).collect();
        let threshold = riptide_stats::summary::percentile(&scores, percentile)? + margin;
        self.set_threshold(threshold)?;
        Ok(threshold)
    }

    /// Sets the threshold.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] where it is not a number.
    pub fn set_threshold(&mut self, threshold: f64) -> Result<(), DetectorError> {
        check_threshold(threshold)?;
        self.threshold = Some(threshold);
        Ok(())
    }

    /// Tells which images score above the threshold, strictly; their scores too where `return_instance_score`.
    ///
    /// # Errors
    /// [`DetectorError::NoThreshold`] where no threshold was set or inferred, and those of [`score`](Self::score).
    pub fn predict(
        &self,
        images: &Images<'_>,
        return_instance_score: bool,
    ) -> Result<DistillationOutcome, DetectorError> {
        let threshold = self.threshold.ok_or(DetectorError::NoThreshold)?;
        let scores = self.score(images)?;
        Ok(DistillationOutcome {
            meta: Meta::new("ModelDistillation", "adversarial", self.data_type.as_deref()),
            data: DistillationData {
                is_adversarial: scores.iter().map(|&score| f64::from(score) > threshold).collect(),
                instance_score: return_instance_score.then_some(scores),
                threshold,
            },
        })
    }

    /// The networks.
    #[must_use]
    pub fn networks(&self) -> &N {
        &self.networks
    }

    /// The divergence.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// The temperature.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Images that go through the networks at a time.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The threshold, where one was set or inferred.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        self.threshold
    }
}

impl<C: Classifier, D: Classifier + TrainableNetwork> ModelDistillation<ClassifierPair<C, D>> {
    /// Fits the distilled network to the classifier on `images`, with this detector's loss and temperature in place of those
    /// in `options`; the classifier stays as it is. The distilled network starts from the weights it has (warm start).
    ///
    /// `scale` turns raw images into what both networks take. For fits that keep Adam's moments or the classifier's
    /// probabilities between calls, use [`Distiller`].
    ///
    /// # Errors
    /// Those of [`teacher_probabilities`] and [`Distiller::fit`].
    pub fn fit(
        &self,
        images: &Images<'_>,
        scale: &Scale<'_>,
        options: FitOptions,
        on_epoch: impl FnMut(&EpochReport) -> ControlFlow<()>,
    ) -> Result<FitReport, DetectorError> {
        let ClassifierPair {
            classifier, distilled, ..
        } = &self.networks;
        let options = FitOptions {
            loss: self.loss,
            temperature: self.temperature,
            ..options
        };
        let mut distiller = Distiller::new(distilled, options)?;
        let teacher = teacher_probabilities(classifier, images, self.networks.n_classes(), self.batch_size, scale)?;
        distiller.fit(distilled, images, &teacher, scale, on_epoch)
    }
}

/// Probabilities of one batch, checked to be one row an image.
pub(crate) fn predict_batch(
    networks: &impl ScoringNetworks,
    batch: &Images<'_>,
) -> Result<Probabilities, DetectorError> {
    let n = batch.len();
    let probabilities = networks
        .predict_proba(batch.pixels(), batch.shape())
        .map_err(|source| DetectorError::Networks { n, source })?;
    probabilities.check_lengths()?;
    if probabilities.n_classes != networks.n_classes() {
        return Err(DetectorError::shape(
            "number of classes",
            networks.n_classes(),
            probabilities.n_classes,
        ));
    }
    if probabilities.len() != n {
        return Err(DetectorError::shape("rows of probabilities", n, probabilities.len()));
    }
    Ok(probabilities)
}

fn check_threshold(threshold: f64) -> Result<(), DetectorError> {
    if threshold.is_nan() {
        return Err(DetectorError::option("threshold", threshold, "a number"));
    }
    Ok(())
}
