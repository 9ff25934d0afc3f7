//! Borders, linear interpolation and the separable Gaussian filter that several corruptions share.

use crate::effect::{CHANNELS, Size, take};

/// What lies outside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Border {
    /// The edge repeats: `0 0 | 0 1 2 | 2 2`.
    Clamp,
    /// A mirror on the edge's outer side, so that the edge comes twice: `1 0 | 0 1 2 | 2 1`.
    HalfSample,
    /// A mirror through the middle of the edge, which comes once: `2 1 | 0 1 2 | 1 0`.
    Reflect101,
}

impl Border {
    /// The sample within `0..len` that stands at `index`, for a `len` of at least 1.
    pub(crate) fn index(self, index: isize, len: usize) -> usize {
        let n = len as isize;
        if (0..n).contains(&index) {
            return index as usize;
        }
        let inside = match self {
            Self::Clamp => index.clamp(0, n - 1),
            Self::HalfSample => {
                let folded = index.rem_euclid(2 * n);
                folded.min(2 * n - 1 - folded)
            }
            Self::Reflect101 if n == 1 => 0,
            Self::Reflect101 => {
                let folded = index.rem_euclid(2 * n - 2);
                folded.min(2 * n - 2 - folded)
            }
        };
        inside as usize
    }
}

/// Where the four pixels around a position start, the upper two first.
pub(crate) fn corners(y: i64, x: i64, size: Size, border: Border) -> [usize; 4] {
    let (y, x) = (y as isize, x as isize);
    let [upper, lower] = [y, y + 1].map(|y| border.index(y, size.height) * size.width);
    let [left, right] = [x, x + 1].map(|x| border.index(x, size.width));
    [upper + left, upper + right, lower + left, lower + right].map(|pixel| pixel * CHANNELS)
}

/// How much each of the four corners counts.
pub(crate) fn weights(y: f32, x: f32) -> [f32; 4] {
    [(1.0 - y) * (1.0 - x), (1.0 - y) * x, y * (1.0 - x), y * x]
}

/// A separable Gaussian filter, as `scipy.ndimage.gaussian_filter` computes it: rows first, then columns, in double
/// precision, and in the same order of summation, so that results agree to the last bit.
///
/// The radius is `int(truncate * sigma + 0.5)`, the weights are `exp(-i^2 / (2 sigma^2))` scaled to a sum of 1.
#[derive(Debug, Clone)]
pub(crate) struct Gaussian {
    /// The centre's weight, then those at distance 1, 2, ...
    weights: Vec<f64>,
    border: Border,
}

impl Gaussian {
    pub(crate) fn new(sigma: f64, border: Border, truncate: f64) -> Self {
        let radius = (truncate * sigma + 0.5) as usize;
        let half: Vec<f64> = (0..=radius)
            .map(|i| {
                if i == 0 {
                    1.0
                } else {
                    (-0.5 / (sigma * sigma) * (i * i) as f64).exp()
                }
            })
            .collect();
        let all: Vec<f64> = half[1..].iter().rev().chain(&half).copied().collect();
        let total = numpy_sum(&all);
        Self {
            weights: half.into_iter().map(|weight| weight / total).collect(),
            border,
        }
    }

    /// The number of samples on either side that count.
    pub(crate) fn radius(&self) -> usize {
        self.weights.len() - 1
    }

    /// Filters `data`, (height, width, channels) row-major, in place.
    pub(crate) fn apply(
        &self,
        data: &mut [f64],
        [height, width, channels]: [usize; 3],
        padded: &mut Vec<f64>,
        rows: &mut Vec<f64>,
    ) {
        let radius = self.radius();
        if radius == 0 {
            return;
        }
        let row = width * channels;
        // Down the columns: every output row is a sum of whole input rows.
        let tall = take(padded, (height + 2 * radius) * row);
        for (y, to) in tall.chunks_exact_mut(row).enumerate() {
            let from = self.border.index(y as isize - radius as isize, height) * row;
            to.copy_from_slice(&data[from..from + row]);
        }
        // Along the rows: every output row is a sum of one padded row, shifted.
        let margin = radius * channels;
        let line = take(rows, row + 2 * margin);
        for (y, out) in data.chunks_exact_mut(row).enumerate() {
            let centre = (y + radius) * row;
            self.sum(tall, centre, row, &mut line[margin..margin + row]);
            for i in 1..=radius {
                let left = self.border.index(-(i as isize), width);
                let right = self.border.index((width + i - 1) as isize, width);
                for channel in 0..channels {
                    line[margin - i * channels + channel] = line[margin + left * channels + channel];
                    line[margin + row + (i - 1) * channels + channel] = line[margin + right * channels + channel];
                }
            }
            self.sum(line, margin, channels, out);
        }
    }

