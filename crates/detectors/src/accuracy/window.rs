//! What is kept of a batch: sums that merge exactly.

use riptide_stats::means::Sample;
use serde::{Deserialize, Serialize};

use crate::error::DetectorError;

/// 2^32: values in 0..=1 are summed as whole multiples of 2^-32.
const ONE: f64 = 4_294_967_296.0;

/// A sum of values in 0..=1 as a whole number of 2^-32, so that it does not depend on the order of summing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct FixedSum(u64);

impl FixedSum {
    /// Adds a value, cut to 0..=1; NaN counts as 0 and never occurs, since probabilities are checked before.
    fn add(&mut self, value: f64) {
        // The cast saturates and rounds towards zero after the rounding to nearest.
        self.0 = self.0.saturating_add((value.clamp(0.0, 1.0) * ONE).round() as u64);
    }

    fn merge(&mut self, other: Self) -> Option<()> {
        self.0 = self.0.checked_add(other.0)?;
        Some(())
    }

    fn value(self) -> f64 {
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
    n: u64,
    /// Sum of the error probabilities.
    error: FixedSum,
    /// Sum of their 3/2 powers.
    emphasised: FixedSum,
    /// Sum of the temperature-scaled largest probabilities.
    confidence: FixedSum,
    /// Images about which both networks agree; all of them without a distilled network.
    agreement: u64,
    /// Sums of products: error², confidence², error × confidence, error × agreement, confidence × agreement.
    products: [FixedSum; 5],
    /// How often the classifier gave each class.
    classes: Vec<u64>,
}

/// The means that estimates are made from: error probability, confidence, agreement.
pub(crate) const QUANTITIES: [&str; 3] = ["error probability", "confidence", "agreement"];

/// An error probability to the power 3/2, from operations that every machine rounds alike. Harmless corruption makes the
/// networks a little less sure of many images, harm leads them astray on some: the power hears the latter better.
pub(crate) fn emphasised(error: f64) -> f64 {
    let error = error.clamp(0.0, 1.0);
    error * error.sqrt()
}

/// Means and covariances of a window, in the order of [`QUANTITIES`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Moments {
    pub(crate) n: f64,
    pub(crate) mean: [f64; 3],
    /// Unbiased; 0 for one image.
    pub(crate) covariance: [[f64; 3]; 3],
}

impl Moments {
    /// Variance an image of a linear function of the three.
    pub(crate) fn variance(&self, weights: &[f64; 3]) -> f64 {
        let rows = self.covariance.iter().zip(weights);
        rows.map(|(row, w)| w * dot(row, weights)).sum::<f64>().max(0.0)
    }
}

impl Moments {
    /// A linear function of the three as a sample.
    pub(crate) fn along(&self, weights: &[f64; 3]) -> Sample {
        Sample {
            n: self.n,
            mean: dot(weights, &self.mean),
            variance: self.variance(weights),
        }
    }
}

pub(crate) fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl WindowValue {
    /// A window without images.
    #[must_use]
    pub fn new(n_classes: usize) -> Self {
        Self {
            classes: vec![0; n_classes],
            ..Self::default()
        }
    }

    /// Adds an image. Callers hold fewer than 2^32 images in memory, so nothing overflows.
    pub(crate) fn add(&mut self, error: f64, confidence: f64, agree: bool, class: usize) {
        let agreement = f64::from(u8::from(agree));
        self.n += 1;
        self.error.add(error);
        self.emphasised.add(emphasised(error));
        self.confidence.add(confidence);
        self.agreement += u64::from(agree);
        let products = [
            error * error,
            confidence * confidence,
            error * confidence,
            error * agreement,
            confidence * agreement,
        ];
        for (sum, product) in self.products.iter_mut().zip(products) {
            sum.add(product);
        }
        if let Some(count) = self.classes.get_mut(class) {
            *count += 1;
        }
    }

    pub(crate) fn moments(&self) -> Moments {
        let n = self.n.max(1) as f64;
        let mean = [
            self.error.value() / n,
            self.confidence.value() / n,
            self.agreement as f64 / n,
        ];
        let [ee, cc, ec, ea, ca] = self.products.map(|sum| sum.value() / n);
        let [e, c, a] = mean;
        // Differences below the resolution of the sums are none.
        let unbiased = |product: f64, expected: f64| {
            let difference = product - expected;
            if difference.abs() < 1e-9 || self.n < 2 {
                0.0
            } else {
                difference * n / (n - 1.0)
            }
        };
        let (ec, ea, ca) = (unbiased(ec, e * c), unbiased(ea, e * a), unbiased(ca, c * a));
        Moments {
            n,
            mean,
            covariance: [
                [unbiased(ee, e * e), ec, ea],
                [ec, unbiased(cc, c * c), ca],
                [ea, ca, unbiased(a, a * a)],
            ],
        }
    }

    /// Share of each class among the answers.
    pub(crate) fn shares(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        let n = self.n.max(1) as f64;
        self.classes.iter().map(move |&count| count as f64 / n)
    }

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

    /// Mean of the 3/2 powers of the error probabilities.
    pub(crate) fn mean_emphasised(&self) -> f64 {
        self.emphasised.value() / self.n.max(1) as f64
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
        self.emphasised.merge(other.emphasised)?;
        self.confidence.merge(other.confidence)?;
        for (sum, product) in self.products.iter_mut().zip(other.products) {
            sum.merge(product)?;
        }
        self.agreement = self.agreement.checked_add(other.agreement)?;
        for (sum, count) in self.classes.iter_mut().zip(&other.classes) {
            *sum = sum.checked_add(*count)?;
        }
        Some(())
    }
}
