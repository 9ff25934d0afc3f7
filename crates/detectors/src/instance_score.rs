//! Scores of single instances: the distillation score and those that a user would otherwise pick, from the same pass.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::distillation::{Loss, score as distillation_score};
use crate::error::DetectorError;
use crate::networks::{Probabilities, argmax};

/// Smallest probability that a logarithm sees, as in the distillation score.
const EPSILON: f32 = 1e-7;

/// What a score may look at.
#[derive(Debug, Clone, Copy)]
pub struct ScoreInput<'a> {
    /// Class probabilities of both networks.
    pub probabilities: &'a Probabilities,
    /// The classifier's logits, row-major (N, n_classes), if they are at hand.
    pub logits: Option<&'a [f32]>,
}

impl<'a> ScoreInput<'a> {
    /// Adds the classifier's logits, row-major (N, n_classes).
    #[must_use]
    pub fn with_logits(self, logits: &'a [f32]) -> Self {
        Self {
            logits: Some(logits),
            ..self
        }
    }
}

impl<'a> From<&'a Probabilities> for ScoreInput<'a> {
    fn from(probabilities: &'a Probabilities) -> Self {
        Self {
            probabilities,
            logits: None,
        }
    }
}

/// A number for each instance, larger if the classifier is more likely to be wrong.
pub trait Score {
    /// The name used in files, tables and arguments.
    fn name(&self) -> &'static str;

    /// One f32 for each instance.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] for lengths that disagree, [`DetectorError::InvalidProbability`] and
    /// [`DetectorError::NotNormalized`] for rows that are not probabilities, [`DetectorError::NoLogits`].
    fn score(&self, input: ScoreInput<'_>) -> Result<Vec<f32>, DetectorError>;
}

/// The distillation score with its options.
///
/// ```
/// use riptide_detectors::{DistillationScore, Probabilities, Score};
/// let probabilities = Probabilities::new(vec![0.9, 0.1], vec![0.6, 0.4], 2)?;
/// let plain = DistillationScore::default().score((&probabilities).into())?;
/// let softened = DistillationScore::default().temperature(3.0).score((&probabilities).into())?;
/// assert!(softened[0] < plain[0]);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DistillationScore {
    /// The divergence; Kullback-Leibler by default.
    pub loss: Loss,
    /// The temperature of the classifier's probabilities, positive; 1 by default, which leaves them as they are.
    pub temperature: f64,
}

impl Default for DistillationScore {
    fn default() -> Self {
        Self {
            loss: Loss::default(),
            temperature: 1.0,
        }
    }
}

impl DistillationScore {
    /// Sets the divergence.
    #[must_use]
    pub fn loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// Sets the temperature of the classifier's probabilities.
    #[must_use]
    pub fn temperature(self, temperature: f64) -> Self {
        Self { temperature, ..self }
    }
}

impl Score for DistillationScore {
    fn name(&self) -> &'static str {
        ScoreKind::Distillation.name()
    }

    fn score(&self, input: ScoreInput<'_>) -> Result<Vec<f32>, DetectorError> {
        let Probabilities {
            classifier,
            distilled,
            n_classes,
        } = input.probabilities;
        distillation_score(classifier, distilled, *n_classes, self.loss, self.temperature)
    }
}

/// The scores by name.
///
/// p are the classifier's probabilities, q the distilled network's, sorted probabilities p₍₁₎ ≥ p₍₂₎ ≥ ….
///
/// ```
/// use riptide_detectors::{Probabilities, Score, ScoreKind};
/// let probabilities = Probabilities::new(vec![0.7, 0.2, 0.1], vec![0.5, 0.3, 0.2], 3)?;
/// let margin: ScoreKind = "margin".parse()?;
/// assert_eq!(margin.score((&probabilities).into())?, [0.5]);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    /// The Kullback-Leibler divergence KL(p ‖ q) at temperature 1; see [`DistillationScore`] for other options.
    #[default]
    Distillation,
    /// 1 − p₍₁₎ (Hendrycks & Gimpel 2017).
    MaxProbability,
    /// −Σ p log p, in nats.
    Entropy,
    /// 1 − (p₍₁₎ − p₍₂₎) (Scheffer et al. 2001), with p₍₂₎ = 0 if there is only one class.
    Margin,
    /// −log Σ exp(logit) (Liu et al. 2020), temperature 1; needs logits.
    Energy,
    /// −log q of the class that the classifier predicts, q clipped to \[1e-7, 1\]: how little the distilled network
    /// expected the answer, in nats.
    Surprise,
}

impl ScoreKind {
    /// Every score.
    pub const ALL: [Self; 6] = [
        Self::Distillation,
        Self::MaxProbability,
        Self::Entropy,
        Self::Margin,
        Self::Energy,
        Self::Surprise,
    ];

    /// The scores that class probabilities are enough for.
    pub const FROM_PROBABILITIES: [Self; 5] = [
        Self::Distillation,
        Self::MaxProbability,
        Self::Entropy,
        Self::Margin,
        Self::Surprise,
    ];

    /// The name used in files, tables and arguments.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Distillation => "distillation",
            Self::MaxProbability => "max_probability",
            Self::Entropy => "entropy",
            Self::Margin => "margin",
            Self::Energy => "energy",
            Self::Surprise => "surprise",
        }
    }
}

