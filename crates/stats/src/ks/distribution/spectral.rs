//! The two-sided distribution as a sum over the eigenvalues of the killed process.
//!
//! ```text
//! P(D_n < a / n) = n! e^n / n^n Σ_j e^(n q_j) W_q(a)² / (d/dq W_q(2 a)) at q = q_j,   W_q(2 a) = 0 at q = q_j < 0
//! ```
//!
//! For negative q the two roots near 0 are conjugate, s = iω in the module above, and where they alone count,
//!
//! ```text
//! W_q(y) = 2 e^(λ y) / |α| sin(ω y + δ),   tan δ = (1 - ω cot ω) / ω,   λ = log(sin ω / ω)
//! ```
//!
//! vanishes at y = 2 a where 2 a ω + δ(ω) = j π, j = 1, 2, …; the leading term for large n is Kolmogorov's limit. The
//! other pairs of roots are added for small y.

use std::f64::consts::PI;

use num_complex::Complex64;

use super::contour::kappa_lambda_imaginary;
use super::stirling_ratio;

/// Whether the sum is precise: W_q(a) loses digits, which matters if 1 - cdf is small.
pub(super) fn applies(n: u64, d: f64) -> bool {
    let a = n as f64 * d;
    a >= 9.0 || (a >= 4.0 && a * d < 1.5)
}

/// P(D_n < d), for `d` below 1/2.
pub(super) fn two_sided_cdf(n: u64, d: f64) -> f64 {
    let size = n as f64;
    let a = size * d;
    let mut sum = 0.0;
    let mut j = 1.0;
    while j <= 2.0 * a {
        let roots = eigenvalue(a, j);
        let (at_middle, _) = roots.scale_function(a);
        let (_, slope) = roots.scale_function(2.0 * a);
        let term = at_middle * at_middle / slope * (size * roots.q).exp();
        sum += term;
        if term.abs() <= 1e-16 * sum {
            break;
        }
        j += 1.0;
    }
    stirling_ratio(n) * sum
}

/// The `j`-th zero of W_q(2 a), `j` <= 2 a, by Newton's method.
fn eigenvalue(a: f64, j: f64) -> Roots {
    let mut roots = Roots::new(j * PI / (2.0 * a + 1.0 / 3.0));
    for _ in 0..2 {
        let kappa = -roots.kappa;
        let delta = (kappa / roots.omega).atan();
        let delta_slope = 1.0 - 2.0 * kappa / (roots.omega * roots.omega + kappa * kappa);
        roots = Roots::new(roots.omega - (2.0 * a * roots.omega + delta - j * PI) / (2.0 * a + delta_slope));
    }
    if 2.0 * a < TWO_ROOTS_FROM {
        let (value, slope) = roots.scale_function(2.0 * a);
        roots = Roots::new(roots.omega - value / (slope * roots.q_slope()));
    }
    roots
}

/// The two roots of ψ(θ) = q near 0 for negative q, θ = λ ± iω.
struct Roots {
    omega: f64,
    q: f64,
    lambda: f64,
    /// ω cot ω - 1.
    kappa: f64,
}

/// From this y on, the two roots alone are W_q(y).
const TWO_ROOTS_FROM: f64 = 20.0;

/// Below this y, W_q(y) is its finite sum.
const FINITE_SUM_BELOW: f64 = 8.0;

impl Roots {
    fn new(omega: f64) -> Self {
        let (kappa, lambda) = kappa_lambda_imaginary(omega);
        Self {
            omega,
            q: kappa + lambda,
            lambda,
            kappa,
        }
    }

    /// dq / dω.
    fn q_slope(&self) -> f64 {
        -(self.omega * self.omega + self.kappa * self.kappa) / self.omega
    }

    /// W_q(y); and its slope in q from y = 8 on, else NaN.
    fn scale_function(&self, y: f64) -> (f64, f64) {
        if y < FINITE_SUM_BELOW {
            return (finite_sum(self.q, y), f64::NAN);
        }
        let theta = Complex64::new(self.lambda, self.omega);
        let mut sum = share(theta, Complex64::new(-self.kappa, self.omega), y);
        if y < TWO_ROOTS_FROM {
            for start in NEXT_ROOTS {
                let theta = next_root(self.q, start);
                let more = share(theta, theta - self.q, y);
                sum = (sum.0 + more.0, sum.1 + more.1);
                if more.1.abs() < 1e-14 * sum.1.abs() {
                    break;
                }
            }
        }
        sum
    }
}

/// The share of the root θ and its conjugate in W_q(y), 2 Re e^(θ y) / ψ'(θ), and in its slope in q; `slope` is ψ'(θ).
fn share(theta: Complex64, slope: Complex64, y: f64) -> (f64, f64) {
    let value = (theta * y).exp() / slope;
    let bend = 1.0 - slope; // ψ''
    (2.0 * value.re, 2.0 * (value * (y - bend / slope) / slope).re)
}

/// The root of ψ(θ) = q that the root `start` for q = 0 moves to: two terms of its series in q and a Newton step, since
/// its share is small. At the root, ψ'(θ) = θ - q.
fn next_root(q: f64, start: Complex64) -> Complex64 {
    let ratio = q / start;
    let theta = start + ratio + ratio * ratio * (start - 1.0) / (start * 2.0);
    let power = (-theta).exp();
    theta - (theta - 1.0 + power - q) / (1.0 - power)
}

/// The other roots of ψ(θ) = 0 with positive imaginary parts.
const NEXT_ROOTS: [Complex64; 8] = [
    Complex64::new(-2.088843015613044, 7.461489285654254),
    Complex64::new(-2.664068142429071, 13.87905600274681),
    Complex64::new(-3.026296955077878, 20.223834997330446),
    Complex64::new(-3.2916783402894128, 26.543238507370212),
    Complex64::new(-3.501268996883455, 32.850548228148774),
    Complex64::new(-3.6745053051077115, 39.15107411636853),
    Complex64::new(-3.8221528686001647, 45.44738490687553),
    Complex64::new(-3.9508052151977116, 51.74088461745282),
];

/// W_q(y) = Σ_j (-1)^j (y - j)^j e^((1 + q) (y - j)) / j! over 0 <= j <= y. Loses 2 digits at y = 4, 4 at y = 8.
fn finite_sum(q: f64, y: f64) -> f64 {
    let ratio = -(-1.0 - q).exp();
    let mut factor = ((1.0 + q) * y).exp();
    let mut sum = factor;
    for j in 1..=y as i32 {
        factor *= ratio / f64::from(j);
        sum += (y - f64::from(j)).powi(j) * factor;
    }
    sum
}
