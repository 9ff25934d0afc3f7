//! Survival functions as integrals along a vertical line.
//!
//! In s (see the module above), with κ = s coth s - 1, α = s - κ, β = s + κ and E = e^(-2 a s), the two roots give
//! 1 / ψ' = 1 / α and -1 / β, dq / ds = α β / s, and
//!
//! ```text
//! e^-n n^n / n! P(D_n+ >= a / n) = 1 / (2 π i) ∫ e^(n q - 2 a s)     α / s                           ds
//! e^-n n^n / n! P(D_n  >= a / n) = 1 / (2 π i) ∫ e^(n q - 2 a s)   2 α / s (β - s E) / (β - α E²)    ds
//! ```
//!
//! The line goes through the saddle point of n q - 2 a s, near s = 2 d; along it the integrand falls off like a normal
//! density, for which the trapezoidal rule converges faster than any power of its step. Nothing cancels, so that the
//! relative precision is the same for every size of the result.

use num_complex::Complex64;

use super::stirling_ratio;

/// From this n d² on, the line is far enough from the poles of the two-sided integrand on the imaginary axis.
pub(super) const MIN_Z2: f64 = 2.0;

/// Whether the roots left out, whose share is about e^(-1.5 a), and the steps of the trapezoidal rule do not matter.
pub(super) fn applies(n: u64, d: f64) -> bool {
    n as f64 * d >= 20.0 && d <= 0.4
}

/// P(D_n+ >= d).
pub(super) fn one_sided_sf(n: u64, d: f64) -> f64 {
    integrate(n, d, 0.7, |s, kappa, _| 1.0 - kappa / s)
}

/// P(D_n >= d).
pub(super) fn two_sided_sf(n: u64, d: f64) -> f64 {
    integrate(n, d, 0.5, |s, kappa, a| {
        let e = (s * (-2.0 * a)).exp();
        let (alpha, beta) = (s - kappa, s + kappa);
        alpha / s * (beta - s * e) / (beta - alpha * e * e) * 2.0
    })
}

/// n! e^n / n^n / (2 π i) ∫ e^(n q - 2 a s) `factor`(s, κ, a) ds, with `step` in units of the integrand's width.
fn integrate(n: u64, d: f64, step: f64, factor: impl Fn(Complex64, Complex64, f64) -> Complex64) -> f64 {
    let size = n as f64;
    let a = size * d;
    let (saddle, curvature) = saddle_point(d);
    let step = step / (size * curvature).sqrt();
    let value = |t: f64| {
        let s = Complex64::new(saddle, t);
        let (kappa, lambda) = kappa_lambda(s);
        let exponent = (kappa + lambda) * size - s * (2.0 * a);
        (exponent.exp() * factor(s, kappa, a)).re
    };
    let first = value(0.0);
    let mut sum = 0.5 * first;
    for k in 1..100 {
        let term = value(f64::from(k) * step);
        sum += term;
        if term.abs() <= 1e-17 * first.abs() {
            break;
        }
    }
    stirling_ratio(n) * step / std::f64::consts::PI * sum
}

/// The s > 0 with dq / ds = s - κ² / s = 2 d, and d²q / ds² there. For 0 < d <= 0.4.
fn saddle_point(d: f64) -> (f64, f64) {
    let mut s = 2.0 * d;
    let mut curvature = 1.0;
    for _ in 0..4 {
        let kappa = kappa_lambda(Complex64::new(s, 0.0)).0.re;
        let kappa_slope = s - kappa * (1.0 + kappa) / s;
        curvature = 1.0 - kappa * (2.0 * kappa_slope - kappa / s) / s;
        s -= (s - kappa * kappa / s - 2.0 * d) / curvature;
    }
    (s, curvature)
}

/// κ = s coth s - 1 and λ = log(sinh s / s), for |Im s| < π; both are functions of s².
fn kappa_lambda(s: Complex64) -> (Complex64, Complex64) {
    let s2 = s * s;
    if s2.norm_sqr() < SERIES_BELOW.powi(4) {
        let zero = Complex64::new(0.0, 0.0);
        let series = |terms: &[f64]| terms.iter().rev().fold(zero, |sum, &term| sum * s2 + term) * s2;
        return (series(&KAPPA), series(&LAMBDA));
    }
    let e = (s * -2.0).exp();
    (s * (1.0 + e) / (1.0 - e) - 1.0, s + ((1.0 - e) / (s * 2.0)).ln())
}

/// [`kappa_lambda`] of iω for 0 < ω < π: ω cot ω - 1 and log(sin ω / ω).
pub(super) fn kappa_lambda_imaginary(omega: f64) -> (f64, f64) {
    if omega < SERIES_BELOW {
        let s2 = -omega * omega;
        let series = |terms: &[f64]| terms.iter().rev().fold(0.0, |sum, &term| sum * s2 + term) * s2;
        return (series(&KAPPA), series(&LAMBDA));
    }
    let (sin, cos) = omega.sin_cos();
    (omega * cos / sin - 1.0, (sin / omega).ln())
}

/// Below this |s| the first terms of the series are enough.
const SERIES_BELOW: f64 = 0.6;

/// Coefficients of s², s⁴, … in s coth s - 1: 4^k B_2k / (2k)!.
#[rustfmt::skip]
const KAPPA: [f64; 13] = [
    1.0 / 3.0, -1.0 / 45.0, 2.0 / 945.0, -1.0 / 4725.0, 2.1377799155576935e-05, -2.1644042808063972e-06, 2.1925947851873778e-07, -2.2214608789979678e-08, 2.2507846516808994e-09, -2.2805151204592183e-10, 2.3106432599002624e-11, -2.3411706819824882e-12, 2.3721017400233653e-13,
];

/// Coefficients of s², s⁴, … in log(sinh s / s): those of κ over 2k.
#[rustfmt::skip]
const LAMBDA: [f64; 13] = [
    1.0 / 6.0, -1.0 / 180.0, 1.0 / 2835.0, -1.0 / 37800.0, 2.1377799155576935e-06, -1.803670234005331e-07, 1.5661391322766983e-08, -1.3884130493737299e-09, 1.2504359176004997e-10, -1.1402575602296091e-11, 1.0502923908637557e-12, -9.754877841593701e-14, 9.123468230859098e-15,
];
