//! The shape of water drops: brighter towards their rims. The steps are those of the published generator, each as OpenCV
//! computes it.

use crate::effect::{Size, take, truncate};
use crate::filter::Border;

/// Working memory for [`Splash::shape`].
pub(super) struct Splash<'a> {
    pub(super) size: Size,
    pub(super) ints: &'a mut Vec<i32>,
    pub(super) more: &'a mut Vec<i32>,
    pub(super) bytes: &'a mut Vec<u8>,
}

/// Thresholds of the edge detector on gradient magnitudes.
const WEAK: i32 = 50;
const STRONG: i32 = 150;

/// Marks of the edge detector.
const NOTHING: u8 = 0;
const CANDIDATE: u8 = 1;
const EDGE: u8 = 2;

/// Distances in 1/65536 pixel: straight, diagonal, and a knight's move.
const STRAIGHT: i32 = 65536;
const DIAGONAL: i32 = 91750;
const KNIGHT: i32 = 143976;
/// Distances count up to 20 pixels; this is farther than any that is needed.
const FAR: i32 = 1 << 24;
const FARTHEST: f32 = 20.0;

impl Splash<'_> {
    /// `out` becomes the drops' thickness times an embossed map of the distance from their edges. All are (height, width).
    pub(super) fn shape(&mut self, drops: &[u8], out: &mut [f32]) {
        self.edges(drops);
        self.distances(out);
        let pixels = self.size.pixels();
        let map = take(self.bytes, 2 * pixels);
        let (first, second) = map.split_at_mut(pixels);
        for_each_neighbourhood(self.size, |i, around| {
            let sum: f64 = around.iter().flatten().map(|&at| f64::from(out[at])).sum();
            first[i] = truncate(f64::from((sum * (1.0 / 9.0)) as f32));
        });
        equalise(first);
        for_each_neighbourhood(self.size, |i, around| {
            const KERNEL: [[i32; 3]; 3] = [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]];
            let terms = around.as_flattened().iter().zip(KERNEL.as_flattened());
            let sum: i32 = terms.map(|(&at, &weight)| i32::from(first[at]) * weight).sum();
            second[i] = sum.clamp(0, 255) as u8;
        });
        for_each_neighbourhood(self.size, |i, around| {
            let sum: u32 = around.iter().flatten().map(|&at| u32::from(second[at])).sum();
            out[i] = f32::from(drops[i]) * ((sum + 4) / 9) as f32;
        });
    }

    /// Canny's edges of `drops`: afterwards the first bytes are [`EDGE`] there.
    fn edges(&mut self, drops: &[u8]) {
        let Size { height, width } = self.size;
        let pixels = self.size.pixels();
        let gradients = take(self.ints, 2 * pixels);
        let (across, down) = gradients.split_at_mut(pixels);
        // Magnitudes have a rim of zeros.
        let stride = width + 2;
        let magnitude = take(self.more, (height + 2) * stride);
        magnitude.fill(0);
        for y in 0..height {
            let [above, row, below] =
                [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| &drops[y * width..][..width]);
            for x in 0..width {
                let (left, right) = (x.saturating_sub(1), (x + 1).min(width - 1));
                let at = |row: &[u8], x: usize| i32::from(row[x]);
                let rise = |row| at(row, right) - at(row, left);
                let smooth = |row| at(row, left) + 2 * at(row, x) + at(row, right);
                let (gx, gy) = (rise(above) + 2 * rise(row) + rise(below), smooth(below) - smooth(above));
                (across[y * width + x], down[y * width + x]) = (gx, gy);
                magnitude[(y + 1) * stride + x + 1] = gx.abs() + gy.abs();
            }
        }
        let marks = take(self.bytes, pixels);
        marks.fill(NOTHING);
        for i in 0..pixels {
            let at = (i / width + 1) * stride + i % width + 1;
            let m = magnitude[at];
            if m > WEAK && is_ridge(magnitude, at, stride, across[i], down[i]) {
                marks[i] = CANDIDATE;
            }
        }
        // From every strong candidate along all that hang together with it. The stack takes every pixel at most once.
        let stack = &mut *across;
        for start in 0..pixels {
            let strong = magnitude[(start / width + 1) * stride + start % width + 1] > STRONG;
            if marks[start] != CANDIDATE || !strong {
                continue;
            }
            marks[start] = EDGE;
            stack[0] = start as i32;
            let mut depth = 1;
            while depth > 0 {
                depth -= 1;
                let (y, x) = (stack[depth] as usize / width, stack[depth] as usize % width);
                for y in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for x in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        let neighbour = y * width + x;
                        if marks[neighbour] == CANDIDATE {
                            marks[neighbour] = EDGE;
                            stack[depth] = neighbour as i32;
                            depth += 1;
                        }
                    }
                }
            }
        }
    }

    /// `out` becomes the distance from the nearest edge in pixels, at most 20, over 5 x 5 neighbourhoods.
    fn distances(&mut self, out: &mut [f32]) {
        let Size { height, width } = self.size;
        let stride = width + 4;
        let map = take(self.ints, (height + 4) * stride);
        map.fill(FAR);
        let forward: [(isize, i32); 8] = {
            let s = stride as isize;
            [
                (-2 * s - 1, KNIGHT),
                (-2 * s + 1, KNIGHT),
                (-s - 2, KNIGHT),
                (-s - 1, DIAGONAL),
                (-s, STRAIGHT),
                (-s + 1, DIAGONAL),
                (-s + 2, KNIGHT),
                (-1, STRAIGHT),
            ]
        };
        for y in 0..height {
            for x in 0..width {
                let at = (y + 2) * stride + x + 2;
                map[at] = if self.bytes[y * width + x] == EDGE {
                    0
                } else {
                    let near = |&(offset, step): &(isize, i32)| map[at.wrapping_add_signed(offset)] + step;
                    forward.iter().map(near).fold(FAR, i32::min)
                };
            }
        }
        for y in (0..height).rev() {
            for x in (0..width).rev() {
                let at = (y + 2) * stride + x + 2;
                if map[at] > STRAIGHT {
                    let near = |&(offset, step): &(isize, i32)| map[at.wrapping_add_signed(-offset)] + step;
                    map[at] = forward.iter().map(near).fold(map[at], i32::min);
                }
                out[y * width + x] = (map[at] as f32 * (1.0 / STRAIGHT as f32)).min(FARTHEST);
            }
        }
    }
}

