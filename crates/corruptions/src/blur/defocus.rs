//! Defocus blur.

use rand_chacha::ChaCha8Rng;

use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, level, take};
use crate::filter::Border;

/// Kernel cells on either side of the middle: the largest disk has radius 1, its anti-aliasing one more.
const REACH: isize = 2;
const SIDE: usize = 2 * REACH as usize + 1;

/// Out-of-focus blur: a disk, its rim softened by a 3 x 3 Gaussian, with mirrored borders; (radius, sigma of the rim) =
/// (.3, .4) (.4, .5) (.5, .6) (1, .2) (1.5, .1) pixels.
pub(crate) struct DefocusBlur {
    /// (row offset, column offset, weight) of every cell of the kernel that counts.
    taps: Vec<(isize, isize, f64)>,
    size: Size,
}

impl DefocusBlur {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let (radius, alias) = severity.of([(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)]);
        let kernel = kernel(radius, alias);
        let taps = (0..SIDE * SIDE)
            .map(|cell| {
                let (row, column) = ((cell / SIDE) as isize - REACH, (cell % SIDE) as isize - REACH);
                (row, column, f64::from(kernel[cell / SIDE][cell % SIDE]))
            })
            // Smaller ones cannot change a sum in double precision.
            .filter(|&(_, _, weight)| weight > 1e-18)
            .collect();
        Self { taps, size }
    }
}

/// The kernel in single precision, as the published generator has it. Its sum is slightly more than 1, which keeps
/// even areas from dropping by one level when they are truncated.
fn kernel(radius: f64, alias: f64) -> [[f32; SIDE]; SIDE] {
    let inside = |row: usize, column: usize| {
        let (i, j) = (row as f64 - REACH as f64, column as f64 - REACH as f64);
        i * i + j * j <= radius * radius
    };
    let mut disk = [[0f32; SIDE]; SIDE];
    for (row, cells) in disk.iter_mut().enumerate() {
        for (column, cell) in cells.iter_mut().enumerate() {
            *cell = f32::from(inside(row, column));
        }
    }
    let total: f32 = disk.as_flattened().iter().sum();
    for cell in disk.as_flattened_mut() {
        *cell /= total;
    }
    let side = (-1.0 / (2.0 * alias * alias)).exp();
    let weights = [side, 1.0, side].map(|weight| (weight / (1.0 + 2.0 * side)) as f32);
    // Cells beyond the array are 0: nothing of the disk comes near its rim.
    let three = |before: f32, middle: f32, after: f32| middle * weights[1] + (before + after) * weights[0];
    let at = |image: &[[f32; SIDE]; SIDE], row: isize, column: isize| {
        let cell = |index: isize| usize::try_from(index).ok().filter(|&index| index < SIDE);
        cell(row)
            .zip(cell(column))
            .map_or(0.0, |(row, column)| image[row][column])
    };
    let along = |image: &[[f32; SIDE]; SIDE], [dy, dx]: [isize; 2]| {
        std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                let (row, column) = (row as isize, column as isize);
                three(
                    at(image, row - dy, column - dx),
                    at(image, row, column),
                    at(image, row + dy, column + dx),
                )
            })
        })
    };
    let rows: [[f32; SIDE]; SIDE] = along(&disk, [0, 1]);
    along(&rows, [1, 0])
}

impl Effect for DefocusBlur {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let Size { height, width } = self.size;
        let (row, margin) = (width * CHANNELS, REACH as usize * CHANNELS);
        let stride = row + 2 * margin;
        let padded = take(&mut scratch.padded, (height + 2 * REACH as usize) * stride);
        for (y, line) in padded.chunks_exact_mut(stride).enumerate() {
            let source = Border::Reflect101.index(y as isize - REACH, height) * row;
            for (to, &from) in line[margin..].iter_mut().zip(&image[source..source + row]) {
                *to = UNIT[usize::from(from)];
            }
            for i in 1..=REACH as usize {
                let left = margin + Border::Reflect101.index(-(i as isize), width) * CHANNELS;
                let right = margin + Border::Reflect101.index((width + i - 1) as isize, width) * CHANNELS;
                line.copy_within(left..left + CHANNELS, margin - i * CHANNELS);
                line.copy_within(right..right + CHANNELS, margin + row + (i - 1) * CHANNELS);
            }
        }
        let sums = take(&mut scratch.rows, row);
        for (y, out) in out.chunks_exact_mut(row).enumerate() {
            sums.fill(0.0);
            for &(dy, dx, weight) in &self.taps {
                let (y, x) = ((y as isize + REACH + dy) as usize, (REACH + dx) as usize);
                let window = &padded[y * stride + x * CHANNELS..][..row];
                for (sum, value) in sums.iter_mut().zip(window) {
                    *sum += weight * value;
                }
            }
            for (out, &sum) in out.iter_mut().zip(sums.iter()) {
                *out = level(sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_sum_to_a_little_more_than_one() {
        for severity in Severity::ALL {
            let taps = DefocusBlur::new(severity, Size { height: 8, width: 8 }).taps;
            let total: f64 = taps.iter().map(|&(_, _, weight)| weight).sum();
            assert!((1.0..1.0 + 1e-7).contains(&total), "severity {severity}: {total:.12}");
        }
    }

    #[test]
    fn the_largest_disks_are_a_plus_and_a_square() {
        let plus = kernel(1.0, 0.2);
        assert!((plus[2][2] - 0.2).abs() < 1e-4 && (plus[1][2] - 0.2).abs() < 1e-4 && plus[1][1] < 1e-4);
        let square = kernel(1.5, 0.1);
        assert!((square[1][1] - 1.0 / 9.0).abs() < 1e-6 && square[0][0] < 1e-9);
    }
}
