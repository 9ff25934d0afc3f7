//! Processing of tones: too few levels, too much sharpening.

use rand_chacha::ChaCha8Rng;

use super::{nearest, shorter};
use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, by_table, take};
use crate::filter::{Border, Gaussian};

/// The nearest of L evenly spaced levels in each channel, L = 9 7 5 4 3.
pub(super) struct Posterize {
    table: [u8; 256],
}

impl Posterize {
    pub(super) fn new(severity: Severity) -> Self {
        let steps = severity.of([8.0, 6.0, 4.0, 3.0, 2.0]);
        Self {
            table: UNIT.map(|x| nearest((x * steps).round() / steps)),
        }
    }
}

impl Effect for Posterize {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, _: &mut Scratch) {
        by_table(image, out, &[self.table; CHANNELS]);
    }
}

/// `x + a (x - G(x))` with a Gaussian G whose sigma is a 32nd of the shorter side, at least .8 pixels; a = .6 1.2 2 3.2 5.
pub(super) struct Sharpen {
    gain: f64,
    blur: Gaussian,
    size: Size,
}

impl Sharpen {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        Self {
            gain: severity.of([0.6, 1.2, 2.0, 3.2, 5.0]),
            blur: Gaussian::new((shorter(size) / 32.0).max(0.8), Border::HalfSample, 3.0),
            size,
        }
    }
}

impl Effect for Sharpen {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let blurred = take(&mut scratch.image, self.size.bytes());
        for (blurred, &value) in blurred.iter_mut().zip(image) {
            *blurred = UNIT[usize::from(value)];
        }
        let shape = [self.size.height, self.size.width, CHANNELS];
        self.blur.apply(blurred, shape, &mut scratch.padded, &mut scratch.rows);
        for ((out, &value), &blurred) in out.iter_mut().zip(image).zip(blurred.iter()) {
            let x = UNIT[usize::from(value)];
            *out = nearest(x + self.gain * (x - blurred));
        }
    }
}
