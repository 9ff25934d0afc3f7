//! The statistic of two sorted samples, in whole numbers.

use super::Alternative;
use crate::StatsError;

/// Where the empirical distribution functions of two samples lie furthest apart, in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gap {
    /// n_ref · n_batch · |F_ref - F_batch|, at least 0.
    pub(super) scaled: i64,
    /// Number of reference values up to the location.
    reference_rank: i64,
    /// Number of batch values up to the location.
    batch_rank: i64,
    /// The sample value there.
    pub(super) location: f64,
    /// +1 for F_ref above F_batch, -1 for below.
    pub(super) sign: i8,
}

impl Gap {
    /// The distance, |F_ref - F_batch|.
    pub(super) fn distance(&self, n_reference: usize, n_batch: usize) -> f64 {
        (self.reference_rank as f64 / n_reference as f64 - self.batch_rank as f64 / n_batch as f64).abs()
    }
}

/// The gap that is the statistic under `alternative`, of two sorted samples that are not empty.
///
/// If several values attain the maximum, the location is the smallest of them, the reference's values first; if
/// d+ = d-, the two-sided test takes d+.
///
/// Takes O(m log n) comparisons if the batch is much the smaller sample, otherwise O(n + m).
pub(super) fn largest_gap(reference: &[f64], batch: &[f64], alternative: Alternative) -> Result<Gap, StatsError> {
    let too_large = StatsError::TooLarge {
        n_reference: reference.len(),
        n_batch: batch.len(),
    };
    let Some(total) = reference.len().checked_mul(batch.len()) else {
        return Err(too_large);
    };
    if i64::try_from(total).is_err() {
        return Err(too_large);
    }
    let comparisons = batch.len() * (reference.len().ilog2() as usize + 1);
    let (above, below) = if comparisons < reference.len() + batch.len() {
        let less = |_: usize, value: f64| reference.partition_point(|&other| other < value);
        let up_to = |_: usize, value: f64| reference.partition_point(|&other| other <= value);
        gaps(reference, batch, less, up_to)
    } else {
        let less =
            |start: usize, value: f64| start + reference[start..].iter().take_while(|&&other| other < value).count();
        let up_to =
            |start: usize, value: f64| start + reference[start..].iter().take_while(|&&other| other <= value).count();
        gaps(reference, batch, less, up_to)
    };
    Ok(match alternative {
        Alternative::Greater => above,
        Alternative::Less => below,
        Alternative::TwoSided if below.scaled > above.scaled => below,
        Alternative::TwoSided => above,
    })
}

/// Both gaps, (d+, d-). `less(start, value)` counts the reference values below `value`, `up_to` those below or equal;
/// both may take it as known that `start` are.
///
/// The difference F_ref - F_batch falls at batch values only, so that its minimum is at one of them, and its maximum
/// at the last reference value before one of them or at the end.
fn gaps(
    reference: &[f64],
    batch: &[f64],
    less: impl Fn(usize, f64) -> usize,
    up_to: impl Fn(usize, f64) -> usize,
) -> (Gap, Gap) {
    let (n, m) = (reference.len() as i64, batch.len() as i64);
    let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
    let end = |location, sign| Gap {
        scaled: 0,
        reference_rank: n,
        batch_rank: m,
        location,
        sign,
    };
    let mut above = Gap {
        scaled: -1,
        ..end(last(reference), 1)
    };
    let mut below = Gap {
        scaled: -1,
        ..end(last(batch), -1)
    };
    let mut below_is_reference_value = false;
    let (mut start, mut first) = (0, 0);
    while first < batch.len() {
        let value = batch[first];
        let next = first + 1 + batch[first + 1..].iter().take_while(|&&other| other == value).count();
        let lower = less(start, value);
        let is_reference_value = reference.get(lower).is_some_and(|&other| other == value);
        start = if is_reference_value { up_to(lower, value) } else { lower };

        let before = lower as i64 * m - first as i64 * n;
        if lower > 0 && before > above.scaled {
            let location = reference[lower - 1];
            above = Gap {
                scaled: before,
                reference_rank: lower as i64,
                batch_rank: first as i64,
                location,
                sign: 1,
            };
        }
        let at = next as i64 * n - start as i64 * m;
        if at > below.scaled || (at == below.scaled && is_reference_value && !below_is_reference_value) {
            below = Gap {
                scaled: at,
                reference_rank: start as i64,
                batch_rank: next as i64,
                location: value,
                sign: -1,
            };
            below_is_reference_value = is_reference_value;
        }
        first = next;
    }
    if above.scaled < 0 {
        above = end(above.location, 1);
    }
    if below.scaled < 0 {
        below = end(below.location, -1);
    }
    (above, below)
}
