//! The two matrix products under every training kernel, with the image side read in place.
//!
//! Both take the image side as floats that are splatted and the other side as blocks of 16 channels. A *run* is a stretch of neighbouring floats
//! (the channels of one tap, or several interleaved pixels); the offsets of the runs turn a convolution into a product without copying its windows.

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over small arrays are what stays in registers"
)]

use crate::lanes::{Block, Kernel, LANES, Lanes};

/// A grid of pixels in a slice: where pixel (image, row, column) starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// Start of pixel (0, 0, 0).
    pub(super) base: usize,
    /// Step from image to image.
    pub(super) image: usize,
    /// Step from row to row.
    pub(super) row: usize,
    /// Step from column to column.
    pub(super) column: usize,
}

impl Grid {
    /// The largest start in a grid of the given extent, which is not empty.
    fn last(&self, extent: Extent) -> usize {
        self.base + (extent.images - 1) * self.image + (extent.rows - 1) * self.row + (extent.columns - 1) * self.column
    }
}

/// How many pixels a product goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) images: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Extent {
    fn is_empty(&self) -> bool {
        self.images == 0 || self.rows == 0 || self.columns == 0
    }
}

/// out(pixel, block) = sum over runs r and i of x(pixel + runs\[r\] + i) * w(r * run_len + i, block), or added to what is there.
pub(super) struct Product<'a> {
    pub(super) extent: Extent,
    /// Floats.
    pub(super) x: &'a [f32],
    pub(super) x_grid: Grid,
    /// Float offsets from the start of a pixel.
    pub(super) runs: &'a [usize],
    pub(super) run_len: usize,
    /// (runs * run_len, out_blocks), row-major.
    pub(super) w: &'a [Block],
    pub(super) out_blocks: usize,
    pub(super) out: &'a mut [Block],
    /// In blocks.
    pub(super) out_grid: Grid,
    /// Step from one block of output channels to the next, in blocks.
    pub(super) out_block: usize,
    pub(super) accumulate: bool,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        if self.extent.is_empty() || self.out_blocks == 0 {
            return;
        }
        let longest = self.runs.iter().copied().max().unwrap_or(0) + self.run_len.max(1) - 1;
        assert!(
            self.x_grid.last(self.extent) + longest < self.x.len(),
            "image side of a product out of range"
        );
        assert!(
            self.runs.len() * self.run_len * self.out_blocks <= self.w.len(),
            "weights of a product out of range"
        );
        let last = self.out_grid.last(self.extent) + (self.out_blocks - 1) * self.out_block;
        assert!(last < self.out.len(), "output of a product out of range");
        // SAFETY: the largest offset of each side was just compared with its slice.
        unsafe {
            if L::REGISTERS >= 32 {
                match self.x_grid.column {
                    3 => self.wide::<L, 3>(l),
                    12 => self.wide::<L, 12>(l),
                    16 => self.wide::<L, 16>(l),
                    32 => self.wide::<L, 32>(l),
                    64 => self.wide::<L, 64>(l),
                    _ => self.wide::<L, 0>(l),
                }
            } else {
                for b in 0..self.out_blocks {
                    self.block::<L, 4, 4, 1, 0>(l, b);
                }
            }
        }
    }
}

