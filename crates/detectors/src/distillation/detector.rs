//! The distillation detector: score, threshold, decision.

use super::config::{DistillationConfig, check_threshold};
use super::loss::score;
use super::outcome::{DistillationData, DistillationOutcome};
use crate::drift::Meta;
use crate::error::DetectorError;
use crate::networks::{Probabilities, ScoringNetworks};

/// Scores images by how far the distilled network's answer lies from the classifier's, and flags those above a threshold:
/// alibi-detect's `ModelDistillation` over networks that exist already.
///
/// ```
/// use riptide_detectors::distillation::DistillationConfig;
/// use riptide_detectors::{ModelDistillation, Probabilities, networks_fn};
///
/// // A classifier that is as sure as the image is bright, and a distilled network that never is.
/// let networks = networks_fn(2, |pixels: &[u8], [n, height, width]: [usize; 3]| {
///     let brightness = pixels.chunks_exact(height * width * 3).map(|image| f32::from(image[0]) / 255.0);
///     Ok(Probabilities::new(brightness.flat_map(|p| [p, 1.0 - p]).collect(), vec![0.5; n * 2], 2)?)
/// });
///
/// let mut detector = ModelDistillation::new(networks, DistillationConfig::default())?;
/// let clean: Vec<u8> = (100..150).flat_map(|v| [v; 3]).collect();
/// detector.infer_threshold(&clean, [50, 1, 1], 99.0, 0.0)?;
/// let outcome = detector.predict(&[127, 127, 127, 255, 255, 255], [2, 1, 1], true)?;
/// assert_eq!(outcome.data.flagged, [false, true]);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelDistillation<N> {
    networks: N,
    config: DistillationConfig,
}

impl<N: ScoringNetworks> ModelDistillation<N> {
    /// Puts a detector over a classifier and its distilled network.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range.
    pub fn new(networks: N, config: DistillationConfig) -> Result<Self, DetectorError> {
        config.check()?;
        Ok(Self { networks, config })
    }

    /// The harmfulness score of each image, f32; larger is worse. `pixels` are u8, row-major (N, H, W, 3), and `shape` is
    /// `[n, height, width]`.
    ///
    /// # Errors
    /// Those of [`predict_proba`](Self::predict_proba) and of [`score`](super::score).
    pub fn score(&self, pixels: &[u8], shape: [usize; 3]) -> Result<Vec<f32>, DetectorError> {
        self.score_probabilities(&self.predict_proba(pixels, shape)?)
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
        score(
            classifier,
            distilled,
            *n_classes,
            self.config.loss,
            self.config.temperature,
        )
    }

    /// Probabilities of both networks for each image, `batch_size` images at a time.
    ///
    /// # Errors
    /// [`DetectorError::Networks`] if the networks fail, [`DetectorError::Shape`] if there are not exactly
    /// n * height * width * 3 pixels or the networks give too few or too many values.
    pub fn predict_proba(&self, pixels: &[u8], shape: [usize; 3]) -> Result<Probabilities, DetectorError> {
        let [n, height, width] = shape;
        let image_len = height.checked_mul(width).and_then(|len| len.checked_mul(3));
        let image_len = image_len.filter(|len| len.checked_mul(n) == Some(pixels.len()));
        let Some(image_len) = image_len else {
            return Err(DetectorError::shape(
                "pixels",
                format!("{n} x {height} x {width} x 3 values"),
                format!("{} values", pixels.len()),
            ));
        };
        let mut all = Probabilities {
            n_classes: self.networks.n_classes(),
            ..Probabilities::default()
        };
        for start in (0..n).step_by(self.config.batch_size) {
            let end = start.saturating_add(self.config.batch_size).min(n);
            let batch = pixels.get(start * image_len..end * image_len).unwrap_or_default();
            all.extend(&self.predict_batch(batch, [end - start, height, width])?)?;
        }
        Ok(all)
    }

    /// Sets the threshold to the `percentile` (0..=100, numpy's linear rule) of the scores of clean images, plus `margin`,
    /// and returns it. The usual percentile is 99, the usual margin 0.
    ///
    /// # Errors
    /// [`DetectorError::Empty`] for no images, [`DetectorError::Stats`] for a percentile outside 0..=100,
    /// [`DetectorError::InvalidOption`] for a margin that is not finite, and those of [`score`](Self::score).
    pub fn infer_threshold(
        &mut self,
        pixels: &[u8],
        shape: [usize; 3],
        percentile: f64,
        margin: f64,
    ) -> Result<f64, DetectorError> {
        let scores = self.score(pixels, shape)?;
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
    /// [`DetectorError::InvalidOption`] if it is not a number.
    pub fn set_threshold(&mut self, threshold: f64) -> Result<(), DetectorError> {
        check_threshold(threshold)?;
        self.config.threshold = Some(threshold);
        Ok(())
    }

    /// Flags the images that score above the threshold, strictly; with `return_scores` the outcome holds their scores too.
    ///
    /// # Errors
    /// [`DetectorError::NoThreshold`] if no threshold was set or inferred, and those of [`score`](Self::score).
    pub fn predict(
        &self,
        pixels: &[u8],
        shape: [usize; 3],
        return_scores: bool,
    ) -> Result<DistillationOutcome, DetectorError> {
        let threshold = self.config.threshold.ok_or(DetectorError::NoThreshold)?;
        let scores = self.score(pixels, shape)?;
        Ok(DistillationOutcome {
            meta: Meta::new("ModelDistillation", "adversarial", self.config.data_type.as_deref()),
            data: DistillationData {
                flagged: scores.iter().map(|&score| f64::from(score) > threshold).collect(),
                scores: return_scores.then_some(scores),
                threshold,
            },
        })
    }

    /// The networks.
    #[must_use]
    pub fn networks(&self) -> &N {
        &self.networks
    }

    /// The options, with the threshold that was set or inferred since.
    #[must_use]
    pub fn config(&self) -> &DistillationConfig {
        &self.config
    }

    /// Probabilities of one batch, checked to be one row an image.
    fn predict_batch(&self, pixels: &[u8], shape: [usize; 3]) -> Result<Probabilities, DetectorError> {
        let [n, ..] = shape;
        let probabilities = self
            .networks
            .predict_proba(pixels, shape)
            .map_err(|source| DetectorError::Networks { n, source })?;
        probabilities.check_lengths()?;
        let n_classes = self.networks.n_classes();
        if probabilities.n_classes != n_classes {
            return Err(DetectorError::shape(
                "number of classes",
                n_classes,
                probabilities.n_classes,
            ));
        }
        if probabilities.len() != n {
            return Err(DetectorError::shape("rows of probabilities", n, probabilities.len()));
        }
        Ok(probabilities)
    }
}
