//! Descriptive statistics of a sample.

use crate::error::{StatsError, check_finite, check_sample};

/// Arithmetic mean, summed with Neumaier's compensation.
///
/// # Errors
/// [`StatsError::TooFew`] for no values, [`StatsError::NotANumber`], [`StatsError::NotFinite`].
///
/// ```
/// assert_eq!(riptide_stats::summary::mean(&[1.0, 2.0, 6.0])?, 3.0);
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn mean(values: &[f64]) -> Result<f64, StatsError> {
    check_finite("values", values)?;
    Ok(finite_mean(values))
}

/// Population standard deviation: the root of the mean squared distance from the mean (divisor n, numpy's default).
///
/// # Errors
/// [`StatsError::TooFew`] for no values, [`StatsError::NotANumber`], [`StatsError::NotFinite`].
///
/// ```
/// assert_eq!(riptide_stats::summary::std(&[1.0, 3.0])?, 1.0);
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn std(values: &[f64]) -> Result<f64, StatsError> {
    check_finite("values", values)?;
    let mean = finite_mean(values);
    let squares = values.iter().map(|value| (value - mean) * (value - mean));
    Ok((compensated_sum(squares) / values.len() as f64).sqrt())
}

/// The `q`-th percentile, `q` in 0..=100, interpolated linearly between order statistics (numpy's default rule).
///
/// With the n values in order, x_0 ..= x_{n-1}, and v = q / 100 · (n - 1), it is x_⌊v⌋ + (v - ⌊v⌋)(x_⌊v⌋+1 - x_⌊v⌋).
/// Infinite values are ordinary ones; between two infinities of opposite sign the result is NaN, as numpy's is.
///
/// # Errors
/// [`StatsError::TooFew`] for no values, [`StatsError::NotANumber`], [`StatsError::OutOfRange`] for another `q`.
///
/// ```
/// assert_eq!(riptide_stats::summary::percentile(&[4.0, 1.0, 2.0, 3.0], 50.0)?, 2.5);
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn percentile(values: &[f64], q: f64) -> Result<f64, StatsError> {
    check_sample("values", values, 1)?;
    if !(0.0..=100.0).contains(&q) {
        return Err(StatsError::OutOfRange {
            what: "percentile".into(),
            value: q,
            range: "[0, 100]",
        });
    }
    let virtual_index = q / 100.0 * (values.len() - 1) as f64;
    let index = (virtual_index.floor() as usize).min(values.len() - 1);
    let fraction = virtual_index - index as f64;
    let mut values = values.to_vec();
    let (_, &mut low, above) = values.select_nth_unstable_by(index, f64::total_cmp);
    if fraction == 0.0 {
        return Ok(low);
    }
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    if low == high {
        return Ok(low);
    }
    // From the nearer end, so that the rounding is numpy's.
    Ok(if fraction < 0.5 {
        low + (high - low) * fraction
    } else {
        high - (high - low) * (1.0 - fraction)
    })
}

/// The smallest and the largest value.
///
/// # Errors
/// [`StatsError::TooFew`] for no values, [`StatsError::NotANumber`].
///
/// ```
/// assert_eq!(riptide_stats::summary::min_max(&[2.0, -1.0, 5.0])?, (-1.0, 5.0));
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn min_max(values: &[f64]) -> Result<(f64, f64), StatsError> {
    check_sample("values", values, 1)?;
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    Ok(values
        .iter()
        .fold(start, |(min, max), &value| (min.min(value), max.max(value))))
}

fn finite_mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let sum = compensated_sum(values.iter().copied());
    if sum.is_finite() {
        sum / n
    } else {
        compensated_sum(values.iter().map(|value| value / n))
    }
}

/// Neumaier's sum: the rounding error of every addition is carried along.
fn compensated_sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() {
            (sum - next) + value
        } else {
            (value - next) + sum
        };
        sum = next;
    }
    if lost.is_finite() { sum + lost } else { sum }
}
