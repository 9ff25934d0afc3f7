//! Images with known answers, corrupted in a declared way: what the accuracy model is fitted on.

use super::config::AccuracyConfig;
use super::features::{Description, describe};
use crate::error::DetectorError;
use crate::networks::Probabilities;

/// The family name of images that nothing was done to.
pub const CLEAN: &str = "clean";

/// One declared set: images corrupted by one family at one severity, what both networks answered, and which answers are wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredSet {
    /// The kind of corruption; [`CLEAN`] for none. Families are left out as a whole when the model is judged, so kinds that
    /// resemble each other closely belong under one name.
    pub family: String,
    /// 1 to 5 as published, any number otherwise; 0 for clean images.
    pub severity: u8,
    /// Both networks' probabilities, (N, K) each. `distilled` may be empty if [`AccuracyConfig::distilled`] is false.
    pub probabilities: Probabilities,
    /// The classifier's probabilities for the mirrored images, (N, K), if there is a second view.
    pub mirrored: Option<Vec<f32>>,
    /// Whether the classifier's answer is wrong, one an image, as [`Target`](super::Target) says.
    pub wrong: Vec<bool>,
}

impl DeclaredSet {
    /// Reduces the set to what the fit needs: some thirty numbers an image, for any number of classes. The probabilities need
    /// not be kept afterwards, so memory is bounded by one set.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] if the lengths do not belong together, [`DetectorError::Empty`] without images, an error for
    /// probabilities that are none, [`DetectorError::InvalidOption`] for fewer than two classes.
    pub fn describe(&self, config: &AccuracyConfig) -> Result<DescribedSet, DetectorError> {
        let images = describe(&self.probabilities, self.mirrored.as_deref(), config.distilled)?;
        if self.wrong.len() != images.len() {
            return Err(DetectorError::shape(
                "the wrong answers",
                format!("{}, one an image", images.len()),
                self.wrong.len(),
            ));
        }
        Ok(DescribedSet {
            family: self.family.clone(),
            severity: self.severity,
            images,
            wrong: self.wrong.clone(),
        })
    }
}

/// A declared set reduced to its features; made by [`DeclaredSet::describe`].
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedSet {
    pub(crate) family: String,
    pub(crate) severity: u8,
    pub(crate) images: Description,
    pub(crate) wrong: Vec<bool>,
}

impl DescribedSet {
    /// The kind of corruption.
    #[must_use]
    pub fn family(&self) -> &str {
        &self.family
    }

    /// 2 with the mirrored image, else 1.
    #[must_use]
    pub fn views(&self) -> u8 {
        if self.images.kind.mirrored { 2 } else { 1 }
    }

    /// The severity.
    #[must_use]
    pub fn severity(&self) -> u8 {
        self.severity
    }

    /// The same images under another family name.
    #[must_use]
    pub fn named(self, family: impl Into<String>) -> Self {
        Self {
            family: family.into(),
            ..self
        }
    }

    /// The images at `places`, in that order. Places beyond the last image are left out.
    #[must_use]
    pub fn select(&self, places: &[usize]) -> Self {
        Self {
            family: self.family.clone(),
            severity: self.severity,
            images: self.images.select(places),
            wrong: places.iter().filter_map(|&i| self.wrong.get(i)).copied().collect(),
        }
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wrong.len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wrong.is_empty()
    }

    /// The share of right answers, 0..=1.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let wrong = self.wrong.iter().filter(|&&wrong| wrong).count();
        1.0 - wrong as f64 / self.len().max(1) as f64
    }
}