    /// `out[j]` becomes the weighted sum of `data[centre + j + i * stride]` over the distances i.
    fn sum(&self, data: &[f64], centre: usize, stride: usize, out: &mut [f64]) {
        const BLOCK: usize = 8;
        let (middle, sides) = (self.weights[0], &self.weights[1..]);
        let len = out.len();
        let window = |offset: usize, at: usize, n: usize| &data[offset + at..offset + at + n];
        let mut blocks = out.chunks_exact_mut(BLOCK);
        let mut at = 0;
        for block in &mut blocks {
            let mut total = [0.0; BLOCK];
            for (total, value) in total.iter_mut().zip(window(centre, at, BLOCK)) {
                *total = value * middle;
            }
            for (i, &weight) in sides.iter().enumerate().rev() {
                let reach = (i + 1) * stride;
                let (left, right) = (window(centre - reach, at, BLOCK), window(centre + reach, at, BLOCK));
                for j in 0..BLOCK {
                    total[j] += (left[j] + right[j]) * weight;
                }
            }
            block.copy_from_slice(&total);
            at += BLOCK;
        }
        for (out, at) in blocks.into_remainder().iter_mut().zip(at..len) {
            let mut total = data[centre + at] * middle;
            for (i, &weight) in sides.iter().enumerate().rev() {
                let reach = (i + 1) * stride;
                total += (data[centre + at - reach] + data[centre + at + reach]) * weight;
            }
            *out = total;
        }
    }
}

/// The sum in numpy's order for up to 128 numbers: eight running sums, added up in pairs, then the rest.
fn numpy_sum(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let Some((first, others)) = chunks.split_first() else {
        return rest.iter().sum();
    };
    let mut r = *first;
    for chunk in others {
        for (r, value) in r.iter_mut().zip(chunk) {
            *r += value;
        }
    }
    let paired = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    rest.iter().fold(paired, |total, value| total + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_continue_an_image_as_they_are_named() {
        let around = |border: Border, len| (-4..7).map(|i| border.index(i, len)).collect::<Vec<_>>();
        assert_eq!(around(Border::Clamp, 3), [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]);
        assert_eq!(around(Border::HalfSample, 3), [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
        assert_eq!(around(Border::Reflect101, 3), [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        for border in [Border::Clamp, Border::HalfSample, Border::Reflect101] {
            assert_eq!(around(border, 1), [0; 11]);
        }
    }

    #[test]
    fn a_gaussian_keeps_the_sum_and_spreads_a_point_as_its_weights() {
        let filter = Gaussian::new(1.0, Border::HalfSample, 4.0);
        assert_eq!(filter.radius(), 4);
        let mut data = vec![0.0; 9 * 11];
        data[4 * 11 + 5] = 1.0;
        filter.apply(&mut data, [9, 11, 1], &mut Vec::new(), &mut Vec::new());
        assert!((data.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let ratio = data[4 * 11 + 6] / data[4 * 11 + 5];
        assert!((ratio - (-0.5f64).exp()).abs() < 1e-12);
        let ratio = data[6 * 11 + 5] / data[4 * 11 + 5];
        assert!((ratio - (-2.0f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn a_filter_wider_than_the_image_stays_finite_and_keeps_constants() {
        for border in [Border::Clamp, Border::HalfSample, Border::Reflect101] {
            let mut data = vec![0.25; 2 * 3 * 3];
            Gaussian::new(6.4, border, 3.0).apply(&mut data, [2, 3, 3], &mut Vec::new(), &mut Vec::new());
            assert!(data.iter().all(|value| (value - 0.25).abs() < 1e-12));
        }
    }
}
