//! Distributions of the Kolmogorov-Smirnov statistics, to full relative precision in both tails.
//!
//! For n independent values from a continuous distribution function F, with the empirical distribution function F_n,
//!
//! ```text
//! D_n  = sup |F_n - F|            two_sided_cdf, two_sided_sf
//! D_n+ = sup (F_n - F)            one_sided_sf    (D_n- = sup (F - F_n) has the same distribution)
//! ```
//!
//! Simard and L'Ecuyer (2011) choose among known formulas by n and d, and keep 5 digits above n = 140. Here the
//! formulas are exact, or exact up to terms below 1e-11 of the result, for every n; with a = n d and z = √n d:
//!
//! | range | cdf | sf |
//! | --- | --- | --- |
//! | a <= 1 | n! ((2 a - 1) / n)^n (Ruben and Gambino 1982) | 1 - cdf |
//! | d >= 1/2 or z² >= 4.3 | 1 - sf | 2 P(D_n+ >= d); what it counts twice is below 1e-11 of it |
//! | a small | a Markov chain on 2 ⌈a⌉ - 1 states (Durbin 1973; Marsaglia, Tsang and Wang 2003) | 1 - cdf |
//! | z small | the spectral sum of `spectral` | 1 - cdf |
//! | otherwise | 1 - sf | the contour integral of `contour` |
//!
//! # Where the spectral sum and the contour integral come from
//!
//! Let N be a Poisson process of rate 1. Given N(n) = n, its jumps are n uniform values scaled by n, so that D_n < d is the
//! event that Y(t) = t - N(t) stays within (-a, a) until it is back in 0 at time n, divided by the chance
//! e^-n n^n / n! of being there. Y is a Lévy process without positive jumps, log E e^(θ Y(1)) = ψ(θ) = θ - 1 + e^-θ, and
//! theory gives the resolvent of such a process killed on leaving an interval by its scale functions W_q, defined by
//! ∫ e^(-θ y) W_q(y) dy = 1 / (ψ(θ) - q) (Bertoin 1996, chapter VII; Kyprianou 2014, theorem 8.7):
//!
//! ```text
//! Σ_n e^(-q n) e^-n n^n / n! P(D_n < a / n) = W_q(a)² / W_q(2 a)
//! ```
//!
//! for every real a > 0 (at q = 0 and a whole number, Kemperman's formula). Inverting the transform gives the
//! distribution: its residues in the zeros of W_q(2 a) are the spectral sum, its integral along a line the contour
//! integral. W_q is a sum of e^(θ y) / ψ'(θ) over the roots θ of ψ(θ) = q: two near 0, and pairs whose share falls as
//! e^(-2.09 y). The two have an explicit form. With s half their distance,
//!
//! ```text
//! θ = log(sinh s / s) ± s,   q = log(sinh s / s) + s coth s - 1
//! ```

mod abel;
mod chain;
mod contour;
mod limit;
mod spectral;

pub use limit::{kolmogorov_cdf, kolmogorov_sf};

/// From this n d² on, sf is twice the one-sided one: P(D+ >= d and D- >= d) is about e^(-6 n d²) of it.
const TWICE_ONE_SIDED: f64 = 4.3;

/// P(D_n < d): the chance that the two-sided one-sample statistic of `n` values is below `d`.
///
/// Relative error below 1e-10 for n up to a million and results from 1e-300 on. NaN if `d` is NaN or `n` is 0.
///
/// ```
/// use riptide_stats::ks::distribution::two_sided_cdf;
///
/// assert_eq!(two_sided_cdf(1, 0.75), 0.5);
/// ```
#[must_use]
pub fn two_sided_cdf(n: u64, d: f64) -> f64 {
    match two_sided(n, d) {
        Tail::Cdf(cdf) => cdf,
        Tail::Sf(sf) => 1.0 - sf,
    }
    .clamp(0.0, 1.0)
}

/// P(D_n >= d): the two-sided p-value of the one-sample statistic `d` of `n` values.
///
/// Relative error below 1e-10 for n up to a million and results from 1e-300 on. NaN if `d` is NaN or `n` is 0.
///
/// ```
/// use riptide_stats::ks::distribution::two_sided_sf;
///
/// assert_eq!(two_sided_sf(1, 0.75), 0.5);
/// ```
#[must_use]
pub fn two_sided_sf(n: u64, d: f64) -> f64 {
    match two_sided(n, d) {
        Tail::Cdf(cdf) => 1.0 - cdf,
        Tail::Sf(sf) => sf,
    }
    .clamp(0.0, 1.0)
}

/// P(D_n+ >= d): the one-sided p-value of the one-sample statistic `d` of `n` values (Smirnov; Birnbaum and Tingey 1951).
///
/// Relative error below 1e-10 for n up to a million and results from 1e-300 on. NaN if `d` is NaN or `n` is 0.
///
/// ```
/// use riptide_stats::ks::distribution::one_sided_sf;
///
/// assert_eq!(one_sided_sf(1, 0.75), 0.25);
/// ```
#[must_use]
pub fn one_sided_sf(n: u64, d: f64) -> f64 {
    if d.is_nan() || n == 0 {
        return f64::NAN;
    }
    if d <= 0.0 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    if contour::applies(n, d) {
        contour::one_sided_sf(n, d)
    } else {
        abel::one_sided_sf(n, d)
    }
    .clamp(0.0, 1.0)
}

/// The tail that was computed; the other one is its complement.
enum Tail {
    Cdf(f64),
    Sf(f64),
}

fn two_sided(n: u64, d: f64) -> Tail {
    if d.is_nan() || n == 0 {
        return Tail::Cdf(f64::NAN);
    }
    let size = n as f64;
    let a = size * d;
    let z2 = a * d;
    if a <= 0.5 {
        Tail::Cdf(0.0)
    } else if d >= 1.0 {
        Tail::Sf(0.0)
    } else if a <= 1.0 {
        Tail::Cdf(shortest(n, 2.0 * a - 1.0))
    } else if d >= 0.5 || z2 >= TWICE_ONE_SIDED {
        Tail::Sf(2.0 * one_sided_sf(n, d))
    } else if !spectral::applies(n, d) {
        Tail::Cdf(chain::two_sided_cdf(n, d))
    } else if contour::applies(n, d) && z2 >= contour::MIN_Z2 {
        Tail::Sf(contour::two_sided_sf(n, d))
    } else {
        Tail::Cdf(spectral::two_sided_cdf(n, d))
    }
}

/// n! (u / n)^n for 0 < u <= 1: each of the n intervals of length 1 / n holds one value, within a share u of it.
fn shortest(n: u64, u: f64) -> f64 {
    let mut product = 1.0;
    for i in 1..=n {
        product *= u * (i as f64 / n as f64);
        if product == 0.0 {
            break;
        }
    }
    product
}

/// n! e^n / n^n, by Stirling's series from n = 16 on.
fn stirling_ratio(n: u64) -> f64 {
    let size = n as f64;
    if n < 16 {
        return (1..=n).fold(1.0, |product, i| product * (i as f64 * std::f64::consts::E / size));
    }
    (std::f64::consts::TAU * size).sqrt() * stirling_error(size).exp()
}

/// log(n!) - log(√(2 π n) (n / e)^n), for n >= 16.
fn stirling_error(n: f64) -> f64 {
    let n2 = 1.0 / (n * n);
    (1.0 / 12.0 - n2 * (1.0 / 360.0 - n2 * (1.0 / 1260.0 - n2 * (1.0 / 1680.0 - n2 / 1188.0)))) / n
}
