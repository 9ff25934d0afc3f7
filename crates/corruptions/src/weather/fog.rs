//! Fog.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, level, take};

/// A diamond-square fractal laid over the image, which is dimmed so that its brightest value stays:
/// `(x + t * fractal) * max / (max + t)`, with (t, decay of the fractal's steps) = (.2, 3) (.5, 3) (.75, 2.5) (1, 2)
/// (1.5, 1.75).
///
/// The fractal is made on the next power of two of the larger side and its upper left part is used.
pub(crate) struct Fog {
    strength: f64,
    decay: f64,
    side: usize,
    size: Size,
}

impl Fog {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let (strength, decay) = severity.of([(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)]);
        let side = size.height.max(size.width).max(2).next_power_of_two();
        Self {
            strength,
            decay,
            side,
            size,
        }
    }

    /// The diamond-square fractal (side, side), which continues on the other side of its edges, scaled to 0..=1.
    fn fractal(&self, map: &mut [f64], rng: &mut ChaCha8Rng) {
        let side = self.side;
        let wrap = side - 1;
        map[0] = 0.0;
        let (mut step, mut wibble) = (side, 100.0f64);
        while step >= 2 {
            let half = step / 2;
            let mut wobbled = |mean: f64| mean + wibble * (wibble * (2.0 * rng.random::<f64>() - 1.0));
            for y in (0..side).step_by(step) {
                let (upper, lower) = (y * side, ((y + step) & wrap) * side);
                for x in (0..side).step_by(step) {
                    let right = (x + step) & wrap;
                    let corners = map[upper + x] + map[upper + right] + map[lower + x] + map[lower + right];
                    map[(y + half) * side + x + half] = wobbled(corners / 4.0);
                }
            }
            for y in (0..side).step_by(step) {
                let (above, row, below) = ((y.wrapping_sub(half) & wrap) * side, y * side, (y + half) * side);
                for x in (0..side).step_by(step) {
                    let middle = x + half;
                    let around =
                        map[above + middle] + map[below + middle] + map[row + x] + map[row + ((x + step) & wrap)];
                    map[row + middle] = wobbled(around / 4.0);
                }
            }
            for y in (0..side).step_by(step) {
                let (upper, row, lower) = (y * side, (y + half) * side, ((y + step) & wrap) * side);
                for x in (0..side).step_by(step) {
                    let left = x.wrapping_sub(half) & wrap;
                    let around = map[row + left] + map[row + x + half] + map[upper + x] + map[lower + x];
                    map[row + x] = wobbled(around / 4.0);
                }
            }
            step = half;
            wibble /= self.decay;
        }
        let least = map.iter().copied().fold(f64::INFINITY, f64::min);
        let most = map.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
        for value in map {
            *value = (*value - least) / most;
        }
    }
}

impl Effect for Fog {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let map = take(&mut scratch.field, self.side * self.side);
        self.fractal(map, rng);
        let brightest = UNIT[usize::from(image.iter().copied().max().unwrap_or(0))];
        let dim = brightest / (brightest + self.strength);
        let row = self.size.width * CHANNELS;
        let rows = image
            .chunks_exact(row)
            .zip(out.chunks_exact_mut(row))
            .zip(map.chunks_exact(self.side));
        for ((image, out), map) in rows {
            let pixels = image
                .as_chunks::<CHANNELS>()
                .0
                .iter()
                .zip(out.as_chunks_mut::<CHANNELS>().0);
            for ((pixel, out), &fog) in pixels.zip(map) {
                *out = pixel.map(|value| level((UNIT[usize::from(value)] + self.strength * fog) * dim));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_fractal_spans_0_to_1_and_closes_on_itself() {
        let fog = Fog::new(Severity::ALL[0], Size { height: 60, width: 33 });
        assert_eq!(fog.side, 64);
        let mut map = vec![f64::NAN; 64 * 64];
        fog.fractal(&mut map, &mut ChaCha8Rng::seed_from_u64(1));
        assert!(map.iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(map.contains(&0.0) && map.contains(&1.0));
        let jump = |a: usize, b: usize| (0..64).map(|i| (map[a + i * 64] - map[b + i * 64]).abs()).sum::<f64>() / 64.0;
        assert!(jump(0, 63) < 3.0 * jump(30, 31), "left and right edge are neighbours");
    }
}
