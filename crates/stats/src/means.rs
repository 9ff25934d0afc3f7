//! Comparing means.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::function::gamma::gamma_ur;

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

/// The one-sided p-value that a batch of `n` values drawn as a reference was has a mean this large or larger, from what the
/// reference alone says of mean, variance and skewness.
///
/// Under that hypothesis the batch's variance is the reference's, and to take it from there is sharper than Welch's test: a
/// batch with some large values has a large variance too, which hides them. The difference of the means,
///
/// ```text
/// z = (mean_B - mean_R) / sqrt(v_R (1/n_B + 1/n_R)),   its skewness g = g_R (1/n_B^2 - 1/n_R^2) / (1/n_B + 1/n_R)^(3/2)
/// ```
///
/// is compared with the gamma distribution (Pearson's type III) of mean 0, variance 1 and that skewness, with the normal
/// distribution if it is not skewed to the right.
///
/// ```
/// use riptide_stats::means::{Sample, drawn_alike};
/// let reference = Sample { n: 1000.0, mean: 0.14, variance: 0.05 };
/// let p = drawn_alike(100.0, 0.19, &reference, 2.0);
/// assert!(p > 0.015 && p < 0.025);
/// ```
#[must_use]
pub fn drawn_alike(n: f64, mean: f64, reference: &Sample, skewness: f64) -> f64 {
    let scale = 1.0 / n + 1.0 / reference.n;
    let difference = mean - reference.mean;
    if reference.variance <= 0.0 {
        return if difference > 0.0 { 0.0 } else { 1.0 };
    }
    let z = difference / (reference.variance * scale).sqrt();
    let g = skewness * (1.0 / (n * n) - 1.0 / (reference.n * reference.n)) / scale.powf(1.5);
    if g > 1e-3 {
        let k = 4.0 / (g * g);
        let x = k + z * k.sqrt();
        // Below its least value the chance to be larger is 1.
        return if x > 0.0 { gamma_ur(k, x) } else { 1.0 };
    }
    Normal::standard().sf(z)
}

/// Hoeffding's bound (1963, theorem 1) on the chance that the mean of `n` independent values in 0..=1, whose expectation is at
/// most `bound`, reaches `mean`: exp(-n KL(mean ‖ bound)), and 1 if `mean` is not above `bound`. It holds for every n. For the
/// chance to be at most `mean` with an expectation of at least `bound`, give 1 - `mean` and 1 - `bound`.
///
/// ```
/// let p = riptide_stats::means::hoeffding_greater(10.0, 0.6, 0.1);
/// assert!((p - 5.493e-4).abs() < 1e-7);
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
