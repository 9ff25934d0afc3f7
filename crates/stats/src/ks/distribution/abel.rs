//! The one-sided distribution as a finite sum.

use super::stirling_error;

/// P(D_n+ >= d) = Σ_j C(n, j) d (d + j/n)^(j-1) (1 - d - j/n)^(n-j) over 0 <= j < n (1 - d), for 0 < d < 1.
///
/// Each term but the first is d / (d + j/n) times a binomial probability, computed in Loader's way (2000): with a = n d
/// and φ(u) = u - log(1 + u),
///
/// ```text
/// √(n / (2 π j (n - j))) exp(δ(n) - δ(j) - δ(n - j) - j φ(a / j) - (n - j) φ(-a / (n - j)))
/// ```
///
/// where δ is the error of Stirling's formula. Every part of the exponent is small whenever the term is not, so that
/// nothing cancels.
pub(super) fn one_sided_sf(n: u64, d: f64) -> f64 {
    let size = n as f64;
    let a = size * d;
    let first = (size * (-d).ln_1p()).exp();
    let delta_n = delta(n);
    let rest: f64 = (1..n)
        .take_while(|&j| (n - j) as f64 > a)
        .map(|j| {
            let (below, above) = (j as f64, (n - j) as f64);
            let exponent = delta_n - delta(j) - delta(n - j) - below * phi(a / below) - above * phi(-a / above);
            a / (a + below) * (size / (std::f64::consts::TAU * below * above)).sqrt() * exponent.exp()
        })
        .sum();
    first + rest
}

/// u - log(1 + u) for u > -1, without cancellation.
fn phi(u: f64) -> f64 {
    if u.abs() > 0.3 {
        return u - u.ln_1p();
    }
    // With r = u / (2 + u): log(1 + u) = 2 artanh(r), and u - 2 r = r u.
    let r = u / (2.0 + u);
    let r2 = r * r;
    let odd = 1.0 / 3.0
        + r2 * (1.0 / 5.0
            + r2 * (1.0 / 7.0
                + r2 * (1.0 / 9.0 + r2 * (1.0 / 11.0 + r2 * (1.0 / 13.0 + r2 * (1.0 / 15.0 + r2 / 17.0))))));
    r * (u - 2.0 * r2 * odd)
}

/// log(j!) - log(√(2 π j) (j / e)^j).
fn delta(j: u64) -> f64 {
    SMALL
        .get(j as usize)
        .copied()
        .unwrap_or_else(|| stirling_error(j as f64))
}

/// `delta` for j = 0 (where it is not used) to 15.
#[rustfmt::skip]
const SMALL: [f64; 16] = [
    0.0, 0.08106146679532726, 0.0413406959554093, 0.02767792568499834,
    0.020790672103765093, 0.016644691189821193, 0.013876128823070748, 0.01189670994589177,
    0.010411265261972096, 0.009255462182712733, 0.00833056343336287, 0.007573675487951841,
    0.00694284010720953, 0.006408994188004207, 0.0059513701127588475, 0.005554733551962801,
];
