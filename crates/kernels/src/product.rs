//! The two matrix products under every trainable layer, with the image side read in place.
//!
//! Both take the image side as floats that are splatted and the other side as blocks of 16 channels. A *run* is a stretch of neighbouring floats
//! (the channels of one tap, or several interleaved pixels); the offsets of the runs turn a convolution into a product without copying its windows.

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over small arrays are what stays in registers"
)]

use crate::blocked::Shape;
use crate::lanes::{Block, Kernel, LANES, Lanes};

/// A grid of pixels in a slice: where pixel (image, row, column) starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Start of pixel (0, 0, 0).
    pub(crate) base: usize,
    /// Step from image to image.
    pub(crate) image: usize,
    /// Step from row to row.
    pub(crate) row: usize,
    /// Step from column to column.
    pub(crate) column: usize,
}

impl Grid {
    /// Vectors of `len` elements, one after the other.
    const fn vectors(len: usize) -> Self {
        Self {
            base: 0,
            image: 0,
            row: 0,
            column: len,
        }
    }

    /// The largest start in a grid of the given extent, which is not empty.
    fn last(&self, extent: Extent) -> usize {
        self.base + (extent.images - 1) * self.image + (extent.rows - 1) * self.row + (extent.columns - 1) * self.column
    }
}

/// How many pixels a product goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) images: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Extent {
    fn is_empty(&self) -> bool {
        self.images == 0 || self.rows == 0 || self.columns == 0
    }
}

/// The image side of a product: a window of runs for every pixel of a grid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows<'a> {
    pub(crate) extent: Extent,
    pub(crate) x: &'a [f32],
    /// Where the window of each pixel starts, in floats.
    pub(crate) grid: Grid,
    /// Offsets of the runs from the start of a window, in floats.
    pub(crate) runs: &'a [usize],
    /// Floats in a run.
    pub(crate) run_len: usize,
}

impl<'a> Windows<'a> {
    /// `count` vectors of `len` floats, one after the other: each is a window of one run.
    pub(crate) const fn vectors(x: &'a [f32], len: usize, count: usize) -> Self {
        Self {
            extent: Extent {
                images: 1,
                rows: 1,
                columns: count,
            },
            x,
            grid: Grid::vectors(len),
            runs: &[0],
            run_len: len,
        }
    }

    /// Whether there is nothing to sum over.
    fn is_empty(&self) -> bool {
        self.extent.is_empty()
    }

    /// Floats in a window: rows of the other side of a product.
    fn len(&self) -> usize {
        self.runs.len() * self.run_len
    }

    /// Panics if a window of an extent that is not empty reaches past the floats, which would be an error of this crate: layers check their slices.
    fn check(&self) {
        let longest = self.runs.iter().copied().max().unwrap_or(0) + self.run_len.max(1) - 1;
        assert!(
            self.grid.last(self.extent) + longest < self.x.len(),
            "image side of a product out of range"
        );
    }
}

/// Where the blocks of a product's output, or of its gradient, are: in blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    /// Start of each pixel.
    pub(crate) grid: Grid,
    /// Step from one block of channels to the next.
    pub(crate) block: usize,
    /// Blocks of channels.
    pub(crate) blocks: usize,
}

impl Places {
    /// Vectors of so many blocks, one after the other.
    pub(crate) const fn vectors(blocks: usize) -> Self {
        Self {
            grid: Grid::vectors(blocks),
            block: 1,
            blocks,
        }
    }

    /// Every `stride`-th pixel of blocked images, both ways.
    pub(crate) const fn of_shape(shape: &Shape, stride: usize) -> Self {
        Self {
            grid: Grid {
                base: shape.index(0, 0, 0),
                image: shape.len(),
                row: stride * shape.row(),
                column: stride,
            },
            block: shape.plane(),
            blocks: shape.blocks(),
        }
    }

    /// The same places, moved by so many blocks.
    pub(crate) fn moved(mut self, by: usize) -> Self {
        self.grid.base += by;
        self
    }

    /// Panics if a place of an extent that is not empty is past the blocks, which would be an error of this crate: layers check their slices.
    fn check(&self, extent: Extent, blocks: &[Block]) {
        let last = self.grid.last(extent) + (self.blocks - 1) * self.block;
        assert!(last < blocks.len(), "blocks of a product out of range");
    }
}

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
        if self.windows.is_empty() || self.places.blocks == 0 {
            return;
        }
        self.windows.check();
        assert!(
            self.windows.len() * self.places.blocks <= self.w.len(),
            "weights of a product out of range"
        );
        self.places.check(self.windows.extent, self.out);
        // SAFETY: the largest offset of each side was just compared with its slice.
        unsafe {
            if L::REGISTERS >= 32 {
                // The steps of the networks' own layers (interleaved images, 16 to 64 channels) are compiled in: the splats of a tile then have
                // constant offsets from one pointer in place of an index each.
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
                // Rows of 6, as inside of the distilled network's composed layers, are one tile; tiles of four would end in single pixels.
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
        // SAFETY: as for this function: pixels, runs, weights and outputs are inside of their slices.
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
        if self.windows.is_empty() || self.places.blocks == 0 {
            return;
        }
        self.windows.check();
        assert!(
            self.windows.len() * self.places.blocks <= self.dw.len(),
            "weights of a product out of range"
        );
        self.places.check(self.windows.extent, self.dy);
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

/// Floats in `n` blocks.
pub(crate) const fn floats(n: usize) -> usize {
    n * LANES
}
