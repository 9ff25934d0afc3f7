//! How far a distilled network's answer lies from its classifier's.

use serde::{Deserialize, Serialize};

use crate::error::DetectorError;
use crate::networks::{check_lengths, check_rows};

/// Smallest probability that a logarithm sees.
pub(crate) const EPSILON: f32 = 1e-7;

/// The divergence between the classifier's probabilities y (tempered) and the distilled network's ŷ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Kullback-Leibler divergence, Σ y log(y / ŷ), both clipped to \[1e-7, 1\].
    #[default]
    Kld,
    /// Cross-entropy, −Σ y log ŷ, ŷ divided by its sum, then clipped to \[1e-7, 1 − 1e-7\].
    Xent,
}

impl Loss {
    /// The name used in files and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kld => "kld",
            Self::Xent => "xent",
        }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Loss {
    type Err = DetectorError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "kld" => Ok(Self::Kld),
            "xent" => Ok(Self::Xent),
            _ => Err(DetectorError::UnknownName {
                what: "loss",
                name: name.into(),
                known: "kld, xent".into(),
            }),
        }
    }
}

/// The harmfulness score of every instance: the [`Loss`] between the classifier's tempered probabilities
/// y^(1/T) / Σ y^(1/T) and the distilled network's.
///
/// `classifier` and `distilled` are row-major (N, n_classes), f32. Clipping and the result are f32, as in numpy;
/// logarithms and sums are f64, so that the result is the exact value rounded once. Larger means that the distilled
/// network follows the classifier less well.
///
/// # Errors
/// [`DetectorError::Shape`] for lengths that disagree, [`DetectorError::InvalidOption`] for a temperature that is not
/// positive and finite, [`DetectorError::InvalidProbability`] and [`DetectorError::NotNormalized`] for rows that are
/// not probabilities.
///
/// ```
/// use riptide_detectors::distillation::{Loss, score};
/// let scores = score(&[0.9, 0.1, 0.5, 0.5], &[0.9, 0.1, 0.9, 0.1], 2, Loss::Kld, 1.0)?;
/// assert_eq!(scores[0], 0.0);
/// assert!((scores[1] - 0.510_825_6).abs() < 1e-6);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
pub fn score(
    classifier: &[f32],
    distilled: &[f32],
    n_classes: usize,
    loss: Loss,
    temperature: f64,
) -> Result<Vec<f32>, DetectorError> {
    check_lengths(classifier, distilled, n_classes)?;
    check_temperature(temperature)?;
    check_rows(classifier, n_classes, "classifier")?;
    check_rows(distilled, n_classes, "distilled network")?;
    let mut tempered = vec![0.0; n_classes];
    let rows = classifier
        .chunks_exact(n_classes)
        .zip(distilled.chunks_exact(n_classes));
    Ok(rows
        .map(|(classifier, distilled)| {
            temper(classifier, temperature, &mut tempered);
            match loss {
                Loss::Kld => kld(&tempered, distilled),
                Loss::Xent => xent(&tempered, distilled),
            }
        })
        .collect())
}

/// Returns an error unless `temperature` is positive and finite.
pub(crate) fn check_temperature(temperature: f64) -> Result<(), DetectorError> {
    if temperature > 0.0 && temperature.is_finite() {
        return Ok(());
    }
    Err(DetectorError::option("temperature", temperature, "positive and finite"))
}

/// Class probabilities, row-major (N, n_classes), at a temperature T: y^(1/T) / Σ y^(1/T) of each row: the soft targets that a network is distilled
/// from. A temperature of 1 changes nothing.
///
/// # Errors
/// Those of [`score`].
///
/// ```
/// let softer = riptide_detectors::distillation::tempered(&[0.8, 0.2], 2, 2.0)?;
/// assert!((softer[0] - 2.0 / 3.0).abs() < 1e-6);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
pub fn tempered(probabilities: &[f32], n_classes: usize, temperature: f64) -> Result<Vec<f32>, DetectorError> {
    check_lengths(probabilities, probabilities, n_classes)?;
    check_temperature(temperature)?;
    check_rows(probabilities, n_classes, "classifier")?;
    let mut out = vec![0.0; probabilities.len()];
    let rows = probabilities
        .chunks_exact(n_classes)
        .zip(out.chunks_exact_mut(n_classes));
    rows.for_each(|(row, out)| temper(row, temperature, out));
    Ok(out)
}

