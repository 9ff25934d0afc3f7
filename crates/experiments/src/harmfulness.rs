//! One pass over a set of images, and the split of corrupted images into harmful and harmless.

use riptide_corruptions::{Corruption, Severity};
use riptide_detectors::{Probabilities, Score, ScoreKind};
use serde::{Deserialize, Serialize};

use crate::error::ExperimentError;

/// Whether corrupted images cost accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The classifier is right on the clean image and wrong on its corrupted twin.
    Harmful,
    /// The classifier is right on both.
    Harmless,
}

impl Kind {
    /// Both kinds, harmful first.
    pub const ALL: [Self; 2] = [Self::Harmful, Self::Harmless];

    /// `harmful` or `harmless`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Harmful => "harmful",
            Self::Harmless => "harmless",
        }
    }
}

/// What one pass of a set of images through both networks gave.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    /// Whether the classifier's most probable class is the label, one an image.
    pub(crate) correct: Vec<bool>,
    /// One column a score of the protocol, one value an image.
    pub(crate) scores: Vec<Vec<f32>>,
}

impl Pass {
    pub(crate) fn new(
        probabilities: &Probabilities,
        labels: &[u32],
        kinds: &[ScoreKind],
    ) -> Result<Self, ExperimentError> {
        let predicted = probabilities.predicted_classes();
        let correct = predicted
            .iter()
            .zip(labels)
            .map(|(&class, &label)| class == label as usize)
            .collect();
        let scores = kinds
            .iter()
            .map(|kind| kind.score(probabilities.into()))
            .collect::<Result<_, _>>()?;
        Ok(Self { correct, scores })
    }

    /// Fraction of images that the classifier gets right.
    pub(crate) fn accuracy(&self) -> f64 {
        let right = self.correct.iter().filter(|&&right| right).count();
        right as f64 / self.correct.len().max(1) as f64
    }
}

/// The pass of one corruption at one severity.
#[derive(Debug, Clone)]
pub(crate) struct CorruptedPass {
    pub(crate) corruption: Corruption,
    pub(crate) severity: Severity,
    pub(crate) pass: Pass,
}

/// A corrupted image: its place among the severity's passes, and its index in the set.
pub(crate) type Place = (usize, usize);

/// The images of `kind` among `corrupted`, corruption by corruption.
pub(crate) fn pool(clean: &Pass, corrupted: &[&CorruptedPass], kind: Kind) -> Vec<Place> {
    let mut places = Vec::new();
    for (place, twin) in corrupted.iter().enumerate() {
        for (image, (&before, &after)) in clean.correct.iter().zip(&twin.pass.correct).enumerate() {
            if before && after == (kind == Kind::Harmless) {
                places.push((place, image));
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(correct: [bool; 4]) -> Pass {
        Pass {
            correct: correct.to_vec(),
            scores: vec![vec![0.0; 4]],
        }
    }

    #[test]
    fn harm_needs_a_right_answer_to_lose() {
        let clean = pass([true, true, false, false]);
        let twin = CorruptedPass {
            corruption: Corruption::Brightness,
            severity: Severity::ALL[0],
            pass: pass([true, false, true, false]),
        };
        assert_eq!(pool(&clean, &[&twin], Kind::Harmful), [(0, 1)]);
        assert_eq!(pool(&clean, &[&twin], Kind::Harmless), [(0, 0)]);
    }
}
