//! Comparing means.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::StatsError;
use crate::error::check_finite;
use crate::summary::mean;

/// What is known of a sample for a test of its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Number of values, at least 1.
    pub n: f64,
    /// Their mean.
    pub mean: f64,
    /// Their unbiased variance; 0 for one value.
    pub variance: f64,
}

impl Sample {
    /// From values.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] for no value, [`StatsError::NotANumber`], [`StatsError::NotFinite`].
    pub fn new(what: &'static str, values: &[f64]) -> Result<Self, StatsError> {
        check_finite(what, values)?;
        let mean = mean(values)?;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let n = values.len() as f64;
        Ok(Self {
            n,
            mean,
            variance: squares / (n - 1.0).max(1.0),
        })
    }
}

/// A test of two means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WelchTest {
    /// The difference of the means by its standard error.
    pub statistic: f64,
    /// Degrees of freedom, Satterthwaite's.
    pub freedom: f64,
    /// One-sided p-value, 0..=1.
    pub p_value: f64,
}

/// Welch's one-sided test (1947) that the batch's mean is larger than the reference's by more than `margin`:
///
/// ```text
/// t = (mean_B - mean_R - margin) / sqrt(v_B / n_B + v_R / n_R)
/// ```
///
/// against Student's t with Satterthwaite's degrees of freedom. Two samples without any spread give a p-value of 0 or 1.
///
/// ```
/// use riptide_stats::means::{Sample, welch_greater};
/// let batch = Sample::new("batch", &[2.1, 2.5, 1.9, 2.8, 2.4])?;
/// let reference = Sample::new("reference", &[1.2, 1.9, 1.4, 1.1, 1.6, 1.3])?;
/// assert!(welch_greater(&batch, &reference, 0.0).p_value < 0.001);
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
#[must_use]
pub fn welch_greater(batch: &Sample, reference: &Sample, margin: f64) -> WelchTest {
    let difference = batch.mean - reference.mean - margin;
    let (a, b) = (batch.variance / batch.n, reference.variance / reference.n);
    let square = a + b;
    if square <= 0.0 {
        return WelchTest {
            statistic: difference.signum() * f64::INFINITY,
            freedom: f64::INFINITY,
            p_value: if difference > 0.0 { 0.0 } else { 1.0 },
        };
    }
    let parts = a * a / (batch.n - 1.0).max(1.0) + b * b / (reference.n - 1.0).max(1.0);
    let freedom = (square * square / parts).max(1.0);
    let statistic = difference / square.sqrt();
    WelchTest {
        statistic,
        freedom,
        // The parameters are finite and positive, so the distribution exists.
        p_value: StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |student| student.sf(statistic)),
    }
}

/// Hoeffding's bound (1963, theorem 1) on the chance that the mean of `n` independent values in 0..=1, whose expectation is at
/// most `bound`, reaches `mean`: exp(-n KL(mean ‖ bound)), and 1 if `mean` is not above `bound`. It holds for every n. For the
/// chance to be at most `mean` with an expectation of at least `bound`, give 1 - `mean` and 1 - `bound`.
///
/// ```
/// let p = riptide_stats::means::hoeffding_greater(10.0, 0.6, 0.1);
/// assert!((p - 1.1e-5).abs() < 1e-6);
/// ```
#[must_use]
pub fn hoeffding_greater(n: f64, mean: f64, bound: f64) -> f64 {
    if mean <= bound {
        return 1.0;
    }
    let bound = bound.clamp(1e-12, 1.0 - 1e-12);
    let part = |x: f64, m: f64| if x > 0.0 { x * (x / m).ln() } else { 0.0 };
    (-n * (part(mean, bound) + part(1.0 - mean, 1.0 - bound)))
        .exp()
        .min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn welch_gives_scipys_values() {
        // scipy.stats.ttest_ind(a, b, equal_var=False, alternative="greater")
        let a = Sample::new("a", &[0.1, 0.4, 0.35, 0.8]).unwrap();
        let b = Sample::new("b", &[0.2, 0.15, 0.1, 0.3, 0.25, 0.05]).unwrap();
        let test = welch_greater(&a, &b, 0.0);
        assert!((test.statistic - WELCH.0).abs() < 1e-12, "{test:?}");
        assert!((test.freedom - WELCH.1).abs() < 1e-10, "{test:?}");
        assert!((test.p_value - WELCH.2).abs() < 1e-10, "{test:?}");
    }

    const WELCH: (f64, f64, f64) = (1.5851690827421752, 3.421445560334824, 0.09995633386790362);

    #[test]
    fn constant_samples_are_decided_by_their_difference() {
        let constant = |mean| Sample {
            n: 5.0,
            mean,
            variance: 0.0,
        };
        assert_eq!(welch_greater(&constant(0.2), &constant(0.1), 0.0).p_value, 0.0);
        assert_eq!(welch_greater(&constant(0.1), &constant(0.1), 0.0).p_value, 1.0);
        assert_eq!(welch_greater(&constant(0.2), &constant(0.1), 0.2).p_value, 1.0);
    }

    #[test]
    fn hoeffdings_bound_holds_for_coins() {
        // P(at least 8 of 10 heads) with a chance of 0.5 is 0.0547.
        let bound = hoeffding_greater(10.0, 0.8, 0.5);
        assert!(bound > 0.0547 && bound < 0.15, "{bound}");
        assert_eq!(hoeffding_greater(10.0, 0.5, 0.5), 1.0);
    }
}