/// Whether a magnitude is the largest across its edge: along x, along y, or along a diagonal, whichever is nearest to the
/// gradient's direction.
fn is_ridge(magnitude: &[i32], at: usize, stride: usize, gx: i32, gy: i32) -> bool {
    /// tan(22.5 degrees) in 15-bit fixed point.
    const TAN: i32 = 13573;
    let m = magnitude[at];
    let (x, y) = (gx.abs(), gy.abs() << 15);
    if y < x * TAN {
        m > magnitude[at - 1] && m >= magnitude[at + 1]
    } else if y > x * TAN + (x << 16) {
        m > magnitude[at - stride] && m >= magnitude[at + stride]
    } else if (gx ^ gy) < 0 {
        m > magnitude[at - stride + 1] && m > magnitude[at + stride - 1]
    } else {
        m > magnitude[at - stride - 1] && m > magnitude[at + stride + 1]
    }
}

/// Calls `each` with every pixel and the 3 x 3 pixels around it, mirrored at the border.
fn for_each_neighbourhood(size: Size, mut each: impl FnMut(usize, [[usize; 3]; 3])) {
    let near =
        |i: usize, n: usize| [i as isize - 1, i as isize, i as isize + 1].map(|i| Border::Reflect101.index(i, n));
    for y in 0..size.height {
        let rows = near(y, size.height).map(|row| row * size.width);
        for x in 0..size.width {
            let columns = near(x, size.width);
            each(y * size.width + x, rows.map(|row| columns.map(|column| row + column)));
        }
    }
}

/// Histogram equalisation; an image of one level stays as it is.
fn equalise(bytes: &mut [u8]) {
    let mut counts = [0usize; 256];
    for &byte in bytes.iter() {
        counts[usize::from(byte)] += 1;
    }
    let Some(lowest) = counts.iter().copied().find(|&count| count > 0) else {
        return;
    };
    if lowest == bytes.len() {
        return;
    }
    let scale = 255.0 / (bytes.len() - lowest) as f32;
    let mut below = 0;
    let levels = counts.map(|count| {
        below += count;
        (below.saturating_sub(lowest) as f32 * scale).round_ties_even() as u8
    });
    for byte in bytes {
        *byte = levels[usize::from(*byte)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splash<R>(size: Size, run: impl FnOnce(&mut Splash<'_>) -> R) -> R {
        let (mut ints, mut more, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        run(&mut Splash {
            size,
            ints: &mut ints,
            more: &mut more,
            bytes: &mut bytes,
        })
    }

    #[test]
    fn the_edges_of_a_square_run_around_it() {
        let size = Size { height: 12, width: 16 };
        let inside = |i: usize| (4..8).contains(&(i / 16)) && (5..11).contains(&(i % 16));
        let drops: Vec<u8> = (0..192).map(|i| if inside(i) { 200 } else { 0 }).collect();
        let marks = splash(size, |splash| {
            splash.edges(&drops);
            splash.bytes.clone()
        });
        assert!(marks.contains(&EDGE));
        assert_ne!(marks[6 * 16 + 8], EDGE, "not in the middle");
        assert_ne!(marks[16 + 1], EDGE, "not far outside");
        let middle_row: Vec<usize> = (0..16).filter(|x| marks[6 * 16 + x] == EDGE).collect();
        assert_eq!(middle_row.len(), 2, "{middle_row:?}");
    }

    #[test]
    fn distances_are_those_of_the_chamfer_metric() {
        let size = Size { height: 9, width: 40 };
        let mut out = vec![0.0; 360];
        splash(size, |splash| {
            take(splash.bytes, 360)[4 * 40 + 3] = EDGE;
            splash.distances(&mut out);
        });
        let at = |y: usize, x: usize| out[y * 40 + x];
        assert_eq!([at(4, 3), at(4, 5), at(0, 3), at(4, 39)], [0.0, 2.0, 4.0, 20.0]);
        assert!((at(5, 4) - 1.4).abs() < 1e-4 && (at(2, 4) - 2.1969).abs() < 1e-4 && (at(6, 2) - 2.1969).abs() < 1e-4);
    }

    #[test]
    fn equalising_spreads_the_levels_and_leaves_one_level_alone() {
        let mut bytes = [7, 7, 7, 9, 12, 12];
        equalise(&mut bytes);
        assert_eq!(bytes, [0, 0, 0, 85, 255, 255]);
        let mut flat = [20; 5];
        equalise(&mut flat);
        assert_eq!(flat, [20; 5]);
    }
}