impl Score for ScoreKind {
    fn name(&self) -> &'static str {
        (*self).name()
    }

    fn score(&self, input: ScoreInput<'_>) -> Result<Vec<f32>, DetectorError> {
        let probabilities = input.probabilities;
        match self {
            Self::Distillation => return DistillationScore::default().score(input),
            Self::Energy => return energy(input),
            _ => probabilities.check()?,
        }
        let rows = probabilities.classifier.chunks_exact(probabilities.n_classes);
        let distilled = probabilities.distilled.chunks_exact(probabilities.n_classes);
        Ok(match self {
            Self::MaxProbability => rows.map(|row| 1.0 - largest_two(row).0).collect(),
            Self::Entropy => rows.map(entropy).collect(),
            Self::Margin => rows.map(margin).collect(),
            _ => rows
                .zip(distilled)
                .map(|(row, distilled)| surprise(row, distilled))
                .collect(),
        })
    }
}

fn largest_two(row: &[f32]) -> (f32, f32) {
    row.iter().fold((0.0, 0.0), |(first, second), &p| {
        if p > first {
            (p, first)
        } else if p > second {
            (first, p)
        } else {
            (first, second)
        }
    })
}

fn entropy(row: &[f32]) -> f32 {
    let terms = row
        .iter()
        .filter(|&&p| p > 0.0)
        .map(|&p| -f64::from(p) * f64::from(p).ln());
    terms.sum::<f64>() as f32
}

fn margin(row: &[f32]) -> f32 {
    let (first, second) = largest_two(row);
    1.0 - (first - second)
}

fn surprise(row: &[f32], distilled: &[f32]) -> f32 {
    let q = distilled.get(argmax(row)).copied().unwrap_or(0.0).clamp(EPSILON, 1.0);
    -f64::from(q).ln() as f32
}

fn energy(input: ScoreInput<'_>) -> Result<Vec<f32>, DetectorError> {
    let logits = input.logits.ok_or(DetectorError::NoLogits)?;
    let Probabilities {
        classifier, n_classes, ..
    } = input.probabilities;
    input.probabilities.check_lengths()?;
    if logits.len() != classifier.len() {
        return Err(DetectorError::shape(
            "the classifier's logits",
            classifier.len(),
            logits.len(),
        ));
    }
    let rows = logits.chunks_exact(*n_classes).enumerate();
    rows.map(|(instance, row)| {
        if let Some(class) = row.iter().position(|logit| !logit.is_finite()) {
            return Err(DetectorError::InvalidLogit {
                instance,
                class,
                value: row[class],
            });
        }
        let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
        Ok(-(largest + sum.ln()) as f32)
    })
    .collect()
}

impl fmt::Display for ScoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str((*self).name())
    }
}

impl FromStr for ScoreKind {
    type Err = DetectorError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| DetectorError::UnknownName {
                what: "score",
                name: name.into(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probabilities() -> Probabilities {
        Probabilities::new(
            vec![0.7, 0.2, 0.1, 0.0, 1.0, 0.0],
            vec![0.5, 0.3, 0.2, 1.0, 0.0, 0.0],
            3,
        )
        .unwrap()
    }

    fn score(kind: ScoreKind) -> Vec<f32> {
        kind.score((&probabilities()).into()).unwrap()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn equal_their_formulas() {
        assert_close(&score(ScoreKind::MaxProbability), &[0.3, 0.0]);
        assert_close(&score(ScoreKind::Entropy), &[0.801_818_55, 0.0]);
        assert_close(&score(ScoreKind::Margin), &[0.5, 0.0]);
        assert_close(&score(ScoreKind::Surprise), &[std::f32::consts::LN_2, 16.118_095]);
        let Probabilities {
            classifier,
            distilled,
            n_classes,
        } = probabilities();
        let kld = distillation_score(&classifier, &distilled, n_classes, Loss::Kld, 1.0).unwrap();
        assert_eq!(score(ScoreKind::Distillation), kld);
    }

    #[test]
    fn a_tie_for_the_first_place_has_no_margin() {
        let tie = Probabilities::new(vec![0.4, 0.4, 0.2], vec![0.4, 0.4, 0.2], 3).unwrap();
        assert_eq!(ScoreKind::Margin.score((&tie).into()).unwrap(), [1.0]);
    }

    #[test]
    fn energy_needs_logits_and_survives_large_ones() {
        let probabilities = Probabilities::new(vec![0.5, 0.5], vec![0.5, 0.5], 2).unwrap();
        let input = ScoreInput::from(&probabilities);
        assert!(matches!(ScoreKind::Energy.score(input), Err(DetectorError::NoLogits)));
        let energy = ScoreKind::Energy.score(input.with_logits(&[1000.0, 1000.0])).unwrap();
        assert_close(&energy, &[-1_000.693_2]);
        assert!(ScoreKind::Energy.score(input.with_logits(&[1.0])).is_err());
        assert!(matches!(
            ScoreKind::Energy.score(input.with_logits(&[1.0, f32::NAN])),
            Err(DetectorError::InvalidLogit { class: 1, .. })
        ));
    }

    #[test]
    fn rows_that_are_not_probabilities_are_refused() {
        let logits = Probabilities {
            classifier: vec![4.0, 2.0],
            distilled: vec![0.5, 0.5],
            n_classes: 2,
        };
        for kind in ScoreKind::FROM_PROBABILITIES {
            assert!(kind.score((&logits).into()).is_err(), "{kind}");
        }
    }

    #[test]
    fn names_round_trip() {
        for kind in ScoreKind::ALL {
            assert_eq!(kind.to_string().parse::<ScoreKind>().unwrap(), kind);
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        let message = "confidence".parse::<ScoreKind>().unwrap_err().to_string();
        assert!(message.contains("max_probability"), "{message}");
    }
}
