//! Snow.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::Severity;
use crate::blur::{Streak, Zoom};
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, level, take};

/// Snow flakes: the peaks of a noise field, enlarged, streaked by the wind in a random downward direction and added
/// twice, once turned by half a circle, to an image made whiter.
///
/// (mean, deviation, zoom, threshold, streak radius, streak sigma, share of the image) = (.1, .2, 1, .6, 8, 3, .95)
/// (.1, .2, 1, .5, 10, 4, .9) (.15, .3, 1.75, .55, 10, 4, .9) (.25, .3, 2.25, .6, 12, 6, .85)
/// (.3, .3, 1.25, .65, 14, 12, .8).
pub(crate) struct Snow {
    mean: f64,
    deviation: f64,
    zoom: Zoom,
    threshold: f64,
    streak: Streak,
    mix: f32,
    size: Size,
}

impl Snow {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let (mean, deviation, factor, threshold, radius, sigma, mix) = severity.of([
            (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
            (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
        ]);
        let (zoom, streak) = (Zoom::new(factor, size), Streak::new(radius, sigma));
        Self {
            mean,
            deviation,
            zoom,
            threshold,
            streak,
            mix,
            size,
        }
    }
}

impl Effect for Snow {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let Size { height, width } = self.size;
        let field = take(&mut scratch.field, self.size.pixels());
        for value in field.iter_mut() {
            *value = self.mean + self.deviation * rng.sample::<f64, _>(StandardNormal);
        }
        let angle = rng.random_range(-135.0..-45.0);
        let flakes = take(&mut scratch.bytes, self.size.pixels());
        self.zoom.each_row(field, 1, &mut scratch.rows, |y, line| {
            for (flake, &value) in flakes[y * width..][..width].iter_mut().zip(line) {
                *flake = if value < self.threshold { 0 } else { level(value) };
            }
        });
        let layer = take(&mut scratch.bytes2, self.size.pixels());
        self.streak.apply(
            flakes,
            [height, width, 1],
            angle,
            layer,
            &mut scratch.padded,
            &mut scratch.rows,
        );

        let pixels = image
            .as_chunks::<CHANNELS>()
            .0
            .iter()
            .zip(out.as_chunks_mut::<CHANNELS>().0);
        for ((pixel, out), (&snow, &turned)) in pixels.zip(layer.iter().zip(layer.iter().rev())) {
            let x = pixel.map(|value| UNIT[usize::from(value)] as f32);
            let grey = x[0] * 0.299 + x[1] * 0.587 + x[2] * 0.114;
            let snow = [snow, turned].map(|value| UNIT[usize::from(value)]);
            *out = x.map(|x| {
                let whiter = self.mix * x + (1.0 - self.mix) * x.max(grey * 1.5 + 0.5);
                level(f64::from(whiter) + snow[0] + snow[1])
            });
        }
    }
}
