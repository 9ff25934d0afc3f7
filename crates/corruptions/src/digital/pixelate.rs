//! Pixelation.

use rand_chacha::ChaCha8Rng;

use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, take};

/// Bits behind the point of the weights.
const PRECISION: u32 = 22;

/// Shrunk to .95 .9 .85 .75 .65 of the side (rounded down) and enlarged again, both with Pillow's box filter: columns
/// first, then rows, each rounded to bytes, in fixed point.
pub(crate) struct Pixelate {
    shrink: Resize,
    enlarge: Resize,
    size: Size,
}

impl Pixelate {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let factor: f64 = severity.of([0.95, 0.9, 0.85, 0.75, 0.65]);
        let side = |n: usize| ((n as f64 * factor) as usize).max(1);
        let small = Size {
            height: side(size.height),
            width: side(size.width),
        };
        Self {
            shrink: Resize::new(size, small),
            enlarge: Resize::new(small, size),
            size: small,
        }
    }
}

impl Effect for Pixelate {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let small = take(&mut scratch.bytes, self.size.bytes());
        self.shrink.apply(image, small, &mut scratch.bytes2);
        self.enlarge.apply(small, out, &mut scratch.bytes2);
    }
}

/// A resize of RGB images from one size to another.
struct Resize {
    columns: Vec<Sample>,
    rows: Vec<Sample>,
    from: Size,
    to: Size,
}

/// One output sample: inputs from `start` on, each with its weight in fixed point.
struct Sample {
    start: usize,
    weights: Vec<i32>,
}

impl Resize {
    fn new(from: Size, to: Size) -> Self {
        Self {
            columns: samples(from.width, to.width),
            rows: samples(from.height, to.height),
            from,
            to,
        }
    }

    fn apply(&self, image: &[u8], out: &mut [u8], between: &mut Vec<u8>) {
        let between = take(between, self.from.height * self.to.width * CHANNELS);
        let row = self.from.width * CHANNELS;
        let narrow = self.to.width * CHANNELS;
        for (image, out) in image.chunks_exact(row).zip(between.chunks_exact_mut(narrow)) {
            for (out, sample) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(&self.columns) {
                let pixels = &image[sample.start * CHANNELS..].as_chunks::<CHANNELS>().0;
                if let [_] = sample.weights[..] {
                    *out = pixels[0];
                    continue;
                }
                let mut sum = [1i32 << (PRECISION - 1); CHANNELS];
                for (pixel, &weight) in pixels.iter().zip(&sample.weights) {
                    for (sum, &value) in sum.iter_mut().zip(pixel) {
                        *sum += i32::from(value) * weight;
                    }
                }
                *out = sum.map(clip);
            }
        }
        for (out, sample) in out.chunks_exact_mut(narrow).zip(&self.rows) {
            let rows = &between[sample.start * narrow..];
            if let [_] = sample.weights[..] {
                out.copy_from_slice(&rows[..narrow]);
                continue;
            }
            for (x, out) in out.iter_mut().enumerate() {
                let terms = sample
                    .weights
                    .iter()
                    .enumerate()
                    .map(|(k, &w)| i32::from(rows[k * narrow + x]) * w);
                *out = clip((1 << (PRECISION - 1)) + terms.sum::<i32>());
            }
        }
    }
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// A box as wide as one output sample, at least one input wide; an input is either in it or not, never in part.
fn samples(from: usize, to: usize) -> Vec<Sample> {
    let scale = from as f64 / to as f64;
    let filter_scale = scale.max(1.0);
    let support = 0.5 * filter_scale;
    (0..to)
        .map(|o| {
            let centre = (o as f64 + 0.5) * scale;
            let first = ((centre - support + 0.5).max(0.0)) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let inside = |k: usize| {
                let distance = (k as f64 - centre + 0.5) * (1.0 / filter_scale);
                distance > -0.5 && distance <= 0.5
            };
            let hits: Vec<usize> = (first..end).filter(|&k| inside(k)).collect();
            // The inputs inside are neighbours; without any, the nearest stands in.
            let (start, count) = (hits.first().copied().unwrap_or(first.min(from - 1)), hits.len().max(1));
            let weight = (0.5 + (1.0 / count as f64) * f64::from(1 << PRECISION)) as i32;
            Sample {
                start,
                weights: vec![weight; count],
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_of_32_shrink_as_published() {
        let sides = Severity::ALL.map(|severity| Pixelate::new(severity, Size { height: 32, width: 32 }).size.width);
        assert_eq!(sides, [30, 28, 27, 24, 20]);
    }

    #[test]
    fn halving_takes_the_means_of_pairs() {
        let from = Size { height: 2, width: 4 };
        let resize = Resize::new(from, Size { height: 1, width: 2 });
        let image: Vec<u8> = [10u8, 20, 30, 50, 10, 20, 30, 50]
            .iter()
            .flat_map(|&v| [v, 0, 255])
            .collect();
        let mut out = [0; 6];
        resize.apply(&image, &mut out, &mut Vec::new());
        assert_eq!(out, [15, 0, 255, 40, 0, 255]);
    }
}
