//! The four noises: random errors of single values.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::Severity;
use crate::effect::{Effect, Scratch, UNIT, level};

/// Normal noise of standard deviation sigma, added to every value of every channel by itself:
/// `clip(x + sigma * N(0, 1))`, with sigma = .04 .06 .08 .09 .10.
pub(crate) struct GaussianNoise {
    sigma: f64,
}

impl GaussianNoise {
    pub(crate) fn new(severity: Severity) -> Self {
        Self {
            sigma: severity.of([0.04, 0.06, 0.08, 0.09, 0.10]),
        }
    }
}

impl Effect for GaussianNoise {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        for (out, &value) in out.iter_mut().zip(image) {
            let z: f64 = rng.sample(StandardNormal);
            *out = level(UNIT[usize::from(value)] + self.sigma * z);
        }
    }
}

/// Normal noise in proportion to the value: `clip(x + x * sigma * N(0, 1))`, with sigma = .06 .10 .12 .16 .20.
pub(crate) struct SpeckleNoise {
    sigma: f64,
}

impl SpeckleNoise {
    pub(crate) fn new(severity: Severity) -> Self {
        Self {
            sigma: severity.of([0.06, 0.10, 0.12, 0.16, 0.20]),
        }
    }
}

impl Effect for SpeckleNoise {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        for (out, &value) in out.iter_mut().zip(image) {
            let (x, z) = (UNIT[usize::from(value)], rng.sample::<f64, _>(StandardNormal));
            *out = level(x + x * (self.sigma * z));
        }
    }
}

/// Salt and pepper: each value by itself is replaced with probability .01 .02 .03 .05 .07, by 255 or 0 with equal
/// chances.
pub(crate) struct ImpulseNoise {
    /// Draws below this become pepper.
    pepper: u32,
    /// Draws from `pepper` up to this become salt.
    salt: u32,
}

impl ImpulseNoise {
    pub(crate) fn new(severity: Severity) -> Self {
        let amount: f64 = severity.of([0.01, 0.02, 0.03, 0.05, 0.07]);
        let half = (amount / 2.0 * 2f64.powi(32)).round() as u32;
        Self {
            pepper: half,
            salt: 2 * half,
        }
    }
}

impl Effect for ImpulseNoise {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        for (out, &value) in out.iter_mut().zip(image) {
            let draw = rng.next_u32();
            *out = match draw {
                _ if draw < self.pepper => 0,
                _ if draw < self.salt => 255,
                _ => value,
            };
        }
    }
}

/// Photon noise: `clip(Poisson(x * c) / c)` for every value by itself, with c = 500 250 100 75 50.
///
/// The count is found by inversion. Since it only matters which byte it ends up as, each of the 256 inputs has a table
/// of the distribution function over the bytes, and a draw is one uniform 32-bit number and a short search.
pub(crate) struct ShotNoise {
    /// For every input the distribution function over the bytes in units of 1 / (2^32 - 1): the output is the first byte
    /// whose threshold lies above the draw.
    thresholds: Vec<[u32; 256]>,
    /// For every input and leading byte of a draw: where the search starts.
    starts: Vec<[u8; 256]>,
}

impl ShotNoise {
    pub(crate) fn new(severity: Severity) -> Self {
        let c: f64 = severity.of([500.0, 250.0, 100.0, 75.0, 50.0]);
        let thresholds: Vec<_> = UNIT.iter().map(|&x| poisson_thresholds(x * c, c)).collect();
        let starts = thresholds.iter().map(search_starts).collect();
        Self { thresholds, starts }
    }
}

/// `P(output <= byte)` for a Poisson count of the given mean, in units of 1 / (2^32 - 1).
fn poisson_thresholds(mean: f64, c: f64) -> [u32; 256] {
    let mut probability = [0.0; 256];
    // From the mode outwards the terms follow from each other: p(k + 1) = p(k) * mean / (k + 1). They are scaled to a
    // sum of 1 in the end; terms below 1e-20 of the largest cannot be told from nothing in 32 bits.
    let mode = mean.floor();
    let mut add = |count: f64, weight: f64| probability[usize::from(level(count / c))] += weight;
    let (mut count, mut weight) = (mode, 1.0);
    while weight > 1e-20 {
        add(count, weight);
        count += 1.0;
        weight *= mean / count;
    }
    (count, weight) = (mode, 1.0);
    while weight > 1e-20 && count > 0.0 {
        weight *= count / mean;
        count -= 1.0;
        add(count, weight);
    }
    let total: f64 = probability.iter().sum();
    let mut below = 0.0;
    probability.map(|p| {
        below += p;
        (below / total * f64::from(u32::MAX)).round() as u32
    })
}

/// The first byte that a draw with the given leading byte can give.
fn search_starts(thresholds: &[u32; 256]) -> [u8; 256] {
    std::array::from_fn(|leading| {
        let smallest_draw = (leading as u32) << 24;
        thresholds
            .partition_point(|&threshold| threshold <= smallest_draw)
            .min(255) as u8
    })
}

impl Effect for ShotNoise {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, _: &mut Scratch) {
        for (out, &value) in out.iter_mut().zip(image) {
            // The last threshold is u32::MAX, so every draw finds its byte.
            let draw = rng.next_u32().min(u32::MAX - 1);
            let thresholds = &self.thresholds[usize::from(value)];
            let mut byte = self.starts[usize::from(value)][(draw >> 24) as usize];
            while thresholds[usize::from(byte)] <= draw {
                byte += 1;
            }
            *out = byte;
        }
    }
}
