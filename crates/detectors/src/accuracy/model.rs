//! The fitted model.

use serde::{Deserialize, Serialize};

use super::config::{AccuracyConfig, AccuracyOptions, Target};
use super::features::{Description, Image, Kind, describe};
use super::line::Line;
use super::logistic::{logistic, predictor};
use super::region::Region;
use super::residuals::Residuals;
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
    pub(crate) config: AccuracyConfig,
    pub(crate) n_classes: usize,
    pub(crate) views: u8,
    pub(crate) scaler: Scaler,
    /// Features, indicators of the class, intercept.
    pub(crate) coefficients: Vec<f64>,
    pub(crate) temperature: f64,
    pub(crate) line: Line,
    pub(crate) residuals: Residuals,
    pub(crate) region: Region,
    /// The reference's images: what "has it fallen at all" is tested against.
    pub(crate) reference: WindowValue,
    /// The reference's and the clean calibration images: where the line starts.
    pub(crate) base: WindowValue,
    /// The emphasised error probabilities of those.
    pub(crate) doubt: Doubt,
    /// Accuracy on those.
    pub(crate) accuracy: f64,
    /// Variance an image of (right - what the line says of it): the sampling error of an estimate.
    pub(crate) image_variance: f64,
}

/// Error probabilities to the power 3/2 of clean images: what "has it fallen at all" is tested against.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Doubt {
    pub(crate) n: f64,
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    pub(crate) skewness: f64,
}

/// Mean and reciprocal standard deviation of each feature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Scaler {
    mean: Vec<f64>,
    inverse: Vec<f64>,
}

impl Scaler {
    /// From rows of features, `width` a row.
    pub(crate) fn fit<'a>(rows: impl Iterator<Item = &'a [f32]>, width: usize) -> Self {
        let (mut n, mut sum, mut square) = (0.0, vec![0.0; width], vec![0.0; width]);
        for row in rows {
            n += 1.0;
            for ((&x, sum), square) in row.iter().zip(&mut sum).zip(&mut square) {
                *sum += f64::from(x);
                *square += f64::from(x) * f64::from(x);
            }
        }
        let mean: Vec<f64> = sum.iter().map(|sum| sum / f64::max(n, 1.0)).collect();
        let deviation = |(square, mean): (&f64, &f64)| (square / f64::max(n, 1.0) - mean * mean).max(0.0).sqrt();
        // A constant feature tells nothing; dividing by its rounding errors would make noise of it.
        let inverse = square.iter().zip(&mean).map(deviation);
        let inverse = inverse.map(|s| if s > 1e-6 { 1.0 / s } else { 0.0 }).collect();
        Self { mean, inverse }
    }

    pub(crate) fn apply<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        let scale = self.mean.iter().zip(&self.inverse);
        row.iter()
            .zip(scale)
            .map(|(&x, (mean, inverse))| (f64::from(x) - mean) * inverse)
    }
}

impl AccuracyModel {
    /// The error probability of each image, 0..=1: the chance that the classifier's answer is wrong.
    ///
    /// # Errors
    /// An error if the shape does not fit the model, or if probabilities are none; `mirrored` must be given exactly if the
    /// model was fitted with two views.
    pub fn error_probabilities(
        &self,
        probabilities: &Probabilities,
        mirrored: Option<&[f32]>,
    ) -> Result<Vec<f64>, DetectorError> {
        let images = self.describe(probabilities, mirrored)?;
        Ok(images.images().map(|image| self.error(&image)).collect())
    }

    /// The sums over a batch's images that [`judge`](Self::judge) takes. An empty batch gives an empty window.
    ///
    /// # Errors
    /// As [`error_probabilities`](Self::error_probabilities).
    pub fn window(
        &self,
        probabilities: &Probabilities,
        mirrored: Option<&[f32]>,
    ) -> Result<WindowValue, DetectorError> {
        Ok(self.summarise(&self.describe(probabilities, mirrored)?))
    }

    /// A sequential test for this model's error probabilities against the tolerated drop: feed it
    /// [`WindowValue::mean_error`] of one batch after another, or the error probabilities one by one.
    ///
    /// The values' mean is tested against the clean images', plus its standard error and the most by which it rises on left-out
    /// families thinned with clean images to the tolerated drop, both at the level of `options`. The level of `config` is
    /// about chance in the stream alone.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range.
    pub fn sequential(
        &self,
        options: &AccuracyOptions,
        config: &SequentialConfig,
    ) -> Result<SequentialTest, DetectorError> {
        options.check()?;
        SequentialTest::new(self.error_bound(options.tolerated_drop, options.level), *config)
    }

    /// The model's own kind of description.
    pub(super) fn kind(&self) -> Kind {
        Kind {
            n_classes: self.n_classes,
            distilled: self.config.distilled,
            mirrored: self.views > 1,
        }
    }

    fn describe(&self, probabilities: &Probabilities, mirrored: Option<&[f32]>) -> Result<Description, DetectorError> {
        let kind = self.kind();
        if probabilities.n_classes != kind.n_classes {
            return Err(DetectorError::shape(
                "the batch's classes",
                kind.n_classes,
                probabilities.n_classes,
            ));
        }
        if mirrored.is_some() != kind.mirrored {
            let view = |given: bool| if given { "given" } else { "not given" };
            return Err(DetectorError::shape(
                "the mirrored images' probabilities",
                view(kind.mirrored),
                view(mirrored.is_some()),
            ));
        }
        describe(probabilities, mirrored, kind.distilled)
    }

    pub(crate) fn error(&self, image: &Image<'_>) -> f64 {
        let indicator = (self.kind().indicators() > 0).then_some(image.class);
        logistic(predictor(
            &self.coefficients,
            self.scaler.apply(image.features),
            indicator,
        ))
    }

    pub(crate) fn summarise(&self, images: &Description) -> WindowValue {
        let mut window = WindowValue::new(self.n_classes);
        for image in images.images() {
            window.add(
                self.error(&image),
                image.confidence(self.temperature),
                image.agree,
                image.class,
            );
        }
        window
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

    /// Accuracy on the clean images, 0..=1: what a drop is measured from.
    #[must_use]
    pub fn reference_accuracy(&self) -> f64 {
        self.accuracy
    }

    /// The temperature of the confidence.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The families that were declared, in the order they were given.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.residuals.families.iter().map(|family| family.family.as_str())
    }

    /// The reference's images as a window.
    #[must_use]
    pub fn reference(&self) -> &WindowValue {
        &self.reference
    }

    /// The options that it was fitted with.
    #[must_use]
    pub fn config(&self) -> &AccuracyConfig {
        &self.config
    }
}
