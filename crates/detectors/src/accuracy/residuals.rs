//! How far estimates are off on families that the model did not see, and what follows for a new one.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// One left-out set: the truth and what was estimated without its family.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeftOut {
    pub(crate) severity: u8,
    /// True drop of accuracy against the clean images.
    pub(crate) drop: f64,
    /// Parts of the estimated drop that are linear and square in the share of corrupted images.
    pub(crate) linear: f64,
    pub(crate) square: f64,
    /// Rise of the mean error probability over the clean images'.
    pub(crate) rise: f64,
    /// How far it lies outside the region of the other families.
    pub(crate) distance: f64,
}

/// The left-out sets of one family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FamilyResiduals {
    pub(crate) family: String,
    pub(crate) sets: Vec<LeftOut>,
}

/// All left-out families. A new family is taken to be exchangeable with them, as one family, not as single sets: the
/// sets of a family resemble each other (group-conformal inference, "subsampling once" of Dunn, Wasserman and Ramdas 2022). With
/// K families of N_k sets each the quantile of a residual is that of the distribution
///
/// ```text
/// sum_k sum_j delta(R_kj) / ((K + 1) N_k) + delta(infinity) / (K + 1)
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Residuals {
    pub(crate) families: Vec<FamilyResiduals>,
}

impl Residuals {
    /// Values with the mass of each.
    fn masses(&self, value: impl Fn(&LeftOut) -> Option<f64>) -> Vec<(f64, f64)> {
        let k = self.families.len() as f64 + 1.0;
        let mut masses = Vec::new();
        for family in &self.families {
            let values: Vec<f64> = family.sets.iter().filter_map(&value).collect();
            let mass = 1.0 / (k * values.len().max(1) as f64);
            masses.extend(values.into_iter().map(|value| (value, mass)));
        }
        masses.sort_by(|a, b| a.0.total_cmp(&b.0));
        masses
    }

    /// The quantile at `level` of a one-sided residual over the families, each with the same mass; at least 0. A new family
    /// exceeds it with a chance of at most 1 - level + 1 / (K + 1).
    fn quantile(&self, level: f64, value: impl Fn(&LeftOut) -> Option<f64>) -> f64 {
        let masses = self.masses(value);
        // Families without a value could have had any below: their mass counts as residuals of 0.
        let present: f64 = masses.iter().map(|(_, mass)| mass).sum();
        let k = self.families.len() as f64;
        let all = k / (k + 1.0);
        let mut sum = all - present;
        for (value, mass) in &masses {
            sum += mass;
            if sum >= level * all - 1e-12 {
                return value.max(0.0);
            }
        }
        masses.last().map_or(0.0, |last| last.0.max(0.0))
    }

    /// By how much the drop is over-estimated, with chance 1 - level at most, in batches whose drop is at most `tolerated`.
    ///
    /// Each left-out set is thinned with clean images until its drop is the tolerated one, if it is larger; the
    /// true drop changes linearly with the share of corrupted images, the estimated one along its curve.
    pub(crate) fn over(&self, tolerated: f64, level: f64) -> f64 {
        self.quantile(1.0 - level, |set| {
            let share = set.share_at(tolerated);
            Some(set.estimate(share) - share * set.drop)
        })
    }

    /// By how much the estimated drop falls short of the tolerated one, with chance 1 - level at most, in batches whose drop
    /// is the tolerated one or more; the worst mixture of each set with clean images counts.
    pub(crate) fn under(&self, tolerated: f64, level: f64) -> f64 {
        self.quantile(1.0 - level, |set| {
            (set.drop >= tolerated && set.drop > 0.0)
                .then(|| tolerated - set.estimate(set.share_at(tolerated)).min(set.estimate(1.0)))
        })
    }

    /// How much the mean error probability rises, with chance 1 - level at most, in batches whose drop is at most `tolerated`.
    pub(crate) fn rise(&self, tolerated: f64, level: f64) -> f64 {
        self.quantile(1.0 - level, |set| Some(set.share_at(tolerated) * set.rise))
    }

    /// The least rise of the mean error probability, with chance 1 - level at least, in batches whose drop is `tolerated` or
    /// more; 0 if it may fall.
    pub(crate) fn least_rise(&self, tolerated: f64, level: f64) -> f64 {
        let most = 1.0;
        let short = self.quantile(1.0 - level, |set| {
            (set.drop >= tolerated && set.drop > 0.0).then(|| most - (set.rise * set.share_at(tolerated)).min(set.rise))
        });
        (most - short).max(0.0)
    }

    /// How far left-out sets lie outside the others' region, but for one in twenty families: a batch beyond is one that even the
    /// declared corruptions are no guide to.
    pub(crate) fn reach(&self) -> f64 {
        self.quantile(0.95, |set| Some(set.distance))
    }

