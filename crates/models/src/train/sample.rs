//! One image of a batch: its variation, its loss and the gradient of that.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use riptide_detectors::argmax;

use super::recipe::Augmentation;

/// How far an image is shifted at most, in pixels.
const SHIFT: usize = 4;

/// How one image is varied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variation {
    /// Which of [`Augmentation::versions`] it is.
    pub(super) version: usize,
    is_mirrored: bool,
    /// Rows, from 0 to twice [`SHIFT`].
    down: usize,
    /// Columns, from 0 to twice [`SHIFT`].
    right: usize,
}

impl Variation {
    /// One of the countable versions: mirrored if odd, shifted by one of nine shifts, the first of them none.
    pub(super) fn of(version: usize) -> Self {
        let shift = version / 2;
        // 0, +, - of rows, for 0, +, - of columns.
        let steps = [SHIFT, 2 * SHIFT, 0];
        Self {
            version,
            is_mirrored: version % 2 == 1,
            down: steps[shift % 3],
            right: steps[shift / 3 % 3],
        }
    }

    pub(super) fn draw(augmentation: Augmentation, rng: impl FnOnce() -> ChaCha8Rng) -> Self {
        if augmentation == Augmentation::None {
            return Self::of(0);
        }
        let mut rng = rng();
        let is_mirrored = rng.random();
        let mut shifted = |version| Self {
            version,
            is_mirrored,
            down: rng.random_range(0..=2 * SHIFT),
            right: rng.random_range(0..=2 * SHIFT),
        };
        match augmentation.versions() {
            None => shifted(0),
            Some(_) if augmentation == Augmentation::JitterFlip => shifted(usize::from(is_mirrored)),
            Some(versions) if versions > 2 => {
                Self::of(2 * rng.random_range(0..versions / 2) + usize::from(is_mirrored))
            }
            Some(_) => Self::of(usize::from(is_mirrored)),
        }
    }

    /// Where the pixel in row `y` and column `x` of the varied image comes from, if from within an image of this size.
    pub(super) fn source(&self, y: usize, x: usize, height: usize, width: usize) -> Option<(usize, usize)> {
        let x = if self.is_mirrored { width - 1 - x } else { x };
        let (y, x) = (
            (y + self.down).checked_sub(SHIFT)?,
            (x + self.right).checked_sub(SHIFT)?,
        );
        (y < height && x < width).then_some((y, x))
    }

    /// Writes the varied image to `out`, the border's pixels repeated where the image has moved away; both u8 (height, width, 3).
    pub(super) fn apply(&self, image: &[u8], height: usize, width: usize, out: &mut [u8]) {
        let (height, width) = (height as isize, width as isize);
        let (down, right) = (
            self.down as isize - SHIFT as isize,
            self.right as isize - SHIFT as isize,
        );
        let pixels = out.as_chunks_mut::<3>().0.iter_mut();
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let image = image.as_chunks::<3>().0;
        for (out, (y, x)) in pixels.zip(places) {
            let x = if self.is_mirrored { width - 1 - x } else { x };
            let (y, x) = ((y + down).clamp(0, height - 1), (x + right).clamp(0, width - 1));
            *out = image[(y * width + x) as usize];
        }
    }
}

/// What the answer to one image should be.
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_shift_keeps_the_answer_of_the_image_or_its_mirror() {
        let draw = |seed| Variation::draw(Augmentation::JitterFlip, || ChaCha8Rng::seed_from_u64(seed));
        let all: Vec<Variation> = (0..400).map(draw).collect();
        assert!(all.iter().all(|v| v.version == usize::from(v.is_mirrored)));
        for shift in 0..=2 * SHIFT {
            assert!(all.iter().any(|v| v.down == shift) && all.iter().any(|v| v.right == shift));
        }
        let mirrored = all.iter().filter(|v| v.is_mirrored).count();
        assert!((150..250).contains(&mirrored), "{mirrored}");
    }

    #[test]
    fn a_version_is_the_image_mirrored_and_shifted() {
        let (height, width) = (9, 11);
        let image: Vec<u8> = (0..height * width * 3).map(|i| (i * i % 251) as u8).collect();
        let at = |image: &[u8], y: usize, x: usize| image[(y * width + x) * 3..][..3].to_vec();
        let mut all = Vec::new();
        for version in 0..18 {
            let variation = Variation::of(version);
            let mut out = vec![0; image.len()];
            variation.apply(&image, height, width, &mut out);
            for y in 0..height {
                for x in 0..width {
                    if let Some((from_y, from_x)) = variation.source(y, x, height, width) {
                        assert_eq!(at(&out, y, x), at(&image, from_y, from_x), "{version}");
                    }
                }
            }
            all.push(out);
        }
        assert_eq!(all[0], image);
        assert_eq!(at(&all[1], 3, 2), at(&image, 3, width - 3));
        // Rows come from further down: the last five repeat the last one.
        assert_eq!(at(&all[2], 0, 5), at(&image, SHIFT, 5));
        assert_eq!(at(&all[2], height - 1, 5), at(&image, height - 1, 5));
        assert_eq!(at(&all[2], height - SHIFT, 5), at(&image, height - 1, 5));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 18);
    }
}
