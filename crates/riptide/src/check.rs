//! Comparing a classifier's answers with those that it gives in the user's own program.

use std::path::{Path, PathBuf};

use riptide_detectors::{argmax, check_rows};
use riptide_files::npy::{self, Element};
use riptide_files::{Progress, Unit, regular};
use serde::Serialize;

use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::images::Images;
use crate::pipeline::{Candidate, candidates};

/// The class probabilities that the user's own program gives some images, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    probabilities: Vec<f32>,
    n_classes: usize,
    name: String,
}

/// How far a classifier's answers are from those expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Agreement {
    /// Number of images.
    pub n_images: usize,
    /// Images to which both give the same class.
    pub n_same_class: usize,
    /// The largest absolute difference of a probability.
    pub largest_difference: f32,
    /// The place among all images of the one with the largest difference.
    pub image: usize,
    /// Its file, if each image is a file of its own.
    #[serde(
        flatten,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::score::named"
    )]
    pub file: Option<PathBuf>,
    /// The class whose probability differs most.
    pub class: usize,
    /// The probability expected there.
    pub expected: f32,
    /// The classifier's.
    pub found: f32,
}

impl Expected {
    /// Probabilities row-major (N, `n_classes`).
    ///
    /// # Errors
    /// [`Error::Mismatch`] if they are not a whole number of rows, [`Error::Detector`] if a row is not of probabilities.
    pub fn new(probabilities: Vec<f32>, n_classes: usize) -> Result<Self> {
        Self::named(probabilities, n_classes, "the expected probabilities".to_owned())
    }

    /// Reads a `.npy` file of float32 or float64 (N, n_classes).
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Malformed`] if it cannot be read or has another type or shape, and as [`Self::new`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = regular::read(path, regular::NUMBERS)?;
        let name = path.display().to_string();
        let (shape, values) = match npy::decode::<f64>(&bytes) {
            Ok(array) => (array.shape, array.values.iter().map(|value| *value as f32).collect()),
            Err(_) => {
                let array = npy::decode::<f32>(&bytes);
                let array = array.map_err(|error| {
                    Error::malformed(
                        path,
                        format!("{error}; {} or {} (N, classes) is needed", f32::DTYPE, f64::DTYPE),
                    )
                })?;
                (array.shape, array.values)
            }
        };
        match shape.as_slice() {
            &[_, n_classes] if n_classes > 0 => Self::named(values, n_classes, name),
            _ => Err(Error::malformed(
                path,
                format!("has the shape {shape:?}, not (N, classes)"),
            )),
        }
    }

    fn named(probabilities: Vec<f32>, n_classes: usize, name: String) -> Result<Self> {
        if n_classes == 0 || !probabilities.len().is_multiple_of(n_classes) {
            let expected = format!("a multiple of {n_classes} classes");
            return Err(Error::mismatch(
                "number of expected probabilities",
                expected,
                probabilities.len(),
            ));
        }
        if let Err(error) = check_rows(&probabilities, n_classes, "file") {
            return Err(Error::malformed(
                &name,
                format!("holds something other than class probabilities: {error}"),
            ));
        }
        Ok(Self {
            probabilities,
            n_classes,
            name,
        })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.probabilities.len() / self.n_classes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.probabilities.is_empty()
    }
}

/// Compares a classifier's answers to images with the expected ones, in order.
///
/// Pictures should be opened with the classifier's [framing](Classifier::framing). A difference of 1e-3 and less is rounding; a
/// few hundredths come from another decoder or another resizing; more is another preprocessing or another network.
///
/// ```
/// use riptide::prelude::*;
/// use riptide::{Expected, check};
/// # let images = ImageSet::unlabelled(vec![10; 2 * 8 * 8 * 3], 8, 8)?;
/// # let classifier = Classifier::from_fn(2, (8, 8), |images| Ok(images.images().flat_map(|_| [0.25, 0.75]).collect()));
/// let expected = Expected::new(vec![0.25, 0.75, 0.5, 0.5], 2)?;
/// let agreement = check(&classifier, &images, &expected, &mut Silent)?;
/// assert_eq!((agreement.image, agreement.largest_difference), (1, 0.25));
/// # Ok::<(), riptide::Error>(())
/// ```
///
/// # Errors
/// [`Error::Mismatch`] if there are more or fewer images or classes than expected, and as
/// [`Classifier::predict_proba`] and [`Monitor::score`](crate::Monitor::score).
pub fn check<'a>(
    classifier: &Classifier,
    images: impl Into<Images<'a>>,
    expected: &Expected,
    progress: &mut dyn Progress,
) -> Result<Agreement> {
    let mut one = compare(std::slice::from_ref(classifier), images.into(), expected, progress)?;
    one.pop().ok_or_else(|| Error::mismatch("classifiers", 1, 0))?
}

