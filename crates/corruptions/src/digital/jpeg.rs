//! JPEG compression.

use rand_chacha::ChaCha8Rng;

use super::dct;
use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, take};

/// Written as baseline JPEG with half the colour resolution (4:2:0) and read again, as Pillow does with libjpeg;
/// quality = 80 65 58 50 40.
///
/// What a decoder gets back depends on the quantised coefficients alone, so nothing is packed into bits and unpacked
/// again. Every step is libjpeg's integer arithmetic, and the result is the same to the last bit.
pub(crate) struct JpegCompression {
    luminance: Quantiser,
    chrominance: Quantiser,
    size: Size,
    /// Of the luminance, filled up to whole blocks.
    padded: Size,
    /// Of a colour plane, filled up to whole blocks; its samples stand for 2 x 2 pixels.
    colour: Size,
}

impl JpegCompression {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let quality = severity.of([80, 65, 58, 50, 40]);
        let blocks = |n: usize| n.next_multiple_of(8);
        let half = half(size);
        Self {
            luminance: Quantiser::new(&LUMINANCE, quality),
            chrominance: Quantiser::new(&CHROMINANCE, quality),
            size,
            padded: Size {
                height: blocks(size.height),
                width: blocks(size.width),
            },
            colour: Size {
                height: blocks(half.height),
                width: blocks(half.width),
            },
        }
    }
}

/// Of a colour plane without filling.
fn half(size: Size) -> Size {
    Size {
        height: size.height.div_ceil(2),
        width: size.width.div_ceil(2),
    }
}

impl Effect for JpegCompression {
    fn apply(&self, image: &[u8], out: &mut [u8], _: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let pixels = self.size.pixels();
        let full = take(&mut scratch.bytes, 2 * pixels);
        let planes = take(&mut scratch.bytes2, self.padded.pixels() + 2 * self.colour.pixels());
        let (luma, colours) = planes.split_at_mut(self.padded.pixels());
        let (full_blue, full_red) = full.split_at_mut(pixels);
        let row = self.size.width;
        for (y, line) in image.chunks_exact(row * CHANNELS).enumerate() {
            let (from, to) = (y * row, y * self.padded.width);
            split(
                line,
                &mut luma[to..to + row],
                &mut full_blue[from..from + row],
                &mut full_red[from..from + row],
            );
        }
        fill_up(luma, self.size, self.padded);
        let (blue, red) = colours.split_at_mut(self.colour.pixels());
        for (full, small) in [(&*full_blue, &mut *blue), (&*full_red, &mut *red)] {
            shrink(full, self.size, small, self.colour);
            self.chrominance.code(small, self.colour.width);
        }
        self.luminance.code(luma, self.padded.width);
        let sums = take(&mut scratch.ints, half(self.size).width);
        for (small, full) in [(&*blue, &mut *full_blue), (&*red, &mut *full_red)] {
            enlarge(small, self.colour.width, self.size, full, sums);
        }
        for (y, line) in out.chunks_exact_mut(row * CHANNELS).enumerate() {
            let (from, at) = (y * self.padded.width, y * row);
            join(
                &luma[from..from + row],
                &full_blue[at..at + row],
                &full_red[at..at + row],
                line,
            );
        }
    }
}

/// RGB to luminance and the two colour differences, in 16-bit fixed point.
fn split(rgb: &[u8], luma: &mut [u8], blue: &mut [u8], red: &mut [u8]) {
    const CENTRE: i32 = (128 << 16) + 32767;
    let planes = luma.iter_mut().zip(blue).zip(red);
    for (pixel, ((luma, blue), red)) in rgb.as_chunks::<CHANNELS>().0.iter().zip(planes) {
        let [r, g, b] = pixel.map(i32::from);
        *luma = ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16) as u8;
        *blue = ((-11059 * r - 21709 * g + 32768 * b + CENTRE) >> 16) as u8;
        *red = ((32768 * r - 27439 * g - 5329 * b + CENTRE) >> 16) as u8;
    }
}

/// The way back.
fn join(luma: &[u8], blue: &[u8], red: &[u8], rgb: &mut [u8]) {
    let planes = luma.iter().zip(blue).zip(red);
    for (pixel, ((&luma, &blue), &red)) in rgb.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(planes) {
        let (y, cb, cr) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
        let r = y + ((91881 * cr + 32768) >> 16);
        let g = y + ((-22554 * cb - 46802 * cr + 32768) >> 16);
        let b = y + ((116130 * cb + 32768) >> 16);
        *pixel = [r, g, b].map(|value| value.clamp(0, 255) as u8);
    }
}

/// Repeats the last column and row until the blocks are full.
fn fill_up(plane: &mut [u8], used: Size, padded: Size) {
    for line in plane.chunks_exact_mut(padded.width).take(used.height) {
        let last = line[used.width - 1];
        line[used.width..].fill(last);
    }
    let last = (used.height - 1) * padded.width;
    for y in used.height..padded.height {
        plane.copy_within(last..last + padded.width, y * padded.width);
    }
}

/// Means of 2 x 2 pixels, rounded down and up in turn along a row; the image's last row and column repeat beyond it.
fn shrink(full: &[u8], size: Size, small: &mut [u8], padded: Size) {
    let rows = half(size).height;
    for (y, out) in small.chunks_exact_mut(padded.width).take(rows).enumerate() {
        let line = |y: usize| &full[y.min(size.height - 1) * size.width..][..size.width];
        let (upper, lower) = (line(2 * y), line(2 * y + 1));
        let whole = size.width / 2;
        for (x, out) in out[..whole].iter_mut().enumerate() {
            let sum = [upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1]].map(u32::from);
            *out = ((sum.iter().sum::<u32>() + 1 + (x as u32 & 1)) >> 2) as u8;
        }
        for (x, out) in out.iter_mut().enumerate().skip(whole) {
            let column = |x: usize| x.min(size.width - 1);
            let pair = |line: &[u8]| u32::from(line[column(2 * x)]) + u32::from(line[column(2 * x + 1)]);
            *out = ((pair(upper) + pair(lower) + 1 + (x as u32 & 1)) >> 2) as u8;
        }
    }
    for y in rows..padded.height {
        small.copy_within((rows - 1) * padded.width..rows * padded.width, y * padded.width);
    }
}

