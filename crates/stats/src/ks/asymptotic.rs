//! P-values of the two-sample test by formulas for large samples.

use super::{Alternative, distribution};

/// The p-value of the distance `d` between samples of `n` and `m` values.
///
/// Two-sided: the finite-sample distribution of the one-sample statistic at the effective size n m / (n + m), rounded
/// half to even (and 1 at least). One-sided: Hodges' approximation (1958, equation 5.3), with n the larger size and
/// z = d √(n m / (n + m)),
///
/// ```text
/// p = exp(-2 z² - 2 z (n + 2 m) / (3 √(n m (n + m))))
/// ```
pub(super) fn p_value(n: usize, m: usize, d: f64, alternative: Alternative) -> f64 {
    let (n, m) = (n.max(m) as f64, n.min(m) as f64);
    let effective = n * m / (n + m);
    match alternative {
        Alternative::TwoSided => distribution::two_sided_sf(effective.round_ties_even().max(1.0) as u64, d),
        Alternative::Less | Alternative::Greater => {
            let z = effective.sqrt() * d;
            (-2.0 * z * z - 2.0 * z * (n + 2.0 * m) / (3.0 * (n * m * (n + m)).sqrt())).exp()
        }
    }
}
