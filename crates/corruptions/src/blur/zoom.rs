//! Zoom blur, and the zoom that snow uses too.

use rand_chacha::ChaCha8Rng;

use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, take, truncate};

/// Where one output row or column of a zoom comes from: between two inputs, `fraction` of the way to the second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Position {
    first: usize,
    second: usize,
    fraction: f64,
}

/// An enlargement of the middle of an image, to the image's own size, by linear interpolation.
///
/// Of `n` rows the middle `ceil(n / factor)` are resized to `round(rows * factor)` (half to even) with the first and
/// last samples aligned, and of those the middle `n` are kept; columns likewise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Zoom {
    rows: Vec<Position>,
    columns: Vec<Position>,
}

impl Zoom {
    pub(crate) fn new(factor: f64, size: Size) -> Self {
        Self {
            rows: positions(factor, size.height),
            columns: positions(factor, size.width),
        }
    }

    fn is_identity(&self) -> bool {
        let same = |axis: &[Position]| axis.iter().enumerate().all(|(i, p)| p.first == i && p.fraction == 0.0);
        same(&self.rows) && same(&self.columns)
    }

    /// Hands out the zoomed image (height, width, channels) row after row, each in `line`.
    pub(crate) fn each_row(
        &self,
        data: &[f64],
        channels: usize,
        lines: &mut Vec<f64>,
        mut each: impl FnMut(usize, &[f64]),
    ) {
        let row = self.columns.len() * channels;
        let (between, line) = take(lines, 2 * row).split_at_mut(row);
        for (y, position) in self.rows.iter().enumerate() {
            let (upper, lower) = (
                &data[position.first * row..][..row],
                &data[position.second * row..][..row],
            );
            let (near, far) = (1.0 - position.fraction, position.fraction);
            for ((to, a), b) in between.iter_mut().zip(upper).zip(lower) {
                *to = a * near + b * far;
            }
            for (to, position) in line.chunks_exact_mut(channels).zip(&self.columns) {
                let (left, right) = (
                    &between[position.first * channels..],
                    &between[position.second * channels..],
                );
                let (near, far) = (1.0 - position.fraction, position.fraction);
                for ((to, a), b) in to.iter_mut().zip(left).zip(right) {
                    *to = a * near + b * far;
                }
            }
            each(y, line);
        }
    }
}

/// How many samples are cut out, from where, how many they become, and how many of those are dropped in front.
fn cut(factor: f64, n: usize) -> [usize; 4] {
    let kept = (n as f64 / factor).ceil() as usize;
    let enlarged = (kept as f64 * factor).round_ties_even() as usize;
    [kept, (n - kept) / 2, enlarged, (enlarged - n) / 2]
}

fn positions(factor: f64, n: usize) -> Vec<Position> {
    let [kept, start, enlarged, trim] = cut(factor, n);
    let step = if enlarged > 1 {
        (kept - 1) as f64 / (enlarged - 1) as f64
    } else {
        0.0
    };
    (trim..trim + n)
        .map(|o| {
            let at = (o as f64 * step).min((kept - 1) as f64);
            let first = at as usize;
            Position {
                first: start + first,
                second: start + (first + 1).min(kept - 1),
                fraction: at - at.floor(),
            }
        })
        .collect()
}

/// The mean of enlargements by 1.00, 1.01, 1.02, ..., of which there are 7 12 16 21 26, and once more the image itself.
///
/// Sums are kept in single precision, in the order of the factors, as in the published generator.
pub(crate) struct ZoomBlur {
    /// Every enlargement that differs from the one before, with the number of factors that give it.
    zooms: Vec<(Zoom, usize)>,
    factors: usize,
    size: Size,
}

impl ZoomBlur {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let factors = severity.of([7, 12, 16, 21, 26]);
        let mut zooms: Vec<(Zoom, usize)> = Vec::new();
        for i in 0..factors {
            let zoom = Zoom::new(factor(i), size);
            match zooms.last_mut() {
                Some((last, count)) if *last == zoom => *count += 1,
                _ => zooms.push((zoom, 1)),
            }
        }
        Self { zooms, factors, size }
    }
}

/// The factors as numpy's `arange(1, ..., 0.01)` makes them: the step is 1.01 - 1, a little more than 0.01.
fn factor(i: usize) -> f64 {
    1.0 + i as f64 * (1.01 - 1.0)
}

impl Effect for ZoomBlur {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let row = self.size.width * CHANNELS;
        let data = take(&mut scratch.image, self.size.bytes());
        for (to, &from) in data.iter_mut().zip(image) {
            *to = f64::from(UNIT[usize::from(from)] as f32);
        }
        let sum = take(&mut scratch.sum, self.size.bytes());
        sum.fill(0.0);
        for (zoom, count) in &self.zooms {
            let mut add = |y: usize, line: &[f64]| {
                for (sum, &value) in sum[y * row..][..row].iter_mut().zip(line) {
                    for _ in 0..*count {
                        *sum += value as f32;
                    }
                }
            };
            if zoom.is_identity() {
                data.chunks_exact(row).enumerate().for_each(|(y, line)| add(y, line));
            } else {
                zoom.each_row(data, CHANNELS, &mut scratch.rows, add);
            }
        }
        for ((out, &sum), &x) in out.iter_mut().zip(sum.iter()).zip(data.iter()) {
            let mean = (x as f32 + sum) / (self.factors + 1) as f32;
            *out = truncate(f64::from(mean.clamp(0.0, 1.0) * 255.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_those_of_the_published_generator_for_32_pixels() {
        let expected = [
            (0..=1, [32, 0, 32]),
            (2..=3, [32, 0, 33]),
            (4..=4, [31, 0, 32]),
            (5..=6, [31, 0, 33]),
            (7..=8, [30, 1, 32]),
            (9..=10, [30, 1, 33]),
            (11..=12, [29, 1, 32]),
            (13..=14, [29, 1, 33]),
            (15..=16, [28, 2, 32]),
            (17..=18, [28, 2, 33]),
            (19..=20, [27, 2, 32]),
            (21..=23, [27, 2, 33]),
            (24..=24, [26, 3, 32]),
            (25..=25, [26, 3, 33]),
        ];
        for (range, [kept, start, enlarged]) in expected {
            for i in range {
                assert_eq!(cut(factor(i), 32), [kept, start, enlarged, 0], "factor 1 + {i}/100");
            }
        }
        assert_eq!(cut(1.75, 32), [19, 6, 33, 0]);
        assert_eq!(cut(2.25, 32), [15, 8, 34, 1]);
        assert_eq!(cut(1.25, 32), [26, 3, 32, 0]);
    }

    #[test]
    fn every_position_lies_within_the_image_for_any_size() {
        for n in 1..200 {
            for factor in (0..26).map(factor).chain([1.75, 2.25, 1.25]) {
                let axis = positions(factor, n);
                assert_eq!(axis.len(), n);
                assert!(axis.iter().all(|p| p.second < n && (0.0..1.0).contains(&p.fraction)));
            }
        }
    }
}