/// Doubles rows and columns of a colour plane with triangular weights: three parts of the nearer sample and one of the
/// farther. Planes at most two samples wide are repeated instead, as libjpeg has it.
fn enlarge(small: &[u8], stride: usize, size: Size, full: &mut [u8], sums: &mut [i32]) {
    let Size {
        height: rows,
        width: columns,
    } = half(size);
    for (y, out) in full.chunks_exact_mut(size.width).enumerate() {
        let near = y / 2;
        if columns <= 2 {
            for (x, out) in out.iter_mut().enumerate() {
                *out = small[near * stride + x / 2];
            }
            continue;
        }
        let far = if y.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            (near + 1).min(rows - 1)
        };
        let (near, far) = (&small[near * stride..][..columns], &small[far * stride..][..columns]);
        for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
            *sum = 3 * i32::from(near) + i32::from(far);
        }
        let last = columns - 1;
        let left = |x: usize| ((3 * sums[x] + sums[x.saturating_sub(1)] + 8) >> 4) as u8;
        let right = |x: usize| ((3 * sums[x] + sums[(x + 1).min(last)] + 7) >> 4) as u8;
        let (pairs, rest) = out.as_chunks_mut::<2>();
        for (x, pair) in pairs.iter_mut().enumerate() {
            *pair = [left(x), right(x)];
        }
        if let [out] = rest {
            *out = left(last);
        }
    }
}

/// Table K.1 of ITU-T T.81.
#[rustfmt::skip]
const LUMINANCE: [u32; 64] = [
    16, 11, 10, 16,  24,  40,  51,  61,
    12, 12, 14, 19,  26,  58,  60,  55,
    14, 13, 16, 24,  40,  57,  69,  56,
    14, 17, 22, 29,  51,  87,  80,  62,
    18, 22, 37, 56,  68, 109, 103,  77,
    24, 35, 55, 64,  81, 104, 113,  92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103,  99,
];

/// Table K.2 of ITU-T T.81.
#[rustfmt::skip]
const CHROMINANCE: [u32; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
];

/// Rounds the coefficients of a block to the multiples that a table of some quality allows.
struct Quantiser {
    /// For every coefficient: the table's entry, and 2^32 over eight times the entry, rounded up.
    steps: [(i32, u64); 64],
}

impl Quantiser {
    fn new(table: &[u32; 64], quality: u32) -> Self {
        let percent = if quality >= 50 {
            200 - 2 * quality
        } else {
            5000 / quality
        };
        let entry = |base: u32| ((base * percent + 50) / 100).clamp(1, 255);
        Self {
            steps: table.map(|base| (entry(base) as i32, (1u64 << 32).div_ceil(8 * u64::from(entry(base))))),
        }
    }

    /// To the nearest multiple, halves away from zero. `coefficient` is eight times as large as the table means it.
    fn round(coefficient: i32, (entry, reciprocal): (i32, u64)) -> i32 {
        // Exact: the numerator is below 2^16 and the divisor below 2^11.
        let multiple = ((u64::from(coefficient.unsigned_abs() + 4 * entry.unsigned_abs()) * reciprocal) >> 32) as i32;
        if coefficient < 0 {
            -multiple * entry
        } else {
            multiple * entry
        }
    }

    /// Takes a plane of whole blocks through transform, rounding and back.
    fn code(&self, plane: &mut [u8], stride: usize) {
        for band in plane.chunks_exact_mut(8 * stride) {
            for left in (0..stride).step_by(8) {
                let mut block = [[0i32; 8]; 8];
                for (row, line) in block.iter_mut().zip(band.chunks_exact(stride)) {
                    for (to, &from) in row.iter_mut().zip(&line[left..left + 8]) {
                        *to = i32::from(from) - 128;
                    }
                }
                dct::forward(&mut block);
                for (coefficient, &step) in block.as_flattened_mut().iter_mut().zip(&self.steps) {
                    *coefficient = Self::round(*coefficient, step);
                }
                dct::inverse(&mut block);
                for (row, line) in block.iter().zip(band.chunks_exact_mut(stride)) {
                    for (&from, to) in row.iter().zip(&mut line[left..left + 8]) {
                        *to = (from + 128).clamp(0, 255) as u8;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_by_reciprocal_is_division_with_halves_away_from_zero() {
        for quality in [80, 65, 58, 50, 40] {
            for table in [LUMINANCE, CHROMINANCE] {
                for step in Quantiser::new(&table, quality).steps {
                    for coefficient in -16500..=16500 {
                        let exact = (f64::from(coefficient) / f64::from(8 * step.0)).round() as i32;
                        assert_eq!(Quantiser::round(coefficient, step), exact * step.0);
                    }
                }
            }
        }
    }

    #[test]
    fn a_colour_plane_keeps_its_level_when_enlarged() {
        let size = Size { height: 9, width: 11 };
        let (mut full, mut sums) = (vec![0; 99], vec![0; 6]);
        enlarge(&[77; 64], 8, size, &mut full, &mut sums);
        assert_eq!(full, vec![77; 99]);
    }
}
