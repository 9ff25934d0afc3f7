//! What is kept of a batch: sums that merge exactly.

use serde::{Deserialize, Serialize};

use crate::error::DetectorError;

/// 2^32: values in 0..=1 are summed as whole multiples of 2^-32.
const ONE: f64 = 4_294_967_296.0;

/// A sum of values in 0..=1 as a whole number of 2^-32, so that it does not depend on the order of summing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FixedSum(u64);

impl FixedSum {
    /// Adds a value, cut to 0..=1; NaN counts as 0 and never occurs, since probabilities are checked before.
    pub(crate) fn add(&mut self, value: f64) {
        // The cast saturates and rounds towards zero after the rounding to nearest.
        self.0 = self.0.saturating_add((value.clamp(0.0, 1.0) * ONE).round() as u64);
    }

    fn merge(&mut self, other: Self) -> Option<()> {
        self.0 = self.0.checked_add(other.0)?;
        Some(())
    }

    pub(crate) fn value(self) -> f64 {
        self.0 as f64 / ONE
    }
}

/// What [`AccuracyModel::judge`](super::AccuracyModel::judge) needs to know of a batch, as sums over its images. Made by
/// [`AccuracyModel::window`](super::AccuracyModel::window); [`merge`](Self::merge) adds the images of another batch.
///
/// All sums are integers (values in multiples of 2^-32), so merging is exact, associative and commutative: windows that were
/// merged in any order, on any number of threads or machines, are equal bit for bit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowValue {
    /// Number of images.
    pub(crate) n: u64,
    /// Sum of the error probabilities.
    pub(crate) error: FixedSum,
    /// Sum of their squares.
    pub(crate) error_squared: FixedSum,
    /// Sum of the temperature-scaled largest probabilities.
    pub(crate) confidence: FixedSum,
    /// Images about which both networks agree; all of them without a distilled network.
    pub(crate) agreement: u64,
    /// How often the classifier gave each class.
    pub(crate) classes: Vec<u64>,
}

impl WindowValue {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Mean error probability, 0..=1; 0 without images. This is the value that a
    /// [`SequentialTest`](crate::sequential::SequentialTest) takes, one a batch.
    #[must_use]
    pub fn mean_error(&self) -> f64 {
        self.error.value() / self.n.max(1) as f64
    }

    /// How often the classifier gave each class.
    #[must_use]
    pub fn classes(&self) -> &[u64] {
        &self.classes
    }

    /// Adds the images of `other`. An empty window takes any number of classes.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] if the numbers of classes differ, [`DetectorError::InvalidOption`] if the sums overflow, at
    /// about four thousand million images. `self` is then as it was.
    pub fn merge(&mut self, other: &Self) -> Result<(), DetectorError> {
        if other.n == 0 {
            return Ok(());
        }
        if self.n == 0 {
            self.clone_from(other);
            return Ok(());
        }
        if self.classes.len() != other.classes.len() {
            return Err(DetectorError::shape(
                "the classes of two windows",
                self.classes.len(),
                other.classes.len(),
            ));
        }
        let mut merged = self.clone();
        if merged.try_merge(other).is_none() {
            return Err(DetectorError::option(
                "the images of two windows",
                format!("{} and {}", self.n, other.n),
                "fewer than 2^32 in all",
            ));
        }
        *self = merged;
        Ok(())
    }

    fn try_merge(&mut self, other: &Self) -> Option<()> {
        self.n = self.n.checked_add(other.n).filter(|&n| n < 1 << 32)?;
        self.error.merge(other.error)?;
        self.error_squared.merge(other.error_squared)?;
        self.confidence.merge(other.confidence)?;
        self.agreement = self.agreement.checked_add(other.agreement)?;
        for (sum, count) in self.classes.iter_mut().zip(&other.classes) {
            *sum = sum.checked_add(*count)?;
        }
        Some(())
    }
}