impl Product<'_> {
    /// All blocks of output channels, in tiles for 32 registers.
    ///
    /// # Safety
    /// As `run` has checked.
    #[inline(always)]
    unsafe fn wide<L: Lanes, const STEP: usize>(&mut self, l: L) {
        let mut b = 0;
        // SAFETY: as for this function.
        unsafe {
            while b + 4 <= self.out_blocks {
                if self.extent.columns.is_multiple_of(6) && !self.extent.columns.is_multiple_of(4) {
                    self.block::<L, 6, 6, 4, STEP>(l, b);
                } else {
                    self.block::<L, 4, 4, 4, STEP>(l, b);
                }
                b += 4;
            }
            if b + 2 <= self.out_blocks {
                self.block::<L, 8, 4, 2, STEP>(l, b);
                b += 2;
            }
            if b < self.out_blocks {
                self.block::<L, 16, 4, 1, STEP>(l, b);
            }
        }
    }

    /// Blocks `b..b + K` of the output channels: rows of pixels in tiles of T, then of S, then single ones.
    ///
    /// # Safety
    /// As `run` has checked.
    #[inline(always)]
    unsafe fn block<L: Lanes, const T: usize, const S: usize, const K: usize, const STEP: usize>(
        &mut self,
        l: L,
        b: usize,
    ) {
        for image in 0..self.extent.images {
            for row in 0..self.extent.rows {
                let x = self.x_grid.base + image * self.x_grid.image + row * self.x_grid.row;
                let out =
                    self.out_grid.base + image * self.out_grid.image + row * self.out_grid.row + b * self.out_block;
                let mut column = 0;
                // SAFETY: as for this function; every column is below the extent.
                unsafe {
                    while column + T <= self.extent.columns {
                        self.tile::<L, T, K, STEP>(l, x, out, column, b);
                        column += T;
                    }
                    while column + S <= self.extent.columns {
                        self.tile::<L, S, K, STEP>(l, x, out, column, b);
                        column += S;
                    }
                    while column < self.extent.columns {
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
        let step = if STEP == 0 { self.x_grid.column } else { STEP };
        let out_step = self.out_grid.column;
        let mut sums = [[l.zero(); K]; T];
        // SAFETY: as for this function: pixels, runs, weights and outputs are inside of their slices.
        unsafe {
            let out = self.out.as_mut_ptr().add(out + column * out_step);
            if self.accumulate {
                for t in 0..T {
                    for k in 0..K {
                        sums[t][k] = l.load(&*out.add(t * out_step + k * self.out_block));
                    }
                }
            }
            let x = self.x.as_ptr().add(x + column * step);
            let mut w = self.w.as_ptr().add(b);
            for &run in self.runs {
                let x = x.add(run);
                for i in 0..self.run_len {
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
                    w = w.add(self.out_blocks);
                }
            }
            for t in 0..T {
                for k in 0..K {
                    l.store(sums[t][k], &mut *out.add(t * out_step + k * self.out_block));
                }
            }
        }
    }
}

/// dw(r * run_len + i, block) += sum over pixels of x(pixel + runs\[r\] + i) * dy(pixel, block).
pub(super) struct TransposedProduct<'a> {
    pub(super) extent: Extent,
    /// Floats.
    pub(super) x: &'a [f32],
    pub(super) x_grid: Grid,
    pub(super) runs: &'a [usize],
    pub(super) run_len: usize,
    pub(super) dy: &'a [Block],
    /// In blocks.
    pub(super) dy_grid: Grid,
    /// Step from one block of output channels to the next, in blocks.
    pub(super) dy_block: usize,
    pub(super) out_blocks: usize,
    /// (runs * run_len, out_blocks), row-major.
    pub(super) dw: &'a mut [Block],
}

impl Kernel for TransposedProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        if self.extent.is_empty() || self.out_blocks == 0 {
            return;
        }
        let longest = self.runs.iter().copied().max().unwrap_or(0) + self.run_len.max(1) - 1;
        assert!(
            self.x_grid.last(self.extent) + longest < self.x.len(),
            "image side of a product out of range"
        );
        assert!(
            self.runs.len() * self.run_len * self.out_blocks <= self.dw.len(),
            "weights of a product out of range"
        );
        let last = self.dy_grid.last(self.extent) + (self.out_blocks - 1) * self.dy_block;
        assert!(last < self.dy.len(), "gradient of a product out of range");
        for r in 0..self.runs.len() {
            let mut b = 0;
            // SAFETY: the largest offset of each side was just compared with its slice.
            unsafe {
                if L::REGISTERS >= 32 {
                    while b + 4 <= self.out_blocks {
                        self.run_of::<L, 6, 4, 4>(l, r, b);
                        b += 4;
                    }
                    while b + 2 <= self.out_blocks {
                        self.run_of::<L, 8, 4, 2>(l, r, b);
                        b += 2;
                    }
                    while b < self.out_blocks {
                        self.run_of::<L, 16, 9, 1>(l, r, b);
                        b += 1;
                    }
                } else {
                    for b in 0..self.out_blocks {
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
        let mut i = 0;
        // SAFETY: as for this function; every i is below run_len.
        unsafe {
            // A tail of 4 goes with S: 16 = 6 + 6 + 4.
            while i + R <= self.run_len {
                self.tile::<L, R, K>(l, r, i, b);
                i += R;
            }
            while i + S <= self.run_len {
                self.tile::<L, S, K>(l, r, i, b);
                i += S;
            }
            while i < self.run_len {
                self.tile::<L, 1, K>(l, r, i, b);
                i += 1;
            }
        }
    }

    /// R neighbouring floats by K blocks, with the sums in registers over all pixels.
    ///
    /// # Safety
    /// As `run` has checked, for run r, floats `i..i + R` and blocks `b..b + K`.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const R: usize, const K: usize>(&mut self, l: L, r: usize, i: usize, b: usize) {
        // SAFETY: as for this function.
        unsafe {
            let dw = self.dw.as_mut_ptr().add((r * self.run_len + i) * self.out_blocks + b);
            let mut sums = [[l.zero(); K]; R];
            for j in 0..R {
                for k in 0..K {
                    sums[j][k] = l.load(&*dw.add(j * self.out_blocks + k));
                }
            }
            let (x_step, dy_step, dy_block) = (self.x_grid.column, self.dy_grid.column, self.dy_block);
            for image in 0..self.extent.images {
                for row in 0..self.extent.rows {
                    let x = self.x_grid.base + image * self.x_grid.image + row * self.x_grid.row + self.runs[r] + i;
                    let dy = self.dy_grid.base + image * self.dy_grid.image + row * self.dy_grid.row + b * dy_block;
                    let mut x = self.x.as_ptr().add(x);
                    let mut dy = self.dy.as_ptr().add(dy);
                    for _ in 0..self.extent.columns {
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
                    l.store(sums[j][k], &mut *dw.add(j * self.out_blocks + k));
                }
            }
        }
    }
}

/// Floats in `n` blocks.
pub(super) const fn floats(n: usize) -> usize {
    n * LANES
}
