//! Light and colour: what a camera's exposure, lens and white balance do.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;

use super::{between, nearest, shorter, sign};
use crate::Severity;
use crate::digital::in_hsv;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, by_table};

/// Channel c times `2^(a cos(t + c/3 turn))` with a random turn t: one channel up by up to a stops, the opposite one down,
/// a = .2 .4 .65 .95 1.3.
pub(super) struct ColourCast {
    stops: f64,
}

impl ColourCast {
    pub(super) fn new(severity: Severity) -> Self {
        Self {
            stops: severity.of([0.2, 0.4, 0.65, 0.95, 1.3]),
        }
    }
}

impl Effect for ColourCast {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let turn = between(rng, 0.0, TAU);
        let tables = std::array::from_fn(|channel| {
            let gain = (self.stops * (turn + TAU * channel as f64 / 3.0).cos()).exp2();
            UNIT.map(|x| nearest(x * gain))
        });
        by_table(image, out, &tables);
    }
}

/// `x^(2^a)` or `x^(2^-a)`, with equal chances, a three quarters to all of .35 .6 .9 1.3 1.8.
pub(super) struct Gamma {
    exponent: f64,
}

impl Gamma {
    pub(super) fn new(severity: Severity) -> Self {
        Self {
            exponent: severity.of([0.35, 0.6, 0.9, 1.3, 1.8]),
        }
    }
}

impl Effect for Gamma {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let gamma = (self.exponent * sign(rng) * between(rng, 0.75, 1.0)).exp2();
        let table = UNIT.map(|x| nearest(x.powf(gamma)));
        by_table(image, out, &[table; CHANNELS]);
    }
}

/// `x / (1 + k r^2)^2`, the fall of light by the fourth power of the cosine, with r = 1 at half the diagonal from a centre
/// that lies up to a fifth of each side from the middle; k = .35 .7 1.2 2 3.2.
pub(super) struct Vignette {
    strength: f64,
    size: Size,
}

impl Vignette {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        Self {
            strength: severity.of([0.35, 0.7, 1.2, 2.0, 3.2]),
            size,
        }
    }
}

impl Effect for Vignette {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let (height, width) = (self.size.height as f64, self.size.width as f64);
        let (middle_y, middle_x) = (between(rng, 0.3, 0.7) * height, between(rng, 0.3, 0.7) * width);
        let radius = (height * height + width * width) / 4.0;
        per_pixel(image, out, self.size, |y, x| {
            let squared = ((y - middle_y).powi(2) + (x - middle_x).powi(2)) / radius;
            (1.0 + self.strength * squared).powi(-2)
        });
    }
}

/// Everything on one side of a line darker by the share a, with an edge that is a tenth of the shorter side wide. The line
/// has any direction and passes the middle at up to a fifth of the shorter side; a = .25 .4 .55 .7 .85.
pub(super) struct Shadow {
    share: f64,
    size: Size,
}

impl Shadow {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        Self {
            share: severity.of([0.25, 0.4, 0.55, 0.7, 0.85]),
            size,
        }
    }
}

impl Effect for Shadow {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let side = shorter(self.size);
        let (sin, cos) = between(rng, 0.0, TAU).sin_cos();
        let offset = between(rng, -0.2, 0.2) * side;
        let (middle_y, middle_x) = (self.size.height as f64 / 2.0, self.size.width as f64 / 2.0);
        per_pixel(image, out, self.size, |y, x| {
            let distance = (y - middle_y) * sin + (x - middle_x) * cos - offset;
            1.0 - self.share * (0.5 + distance / (0.1 * side)).clamp(0.0, 1.0)
        });
    }
}

/// Each pixel times `gain(y, x)`, both in pixels from the upper left corner to the pixel's middle.
fn per_pixel(image: &[u8], out: &mut [u8], size: Size, gain: impl Fn(f64, f64) -> f64) {
    let pixels = image.as_chunks::<CHANNELS>().0.iter();
    let pairs = out.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(pixels);
    for (place, (out, pixel)) in pairs.enumerate() {
        let (y, x) = (place / size.width, place % size.width);
        let gain = gain(y as f64 + 0.5, x as f64 + 0.5);
        *out = pixel.map(|value| nearest(UNIT[usize::from(value)] * gain));
    }
}

/// Hues turned to either side, in HSV, by three quarters to all of 20 40 70 110 160 degrees.
pub(super) struct HueShift {
    turns: f64,
}

impl HueShift {
    pub(super) fn new(severity: Severity) -> Self {
        Self {
            turns: severity.of([20.0, 40.0, 70.0, 110.0, 160.0]) / 360.0,
        }
    }
}

impl Effect for HueShift {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let turns = self.turns * sign(rng) * between(rng, 0.75, 1.0);
        in_hsv(image, out, |[h, s, v]| [(h + turns).rem_euclid(1.0), s, v]);
    }
}
