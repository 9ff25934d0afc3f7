//! Motion blur.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, take};

/// A streak as ImageMagick 6 draws it: the mean of the pixels on a line that starts at the pixel and goes one way, with
/// the right half of a Gaussian as weights, at whole pixels (no interpolation), clamped at the border.
pub(crate) struct Streak {
    /// `exp(-i^2 / (2 sigma^2))` for i = 0 to `2 * radius`, scaled to a sum of 1.
    weights: Vec<f64>,
}

impl Streak {
    pub(crate) fn new(radius: usize, sigma: f64) -> Self {
        let raw: Vec<f64> = (0..=2 * radius)
            .map(|i| (-((i * i) as f64) / (2.0 * sigma * sigma)).exp())
            .collect();
        let total: f64 = raw.iter().sum();
        // What cannot change a sum of 8-bit values is left out.
        Self {
            weights: raw
                .into_iter()
                .map(|weight| weight / total)
                .take_while(|&weight| weight > 1e-18)
                .collect(),
        }
    }

    /// Blurs `image`, (height, width, channels), towards `angle` degrees (0 is to the right, 90 down).
    ///
    /// The mean is formed on ImageMagick's 16-bit scale (byte times 257), rounded, and reduced to a byte by dropping
    /// what is below a multiple of 257.
    pub(crate) fn apply(
        &self,
        image: &[u8],
        [height, width, channels]: [usize; 3],
        angle: f64,
        out: &mut [u8],
        padded: &mut Vec<f64>,
        sums: &mut Vec<f64>,
    ) {
        let (sin, cos) = angle.to_radians().sin_cos();
        let offset = |i: usize| [sin, cos].map(|step| (i as f64 * step - 0.5).ceil() as isize);
        let last = offset(self.weights.len() - 1);
        // Offsets grow steadily along the line, so its far end says how much of a margin the image needs.
        let [above, left] = last.map(|reach| reach.min(0).unsigned_abs());
        let [below, right] = last.map(|reach| reach.max(0).unsigned_abs());
        let stride = (left + width + right) * channels;
        let padded = take(padded, (above + height + below) * stride);
        for (y, row) in padded.chunks_exact_mut(stride).enumerate() {
            let source = y.saturating_sub(above).min(height - 1) * width * channels;
            let source = &image[source..source + width * channels];
            let (margin, rest) = row.split_at_mut(left * channels);
            let (middle, end) = rest.split_at_mut(width * channels);
            for (to, &from) in middle.iter_mut().zip(source) {
                *to = f64::from(from) * 257.0;
            }
            for pixel in margin.chunks_exact_mut(channels) {
                pixel.copy_from_slice(&middle[..channels]);
            }
            for pixel in end.chunks_exact_mut(channels) {
                pixel.copy_from_slice(&middle[(width - 1) * channels..]);
            }
        }
        let sums = take(sums, width * channels);
        for (y, out) in out.chunks_exact_mut(width * channels).enumerate() {
            sums.fill(0.5);
            for (i, &weight) in self.weights.iter().enumerate() {
                let [dy, dx] = offset(i);
                let start = (y + above).wrapping_add_signed(dy) * stride + left.wrapping_add_signed(dx) * channels;
                for (sum, value) in sums.iter_mut().zip(&padded[start..start + width * channels]) {
                    *sum += weight * value;
                }
            }
            for (out, &sum) in out.iter_mut().zip(sums.iter()) {
                *out = (sum as i32 / 257) as u8;
            }
        }
    }
}

/// A streak in a direction drawn for every image from -45 to 45 degrees; (radius, sigma) = (6, 1) (6, 1.5) (6, 2) (8, 2)
/// (9, 2.5) pixels.
pub(crate) struct MotionBlur {
    streak: Streak,
    size: Size,
}

impl MotionBlur {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let (radius, sigma) = severity.of([(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)]);
        Self {
            streak: Streak::new(radius, sigma),
            size,
        }
    }
}

impl Effect for MotionBlur {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let angle = rng.random_range(-45.0..45.0);
        let shape = [self.size.height, self.size.width, CHANNELS];
        self.streak
            .apply(image, shape, angle, out, &mut scratch.padded, &mut scratch.rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_leaves_a_tail_on_one_side() {
        let mut image = [0u8; 20];
        image[10] = 255;
        let mut out = [0u8; 20];
        Streak::new(3, 1.5).apply(&image, [1, 20, 1], 0.0, &mut out, &mut Vec::new(), &mut Vec::new());
        assert!(
            out[11..].iter().all(|&value| value == 0),
            "a pixel looks to its right only: {out:?}"
        );
        assert!(out[10] > out[9] && out[9] > out[8] && out[8] > 0);
    }

    #[test]
    fn constant_images_stay_as_they_are_in_every_direction() {
        for angle in -18..18 {
            let image = [200u8; 5 * 7];
            let mut out = [0u8; 5 * 7];
            let angle = f64::from(angle) * 10.0;
            Streak::new(14, 12.0).apply(&image, [5, 7, 1], angle, &mut out, &mut Vec::new(), &mut Vec::new());
            assert_eq!(out, image);
        }
    }
}
