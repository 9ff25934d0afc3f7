//! Area under the ROC curve, weighted, so that a bootstrap needs one sort.

use rand::RngExt;
use rayon::prelude::*;
use riptide_corruptions::Severity;
use riptide_stats::Interval;
use riptide_stats::summary::percentile;

use crate::error::ExperimentError;
use crate::protocol::ProtocolParams;
use crate::random::{Purpose, stream};

/// Values of two groups sorted once; the area under the ROC curve for any weights of their members.
///
/// The area is the probability that a random positive's value exceeds a random negative's, ties counted half
/// (Hanley & McNeil 1982): 0.5 says nothing, 1 separates them.
#[derive(Debug)]
pub(crate) struct Roc {
    /// (is positive, member whose weight counts), in ascending order of value.
    order: Vec<(bool, u32)>,
    /// Whether the entry has the same value as the one before it.
    tied: Vec<bool>,
}

impl Roc {
    /// Sorts `(value, is positive, member)`; several values may belong to one member, which is resampled as a whole.
    pub(crate) fn new(mut values: Vec<(f32, bool, u32)>) -> Self {
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let tied = values
            .iter()
            .scan(f32::NAN, |last, v| Some(std::mem::replace(last, v.0) == v.0))
            .collect();
        Self {
            order: values
                .into_iter()
                .map(|(_, positive, member)| (positive, member))
                .collect(),
            tied,
        }
    }

    /// The area with each member counted `weights[member]` times; none if a group has no weight.
    pub(crate) fn area(&self, weights: &[u32]) -> Option<f64> {
        let (mut below, mut area, mut positives) = (0.0_f64, 0.0_f64, 0.0_f64);
        let (mut tied_negatives, mut tied_positives) = (0.0_f64, 0.0_f64);
        for (&(positive, member), &tied) in self.order.iter().zip(&self.tied) {
            if !tied {
                area += tied_positives * (below + tied_negatives / 2.0);
                below += tied_negatives;
                (tied_negatives, tied_positives) = (0.0, 0.0);
            }
            let weight = f64::from(weights.get(member as usize).copied().unwrap_or(0));
            if positive {
                positives += weight;
                tied_positives += weight;
            } else {
                tied_negatives += weight;
            }
        }
        area += tied_positives * (below + tied_negatives / 2.0);
        below += tied_negatives;
        (positives > 0.0 && below > 0.0).then(|| area / (positives * below))
    }
}

/// The area of each curve with a percentile interval; clean images are resampled, each with all its corrupted twins, since
/// twins of one image are not independent. All curves see the same resamples.
pub(crate) fn bootstrap(
    rocs: &[Roc],
    n_images: usize,
    params: &ProtocolParams,
    severity: Severity,
) -> Result<Vec<Option<Interval>>, ExperimentError> {
    let resampled: Vec<Vec<Option<f64>>> = (0..params.resamples)
        .into_par_iter()
        .map(|resample| {
            let place = [u64::from(severity.get()), resample as u64];
            let mut rng = stream(params.seed, Purpose::Bootstrap, place);
            let mut weights = vec![0; n_images];
            for _ in 0..n_images {
                if let Some(weight) = weights.get_mut(rng.random_range(0..n_images)) {
                    *weight += 1;
                }
            }
            rocs.iter().map(|roc| roc.area(&weights)).collect()
        })
        .collect();
    let whole = vec![1; n_images];
    let interval = |(column, roc): (usize, &Roc)| {
        let Some(estimate) = roc.area(&whole) else {
            return Ok(None);
        };
        let areas: Vec<f64> = resampled
            .iter()
            .filter_map(|areas| areas.get(column).copied().flatten())
            .collect();
        let (lower, upper) = if areas.is_empty() {
            (estimate, estimate)
        } else {
            (percentile(&areas, 2.5)?, percentile(&areas, 97.5)?)
        };
        Ok(Some(Interval { estimate, lower, upper }))
    };
    rocs.iter().enumerate().map(interval).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval against the normal one with the standard error of Hanley & McNeil (1982).
    #[test]
    fn the_bootstrap_is_as_wide_as_theory_says() {
        let n = 400;
        let values = |i: u32| ((i * 7919) % 400) as f32 / 400.0 + if i.is_multiple_of(2) { 0.3 } else { 0.0 };
        let roc = Roc::new((0..n).map(|i| (values(i), i.is_multiple_of(2), i)).collect());
        let params = ProtocolParams {
            resamples: 2000,
            ..Default::default()
        };
        let found = bootstrap(&[roc], n as usize, &params, Severity::ALL[0]).unwrap();
        let area = found[0].unwrap();
        let (a, m) = (area.estimate, f64::from(n) / 2.0);
        let (q1, q2) = (a / (2.0 - a), 2.0 * a * a / (1.0 + a));
        let variance = (a * (1.0 - a) + (m - 1.0) * (q1 - a * a) + (m - 1.0) * (q2 - a * a)) / (m * m);
        let width = 2.0 * 1.96 * variance.sqrt();
        assert!(area.lower < a && a < area.upper);
        assert!(
            ((area.upper - area.lower) / width - 1.0).abs() < 0.15,
            "{area:?} {width}"
        );
    }

    #[test]
    fn areas_by_hand() {
        let roc = Roc::new(vec![(0.1, false, 0), (0.4, true, 1), (0.4, false, 2), (0.9, true, 3)]);
        // Pairs: .4 > .1, .4 = .4 (half), .9 > .1, .9 > .4.
        assert_eq!(roc.area(&[1; 4]), Some(3.5 / 4.0));
        // The tied positive counted three times: (3 * 1.5 + 2) / (4 * 2).
        assert_eq!(roc.area(&[1, 3, 1, 1]), Some(6.5 / 8.0));
        assert_eq!(roc.area(&[0, 1, 0, 1]), None);
    }

    #[test]
    fn exchanging_the_groups_mirrors_the_area() {
        let values = [
            (0.3, true, 0),
            (0.2, false, 1),
            (0.8, false, 2),
            (0.3, false, 3),
            (0.5, true, 4),
        ];
        let mirrored = values.iter().map(|&(v, p, m)| (v, !p, m)).collect();
        let (area, mirror) = (
            Roc::new(values.to_vec()).area(&[1; 5]),
            Roc::new(mirrored).area(&[1; 5]),
        );
        assert!((area.unwrap() + mirror.unwrap() - 1.0).abs() < 1e-12);
    }
}
