//! A texture of ice, and textures computed instead of photographed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::effect::{CHANNELS, truncate};
use crate::filter::{Border, Gaussian};

/// Published textures are shrunk by this factor before use.
const SHRINK: usize = 5;

/// One picture, (height, width, 3).
#[derive(Debug)]
pub(crate) struct Texture {
    pub(crate) width: usize,
    pub(crate) pixels: Vec<u8>,
}

impl Texture {
    pub(crate) fn height(&self) -> usize {
        self.pixels.len() / (self.width * CHANNELS)
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn row(&self, y: usize) -> &[u8] {
        &self.pixels[y * self.width * CHANNELS..][..self.width * CHANNELS]
    }

    /// Every fifth row and column from the third on: what bilinear shrinking to a fifth comes to.
    pub(super) fn shrunk(&self, height: usize) -> Self {
        let count = |n: usize| ((n as f64 / SHRINK as f64).round_ties_even() as usize).max(1);
        let source = |o: usize, n: usize| (o * SHRINK + SHRINK / 2).min(n - 1);
        let width = count(self.width);
        let mut pixels = Vec::with_capacity(count(height) * width * CHANNELS);
        for y in 0..count(height) {
            let row = self.row(source(y, height));
            for x in 0..width {
                pixels.extend_from_slice(&row[source(x, self.width) * CHANNELS..][..CHANNELS]);
            }
        }
        Self { width, pixels }
    }
}

/// Statistics of one published texture after shrinking, which the computed one has too.
struct Look {
    height: usize,
    width: usize,
    /// Of red, green and blue.
    mean: [f64; 3],
    /// Standard deviation of red, green and blue.
    deviation: [f64; 3],
    /// Mean absolute difference of horizontal neighbours, in standard deviations.
    roughness: f64,
}

/// The second and the third published texture are the same picture.
#[rustfmt::skip]
const LOOKS: [Look; 5] = [
    Look { height: 120, width: 180, mean: [77.5, 149.0, 165.7], deviation: [26.8, 16.4, 15.3], roughness: 0.589 },
    Look { height: 63, width: 112, mean: [200.8, 205.4, 214.5], deviation: [21.4, 22.1, 22.6], roughness: 0.652 },
    Look { height: 63, width: 112, mean: [200.8, 205.4, 214.5], deviation: [21.4, 22.1, 22.6], roughness: 0.652 },
    Look { height: 70, width: 105, mean: [138.0, 153.2, 165.6], deviation: [29.0, 29.0, 30.2], roughness: 0.744 },
    Look { height: 99, width: 132, mean: [112.3, 123.3, 134.7], deviation: [44.3, 43.2, 41.6], roughness: 0.683 },
];

/// The five textures, always the same.
pub(super) fn textures() -> Vec<Texture> {
    LOOKS
        .iter()
        .zip(0u64..)
        .map(|(look, seed)| texture(look, &mut ChaCha8Rng::seed_from_u64(seed)))
        .collect()
}

fn texture(look: &Look, rng: &mut ChaCha8Rng) -> Texture {
    let Look {
        height,
        width,
        mean,
        deviation,
        roughness,
    } = look;
    let ferns = standardised(ferns(*height, *width, rng));
    let grain = standardised((0..height * width).map(|_| rng.sample(StandardNormal)).collect());
    // As much grain over the ferns as makes the texture as rough as it should be, found by halving.
    let (mut less, mut more) = (0.0, 1.0);
    let mut field = Vec::new();
    for _ in 0..20 {
        let share: f64 = (less + more) / 2.0;
        let mixed = ferns
            .iter()
            .zip(&grain)
            .map(|(fern, grain)| (1.0 - share) * fern + share * grain);
        field = standardised(mixed.collect());
        if roughness_of(&field, *width) < *roughness {
            less = share;
        } else {
            more = share;
        }
    }
    let level = |z: f64, channel: usize| truncate((mean[channel] + 0.5 + deviation[channel] * z).clamp(0.0, 255.0));
    Texture {
        width: *width,
        pixels: field
            .iter()
            .flat_map(|&z| [0, 1, 2].map(|channel| level(z, channel)))
            .collect(),
    }
}

/// Ice that grew in the shape of ferns: needles with needles at their sides, all in a few directions.
fn ferns(height: usize, width: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut field = vec![0.0; height * width];
    let lean = rng.random_range(0.0..60.0);
    for _ in 0..height * width / 120 {
        let start = [
            rng.random_range(0.0..height as f64),
            rng.random_range(0.0..width as f64),
        ];
        let direction = lean + 60.0 * f64::from(rng.random_range(0..6)) + 8.0 * rng.sample::<f64, _>(StandardNormal);
        let length = rng.random_range(6.0..30.0);
        grow(&mut field, width, start, direction, length, 3);
    }
    Gaussian::new(0.6, Border::HalfSample, 4.0).apply(&mut field, [height, width, 1], &mut Vec::new(), &mut Vec::new());
    // Where needles lie over each other they do not become brighter without end.
    for value in &mut field {
        *value = value.ln_1p();
    }
    field
}

/// A needle from `[y, x]` on, thinner towards its tip, with shorter ones at 60 degrees on both sides, and so on `depth`
/// times. The field continues on the other side of its edges.
fn grow(field: &mut [f64], width: usize, [mut y, mut x]: [f64; 2], direction: f64, length: f64, depth: u32) {
    let (sin, cos) = direction.to_radians().sin_cos();
    for step in 0..length as usize {
        let left = length - step as f64;
        let row = (y.floor() as isize).rem_euclid((field.len() / width) as isize) as usize;
        let column = (x.floor() as isize).rem_euclid(width as isize) as usize;
        field[row * width + column] += (left / length) * f64::from(depth);
        if depth > 1 && step % 3 == 2 {
            for side in [-60.0, 60.0] {
                grow(field, width, [y, x], direction + side, 0.45 * left, depth - 1);
            }
        }
        (y, x) = (y + sin, x + cos);
    }
}

/// Shifted and scaled to mean 0 and standard deviation 1.
fn standardised(mut field: Vec<f64>) -> Vec<f64> {
    let n = field.len() as f64;
    let mean = field.iter().sum::<f64>() / n;
    let deviation = (field.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    for value in &mut field {
        *value = (*value - mean) / deviation;
    }
    field
}

/// Mean absolute difference of horizontal neighbours.
fn roughness_of(field: &[f64], width: usize) -> f64 {
    let rows = field.chunks_exact(width);
    let steps = rows
        .clone()
        .flat_map(|row| row.windows(2).map(|pair| (pair[1] - pair[0]).abs()));
    steps.sum::<f64>() / (rows.len() * (width - 1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textures_look_as_bright_and_as_rough_as_they_should() {
        for (look, texture) in LOOKS.iter().zip(textures()) {
            let n = (look.height * look.width) as f64;
            assert_eq!(texture.pixels.len(), look.height * look.width * 3);
            for channel in 0..3 {
                let values = || {
                    texture
                        .pixels
                        .iter()
                        .skip(channel)
                        .step_by(3)
                        .map(|&value| f64::from(value))
                };
                let mean = values().sum::<f64>() / n;
                let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
                assert!(
                    (mean - look.mean[channel]).abs() < 2.0,
                    "{mean} for {}",
                    look.mean[channel]
                );
                assert!(
                    (deviation / look.deviation[channel] - 1.0).abs() < 0.1,
                    "deviation {deviation}"
                );
            }
        }
    }
}