/// Writes y^(1/T) / Σ y^(1/T) to `out`, rounded to f32. A temperature of 1 changes nothing.
pub(crate) fn temper(row: &[f32], temperature: f64, out: &mut [f32]) {
    if temperature == 1.0 {
        out.copy_from_slice(row);
        return;
    }
    // Divided by the largest first: y^(1/T) alone would underflow for small temperatures.
    let largest = f64::from(row.iter().copied().fold(0.0_f32, f32::max));
    let power = |&y: &f32| (f64::from(y) / largest).powf(1.0 / temperature);
    let sum: f64 = row.iter().map(power).sum();
    for (out, y) in out.iter_mut().zip(row) {
        *out = (power(y) / sum) as f32;
    }
}

fn kld(classifier: &[f32], distilled: &[f32]) -> f32 {
    let terms = classifier.iter().zip(distilled).map(|(&y, &y_hat)| {
        let (y, y_hat) = (f64::from(y.clamp(EPSILON, 1.0)), f64::from(y_hat.clamp(EPSILON, 1.0)));
        y * (y / y_hat).ln()
    });
    terms.sum::<f64>() as f32
}

fn xent(classifier: &[f32], distilled: &[f32]) -> f32 {
    let sum: f64 = distilled.iter().copied().map(f64::from).sum();
    let terms = classifier.iter().zip(distilled).map(|(&y, &y_hat)| {
        let y_hat = ((f64::from(y_hat) / sum) as f32).clamp(EPSILON, 1.0 - EPSILON);
        f64::from(y) * f64::from(y_hat).ln()
    });
    -terms.sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSIFIER: [f32; 3] = [0.7, 0.2, 0.1];
    const DISTILLED: [f32; 3] = [0.6, 0.3, 0.1];

    #[test]
    fn equals_the_formula() {
        let kld = score(&CLASSIFIER, &DISTILLED, 3, Loss::Kld, 1.0).unwrap()[0];
        let expected = 0.7 * (0.7_f64 / 0.6).ln() + 0.2 * (0.2_f64 / 0.3).ln();
        assert!((f64::from(kld) - expected).abs() < 1e-7, "{kld} {expected}");
        let xent = score(&CLASSIFIER, &DISTILLED, 3, Loss::Xent, 1.0).unwrap()[0];
        let expected = -(0.7 * 0.6_f64.ln() + 0.2 * 0.3_f64.ln() + 0.1 * 0.1_f64.ln());
        assert!((f64::from(xent) - expected).abs() < 1e-6, "{xent} {expected}");
    }

    #[test]
    fn only_the_classifier_is_tempered() {
        let hot = score(&CLASSIFIER, &DISTILLED, 3, Loss::Kld, 3.0).unwrap()[0];
        let powers: Vec<f64> = CLASSIFIER.iter().map(|&y| f64::from(y).powf(1.0 / 3.0)).collect();
        let sum: f64 = powers.iter().sum();
        let expected: f64 = powers
            .iter()
            .zip(DISTILLED)
            .map(|(p, s)| p / sum * ((p / sum) / f64::from(s)).ln())
            .sum();
        assert!((f64::from(hot) - expected).abs() < 1e-6, "{hot} {expected}");
    }

    #[test]
    fn certain_answers_stay_finite() {
        let (yes, no) = ([1.0, 0.0], [0.0, 1.0]);
        for loss in [Loss::Kld, Loss::Xent] {
            for temperature in [1e-3, 0.5, 1.0, 3.0] {
                let score = score(&yes, &no, 2, loss, temperature).unwrap()[0];
                assert!((score - 16.118).abs() < 0.01, "{loss} {temperature} {score}");
            }
        }
    }

    #[test]
    fn refuses_what_is_no_probability() {
        assert!(matches!(
            score(&[0.5, f32::NAN], &[0.5, 0.5], 2, Loss::Kld, 1.0),
            Err(DetectorError::InvalidProbability {
                network: "classifier",
                class: 1,
                ..
            })
        ));
        assert!(matches!(
            score(&[0.5, 0.5], &[3.0, 2.0], 2, Loss::Kld, 1.0),
            Err(DetectorError::NotNormalized {
                network: "distilled network",
                ..
            })
        ));
        assert!(score(&[0.5, 0.5], &[0.5], 2, Loss::Kld, 1.0).is_err());
        assert!(score(&[0.5, 0.5, 1.0], &[0.5, 0.5, 1.0], 2, Loss::Kld, 1.0).is_err());
        assert!(score(&[], &[], 0, Loss::Kld, 1.0).is_err());
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(score(&[0.5, 0.5], &[0.5, 0.5], 2, Loss::Kld, temperature).is_err());
        }
    }

    #[test]
    fn names_round_trip() {
        for loss in [Loss::Kld, Loss::Xent] {
            assert_eq!(loss.name().parse::<Loss>().unwrap(), loss);
            assert_eq!(serde_json::to_string(&loss).unwrap(), format!("\"{loss}\""));
        }
        assert!("kl".parse::<Loss>().is_err());
    }
}
