//! The temperature at which the largest probability says best whether the answer is right.

use super::features::Image;

/// Temperatures tried: from 0.5 to 8, each 9 % above the one before.
pub(crate) const GRID: usize = 33;

/// The temperature at a place of the grid.
pub(crate) fn temperature(place: usize) -> f64 {
    0.5 * 16.0_f64.powf(place as f64 / (GRID - 1) as f64)
}

/// Negative log-likelihood of "the answer is right" at every temperature of the grid; sums of several sets add up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Losses(pub(crate) [f64; GRID]);

impl Losses {
    pub(crate) const ZERO: Self = Self([0.0; GRID]);

    pub(crate) fn add(&mut self, image: &Image<'_>, wrong: bool) {
        for (place, loss) in self.0.iter_mut().enumerate() {
            let right = image.confidence(temperature(place)).clamp(1e-6, 1.0 - 1e-6);
            *loss -= if wrong { (-right).ln_1p() } else { right.ln() };
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            *a += b;
        }
    }

    /// The place of the least loss.
    pub(crate) fn best(&self) -> usize {
        let places = self.0.iter().enumerate();
        places.min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |best| best.0)
    }
}
