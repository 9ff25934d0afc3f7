//! The excess fraction and its interval.

use riptide_stats::Interval;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::error::DetectorError;

/// Estimates the excess fraction from counts: `batch_below` of `n_batch` batch scores and `reference_below` of `n_reference`
/// reference scores are at most c. The estimate is 1 − F̂(c) / F̂_ref(c), at least 0.
///
/// The interval collects the ratios θ = F(c) / F_ref(c) that the score test does not reject (Miettinen & Nurminen 1985, with
/// the variance at the maximum-likelihood estimate under θ), mapped by 1 − θ and cut to 0..=1.
///
/// # Errors
/// [`DetectorError::InvalidOption`] for a count above its total, for no reference score at or below c, for an empty batch and for a
/// confidence outside 0..1.
///
/// ```
/// // Half of 1000 reference scores are at most c, but only 20 of 100 batch scores: 60 % of the batch is in excess.
/// let excess = riptide_detectors::harm::excess_fraction(20, 100, 500, 1000, 0.95)?;
/// assert!((excess.estimate - 0.6).abs() < 1e-12);
/// assert!((excess.lower - 0.4190).abs() < 1e-4 && (excess.upper - 0.7345).abs() < 1e-4);
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
pub fn excess_fraction(
    batch_below: usize,
    n_batch: usize,
    reference_below: usize,
    n_reference: usize,
    confidence: f64,
) -> Result<Interval, DetectorError> {
    check_confidence(confidence)?;
    if n_batch == 0 || batch_below > n_batch {
        return Err(DetectorError::option(
            "batch_below",
            batch_below,
            "at most n_batch, which is at least 1",
        ));
    }
    if reference_below == 0 || reference_below > n_reference {
        return Err(DetectorError::option(
            "reference_below",
            reference_below,
            "between 1 and n_reference",
        ));
    }
    let counts = Counts {
        x1: batch_below as f64,
        n1: n_batch as f64,
        x2: reference_below as f64,
        n2: n_reference as f64,
    };
    let z = Normal::standard().inverse_cdf(0.5 + confidence / 2.0);
    let ratio = (counts.x1 / counts.n1) / (counts.x2 / counts.n2);
    // The score falls as the ratio grows: at the interval's ends it is z and -z.
    Ok(Interval {
        estimate: (1.0 - ratio).clamp(0.0, 1.0),
        lower: 1.0 - counts.ratio_at_score(-z),
        upper: 1.0 - counts.ratio_at_score(z),
    })
}

/// Returns an error unless 0 < confidence < 1.
pub(crate) fn check_confidence(confidence: f64) -> Result<(), DetectorError> {
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(DetectorError::option(
        "confidence",
        confidence,
        "between 0 and 1, both excluded",
    ))
}

/// x1 of n1 batch scores, x2 of n2 reference scores.
struct Counts {
    x1: f64,
    n1: f64,
    x2: f64,
    n2: f64,
}

impl Counts {
    /// The score statistic for p1 / p2 = ratio, decreasing in ratio.
    fn score(&self, ratio: f64) -> f64 {
        let Self { x1, n1, x2, n2 } = *self;
        // Under p1 = ratio p2 the likelihood is largest at the smaller root of a p2² − b p2 + c = 0.
        let (a, b, c) = ((n1 + n2) * ratio, n1 * ratio + x1 + n2 + x2 * ratio, x1 + x2);
        let discriminant = (b * b - 4.0 * a * c).max(0.0);
        let p2 = (2.0 * c / (b + discriminant.sqrt())).clamp(0.0, 1.0);
        let p1 = (ratio * p2).min(1.0);
        let n = n1 + n2;
        let variance = (p1 * (1.0 - p1) / n1 + ratio * ratio * p2 * (1.0 - p2) / n2) * n / (n - 1.0);
        let difference = x1 / n1 - ratio * x2 / n2;
        if variance > 0.0 {
            difference / variance.sqrt()
        } else if difference == 0.0 {
            0.0
        } else {
            difference.signum() * f64::INFINITY
        }
    }

    /// The ratio within 0..=1 at which the score is `target`, or the end of that range nearest to it.
    fn ratio_at_score(&self, target: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        if self.score(high) >= target {
            return high;
        }
        if self.score(low) <= target {
            return low;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if self.score(middle) > target {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_have_the_score_of_the_level() {
        let counts = Counts {
            x1: 20.0,
            n1: 100.0,
            x2: 500.0,
            n2: 1000.0,
        };
        let excess = excess_fraction(20, 100, 500, 1000, 0.95).unwrap();
        assert!((counts.score(1.0 - excess.lower) + 1.959_963_985).abs() < 1e-6);
        assert!((counts.score(1.0 - excess.upper) - 1.959_963_985).abs() < 1e-6);
    }

    /// The constrained estimate must solve the likelihood equation: the derivative of the log-likelihood is 0.
    #[test]
    fn the_score_uses_the_constrained_maximum() {
        for ratio in [0.1, 0.4, 0.9, 1.0] {
            let (x1, n1, x2, n2) = (20.0, 100.0, 500.0, 1000.0);
            let (a, b, c) = ((n1 + n2) * ratio, n1 * ratio + x1 + n2 + x2 * ratio, x1 + x2);
            let p2 = 2.0 * c / (b + f64::sqrt(b * b - 4.0 * a * c));
            let p1 = ratio * p2;
            let slope = x1 / p2 - (n1 - x1) * ratio / (1.0 - p1) + x2 / p2 - (n2 - x2) / (1.0 - p2);
            assert!(slope.abs() < 1e-8, "{ratio}: {slope}");
        }
    }

    #[test]
    fn extreme_counts_stay_within_bounds() {
        for (x1, x2) in [(0, 1), (0, 10), (10, 1), (10, 10), (5, 10), (0, 5)] {
            let excess = excess_fraction(x1, 10, x2, 10, 0.95).unwrap();
            assert!(
                0.0 <= excess.lower && excess.lower <= excess.estimate,
                "{x1} {x2} {excess:?}"
            );
            assert!(
                excess.estimate <= excess.upper && excess.upper <= 1.0,
                "{x1} {x2} {excess:?}"
            );
        }
        let none_below = excess_fraction(0, 100, 500, 1000, 0.95).unwrap();
        assert_eq!((none_below.estimate, none_below.upper), (1.0, 1.0));
        let easier = excess_fraction(90, 100, 500, 1000, 0.95).unwrap();
        assert_eq!((easier.estimate, easier.lower), (0.0, 0.0));
    }

    #[test]
    fn impossible_counts_are_refused() {
        assert!(excess_fraction(1, 0, 1, 1, 0.95).is_err());
        assert!(excess_fraction(2, 1, 1, 1, 0.95).is_err());
        assert!(excess_fraction(1, 1, 0, 1, 0.95).is_err());
        assert!(excess_fraction(1, 1, 2, 1, 0.95).is_err());
        assert!(excess_fraction(1, 1, 1, 1, 1.0).is_err());
    }
}
