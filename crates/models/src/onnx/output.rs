//! What an ONNX file gives, measured on images, and how it becomes probabilities.

use riptide_kernels::softmax;

use crate::config::Output;
use crate::error::ModelError;

/// How far from 1 the probabilities of an image may add up.
const SUM: f64 = 1e-3;
/// The same for a softmax of few bits, as an 8-bit network has it; such rows are divided by their sum.
const COARSE_SUM: f64 = 0.05;
/// Fewer images than these do not show that outputs stay between 0 and 1.
const FEW: usize = 16;

/// What is known of numbers by the operator that they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Nothing.
    None,
    /// Each is between 0 and 1: a sigmoid.
    Each,
    /// They are probabilities, or some of them: a softmax.
    Sum,
}

/// What rows of `columns` numbers are.
///
/// Images whose row has a NaN say nothing.
///
/// # Errors
/// If they cannot be class scores: what they look like, and what to do.
pub(super) fn measure(rows: &[f32], columns: usize, bound: Bound) -> Result<Output, String> {
    let rows: Vec<&[f32]> = rows
        .chunks_exact(columns.max(1))
        .filter(|row| !row.iter().any(|value| value.is_nan()))
        .collect();
    let holds = |fits: &dyn Fn(&[f32]) -> bool| !rows.is_empty() && rows.iter().all(|row| fits(row));
    let is_unit = |row: &[f32]| row.iter().all(|value| (-1e-6..=1.000_001).contains(value));
    let is_bounded = bound != Bound::None;
    let most = if bound == Bound::Sum { COARSE_SUM } else { SUM };
    let sums_up = |sum: f64| (sum - 1.0).abs() <= most;
    let is_within = holds(&is_unit);
    if columns == 1 {
        return match (is_within, is_bounded) {
            (true, true) => Ok(Output::Probability),
            (true, false) if rows.len() >= FEW => Err(
                "gives one number an image, always between 0 and 1, but no sigmoid makes it: say whether it is a probability or a logit"
                    .into(),
            ),
            _ => Ok(Output::Logit),
        };
    }
    if is_within && holds(&|row| sums_up(row.iter().map(|&p| f64::from(p)).sum())) {
        return Ok(Output::Probabilities);
    }
    if holds(&|row| row.iter().all(|&value| value <= 1e-6) && sums_up(row.iter().map(|&v| f64::from(v).exp()).sum())) {
        return Ok(Output::LogProbabilities);
    }
    if is_within && (is_bounded || rows.len() >= FEW) {
        return Err(format!(
            "gives {columns} numbers an image between 0 and 1 that do not add up to 1, as independent sigmoids do (several labels an image); \
             Riptide watches classifiers whose classes exclude each other: export the softmax or the logits of one, or, if these numbers are logits, say so"
        ));
    }
    Ok(Output::Logits)
}

/// The number of classes that so many numbers an image are.
pub(super) fn n_classes(columns: usize) -> usize {
    columns.max(2)
}

/// Refuses a kind of output that a number of columns cannot be.
pub(super) fn check(output: Output, columns: usize) -> Result<(), String> {
    let is_single = matches!(output, Output::Probability | Output::Logit);
    match is_single == (columns == 1) {
        true => Ok(()),
        false => Err(format!(
            "gives {columns} numbers an image, which cannot be {}",
            output.name().replace('_', " ")
        )),
    }
}

/// The class probabilities in rows of `columns` numbers.
///
/// # Errors
/// [`ModelError::NotFinite`] or [`ModelError::NotProbabilities`], with the row's place.
pub(super) fn probabilities(rows: Vec<f32>, columns: usize, output: Output) -> Result<Vec<f32>, ModelError> {
    let mut rows = rows;
    match output {
        Output::Probabilities => {
            for (image, row) in rows.chunks_exact_mut(columns.max(1)).enumerate() {
                let sum: f64 = row.iter().map(|&p| f64::from(p)).sum();
                if sum.is_finite() && (sum - 1.0).abs() > COARSE_SUM || row.iter().any(|&p| p < -1e-6) {
                    return Err(ModelError::NotProbabilities { image, sum });
                }
                if (sum - 1.0).abs() > SUM {
                    row.iter_mut().for_each(|p| *p = (f64::from(*p) / sum) as f32);
                }
            }
        }
        Output::Logits | Output::LogProbabilities => {
            rows.chunks_exact_mut(columns.max(1)).for_each(softmax);
        }
        Output::Probability | Output::Logit => {
            let mut pairs = Vec::with_capacity(2 * rows.len());
            for (image, &value) in rows.iter().enumerate() {
                let (zero, one) = match output {
                    Output::Logit => (logistic(-value), logistic(value)),
                    _ if (-1e-6..=1.000_001).contains(&value) || value.is_nan() => (1.0 - value, value),
                    _ => {
                        let sum = f64::from(value);
                        return Err(ModelError::NotProbabilities { image, sum });
                    }
                };
                pairs.extend([zero, one].map(|p| if p.is_nan() { p } else { p.clamp(0.0, 1.0) }));
            }
            rows = pairs;
        }
    }
    let classes = n_classes(columns);
    match rows.iter().position(|p| !p.is_finite()) {
        Some(place) => Err(ModelError::NotFinite { image: place / classes }),
        None => Ok(rows),
    }
}

