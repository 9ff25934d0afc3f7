//! The one-sample test.

use super::{Alternative, KsTest, Method, distribution};
use crate::StatsError;
use crate::error::check_sample;

/// Tests whether `sample`, in any order, comes from the continuous distribution function `cdf`.
///
/// With F_n the sample's empirical distribution function, [`Alternative::Greater`] takes max(F_n - F),
/// [`Alternative::Less`] max(F - F_n) and [`Alternative::TwoSided`] the larger one (the second on a tie), as scipy's
/// `ks_1samp` does. [`Method::Asymptotic`] uses Kolmogorov's limit for the two-sided test; everything else is exact.
///
/// # Errors
/// [`StatsError::TooFew`] for an empty sample, [`StatsError::NotANumber`], [`StatsError::OutOfRange`] if `cdf`
/// returns what is no probability.
///
/// ```
/// use riptide_stats::ks::{self, Alternative, Method};
///
/// let uniform = |x: f64| x.clamp(0.0, 1.0);
/// let test = ks::one_sample(&[0.2, 0.3, 0.4], uniform, Alternative::TwoSided, Method::Exact)?;
/// assert!((test.statistic - 0.6).abs() < 1e-15);
/// assert!((test.p_value - 0.144).abs() < 1e-15);
/// assert_eq!((test.location, test.sign), (0.4, 1));
/// # Ok::<(), riptide_stats::StatsError>(())
/// ```
pub fn one_sample(
    sample: &[f64],
    cdf: impl Fn(f64) -> f64,
    alternative: Alternative,
    method: Method,
) -> Result<KsTest, StatsError> {
    check_sample("sample", sample, 1)?;
    let mut sorted = sample.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    let (mut above, mut below) = ((f64::NEG_INFINITY, 0.0), (f64::NEG_INFINITY, 0.0));
    for (index, &value) in sorted.iter().enumerate() {
        let expected = cdf(value);
        if !(0.0..=1.0).contains(&expected) {
            let what = format!("the distribution function at {value}");
            return Err(StatsError::OutOfRange {
                what,
                value: expected,
                range: "[0, 1]",
            });
        }
        let over = (index + 1) as f64 / n as f64 - expected;
        let under = expected - index as f64 / n as f64;
        if over > above.0 {
            above = (over, value);
        }
        if under > below.0 {
            below = (under, value);
        }
    }
    let take_above = match alternative {
        Alternative::Greater => true,
        Alternative::Less => false,
        Alternative::TwoSided => above.0 > below.0,
    };
    let ((statistic, location), sign) = if take_above { (above, 1) } else { (below, -1) };
    let n = n as u64;
    let (p_value, method) = match (alternative, method) {
        (Alternative::TwoSided, Method::Asymptotic) => (
            distribution::kolmogorov_sf(statistic * (n as f64).sqrt()),
            Method::Asymptotic,
        ),
        (Alternative::TwoSided, _) => (distribution::two_sided_sf(n, statistic), Method::Exact),
        _ => (distribution::one_sided_sf(n, statistic), Method::Exact),
    };
    Ok(KsTest {
        statistic,
        p_value: p_value.clamp(0.0, 1.0),
        location,
        sign,
        method,
    })
}
