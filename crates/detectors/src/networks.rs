//! The networks that a detector looks at: any classifier that gives class probabilities.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{BoxError, DetectorError};

/// How far from 1 the sum of a row of probabilities may lie.
const SUM_TOLERANCE: f64 = 1e-2;

/// Class probabilities of the classifier and of its distilled network for the same instances, row-major
/// (N, n_classes) each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Probabilities {
    /// The classifier's probabilities.
    pub classifier: Vec<f32>,
    /// The distilled network's probabilities.
    pub distilled: Vec<f32>,
    /// Number of classes.
    pub n_classes: usize,
}

impl Probabilities {
    /// Checks the lengths and takes the two arrays, row-major (N, n_classes).
    ///
    /// # Errors
    /// [`DetectorError::Shape`] if the lengths differ or are not a multiple of `n_classes`, [`DetectorError::InvalidOption`] if
    /// `n_classes` is 0.
    pub fn new(classifier: Vec<f32>, distilled: Vec<f32>, n_classes: usize) -> Result<Self, DetectorError> {
        let probabilities = Self {
            classifier,
            distilled,
            n_classes,
        };
        probabilities.check_lengths()?;
        Ok(probabilities)
    }

    /// Number of instances.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classifier.len().checked_div(self.n_classes).unwrap_or(0)
    }

    /// Whether there is no instance.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class that the classifier gives each instance: the first of the largest probabilities.
    #[must_use]
    pub fn predicted_classes(&self) -> Vec<usize> {
        self.classifier
            .chunks_exact(self.n_classes.max(1))
            .map(argmax)
            .collect()
    }

    /// The class that the distilled network gives each instance, likewise.
    #[must_use]
    pub fn distilled_classes(&self) -> Vec<usize> {
        self.distilled.chunks_exact(self.n_classes.max(1)).map(argmax).collect()
    }

    /// Appends the instances of `other`.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] if the numbers of classes differ.
    pub fn extend(&mut self, other: &Probabilities) -> Result<(), DetectorError> {
        if self.n_classes != other.n_classes {
            return Err(DetectorError::shape(
                "number of classes",
                self.n_classes,
                other.n_classes,
            ));
        }
        self.classifier.extend_from_slice(&other.classifier);
        self.distilled.extend_from_slice(&other.distilled);
        Ok(())
    }

    /// Checks lengths and that every row of both networks is finite, non-negative and sums to about 1.
    pub(crate) fn check(&self) -> Result<(), DetectorError> {
        self.check_lengths()?;
        check_rows(&self.classifier, self.n_classes, "classifier")?;
        check_rows(&self.distilled, self.n_classes, "distilled network")
    }

    pub(crate) fn check_lengths(&self) -> Result<(), DetectorError> {
        check_lengths(&self.classifier, &self.distilled, self.n_classes)
    }
}

/// Checks that every row of `values`, row-major (N, n_classes), holds class probabilities: finite, non-negative, with a sum of about 1.
/// `network` stands in the error: `classifier` or `distilled network`.
///
/// # Errors
/// [`DetectorError::InvalidProbability`] or [`DetectorError::NotNormalized`] with the first row that does not.
///
/// ```
/// use riptide_detectors::check_rows;
/// assert!(check_rows(&[0.5, 0.5, 0.1, 0.9], 2, "classifier").is_ok());
/// let error = check_rows(&[0.5, 0.5, f32::NAN, 0.9], 2, "classifier").unwrap_err();
/// assert!(error.to_string().contains("the classifier gave NaN"));
/// ```
pub fn check_rows(values: &[f32], n_classes: usize, network: &'static str) -> Result<(), DetectorError> {
    for (instance, row) in values.chunks_exact(n_classes.max(1)).enumerate() {
        let mut sum = 0.0;
        for (class, &value) in row.iter().enumerate() {
            if !value.is_finite() || value < 0.0 {
                // Logits are the likeliest mistake, and often negative; the sum says nothing then.
                return Err(DetectorError::InvalidProbability {
                    network,
                    instance,
                    class,
                    value,
                });
            }
            sum += f64::from(value);
        }
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(DetectorError::NotNormalized { network, instance, sum });
        }
    }
    Ok(())
}

