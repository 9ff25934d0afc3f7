//! One image of a batch: its variation, its loss and the gradient of that.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::recipe::Augmentation;

/// How far [`Augmentation::CropFlip`] shifts an image, in pixels.
pub(super) const SHIFT: usize = 4;

/// How one image is varied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variation {
    pub(super) is_mirrored: bool,
    /// Rows, from 0 to twice [`SHIFT`].
    pub(super) down: usize,
    /// Columns, from 0 to twice [`SHIFT`].
    pub(super) right: usize,
}

impl Variation {
    pub(super) fn draw(augmentation: Augmentation, rng: impl FnOnce() -> ChaCha8Rng) -> Self {
        let mut variation = Self {
            is_mirrored: false,
            down: SHIFT,
            right: SHIFT,
        };
        if augmentation == Augmentation::None {
            return variation;
        }
        let mut rng = rng();
        variation.is_mirrored = rng.random();
        if augmentation == Augmentation::CropFlip {
            variation.down = rng.random_range(0..=2 * SHIFT);
            variation.right = rng.random_range(0..=2 * SHIFT);
        }
        variation
    }
}

/// What one image is to be answered with.
pub(super) enum Target<'a> {
    Class(usize),
    Probabilities(&'a [f32]),
}

/// The loss of one image, its gradient divided by `n`, and whether the most probable class is the target's.
pub(super) fn row_gradient(logits: &[f32], target: Target<'_>, n: usize, d: &mut [f32]) -> (f64, bool) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|x| f64::from(x - largest).exp()).sum();
    let log_sum = f64::from(largest) + sum.ln();
    let answer = argmax(logits);
    let mut loss = 0.0;
    for (c, (d, x)) in d.iter_mut().zip(logits).enumerate() {
        let log_p = f64::from(*x) - log_sum;
        let y = match target {
            Target::Class(class) => f64::from(u8::from(class == c)),
            Target::Probabilities(y) => f64::from(y[c]),
        };
        if y > 0.0 {
            loss += y * (y.ln() - log_p);
        }
        *d = ((log_p.exp() - y) / n as f64) as f32;
    }
    let wanted = match target {
        Target::Class(class) => class,
        Target::Probabilities(y) => argmax(y),
    };
    // A NaN among the logits compares as nothing and must not pass for a small loss.
    let loss = if logits.iter().all(|x| x.is_finite()) {
        loss
    } else {
        f64::NAN
    };
    (loss, answer == wanted)
}

fn argmax(values: &[f32]) -> usize {
    let best = values
        .iter()
        .enumerate()
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(0, |(index, _)| index)
}