/// The logits of class probabilities or of the file's own output.
pub(super) fn logits(rows: Vec<f32>, output: Output) -> Vec<f32> {
    let log = |p: f32| p.max(f32::MIN_POSITIVE).ln();
    match output {
        Output::Logits | Output::LogProbabilities => rows,
        Output::Probabilities => rows.into_iter().map(log).collect(),
        Output::Logit => rows.into_iter().flat_map(|value| [0.0, value]).collect(),
        Output::Probability => rows.into_iter().flat_map(|p| [log(1.0 - p), log(p)]).collect(),
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: impl Fn(usize) -> Vec<f32>) -> Vec<f32> {
        (0..32).flat_map(of).collect()
    }

    #[test]
    fn each_kind_is_told_from_its_numbers() {
        let x = |i: usize| (i as f32 - 16.0) / 5.0;
        let soft = rows(|i| {
            let mut row = vec![x(i), 0.3, -x(i)];
            softmax(&mut row);
            row
        });
        assert_eq!(measure(&soft, 3, Bound::None), Ok(Output::Probabilities));
        let logs: Vec<f32> = soft.iter().map(|p| p.ln()).collect();
        assert_eq!(measure(&logs, 3, Bound::None), Ok(Output::LogProbabilities));
        assert_eq!(
            measure(&rows(|i| vec![x(i), 0.3, -x(i)]), 3, Bound::None),
            Ok(Output::Logits)
        );
        assert_eq!(measure(&rows(|i| vec![x(i)]), 1, Bound::None), Ok(Output::Logit));
        assert_eq!(
            measure(&rows(|i| vec![logistic(x(i))]), 1, Bound::Each),
            Ok(Output::Probability)
        );
        let independent = rows(|i| vec![logistic(x(i)), logistic(0.4)]);
        assert!(
            measure(&independent, 2, Bound::Each)
                .unwrap_err()
                .contains("several labels")
        );
        assert!(
            measure(&independent, 2, Bound::None)
                .unwrap_err()
                .contains("several labels")
        );
        assert!(
            measure(&rows(|i| vec![logistic(x(i))]), 1, Bound::None)
                .unwrap_err()
                .contains("probability or a logit")
        );
        // A softmax of 8 bits adds up to 1 only roughly.
        let coarse: Vec<f32> = soft.iter().map(|p| (p * 64.0).round() / 64.0).collect();
        assert_eq!(measure(&coarse, 3, Bound::Sum), Ok(Output::Probabilities));
        let exact = probabilities(coarse, 3, Output::Probabilities).unwrap();
        assert!(exact.chunks(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 2e-3));
        // Two small logits on a few images prove nothing.
        assert_eq!(measure(&[0.2, 0.3, 0.1, 0.4], 2, Bound::None), Ok(Output::Logits));
        assert_eq!(
            measure(&[f32::NAN, 0.3, 0.1, 0.9], 2, Bound::None),
            Ok(Output::Probabilities)
        );
    }

    #[test]
    fn a_single_number_gives_two_classes() {
        let p = probabilities(vec![0.0, 3.0], 1, Output::Logit).unwrap();
        assert_eq!(p[..2], [0.5, 0.5]);
        assert!((p[3] - 0.952_574).abs() < 1e-6 && (p[2] + p[3] - 1.0).abs() < 1e-6);
        assert_eq!(probabilities(vec![0.25], 1, Output::Probability).unwrap(), [0.75, 0.25]);
        assert_eq!(logits(vec![3.0], Output::Logit), [0.0, 3.0]);
        assert!(check(Output::Logit, 2).is_err() && check(Output::Logits, 1).is_err());
    }

    #[test]
    fn numbers_that_are_no_probabilities_name_their_image() {
        let nan = probabilities(vec![1.0, 2.0, f32::NAN, 0.0], 2, Output::Logits).unwrap_err();
        assert!(matches!(nan, ModelError::NotFinite { image: 1 }), "{nan}");
        let nan = probabilities(vec![0.5, 0.5, f32::NAN, 0.0], 2, Output::Probabilities).unwrap_err();
        assert!(matches!(nan, ModelError::NotFinite { image: 1 }), "{nan}");
        let sum = probabilities(vec![0.5, 0.5, 0.9, 0.9], 2, Output::Probabilities).unwrap_err();
        assert!(matches!(sum, ModelError::NotProbabilities { image: 1, .. }), "{sum}");
    }
}
