//! The limiting distribution of √n D_n.

use std::f64::consts::PI;

/// Kolmogorov's limit of P(√n D_n < z): √(2 π) / z Σ_k>=1 exp(-(2 k - 1)² π² / (8 z²)). NaN if `z` is NaN.
///
/// ```
/// let cdf = riptide_stats::ks::distribution::kolmogorov_cdf(0.5);
/// assert!((cdf / 0.036_054_756_335_124_7 - 1.0).abs() < 1e-14);
/// ```
#[must_use]
pub fn kolmogorov_cdf(z: f64) -> f64 {
    if z.is_nan() {
        f64::NAN
    } else if z < SWITCH {
        lower(z)
    } else {
        1.0 - upper(z)
    }
}

/// Kolmogorov's limit of P(√n D_n >= z): 2 Σ_k>=1 (-1)^(k-1) exp(-2 k² z²). NaN if `z` is NaN.
///
/// ```
/// let sf = riptide_stats::ks::distribution::kolmogorov_sf(2.0);
/// assert!((sf / 6.709_252_557_796_953e-4 - 1.0).abs() < 1e-14);
/// ```
#[must_use]
pub fn kolmogorov_sf(z: f64) -> f64 {
    if z.is_nan() {
        f64::NAN
    } else if z < SWITCH {
        1.0 - lower(z)
    } else {
        upper(z)
    }
}

/// Where either series needs a few terms only and neither tail is small.
const SWITCH: f64 = 0.9;

fn lower(z: f64) -> f64 {
    if z <= 0.0 {
        return 0.0;
    }
    let exponent = -PI * PI / (8.0 * z * z);
    let sum: f64 = [1.0_f64, 3.0, 5.0, 7.0]
        .iter()
        .map(|odd| (odd * odd * exponent).exp())
        .sum();
    (2.0 * PI).sqrt() / z * sum
}

fn upper(z: f64) -> f64 {
    let power = |k: f64| (-2.0 * k * k * z * z).exp();
    2.0 * (power(1.0) - power(2.0) + power(3.0) - power(4.0) + power(5.0))
}
