//! Glass blur.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::gaussian::blur_bytes;
use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, take};
use crate::filter::{Border, Gaussian};

/// Pixels replaced by neighbours, between two Gaussian blurs; (sigma, iterations) = (.05, 1) (.25, 1) (.4, 1) (.25, 2)
/// (.4, 2), with neighbours at most one pixel up and one to the left.
///
/// The published generator means to swap pixels; as it is written it copies one way, and so does this.
pub(crate) struct GlassBlur {
    filter: Gaussian,
    iterations: usize,
    size: Size,
}

impl GlassBlur {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let (sigma, iterations) = severity.of([(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)]);
        Self {
            filter: Gaussian::new(sigma, Border::Clamp, 4.0),
            iterations,
            size,
        }
    }

    /// From the bottom right upwards, every pixel takes the place's own, the left, the upper or the upper left value,
    /// with equal chances and in place. Rows and columns 0 and 1 are never overwritten.
    fn shuffle(&self, image: &mut [u8], rng: &mut ChaCha8Rng) {
        let Size { height, width } = self.size;
        let (mut bits, mut left) = (0u64, 0);
        for y in (2..height).rev() {
            for x in (2..width).rev() {
                if left == 0 {
                    (bits, left) = (rng.next_u64(), 32);
                }
                let (dx, dy) = ((bits & 1) as usize, (bits >> 1 & 1) as usize);
                (bits, left) = (bits >> 2, left - 1);
                let (to, from) = ((y * width + x) * CHANNELS, ((y - dy) * width + x - dx) * CHANNELS);
                let pixel = [image[from], image[from + 1], image[from + 2]];
                image[to..to + CHANNELS].copy_from_slice(&pixel);
            }
        }
    }
}

impl Effect for GlassBlur {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let mut bytes = std::mem::take(&mut scratch.bytes);
        let blurred = take(&mut bytes, self.size.bytes());
        if self.filter.radius() == 0 {
            blurred.copy_from_slice(image);
        } else {
            blur_bytes(&self.filter, self.size, image, blurred, scratch);
        }
        for _ in 0..self.iterations {
            self.shuffle(blurred, rng);
        }
        if self.filter.radius() == 0 {
            out.copy_from_slice(blurred);
        } else {
            blur_bytes(&self.filter, self.size, blurred, out, scratch);
        }
        scratch.bytes = bytes;
    }
}
