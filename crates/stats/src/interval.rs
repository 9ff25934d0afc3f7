//! Estimates with their intervals.

use serde::{Deserialize, Serialize};
use statrs::function::beta::beta_reg;

/// An estimate with an interval around it. Whatever makes it says what the interval covers, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// A proportion with Wilson's 95 % interval (Wilson 1927): with p = `successes` / `n` and z = 1.96 the ends are
/// (p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n).
///
/// `n` of 0 is taken as 1.
///
/// ```
/// let rate = riptide_stats::wilson(5, 100);
/// assert!(rate.lower > 0.02 && rate.upper < 0.12);
/// ```
#[must_use]
pub fn wilson(successes: usize, n: usize) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    let n = n.max(1) as f64;
    let estimate = successes as f64 / n;
    let centre = (estimate + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (estimate * (1.0 - estimate) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval {
        estimate,
        lower: (centre - half).max(0.0),
        upper: (centre + half).min(1.0),
    }
}

/// A proportion with Clopper and Pearson's exact interval (1934): each end is missed with a chance of at most
/// (1 - `confidence`) / 2, for every n. The ends are quantiles of the beta distribution, B(x, n - x + 1) and B(x + 1, n - x).
///
/// `n` of 0 gives the interval 0..=1, and so does a `confidence` that is not between 0 and 1.
///
/// ```
/// let rate = riptide_stats::clopper_pearson(0, 100, 0.95);
/// assert!(rate.lower == 0.0 && (rate.upper - 0.036_216_7).abs() < 1e-6);
/// ```
#[must_use]
pub fn clopper_pearson(successes: usize, n: usize, confidence: f64) -> Interval {
    let x = successes.min(n);
    let estimate = x as f64 / n.max(1) as f64;
    if n == 0 || !(confidence > 0.0 && confidence < 1.0) {
        return Interval {
            estimate,
            lower: 0.0,
            upper: 1.0,
        };
    }
    let tail = (1.0 - confidence) / 2.0;
    let (x, n) = (x as f64, n as f64);
    let lower = if x > 0.0 {
        beta_quantile(x, n - x + 1.0, tail)
    } else {
        0.0
    };
    let upper = if x < n {
        beta_quantile(x + 1.0, n - x, 1.0 - tail)
    } else {
        1.0
    };
    Interval { estimate, lower, upper }
}

/// The quantile of a beta distribution, by halving.
fn beta_quantile(a: f64, b: f64, level: f64) -> f64 {
    let (mut lower, mut upper) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (lower + upper) / 2.0;
        if beta_reg(a, b, middle) < level {
            lower = middle;
        } else {
            upper = middle;
        }
    }
    (lower + upper) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_agrees_with_published_values() {
        // Newcombe (1998), table I: 81 of 263, and 0 of 20.
        let interval = wilson(81, 263);
        assert!(
            (interval.lower - 0.2553).abs() < 5e-5 && (interval.upper - 0.3662).abs() < 5e-5,
            "{interval:?}"
        );
        let none = wilson(0, 20);
        assert!(none.lower == 0.0 && (none.upper - 0.1611).abs() < 5e-5, "{none:?}");
    }
}