/// As [`check`], with each of the [candidates](crate::pipeline::candidates) for what images go through before a network, the one
/// that comes closest first. Candidates with which it gives no probabilities are left out.
///
/// # Errors
/// As [`check`]; [`Error::Mismatch`] for a classifier that is a function.
pub fn check_candidates<'a>(
    classifier: &Classifier,
    images: impl Into<Images<'a>>,
    expected: &Expected,
    progress: &mut dyn Progress,
) -> Result<Vec<(Candidate, Agreement)>> {
    let network = classifier.network();
    let network =
        network.ok_or_else(|| Error::mismatch("classifier to try candidates with", "a network", "a function"))?;
    let candidates = candidates(network.channels());
    let classifiers = candidates
        .iter()
        .map(|candidate| classifier.clone().with_preprocessing(candidate.preprocessing))
        .collect::<Result<Vec<_>>>()?;
    let agreements = compare(&classifiers, images.into(), expected, progress)?;
    let mut all: Vec<(Candidate, Agreement)> = Vec::new();
    let mut failed = None;
    for (candidate, agreement) in candidates.into_iter().zip(agreements) {
        match agreement {
            Ok(agreement) => all.push((candidate, agreement)),
            Err(error @ Error::Answer { .. }) => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    all.sort_by(|(_, a), (_, b)| a.largest_difference.total_cmp(&b.largest_difference));
    match (all.is_empty(), failed) {
        (true, Some(error)) => Err(error),
        _ => Ok(all),
    }
}

/// Each classifier's agreement, from one pass over the images; an inner error is that classifier's own.
fn compare(
    classifiers: &[Classifier],
    mut images: Images<'_>,
    expected: &Expected,
    progress: &mut dyn Progress,
) -> Result<Vec<Result<Agreement>>> {
    let Some(size) = classifiers.first().map(Classifier::input_size) else {
        return Ok(Vec::new());
    };
    let n_classes = classifiers.first().map_or(0, Classifier::n_classes);
    if n_classes != expected.n_classes {
        let found = format!("{} in {}", expected.n_classes, expected.name);
        return Err(Error::mismatch("number of classes", n_classes, found));
    }
    let mut agreements: Vec<Result<Agreement>> = classifiers.iter().map(|_| Ok(Agreement::none())).collect();
    progress.begin("asking the classifier", images.remaining(), Unit::Images);
    let mut n = 0;
    while let Some((first, chunk)) = images.next_chunk(size)? {
        n = first + chunk.len();
        let Some(rows) = expected.probabilities.get(first * n_classes..n * n_classes) else {
            let found = format!("at least {n} in {}", images.name());
            return Err(Error::mismatch(
                "number of images",
                format!("{} as in {}", expected.len(), expected.name),
                found,
            ));
        };
        for (classifier, agreement) in classifiers.iter().zip(&mut agreements) {
            let Ok(so_far) = agreement else {
                continue;
            };
            match classifier.predict_proba(&chunk, |_| ()) {
                Ok(found) => so_far.add(first, &found, rows, n_classes, chunk.files()),
                Err(error) => *agreement = Err(error.after(first, chunk.files())),
            }
        }
        progress.advance(chunk.len() as u64);
    }
    progress.end();
    if n == 0 {
        return Err(images.none());
    }
    if n != expected.len() {
        let found = format!("{n} in {}", images.name());
        return Err(Error::mismatch(
            "number of images",
            format!("{} as in {}", expected.len(), expected.name),
            found,
        ));
    }
    Ok(agreements)
}

impl Agreement {
    fn none() -> Self {
        Self {
            n_images: 0,
            n_same_class: 0,
            largest_difference: 0.0,
            image: 0,
            file: None,
            class: 0,
            expected: 0.0,
            found: 0.0,
        }
    }

    /// Whether no probability differs by more than `tolerance`.
    pub fn is_within(&self, tolerance: f32) -> bool {
        self.largest_difference <= tolerance
    }

    fn add(&mut self, first: usize, found: &[f32], expected: &[f32], n_classes: usize, files: Option<&[PathBuf]>) {
        let rows = found.chunks_exact(n_classes).zip(expected.chunks_exact(n_classes));
        for (place, (found, expected)) in rows.enumerate() {
            self.n_images += 1;
            self.n_same_class += usize::from(argmax(found) == argmax(expected));
            for (class, (&found, &expected)) in found.iter().zip(expected).enumerate() {
                let difference = (found - expected).abs();
                // The first image stands for all if nothing differs.
                if difference > self.largest_difference || self.n_images == 1 && class == 0 {
                    (self.largest_difference, self.image, self.class) = (difference, first + place, class);
                    (self.expected, self.found) = (expected, found);
                    self.file = files.and_then(|files| files.get(place)).cloned();
                }
            }
        }
    }
}
