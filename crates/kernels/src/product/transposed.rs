//! Windows, transposed, times the gradient of the output: the gradient of the weights.

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over small arrays are what stays in registers"
)]

use super::{Places, Windows};
use crate::lanes::{Block, Kernel, Lanes};

/// dw(r * run_len + i, block) += sum over pixels of x(pixel + runs\[r\] + i) * dy(pixel, block).
pub(crate) struct TransposedProduct<'a> {
    pub(crate) windows: Windows<'a>,
    pub(crate) dy: &'a [Block],
    pub(crate) places: Places,
    /// (runs * run_len, blocks), row-major.
    pub(crate) dw: &'a mut [Block],
}

impl Kernel for TransposedProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        if !self.windows.check(self.dw.len(), &self.places, self.dy.len()) {
            return;
        }
        // Tiles of 16 to 24 sums, as in `Product::wide`: 6 x 4, 8 x 2 and 16 x 1 of 32 registers; 4 x 1 of fewer.
        for r in 0..self.windows.runs.len() {
            let mut b = 0;
            // SAFETY: the largest offset of each side was just compared with its slice.
            unsafe {
                if L::REGISTERS >= 32 {
                    while b + 4 <= self.places.blocks {
                        self.run_of::<L, 6, 4, 4>(l, r, b);
                        b += 4;
                    }
                    while b + 2 <= self.places.blocks {
                        self.run_of::<L, 8, 4, 2>(l, r, b);
                        b += 2;
                    }
                    while b < self.places.blocks {
                        // A row of 3x3 taps of colour images is 9 floats.
                        self.run_of::<L, 16, 9, 1>(l, r, b);
                        b += 1;
                    }
                } else {
                    for b in 0..self.places.blocks {
                        self.run_of::<L, 4, 2, 1>(l, r, b);
                    }
                }
            }
        }
    }
}

impl TransposedProduct<'_> {
    /// One run by K blocks: its floats in tiles of R, then of S, then single ones.
    ///
    /// # Safety
    /// As `run` has checked.
    #[inline(always)]
    unsafe fn run_of<L: Lanes, const R: usize, const S: usize, const K: usize>(&mut self, l: L, r: usize, b: usize) {
        let len = self.windows.run_len;
        let mut i = 0;
        // SAFETY: as for this function; every i is below run_len.
        unsafe {
            // A tail of 4 goes with S: 16 = 6 + 6 + 4.
            while i + R <= len {
                self.tile::<L, R, K>(l, r, i, b);
                i += R;
            }
            while i + S <= len {
                self.tile::<L, S, K>(l, r, i, b);
                i += S;
            }
            while i < len {
                self.tile::<L, 1, K>(l, r, i, b);
                i += 1;
            }
        }
    }

    /// R neighbouring floats by K blocks, with the sums in registers over all pixels.
    ///
    /// Pixels are the inner loop: each sum is read and written once, and is taken in the order of the pixels, so its bits depend on the group of
    /// images alone.
    ///
    /// # Safety
    /// As `run` has checked, for run r, floats `i..i + R` and blocks `b..b + K`.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const R: usize, const K: usize>(&mut self, l: L, r: usize, i: usize, b: usize) {
        let (extent, from, to) = (self.windows.extent, self.windows.grid, self.places.grid);
        // SAFETY: as for this function.
        unsafe {
            let blocks = self.places.blocks;
            let dw = self.dw.as_mut_ptr().add((r * self.windows.run_len + i) * blocks + b);
            let mut sums = [[l.zero(); K]; R];
            for j in 0..R {
                for k in 0..K {
                    sums[j][k] = l.load(&*dw.add(j * blocks + k));
                }
            }
            let (x_step, dy_step, dy_block) = (from.column, to.column, self.places.block);
            for image in 0..extent.images {
                for row in 0..extent.rows {
                    let x = from.base + image * from.image + row * from.row + self.windows.runs[r] + i;
                    let dy = to.base + image * to.image + row * to.row + b * dy_block;
                    let mut x = self.windows.x.as_ptr().add(x);
                    let mut dy = self.dy.as_ptr().add(dy);
                    for _ in 0..extent.columns {
                        let mut gradients = [l.zero(); K];
                        for k in 0..K {
                            gradients[k] = l.load(&*dy.add(k * dy_block));
                        }
                        for j in 0..R {
                            let v = l.splat(*x.add(j));
                            for k in 0..K {
                                sums[j][k] = l.mul_add(v, gradients[k], sums[j][k]);
                            }
                        }
                        // The last step may pass the end of the slice by less than its length: wrapping, never read.
                        x = x.wrapping_add(x_step);
                        dy = dy.wrapping_add(dy_step);
                    }
                }
            }
            for j in 0..R {
                for k in 0..K {
                    l.store(sums[j][k], &mut *dw.add(j * blocks + k));
                }
            }
        }
    }
}
