//! Gaussian blur.

use rand_chacha::ChaCha8Rng;

use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, level, take};
use crate::filter::{Border, Gaussian};

/// A Gaussian of sigma = .4 .6 .7 .8 1.0 pixels over each channel, cut at four sigma, clamped at the border.
pub(crate) struct GaussianBlur {
    filter: Gaussian,
    size: Size,
}

impl GaussianBlur {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let sigma = severity.of([0.4, 0.6, 0.7, 0.8, 1.0]);
        Self {
            filter: Gaussian::new(sigma, Border::Clamp, 4.0),
            size,
        }
    }
}

impl Effect for GaussianBlur {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, scratch: &mut Scratch) {
        blur_bytes(&self.filter, self.size, image, out, scratch);
    }
}

/// Filters bytes: scaled to 0..=1, filtered, scaled back and truncated.
pub(crate) fn blur_bytes(filter: &Gaussian, size: Size, image: &[u8], out: &mut [u8], scratch: &mut Scratch) {
    let data = take(&mut scratch.image, size.bytes());
    for (to, &from) in data.iter_mut().zip(image) {
        *to = UNIT[usize::from(from)];
    }
    filter.apply(
        data,
        [size.height, size.width, CHANNELS],
        &mut scratch.padded,
        &mut scratch.rows,
    );
    for (out, &value) in out.iter_mut().zip(data.iter()) {
        *out = level(value);
    }
}
