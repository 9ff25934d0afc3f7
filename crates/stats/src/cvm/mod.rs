//! The two-sample Cramér-von Mises test, which sees more than the largest gap.
//!
//! With r(·) the mid-ranks in the pooled samples x_1 <= … <= x_n and y_1 <= … <= y_m (Anderson 1962),
//!
//! ```text
//! U = n Σ_i (r(x_i) - i)² + m Σ_j (r(y_j) - j)²
//! T = U / (n m (n + m)) - (4 n m - 1) / (6 (n + m))
//! ```
//!
//! T sums the squared distances of the two empirical distribution functions over all values.

mod exact;
mod limit;

use serde::{Deserialize, Serialize};

use crate::StatsError;
use crate::error::check_sample;
use crate::ks::Method;

pub use limit::limit_sf;

/// Up to this size of both samples, [`Method::Auto`] is exact.
const MAX_AUTO_EXACT: usize = 20;

/// The outcome of a Cramér-von Mises test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CvmTest {
    /// The statistic T.
    pub statistic: f64,
    /// The p-value, in [0, 1]: the chance of a statistic as large when both samples come from one distribution.
    pub p_value: f64,
    /// How the p-value was computed: exact or asymptotic, never auto.
    pub method: Method,
}

/// The two-sample test of `batch` against `reference`, in any order; ties and infinities are ordinary values.
///
/// The same numbers as scipy's `cramervonmises_2samp`: exact if both samples hold at most 20 values.
///
/// # Errors
/// [`StatsError::TooFew`] if either sample has fewer than two values, [`StatsError::NotANumber`].
///
/// ```
/// use riptide_stats::cvm;
///
/// let test = cvm::two_sample(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0, 7.0])?;
/// assert!((test.statistic - 25.0 / 42.0).abs() < 1e-15);
/// assert!((test.p_value - 2.0 / 35.0).abs() < 1e-15);
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn two_sample(reference: &[f64], batch: &[f64]) -> Result<CvmTest, StatsError> {
    two_sample_by(reference, batch, Method::Auto)
}

/// [`two_sample`] by a chosen method.
///
/// The asymptotic p-value is the limiting distribution's ([`limit_sf`]) of the statistic brought to its mean and
/// variance.
///
/// # Errors
/// As [`two_sample`]; and [`StatsError::ExactTooLarge`] if the exact distribution, which is enumerated, has too many
/// values: for samples of some 50 values of coprime sizes, some 200 of equal ones.
pub fn two_sample_by(reference: &[f64], batch: &[f64], method: Method) -> Result<CvmTest, StatsError> {
    check_sample("reference", reference, 2)?;
    check_sample("batch", batch, 2)?;
    let criterion = Criterion::new(reference, batch);
    let want_exact = match method {
        Method::Auto => reference.len().max(batch.len()) <= MAX_AUTO_EXACT,
        Method::Exact => true,
        Method::Asymptotic => false,
    };
    let (p_value, method) = if want_exact {
        (
            exact::p_value(reference.len(), batch.len(), criterion.scaled)?,
            Method::Exact,
        )
    } else {
        (limit_sf(criterion.normalised()), Method::Asymptotic)
    };
    Ok(CvmTest {
        statistic: criterion.statistic(),
        p_value: p_value.clamp(0.0, 1.0),
        method,
    })
}

/// The statistic in whole numbers, so that nothing cancels.
struct Criterion {
    n: f64,
    m: f64,
    /// 24 n m (n + m) T.
    scaled: i128,
}

impl Criterion {
    fn new(reference: &[f64], batch: &[f64]) -> Self {
        let (n, m) = (reference.len() as i128, batch.len() as i128);
        let (mut x, mut y) = (reference.to_vec(), batch.to_vec());
        x.sort_unstable_by(f64::total_cmp);
        y.sort_unstable_by(f64::total_cmp);
        // Sums of (2 r - 2 i)²: mid-ranks are halves of whole numbers.
        let (mut x_sum, mut y_sum) = (0_i128, 0_i128);
        let (mut x_done, mut y_done) = (0, 0);
        while x_done < x.len() || y_done < y.len() {
            let value = match (x.get(x_done), y.get(y_done)) {
                (Some(&a), Some(&b)) => a.min(b),
                (Some(&a), None) => a,
                (_, b) => b.copied().unwrap_or(f64::NAN),
            };
            let ties = |values: &[f64]| values.iter().take_while(|&&other| other == value).count();
            let (x_ties, y_ties) = (ties(&x[x_done..]), ties(&y[y_done..]));
            let twice_rank = (2 * (x_done + y_done) + x_ties + y_ties + 1) as i128;
            let squares = |done: usize, ties: usize| {
                (done + 1..=done + ties)
                    .map(|i| (twice_rank - 2 * i as i128).pow(2))
                    .sum::<i128>()
            };
            x_sum += squares(x_done, x_ties);
            y_sum += squares(y_done, y_ties);
            x_done += x_ties;
            y_done += y_ties;
        }
        let four_u = n * x_sum + m * y_sum;
        let scaled = 6 * four_u - 4 * n * m * (4 * n * m - 1);
        Self {
            n: n as f64,
            m: m as f64,
            scaled,
        }
    }

    fn statistic(&self) -> f64 {
        self.scaled as f64 / (24.0 * self.n * self.m * (self.n + self.m))
    }

    /// The statistic with the mean 1/6 and the variance 1/45 of the limiting distribution (Anderson 1962, equation 15).
    fn normalised(&self) -> f64 {
        let (n, m) = (self.n, self.m);
        let (total, product) = (n + m, n * m);
        let mean = (1.0 + 1.0 / total) / 6.0;
        let variance = (total + 1.0) * (4.0 * product * total - 3.0 * (n * n + m * m) - 2.0 * product)
            / (45.0 * total * total * 4.0 * product);
        1.0 / 6.0 + (self.statistic() - mean) / (45.0 * variance).sqrt()
    }
}
