//! The arrays of a saved monitor as bytes: what is written, and what the facts hold the digests of.

use riptide_detectors::Answers;
use riptide_files::npy;

/// The reference's scores, f64 (N,).
pub(crate) fn scores(scores: &[f64]) -> Vec<u8> {
    npy::encode(&[scores.len()], scores.iter().copied())
}

/// The class that the classifier and the distilled network gave each image, u32 (N, 2).
pub(crate) fn answers(answers: &Answers) -> Vec<u8> {
    let pairs = answers.classifier.iter().zip(&answers.distilled);
    let class = |class: usize| u32::try_from(class).unwrap_or(u32::MAX);
    npy::encode(
        &[answers.classifier.len(), 2],
        pairs.flat_map(|(&a, &b)| [class(a), class(b)]),
    )
}

/// What a function answered to `n` images, f32 (n, n_classes).
pub(crate) fn probe(probabilities: &[f32], n: usize, n_classes: usize) -> Vec<u8> {
    npy::encode(&[n, n_classes], probabilities.iter().copied())
}

/// The reference's largest class probabilities, f32 (N,).
pub(crate) fn confidences(confidences: &[f32]) -> Vec<u8> {
    npy::encode(&[confidences.len()], confidences.iter().copied())
}