/// The index of the first of the largest values: the class that a row of probabilities or logits answers. NaN is never the
/// largest; an empty row gives 0.
///
/// ```
/// assert_eq!(riptide_detectors::argmax(&[0.2, 0.4, 0.4]), 1);
/// ```
#[must_use]
pub fn argmax(row: &[f32]) -> usize {
    row.iter()
        .enumerate()
        .fold(
            (0, f32::NEG_INFINITY),
            |best, (i, &p)| if p > best.1 { (i, p) } else { best },
        )
        .0
}

/// Checks that both arrays are (N, n_classes) with the same N.
pub(crate) fn check_lengths(classifier: &[f32], distilled: &[f32], n_classes: usize) -> Result<(), DetectorError> {
    if n_classes == 0 {
        return Err(DetectorError::option("n_classes", 0, "at least 1"));
    }
    if !classifier.len().is_multiple_of(n_classes) {
        return Err(DetectorError::shape(
            "the classifier's probabilities",
            format!("a multiple of {n_classes} classes"),
            classifier.len(),
        ));
    }
    if classifier.len() != distilled.len() {
        return Err(DetectorError::shape(
            "the distilled network's probabilities",
            format!("{} values, as the classifier's", classifier.len()),
            distilled.len(),
        ));
    }
    Ok(())
}

/// The two networks behind a distillation score, evaluated in one pass over raw images.
pub trait ScoringNetworks: Send + Sync {
    /// Number of classes that both networks tell apart.
    fn n_classes(&self) -> usize;

    /// Probabilities of both networks for u8 images (n, h, w, 3), row-major, `shape` = `[n, h, w]`.
    ///
    /// # Errors
    /// Whatever the networks say; it reaches the user inside [`DetectorError::Networks`].
    fn predict_proba(&self, images: &[u8], shape: [usize; 3]) -> Result<Probabilities, BoxError>;
}

macro_rules! forward_scoring_networks {
    ($($pointer:ty),*) => {$(
        impl<N: ScoringNetworks + ?Sized> ScoringNetworks for $pointer {
            fn n_classes(&self) -> usize {
                (**self).n_classes()
            }
            fn predict_proba(&self, images: &[u8], shape: [usize; 3]) -> Result<Probabilities, BoxError> {
                (**self).predict_proba(images, shape)
            }
        }
    )*};
}
forward_scoring_networks!(&N, Box<N>, Arc<N>);

/// [`ScoringNetworks`] from a closure that takes u8 images, row-major (N, H, W, 3), with their shape `[n, height, width]`
/// and gives the probabilities of both networks over `n_classes` classes.
///
/// ```
/// use riptide_detectors::{Probabilities, ScoringNetworks, networks_fn};
/// let unsure = networks_fn(2, |_: &[u8], [n, _, _]: [usize; 3]| {
///     Ok(Probabilities::new(vec![0.5; n * 2], vec![0.5; n * 2], 2)?)
/// });
/// assert_eq!(unsure.predict_proba(&[0; 3], [1, 1, 1]).unwrap().classifier, [0.5, 0.5]);
/// ```
pub fn networks_fn<F>(n_classes: usize, predict_proba: F) -> NetworksFn<F>
where
    F: Fn(&[u8], [usize; 3]) -> Result<Probabilities, BoxError> + Send + Sync,
{
    NetworksFn {
        n_classes,
        predict_proba,
    }
}

/// What [`networks_fn`] returns.
#[derive(Clone)]
pub struct NetworksFn<F> {
    n_classes: usize,
    predict_proba: F,
}

impl<F> std::fmt::Debug for NetworksFn<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworksFn")
            .field("n_classes", &self.n_classes)
            .finish_non_exhaustive()
    }
}

impl<F> ScoringNetworks for NetworksFn<F>
where
    F: Fn(&[u8], [usize; 3]) -> Result<Probabilities, BoxError> + Send + Sync,
{
    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn predict_proba(&self, images: &[u8], shape: [usize; 3]) -> Result<Probabilities, BoxError> {
        (self.predict_proba)(images, shape)
    }
}
