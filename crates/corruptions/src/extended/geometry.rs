//! Where things are: covered, turned, sampled too coarsely, seen twice.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{below, between, nearest, shorter, sign};
use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT};
use crate::filter::{Border, corners, weights};

/// A block of one random colour over a share of .05 .10 .17 .26 .37 of the picture, anywhere, its sides in a proportion of
/// 1 to 2 up to 2 to 1.
pub(super) struct Occlusion {
    share: f64,
    size: Size,
}

impl Occlusion {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        Self {
            share: severity.of([0.05, 0.10, 0.17, 0.26, 0.37]),
            size,
        }
    }
}

impl Effect for Occlusion {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let Size { height, width } = self.size;
        let colour: [u8; CHANNELS] = rng.random();
        let proportion = between(rng, -0.5, 0.5).exp2();
        let part = |side: usize, share: f64| ((side as f64 * share).round() as usize).clamp(1, side);
        let tall = part(height, self.share.sqrt() * proportion);
        let wide = part(width, self.share.sqrt() / proportion);
        let (top, left) = (below(rng, height - tall + 1), below(rng, width - wide + 1));
        out.copy_from_slice(image);
        for row in out.chunks_exact_mut(width * CHANNELS).skip(top).take(tall) {
            row.as_chunks_mut::<CHANNELS>().0[left..left + wide].fill(colour);
        }
    }
}

/// Turned around the middle by half to all of 6 10 15 22 32 degrees to either side, and shifted along each axis by half to
/// all of .03 .05 .08 .11 .15 of the shorter side; by linear interpolation, mirrored at the border.
pub(super) struct Rotation {
    degrees: f64,
    shift: f64,
    size: Size,
}

impl Rotation {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        let (degrees, shift) = severity.of([(6.0, 0.03), (10.0, 0.05), (15.0, 0.08), (22.0, 0.11), (32.0, 0.15)]);
        Self { degrees, shift, size }
    }
}

impl Effect for Rotation {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let mut part = |most: f64| sign(rng) * between(rng, 0.5, 1.0) * most;
        let (sin, cos) = part(self.degrees).to_radians().sin_cos();
        let pixels = self.shift * shorter(self.size);
        let (down, right) = (part(pixels), part(pixels));
        let middle = |side: usize| (side as f64 - 1.0) / 2.0;
        let (middle_y, middle_x) = (middle(self.size.height), middle(self.size.width));
        for (place, out) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
            let (y, x) = (place / self.size.width, place % self.size.width);
            let (dy, dx) = (y as f64 - middle_y - down, x as f64 - middle_x - right);
            let (y, x) = (middle_y + cos * dy + sin * dx, middle_x + cos * dx - sin * dy);
            let (top, left) = (y.floor(), x.floor());
            let corners = corners(top as i64, left as i64, self.size, Border::HalfSample);
            *out = mixed(image, corners, weights((y - top) as f32, (x - left) as f32));
        }
    }
}

/// The mean of four pixels by their weights.
fn mixed(image: &[u8], corners: [usize; 4], weights: [f32; 4]) -> [u8; CHANNELS] {
    std::array::from_fn(|channel| {
        let parts = corners.iter().zip(weights);
        nearest(
            parts
                .map(|(corner, weight)| UNIT[usize::from(image[corner + channel])] * f64::from(weight))
                .sum(),
        )
    })
}

/// Single pixels taken at .7 .55 .42 .3 .2 of each side's resolution, without a filter and so with aliases, and the picture
/// interpolated linearly between them.
pub(super) struct Resampling {
    rows: Vec<Between>,
    columns: Vec<Between>,
    width: usize,
}

/// The two source positions that an output position lies between, and the second one's weight.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    weight: f32,
}

impl Resampling {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        let share = severity.of([0.7, 0.55, 0.42, 0.3, 0.2]);
        let axis = |side: usize| {
            let n = ((side as f64 * share).round() as usize).clamp(1, side);
            let taken = |sample: usize| ((sample.min(n - 1) as f64 + 0.5) * side as f64 / n as f64) as usize;
            let mut sample = 0;
            (0..side)
                .map(|at| {
                    while sample + 1 < n && taken(sample + 1) <= at {
                        sample += 1;
                    }
                    let (first, second) = (taken(sample), taken(sample + 1));
                    let weight = match second - first {
                        0 => 0.0,
                        gap => at.saturating_sub(first) as f32 / gap as f32,
                    };
                    Between { first, second, weight }
                })
                .collect()
        };
        Self {
            rows: axis(size.height),
            columns: axis(size.width),
            width: size.width,
        }
    }
}

impl Effect for Resampling {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, _: &mut Scratch) {
        for (out, row) in out.chunks_exact_mut(self.width * CHANNELS).zip(&self.rows) {
            let pixels = out.as_chunks_mut::<CHANNELS>().0.iter_mut();
            for (out, column) in pixels.zip(&self.columns) {
                let place = |y: usize, x: usize| (y * self.width + x) * CHANNELS;
                let corners = [
                    place(row.first, column.first),
                    place(row.first, column.second),
                    place(row.second, column.first),
                    place(row.second, column.second),
                ];
                *out = mixed(image, corners, weights(row.weight, column.weight));
            }
        }
    }
}

/// `(1 - a) x + a y`, with y the picture shifted by .06 .09 .13 .17 .22 of the shorter side in any direction, mirrored at the
/// border; a = .25 .32 .38 .44 .5.
pub(super) struct Ghosting {
    share: f64,
    shift: f64,
    size: Size,
}

impl Ghosting {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        let (share, shift) = severity.of([(0.25, 0.06), (0.32, 0.09), (0.38, 0.13), (0.44, 0.17), (0.5, 0.22)]);
        Self { share, shift, size }
    }
}

impl Effect for Ghosting {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let Size { height, width } = self.size;
        let (sin, cos) = between(rng, 0.0, TAU).sin_cos();
        let pixels = self.shift * shorter(self.size);
        let (down, right) = ((pixels * sin).round() as isize, (pixels * cos).round() as isize);
        let pixels = image.as_chunks::<CHANNELS>().0;
        for (place, (out, pixel)) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(pixels).enumerate() {
            let y = Border::HalfSample.index((place / width) as isize + down, height);
            let x = Border::HalfSample.index((place % width) as isize + right, width);
            let other = &pixels[y * width + x];
            *out = std::array::from_fn(|channel| {
                let [x, y] = [pixel[channel], other[channel]].map(|value| UNIT[usize::from(value)]);
                nearest((1.0 - self.share) * x + self.share * y)
            });
        }
    }
}
