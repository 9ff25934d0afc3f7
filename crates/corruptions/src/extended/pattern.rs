//! Patterns laid over the picture: banding, moiré, stains and dead lines.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{below, between, nearest, shorter};
use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, take};

/// Pixels of the widest cell of a pattern: an eighth of the shorter side, at least one.
fn widest(size: Size) -> usize {
    (shorter(size) / 8.0).max(1.0) as usize
}

/// Each pixel through `change(y, x, channel, value)`.
fn change_each(image: &[u8], out: &mut [u8], size: Size, change: impl Fn(usize, usize, usize, f64) -> f64) {
    let pixels = image.as_chunks::<CHANNELS>().0.iter();
    let pairs = out.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(pixels);
    for (place, (out, pixel)) in pairs.enumerate() {
        let (y, x) = (place / size.width, place % size.width);
        *out = std::array::from_fn(|channel| nearest(change(y, x, channel, UNIT[usize::from(pixel[channel])])));
    }
}

/// Bands of rows or of columns, in turn brighter and darker by a = .05 .09 .14 .20 .28, each 1 pixel to an eighth of the
/// shorter side wide.
pub(super) struct Stripes {
    amplitude: f64,
    size: Size,
}

impl Stripes {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        Self {
            amplitude: severity.of([0.05, 0.09, 0.14, 0.20, 0.28]),
            size,
        }
    }
}

impl Effect for Stripes {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let is_across = rng.random::<bool>();
        let wide = 1 + below(rng, widest(self.size));
        let phase = below(rng, 2 * wide);
        change_each(image, out, self.size, |y, x, _, value| {
            let along = if is_across { y } else { x };
            let is_bright = ((along + phase) / wide).is_multiple_of(2);
            value + if is_bright { self.amplitude } else { -self.amplitude }
        });
    }
}

/// `(1 - a) x + a c`, with c = 1 and 0 in turn, in cells of 1 pixel to an eighth of the shorter side; a = .08 .14 .21 .30 .42.
pub(super) struct Checkerboard {
    share: f64,
    size: Size,
}

impl Checkerboard {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        Self {
            share: severity.of([0.08, 0.14, 0.21, 0.30, 0.42]),
            size,
        }
    }
}

impl Effect for Checkerboard {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let side = 1 + below(rng, widest(self.size));
        let (down, right) = (below(rng, 2 * side), below(rng, 2 * side));
        change_each(image, out, self.size, |y, x, _, value| {
            let is_white = ((y + down) / side + (x + right) / side).is_multiple_of(2);
            (1.0 - self.share) * value + if is_white { self.share } else { 0.0 }
        });
    }
}

/// `x + a sin(wave + phase)` with one wave of any direction, of 2 to 8 periods over the shorter side, and a phase for each
/// channel; a = .07 .12 .18 .26 .36.
pub(super) struct SineWaves {
    amplitude: f64,
    size: Size,
}

impl SineWaves {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        Self {
            amplitude: severity.of([0.07, 0.12, 0.18, 0.26, 0.36]),
            size,
        }
    }
}

impl Effect for SineWaves {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let (sin, cos) = between(rng, 0.0, TAU).sin_cos();
        let speed = TAU * between(rng, 2.0, 8.0) / shorter(self.size);
        let phases: [f64; CHANNELS] = std::array::from_fn(|_| between(rng, 0.0, TAU));
        change_each(image, out, self.size, |y, x, channel, value| {
            let wave = speed * (y as f64 * sin + x as f64 * cos);
            value + self.amplitude * (wave + phases[channel]).sin()
        });
    }
}

/// `x + a b`, with b between -1 and 1 at the nodes of a grid of four by four cells, for each channel by itself, and
/// interpolated linearly between them; a = .12 .2 .3 .42 .56.
pub(super) struct Blotches {
    amplitude: f64,
    size: Size,
}

/// Cells of the grid along each side.
const CELLS: usize = 4;
const NODES: usize = CELLS + 1;

impl Blotches {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        Self {
            amplitude: severity.of([0.12, 0.2, 0.3, 0.42, 0.56]),
            size,
        }
    }
}

impl Effect for Blotches {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        let nodes: [[[f64; CHANNELS]; NODES]; NODES] =
            std::array::from_fn(|_| std::array::from_fn(|_| std::array::from_fn(|_| between(rng, -1.0, 1.0))));
        let place = |at: usize, side: usize| {
            let position = (at as f64 + 0.5) * CELLS as f64 / side as f64;
            let cell = (position as usize).min(CELLS - 1);
            (cell, position - cell as f64)
        };
        change_each(image, out, self.size, |y, x, channel, value| {
            let ((row, down), (column, right)) = (place(y, self.size.height), place(x, self.size.width));
            let across = |row: usize| {
                let (left, other) = (nodes[row][column][channel], nodes[row][column + 1][channel]);
                left + (other - left) * right
            };
            let (upper, lower) = (across(row), across(row + 1));
            value + self.amplitude * (upper + (lower - upper) * down)
        });
    }
}

/// Rows or columns that are black or white, each with probability .04 .08 .13 .20 .28 and at least one, 1 pixel thick for
/// every 32 of the shorter side.
pub(super) struct SaltLines {
    share: f64,
    size: Size,
}

impl SaltLines {
    pub(super) fn new(severity: Severity, size: Size) -> Self {
        Self {
            share: severity.of([0.04, 0.08, 0.13, 0.20, 0.28]),
            size,
        }
    }
}

impl Effect for SaltLines {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, scratch: &mut Scratch) {
        /// What becomes of a line: its byte, or kept.
        const KEPT: i32 = -1;
        let is_across = rng.random::<bool>();
        let side = if is_across { self.size.height } else { self.size.width };
        let thick = (shorter(self.size) / 32.0).round().max(1.0) as usize;
        let lines = take(&mut scratch.ints, side.div_ceil(thick));
        let certain = below(rng, lines.len());
        for (place, line) in lines.iter_mut().enumerate() {
            let is_dead = rng.random::<f64>() < self.share || place == certain;
            let stuck = if rng.random::<bool>() { 255 } else { 0 };
            *line = if is_dead { stuck } else { KEPT };
        }
        let pixels = image.as_chunks::<CHANNELS>().0.iter();
        let pairs = out.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(pixels);
        for (place, (out, pixel)) in pairs.enumerate() {
            let along = if is_across {
                place / self.size.width
            } else {
                place % self.size.width
            };
            *out = match lines[along / thick] {
                KEPT => *pixel,
                stuck => [stuck as u8; CHANNELS],
            };
        }
    }
}
