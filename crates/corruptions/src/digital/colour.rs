//! Brightness and saturation, changed in HSV, and contrast.

use rand_chacha::ChaCha8Rng;

use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, UNIT, by_table, level};

/// Value raised: `V = clip(V + c)` with c = .05 .10 .15 .20 .30.
pub(crate) struct Brightness {
    raise: f64,
}

impl Brightness {
    pub(crate) fn new(severity: Severity) -> Self {
        Self {
            raise: severity.of([0.05, 0.10, 0.15, 0.20, 0.30]),
        }
    }
}

impl Effect for Brightness {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, _: &mut Scratch) {
        in_hsv(image, out, |[h, s, v]| [h, s, (v + self.raise).clamp(0.0, 1.0)]);
    }
}

/// Saturation changed: `S = clip(S * gain + offset)` with (gain, offset) = (.3, 0) (.1, 0) (1.5, 0) (2, .1) (2.5, .2).
///
/// The severities are not in the order of the damage, and with an offset grey pixels turn reddish; both are so in the
/// published generator.
pub(crate) struct Saturate {
    gain: f64,
    offset: f64,
}

impl Saturate {
    pub(crate) fn new(severity: Severity) -> Self {
        let (gain, offset) = severity.of([(0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)]);
        Self { gain, offset }
    }
}

impl Effect for Saturate {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, _: &mut Scratch) {
        in_hsv(image, out, |[h, s, v]| {
            [h, (s * self.gain + self.offset).clamp(0.0, 1.0), v]
        });
    }
}

/// Takes every pixel to HSV, through `change` and back.
pub(crate) fn in_hsv(image: &[u8], out: &mut [u8], change: impl Fn([f64; 3]) -> [f64; 3]) {
    for (out, pixel) in out
        .as_chunks_mut::<CHANNELS>()
        .0
        .iter_mut()
        .zip(image.as_chunks::<CHANNELS>().0)
    {
        let rgb = pixel.map(|value| UNIT[usize::from(value)]);
        *out = hsv_to_rgb(change(rgb_to_hsv(rgb))).map(level);
    }
}

/// The hexcone model; all values 0..=1. If two channels are largest, the later one counts.
fn rgb_to_hsv([r, g, b]: [f64; 3]) -> [f64; 3] {
    let v = r.max(g).max(b);
    let delta = v - r.min(g).min(b);
    if delta == 0.0 {
        return [0.0, 0.0, v];
    }
    let sixths = if v == b {
        4.0 + (r - g) / delta
    } else if v == g {
        2.0 + (b - r) / delta
    } else {
        (g - b) / delta
    };
    let turns = sixths / 6.0;
    // The remainder of a division by 1 that is never negative.
    let h = if turns < 0.0 { turns + 1.0 } else { turns };
    [h, delta / v, v]
}

fn hsv_to_rgb([h, s, v]: [f64; 3]) -> [f64; 3] {
    let sixths = h * 6.0;
    let sector = sixths as i32;
    let f = sixths - f64::from(sector);
    let (p, q, t) = (v * (1.0 - s), v * (1.0 - f * s), v * (1.0 - (1.0 - f) * s));
    match sector {
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        5 => [v, p, q],
        _ => [v, t, p],
    }
}

/// Every channel drawn towards its mean in the image: `(x - mean) * c + mean` with c = .75 .5 .4 .3 .15.
pub(crate) struct Contrast {
    factor: f64,
}

impl Contrast {
    pub(crate) fn new(severity: Severity) -> Self {
        Self {
            factor: severity.of([0.75, 0.5, 0.4, 0.3, 0.15]),
        }
    }
}

impl Effect for Contrast {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, _: &mut Scratch) {
        let pixels = image.as_chunks::<CHANNELS>().0;
        let mut sums = [0.0; CHANNELS];
        for pixel in pixels {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += UNIT[usize::from(value)];
            }
        }
        // Within one image the output depends on channel and input alone.
        let mut levels = [[0u8; 256]; CHANNELS];
        for (levels, sum) in levels.iter_mut().zip(sums) {
            let mean = sum / pixels.len() as f64;
            for (out, x) in levels.iter_mut().zip(UNIT) {
                *out = level((x - mean) * self.factor + mean);
            }
        }
        by_table(image, out, &levels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsv_of_the_corners_of_the_colour_cube() {
        assert_eq!(rgb_to_hsv([1.0, 0.0, 0.0]), [0.0, 1.0, 1.0]);
        assert_eq!(rgb_to_hsv([0.0, 1.0, 0.0]), [2.0 / 6.0, 1.0, 1.0]);
        assert_eq!(rgb_to_hsv([0.0, 0.0, 1.0]), [4.0 / 6.0, 1.0, 1.0]);
        assert_eq!(rgb_to_hsv([1.0, 0.0, 1.0]), [5.0 / 6.0, 1.0, 1.0]);
        assert_eq!(rgb_to_hsv([0.5, 0.5, 0.5]), [0.0, 0.0, 0.5]);
        assert_eq!(rgb_to_hsv([0.0, 0.0, 0.0]), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn hsv_and_back_is_the_same_colour() {
        for r in (0..=255).step_by(15) {
            for g in (0..=255).step_by(17) {
                for b in (0..=255).step_by(51) {
                    let rgb = [r, g, b].map(|value| UNIT[value]);
                    for (got, want) in hsv_to_rgb(rgb_to_hsv(rgb)).into_iter().zip(rgb) {
                        assert!((got - want).abs() < 1e-12);
                    }
                }
            }
        }
    }
}
