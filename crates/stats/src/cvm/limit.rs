//! The limiting distribution of the Cramér-von Mises statistics.

use std::f64::consts::PI;

/// Where either form needs few terms and neither tail is small.
const SWITCH: f64 = 0.5;

/// P(ω² >= x) for the limiting distribution of the Cramér-von Mises statistics, ω² = Σ_k Z_k² / (k π)² with independent
/// standard normal Z_k. Relative error below 1e-12 down to 1e-300. NaN if `x` is NaN.
///
/// Below 1/2 it is 1 - cdf by Anderson and Darling's series (1952), from 1/2 on Smirnov's alternating series of integrals
/// (1936).
///
/// ```
/// let p = riptide_stats::cvm::limit_sf(0.461_362_9);
/// assert!((p - 0.05).abs() < 1e-6);
/// ```
#[must_use]
pub fn limit_sf(x: f64) -> f64 {
    if x.is_nan() {
        f64::NAN
    } else if x <= 0.0 {
        1.0
    } else if x < SWITCH {
        1.0 - cdf(x)
    } else {
        sf(x)
    }
}

/// 1 / (π^(3/2) √x) Σ_k Γ(k + 1/2) / k! √(4 k + 1) e^(-y) K_1/4(y) with y = (4 k + 1)² / (16 x).
fn cdf(x: f64) -> f64 {
    let mut gammas = PI.sqrt();
    let mut sum = 0.0;
    for k in 0..8 {
        let odd = f64::from(4 * k + 1);
        let y = odd * odd / (16.0 * x);
        sum += gammas * odd.sqrt() * (-2.0 * y).exp() * scaled_bessel(y);
        gammas *= (f64::from(k) + 0.5) / f64::from(k + 1);
    }
    sum / (PI.powf(1.5) * x.sqrt())
}

/// e^y K_1/4(y) = ∫_0^∞ e^(-y (cosh t - 1)) cosh(t / 4) dt, by the trapezoidal rule, which converges exponentially.
fn scaled_bessel(y: f64) -> f64 {
    const POINTS: u32 = 64;
    let step = (1.0 + 45.0 / y).acosh() / f64::from(POINTS);
    let value = |i: u32| {
        let t = f64::from(i) * step;
        let half = (0.5 * t).sinh();
        (-2.0 * y * half * half).exp() * (0.25 * t).cosh()
    };
    step * (0.5 + (1..=POINTS).map(value).sum::<f64>())
}

/// 2 / π Σ_k>=1 (-1)^(k+1) ∫ e^(-x u² / 2) / √(u |sin u|) du over (2 k - 1) π <= u <= 2 k π.
///
/// With u = (2 k - 1/2) π - π/2 cos φ the singular ends become regular, and the midpoint rule in φ converges
/// exponentially.
fn sf(x: f64) -> f64 {
    const POINTS: u32 = 160;
    let integral = |k: u32| {
        let node = |i: u32| {
            let phi = (f64::from(i) + 0.5) * PI / f64::from(POINTS);
            let half = (0.5 * phi).sin();
            let u = f64::from(2 * k - 1) * PI + PI * half * half;
            let sine = (PI * half * half).sin();
            (-0.5 * x * u * u).exp() * phi.sin() / (u * sine).sqrt()
        };
        0.5 * PI * PI / f64::from(POINTS) * (0..POINTS).map(node).sum::<f64>()
    };
    2.0 / PI * (integral(1) - integral(2) + integral(3))
}