    /// Half-width of the interval around an estimate that has in addition a sampling error of standard deviation `sampling`.
    /// None if no width holds with that confidence, because there are too few families.
    ///
    /// The further a batch lies from the declared sets, the less they say about it: residuals are taken relative to 1 + distance, for
    /// the left-out sets as for the batch.
    ///
    /// The smaller of two valid widths: the quantile of |R + sampling Z| for standard normal Z, and the quantile of |R| plus
    /// that of |sampling Z|.
    pub(crate) fn half_width(&self, confidence: f64, sampling: f64, distance: f64) -> Option<f64> {
        let masses =
            self.masses(|set| Some((1.0 + distance) * (set.estimate(1.0) - set.drop).abs() / (1.0 + set.distance)));
        let normal = Normal::standard();
        let z = normal.inverse_cdf(0.5 + confidence / 2.0);
        let mut sum = 0.0;
        let mut bound = None;
        for (value, mass) in &masses {
            sum += mass;
            if sum >= confidence - 1e-12 {
                bound = Some(value + z * sampling);
                break;
            }
        }
        let mut upper = bound?;
        if sampling <= 0.0 {
            return Some(upper);
        }
        let covered = |half: f64| -> f64 {
            let inside = |r: f64| normal.cdf((half - r) / sampling) - normal.cdf((-half - r) / sampling);
            masses.iter().map(|&(r, mass)| mass * inside(r)).sum()
        };
        if covered(upper) < confidence {
            return Some(upper);
        }
        let mut lower = 0.0;
        // Halving sixty times leaves nothing of any width within 0..=1.
        for _ in 0..60 {
            let middle = (lower + upper) / 2.0;
            if covered(middle) >= confidence {
                upper = middle;
            } else {
                lower = middle;
            }
        }
        Some(upper)
    }

    /// Mean over families of the mean squared residual.
    pub(crate) fn mean_square(&self) -> f64 {
        let k = self.families.len().max(1) as f64;
        let of = |family: &FamilyResiduals| {
            let squares = family.sets.iter().map(|set| (set.estimate(1.0) - set.drop).powi(2));
            squares.sum::<f64>() / family.sets.len().max(1) as f64
        };
        self.families.iter().map(of).sum::<f64>() / k
    }
}

impl LeftOut {
    /// The drop estimated of a mixture with clean images.
    fn estimate(&self, share: f64) -> f64 {
        share * (self.linear + share * self.square)
    }

    /// The share of corrupted images at which the drop is `tolerated`; all if it is not larger.
    fn share_at(&self, tolerated: f64) -> f64 {
        if self.drop > tolerated {
            tolerated / self.drop
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn residuals(families: &[&[(f64, f64)]]) -> Residuals {
        let set = |&(drop, estimate): &(f64, f64)| LeftOut {
            severity: 1,
            drop,
            linear: estimate,
            square: 0.0,
            rise: estimate,
            distance: 0.0,
        };
        let family = |sets: &&[(f64, f64)]| FamilyResiduals {
            family: "x".to_owned(),
            sets: sets.iter().map(set).collect(),
        };
        Residuals {
            families: families.iter().map(family).collect(),
        }
    }

    #[test]
    fn nineteen_families_are_the_fewest_for_95_percent() {
        let one: &[(f64, f64)] = &[(0.1, 0.13)];
        let width = |k: usize| residuals(&vec![one; k]).half_width(0.95, 0.0, 0.0);
        assert_eq!(width(18), None);
        assert!((width(19).unwrap() - 0.03).abs() < 1e-12);
        assert!((width(40).unwrap() - 0.03).abs() < 1e-12);
    }

    #[test]
    fn a_family_counts_once_however_many_sets_it_has() {
        // Nine families are off by 1 point and one, with fifty sets, by 10: one tenth of the families, not five sixths of the sets.
        let near: &[(f64, f64)] = &[(0.1, 0.11)];
        let far = vec![(0.1, 0.2); 50];
        let mut families = vec![near; 9];
        families.push(&far);
        let found = residuals(&families);
        assert!((found.half_width(0.8, 0.0, 0.0).unwrap() - 0.01).abs() < 1e-12);
        assert!((found.half_width(0.9, 0.0, 0.0).unwrap() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn sampling_and_distance_widen_the_interval() {
        let one: &[(f64, f64)] = &[(0.1, 0.13)];
        let found = residuals(&[one; 40]);
        let width = |sampling, distance| found.half_width(0.95, sampling, distance).unwrap();
        // The smaller of the two widths: below the sum of both, above either.
        assert!(width(0.02, 0.0) > 0.0392 && width(0.02, 0.0) < 0.03 + 0.0392);
        assert!((width(0.0, 1.0) - 0.06).abs() < 1e-12);
    }

    #[test]
    fn margins_are_of_mixtures_at_the_tolerated_drop() {
        // A drop of 20 points seen as 30: of the quarter that makes 5 points, 7.5 are seen.
        let found = residuals(&[&[(0.2, 0.3)], &[(0.2, 0.2)], &[(0.2, 0.2)]]);
        assert!((found.over(0.05, 0.05) - 0.025).abs() < 1e-12);
        assert!((found.rise(0.05, 0.05) - 0.075).abs() < 1e-12);
        // A drop of 20 points seen as 10 is seen as 2.5 at 5; one that is not seen at all, as 0.
        let found = residuals(&[&[(0.2, 0.1)], &[(0.2, 0.2)], &[(0.2, 0.2)]]);
        assert!((found.under(0.05, 0.05) - 0.025).abs() < 1e-12);
        let found = residuals(&[&[(0.2, -0.01)], &[(0.2, 0.2)], &[(0.2, 0.2)]]);
        assert!((found.under(0.05, 0.05) - 0.06).abs() < 1e-12);
        assert!((found.least_rise(0.05, 0.05)).abs() < 1e-12);
        // Families without a large drop have nothing to fall short of.
        let slight: &[(f64, f64)] = &[(0.01, 0.0)];
        assert_eq!(residuals(&[slight; 3]).under(0.05, 0.05), 0.0);
    }
}
