//! Windows times weights: the forward pass, and the gradient of the input.

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over small arrays are what stays in registers"
)]

use super::{Places, Windows};
use crate::lanes::{Block, Kernel, Lanes};

/// out(pixel, block) = sum over runs r and i of x(pixel + runs\[r\] + i) * w(r * run_len + i, block), or added to what is there.
pub(crate) struct Product<'a> {
    pub(crate) windows: Windows<'a>,
    /// (runs * run_len, blocks), row-major.
    pub(crate) w: &'a [Block],
    pub(crate) out: &'a mut [Block],
    pub(crate) places: Places,
    pub(crate) accumulate: bool,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        if !self.windows.check(self.w.len(), &self.places, self.out.len()) {
            return;
        }
        // SAFETY: the largest offset of each side was just compared with its slice.
        unsafe {
            if L::REGISTERS >= 32 {
                // The steps of the networks' own layers (interleaved images, 16 to 64 channels) are compiled in: the splats of a tile then have
                // constant offsets from one pointer instead of an index each.
                match self.windows.grid.column {
                    3 => self.wide::<L, 3>(l),
                    12 => self.wide::<L, 12>(l),
                    16 => self.wide::<L, 16>(l),
                    32 => self.wide::<L, 32>(l),
                    64 => self.wide::<L, 64>(l),
                    _ => self.wide::<L, 0>(l),
                }
            } else {
                // A block fills two or four registers here, so 4 sums are what 16 registers hold beside weights and input.
                for b in 0..self.places.blocks {
                    self.block::<L, 4, 4, 1, 0>(l, b);
                }
            }
        }
    }
}

impl Product<'_> {
    /// All blocks of output channels, in tiles for 32 registers: 16 to 24 sums, enough to hide the latency of a multiply-add, beside the weights. The
    /// more blocks a tile has, the more multiply-adds each splat feeds.
    ///
    /// # Safety
    /// As `run` has checked.
    #[inline(always)]
    unsafe fn wide<L: Lanes, const STEP: usize>(&mut self, l: L) {
        let (blocks, columns) = (self.places.blocks, self.windows.extent.columns);
        let mut b = 0;
        // SAFETY: as for this function.
        unsafe {
            while b + 4 <= blocks {
                // Rows of 6, as inside the distilled network's composed layers, are one tile; tiles of four would end in single pixels.
                if columns.is_multiple_of(6) && !columns.is_multiple_of(4) {
                    self.block::<L, 6, 6, 4, STEP>(l, b);
                } else {
                    self.block::<L, 4, 4, 4, STEP>(l, b);
                }
                b += 4;
            }
            if b + 2 <= blocks {
                self.block::<L, 8, 4, 2, STEP>(l, b);
                b += 2;
            }
            if b < blocks {
                self.block::<L, 16, 4, 1, STEP>(l, b);
            }
        }
    }

    /// Blocks `b..b + K` of the output channels: rows of pixels in tiles of T, then of S, then single ones.
    ///
    /// Blocks are the outer loop, so that the K columns of the weights stay in the first-level cache while all pixels pass.
    ///
    /// # Safety
    /// As `run` has checked.
    #[inline(always)]
    unsafe fn block<L: Lanes, const T: usize, const S: usize, const K: usize, const STEP: usize>(
        &mut self,
        l: L,
        b: usize,
    ) {
        let (extent, from, to) = (self.windows.extent, self.windows.grid, self.places.grid);
        for image in 0..extent.images {
            for row in 0..extent.rows {
                let x = from.base + image * from.image + row * from.row;
                let out = to.base + image * to.image + row * to.row + b * self.places.block;
                let mut column = 0;
                // SAFETY: as for this function; every column is below the extent.
                unsafe {
                    while column + T <= extent.columns {
                        self.tile::<L, T, K, STEP>(l, x, out, column, b);
                        column += T;
                    }
                    while column + S <= extent.columns {
                        self.tile::<L, S, K, STEP>(l, x, out, column, b);
                        column += S;
                    }
                    while column < extent.columns {
                        self.tile::<L, 1, K, STEP>(l, x, out, column, b);
                        column += 1;
                    }
                }
            }
        }
    }

    /// T neighbouring pixels by K blocks, with the sums in registers.
    ///
    /// # Safety
    /// As `run` has checked, for columns `column..column + T` and blocks `b..b + K`.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const T: usize, const K: usize, const STEP: usize>(
        &mut self,
        l: L,
        x: usize,
        out: usize,
        column: usize,
        b: usize,
    ) {
        let step = if STEP == 0 { self.windows.grid.column } else { STEP };
        let (out_step, out_block) = (self.places.grid.column, self.places.block);
        let mut sums = [[l.zero(); K]; T];
        // SAFETY: as for this function: pixels, runs, weights and outputs are inside their slices.
        unsafe {
            let out = self.out.as_mut_ptr().add(out + column * out_step);
            if self.accumulate {
                for t in 0..T {
                    for k in 0..K {
                        sums[t][k] = l.load(&*out.add(t * out_step + k * out_block));
                    }
                }
            }
            let x = self.windows.x.as_ptr().add(x + column * step);
            let mut w = self.w.as_ptr().add(b);
            for &run in self.windows.runs {
                let x = x.add(run);
                for i in 0..self.windows.run_len {
                    let mut weights = [l.zero(); K];
                    for k in 0..K {
                        weights[k] = l.load(&*w.add(k));
                    }
                    for t in 0..T {
                        let v = l.splat(*x.add(t * step + i));
                        for k in 0..K {
                            sums[t][k] = l.mul_add(v, weights[k], sums[t][k]);
                        }
                    }
                    w = w.add(self.places.blocks);
                }
            }
            for t in 0..T {
                for k in 0..K {
                    l.store(sums[t][k], &mut *out.add(t * out_step + k * out_block));
                }
            }
        }
    }
}
