//! Spatter.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::splash::Splash;
use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, level, take, truncate};
use crate::filter::{Border, Gaussian};

/// The colour of water, (175, 238, 238).
const WATER: [f32; CHANNELS] = [175.0 / 255.0, 238.0 / 255.0, 238.0 / 255.0];
/// The colour of mud, (63, 42, 20).
const MUD: [f32; CHANNELS] = [63.0 / 255.0, 42.0 / 255.0, 20.0 / 255.0];

/// Drops on the lens: the peaks of a smoothed noise field, of water at severities 1 to 3 (shaped by their edges and
/// added), of mud at 4 and 5 (blended in).
///
/// (mean, deviation, smoothing sigma, threshold, strength) = (.62, .1, .7, .7, .5) (.65, .1, .8, .7, .5)
/// (.65, .3, 1, .69, .5) (.65, .1, .7, .69, .6) (.65, .1, .5, .68, .6).
pub(crate) struct Spatter {
    mean: f64,
    deviation: f64,
    smoothing: Gaussian,
    threshold: f64,
    liquid: Liquid,
    size: Size,
}

enum Liquid {
    Water { strength: f32 },
    Mud { edges: Gaussian },
}

impl Spatter {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let (mean, deviation, sigma, threshold, strength, mud) = severity.of([
            (0.62, 0.1, 0.7, 0.7, 0.5, false),
            (0.65, 0.1, 0.8, 0.7, 0.5, false),
            (0.65, 0.3, 1.0, 0.69, 0.5, false),
            (0.65, 0.1, 0.7, 0.69, 0.6, true),
            (0.65, 0.1, 0.5, 0.68, 0.6, true),
        ]);
        let liquid = if mud {
            Liquid::Mud {
                edges: Gaussian::new(strength, Border::Clamp, 4.0),
            }
        } else {
            Liquid::Water {
                strength: strength as f32,
            }
        };
        Self {
            mean,
            deviation,
            smoothing: Gaussian::new(sigma, Border::Clamp, 4.0),
            threshold,
            liquid,
            size,
        }
    }
}

impl Effect for Spatter {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let shape = [self.size.height, self.size.width, 1];
        let field = take(&mut scratch.field, self.size.pixels());
        for value in field.iter_mut() {
            *value = self.mean + self.deviation * rng.sample::<f64, _>(StandardNormal);
        }
        self.smoothing
            .apply(field, shape, &mut scratch.padded, &mut scratch.rows);
        let pixels = image
            .as_chunks::<CHANNELS>()
            .0
            .iter()
            .zip(out.as_chunks_mut::<CHANNELS>().0);
        match &self.liquid {
            Liquid::Water { strength } => {
                let drops = take(&mut scratch.bytes, self.size.pixels());
                for (drop, &value) in drops.iter_mut().zip(field.iter()) {
                    // Values above 1 are rare and wrap around, as in the published generator.
                    *drop = if value < self.threshold {
                        0
                    } else {
                        truncate(value * 255.0)
                    };
                }
                let splash = take(&mut scratch.sum, self.size.pixels());
                let mut work = Splash {
                    size: self.size,
                    ints: &mut scratch.ints,
                    more: &mut scratch.ints2,
                    bytes: &mut scratch.bytes2,
                };
                work.shape(drops, splash);
                let most = splash.iter().copied().fold(0.0, f32::max);
                // Without any drop there is nothing to add.
                let scale = if most > 0.0 { most } else { 1.0 };
                for ((pixel, out), &splash) in pixels.zip(splash.iter()) {
                    let m = splash / scale * strength;
                    *out = std::array::from_fn(|channel| {
                        let x = UNIT[usize::from(pixel[channel])] as f32;
                        truncate(f64::from((x + m * WATER[channel]).clamp(0.0, 1.0) * 255.0))
                    });
                }
            }
            Liquid::Mud { edges } => {
                for value in field.iter_mut() {
                    *value = if *value > self.threshold { 1.0 } else { 0.0 };
                }
                edges.apply(field, shape, &mut scratch.padded, &mut scratch.rows);
                for ((pixel, out), &mask) in pixels.zip(field.iter()) {
                    if mask < 0.8 {
                        *out = *pixel;
                        continue;
                    }
                    *out = std::array::from_fn(|channel| {
                        let x = UNIT[usize::from(pixel[channel])];
                        level(x * (1.0 - mask) + f64::from(MUD[channel]) * mask)
                    });
                }
            }
        }
    }
}
