//! The networks that a detector looks at: any classifier that gives class probabilities.

use std::sync::Arc;

use candle_core::{Device, Module, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{BoxError, DetectorError};

/// How far from 1 the sum of a row of probabilities may lie.
const SUM_TOLERANCE: f64 = 1e-2;

/// A classifier: images in, class probabilities out.
///
/// Every candle [`Module`] that is `Send + Sync` and whose `forward` ends in a softmax is one.
pub trait Classifier: Send + Sync {
    /// Class probabilities, f32, shape (N, n_classes), rows summing to 1, of `images`: u8 (N, H, W, 3) as
    /// [`ScoringNetworks`] passes them, or whatever else the classifier takes.
    ///
    /// # Errors
    /// Whatever the classifier says.
    fn predict_proba(&self, images: &Tensor) -> candle_core::Result<Tensor>;
}

impl<M: Module + Send + Sync> Classifier for M {
    fn predict_proba(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.forward(images)
    }
}

/// Class probabilities of the classifier and of its distilled network for the same instances, row-major
/// (N, n_classes) each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Probabilities {
    /// The classifier's (teacher's) probabilities.
    pub classifier: Vec<f32>,
    /// The distilled network's (student's) probabilities.
    pub distilled: Vec<f32>,
    /// Number of classes.
    pub n_classes: usize,
}

impl Probabilities {
    /// Checks the lengths and takes the two arrays, row-major (N, n_classes).
    ///
    /// # Errors
    /// [`DetectorError::Shape`] where the lengths differ or are no multiple of `n_classes`, and where `n_classes` is 0.
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
    /// [`DetectorError::Shape`] where the numbers of classes differ.
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

/// Errors unless every row is finite, non-negative and sums to about 1.
pub(crate) fn check_rows(values: &[f32], n_classes: usize, network: &'static str) -> Result<(), DetectorError> {
    for (instance, row) in values.chunks_exact(n_classes).enumerate() {
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

/// Index of the first of the largest values.
pub(crate) fn argmax(row: &[f32]) -> usize {
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

/// A classifier and its distilled network: [`ScoringNetworks`] from two [`Classifier`]s.
///
/// The images reach both as one u8 tensor (N, H, W, 3); the networks scale them themselves.
#[derive(Debug, Clone)]
pub struct ClassifierPair<C, D> {
    /// The classifier that is watched (the teacher).
    pub classifier: C,
    /// The network distilled from it (the student).
    pub distilled: D,
    n_classes: usize,
}

impl<C: Classifier, D: Classifier> ClassifierPair<C, D> {
    /// Pairs the two; both must give `n_classes` probabilities.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] where `n_classes` is 0.
    pub fn new(classifier: C, distilled: D, n_classes: usize) -> Result<Self, DetectorError> {
        if n_classes == 0 {
            return Err(DetectorError::option("n_classes", 0, "at least 1"));
        }
        Ok(Self {
            classifier,
            distilled,
            n_classes,
        })
    }

    /// Probabilities of both networks for a tensor that both take, whatever its shape and dtype.
    ///
    /// # Errors
    /// [`DetectorError::Candle`] where a network fails, [`DetectorError::Shape`] where it gives anything but
    /// (N, n_classes).
    pub fn predict_proba_tensor(&self, images: &Tensor) -> Result<Probabilities, DetectorError> {
        let classifier = probability_rows(
            &self.classifier,
            images,
            self.n_classes,
            "the classifier's probabilities",
        )?;
        let distilled = probability_rows(
            &self.distilled,
            images,
            self.n_classes,
            "the distilled network's probabilities",
        )?;
        Probabilities::new(classifier, distilled, self.n_classes)
    }
}

impl<C: Classifier, D: Classifier> ScoringNetworks for ClassifierPair<C, D> {
    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn predict_proba(&self, images: &[u8], shape: [usize; 3]) -> Result<Probabilities, BoxError> {
        let [n, height, width] = shape;
        let tensor = Tensor::from_slice(images, (n, height, width, 3), &Device::Cpu)?;
        Ok(self.predict_proba_tensor(&tensor)?)
    }
}

/// Row-major f32 probabilities of `images`, checked to be (N, n_classes).
pub(crate) fn probability_rows(
    network: &impl Classifier,
    images: &Tensor,
    n_classes: usize,
    what: &'static str,
) -> Result<Vec<f32>, DetectorError> {
    let output = network.predict_proba(images)?;
    let n = images.dim(0)?;
    if output.dims() != [n, n_classes] {
        return Err(DetectorError::shape(
            what,
            format!("({n}, {n_classes})"),
            format!("{:?}", output.dims()),
        ));
    }
    Ok(output
        .to_dtype(candle_core::DType::F32)?
        .flatten_all()?
        .to_vec1::<f32>()?)
}
