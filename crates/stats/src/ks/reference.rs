//! A reference sample, sorted once.

use super::{Alternative, KsTest, Method, asymptotic, exact, statistic};
use crate::StatsError;
use crate::error::check_sample;

/// Above this size of either sample, [`Method::Auto`] is asymptotic.
const MAX_AUTO_EXACT: usize = 10_000;

/// A reference sample, checked and sorted, ready for any number of batches.
///
/// A test of a batch of m values against n takes O(m log m + m log n) if the batch is much the smaller sample, otherwise
/// O(m log m + n), and then the p-value.
///
/// ```
/// use riptide_stats::ks::{Alternative, Method, Reference};
///
/// let reference = Reference::new(&(0..1000).map(f64::from).collect::<Vec<_>>())?;
/// let batch: Vec<f64> = (300..400).map(|i| f64::from(i) * 2.0 + 0.5).collect();
/// let test = reference.test(&batch, Alternative::TwoSided, Method::Asymptotic)?;
/// assert!((test.statistic - 0.601).abs() < 1e-15);
/// assert!(test.p_value < 1e-28);
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    sorted: Vec<f64>,
}

impl Reference {
    /// Checks and sorts a sample.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] for no values, [`StatsError::NotANumber`].
    pub fn new(values: &[f64]) -> Result<Self, StatsError> {
        sorted("reference", values).map(|sorted| Self { sorted })
    }

    /// Tests whether `batch`, in any order, comes from the same distribution; see [`two_sample`](super::two_sample).
    ///
    /// # Errors
    /// [`StatsError::TooFew`] for an empty batch, [`StatsError::NotANumber`], [`StatsError::TooLarge`].
    pub fn test(&self, batch: &[f64], alternative: Alternative, method: Method) -> Result<KsTest, StatsError> {
        let batch = sorted("batch", batch)?;
        let (n, m) = (self.sorted.len(), batch.len());
        let gap = statistic::largest_gap(&self.sorted, &batch, alternative)?;
        let want_exact = match method {
            Method::Auto => n.max(m) <= MAX_AUTO_EXACT,
            Method::Exact => true,
            Method::Asymptotic => false,
        };
        let lattice = exact::Lattice::new(n, m).filter(|_| want_exact);
        let (statistic, p_value, method) = match lattice {
            Some(lattice) => {
                let height = lattice.height(gap.scaled);
                (
                    lattice.distance(height),
                    lattice.p_value(height, alternative),
                    Method::Exact,
                )
            }
            None => {
                let distance = gap.distance(n, m);
                (
                    distance,
                    asymptotic::p_value(n, m, distance, alternative),
                    Method::Asymptotic,
                )
            }
        };
        Ok(KsTest {
            statistic,
            p_value: p_value.clamp(0.0, 1.0),
            location: gap.location,
            sign: gap.sign,
            method,
        })
    }

    /// The union of both samples, in linear time: equal to preparing all values at once.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.sorted.as_slice(), other.sorted.as_slice());
        let mut sorted = Vec::with_capacity(left.len() + right.len());
        while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
            if first.total_cmp(second).is_le() {
                sorted.push(*first);
                left = left_rest;
            } else {
                sorted.push(*second);
                right = right_rest;
            }
        }
        sorted.extend_from_slice(left);
        sorted.extend_from_slice(right);
        Self { sorted }
    }

    /// Number of values; at least 1.
    #[allow(clippy::len_without_is_empty)] // never empty
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The values in ascending order.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }
}

fn sorted(what: &'static str, values: &[f64]) -> Result<Vec<f64>, StatsError> {
    check_sample(what, values, 1)?;
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}
