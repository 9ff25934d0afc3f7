//! Testing a bounded mean by betting: valid however long it runs, and whatever the values depend on.
//!
//! A gambler starts with 1 and bets, before each value Z in 0..=1, that it will exceed the bound m. Wealth grows by the factor
//! 1 + l (Z - m). If the expectation of every value, given those before it, is at most m, no choice of l >= 0 makes the
//! wealth grow on average, so it ever reaches 1 / alpha with a chance of at most alpha (Ville 1939; Waudby-Smith and
//! Ramdas 2024). The bet follows the values seen before:
//!
//! ```text
//! l = (mu - m) / (v + (mu - m)^2), cut to 0 ..= 1 / (2 m)
//! ```
//!
//! with mu and v their mean and variance, each with a start value of weight 1: mu of 1/2, v of 1/4.

use serde::{Deserialize, Serialize};

/// A gambler's state; serialises, and continues bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gambler {
    n: u64,
    sum: f64,
    /// Sum of squared deviations from the mean before each value.
    squares: f64,
}

impl Default for Gambler {
    fn default() -> Self {
        Self {
            n: 0,
            sum: 0.5,
            squares: 0.25,
        }
    }
}

impl Gambler {
    /// The factor by which wealth grows at `value`, in 0..=1, if the values' expectation is tested to be at most `bound`, in 0..1
    /// without its ends; then takes the value into account. At least 1/2.
    pub fn bet(&mut self, value: f64, bound: f64) -> f64 {
        let n = self.n as f64 + 1.0;
        let (mean, variance) = (self.sum / n, self.squares / n);
        let gap = mean - bound;
        let stake = (gap / (variance + gap * gap)).clamp(0.0, 0.5 / bound);
        self.n += 1;
        self.sum += value;
        self.squares += (value - self.sum / (n + 1.0)).powi(2);
        1.0 + stake * (value - bound)
    }

    /// Number of values taken.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Whether no value was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wealth_grows_above_the_bound_and_not_below() {
        let wealth = |value: f64| {
            let mut gambler = Gambler::default();
            (0..200).map(|_| gambler.bet(value, 0.3).ln()).sum::<f64>()
        };
        assert!(wealth(0.5) > 20.0);
        assert!(wealth(0.3) <= 0.0 && wealth(0.2) <= 0.0);
    }

    #[test]
    fn a_factor_is_never_below_a_half() {
        let mut gambler = Gambler::default();
        for step in 0..100 {
            let factor = gambler.bet(f64::from(u8::from(step % 3 != 0)), 0.01);
            assert!(factor >= 0.5, "{factor}");
        }
    }
}
