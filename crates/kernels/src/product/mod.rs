//! The two matrix products under every trainable layer, with the image side read in place.
//!
//! Both take the image side as floats that are splatted and the other side as blocks of 16 channels. A *run* is a stretch of neighbouring floats
//! (the channels of one tap, or several interleaved pixels); the offsets of the runs turn a convolution into a product without copying its windows.

mod forward;
mod transposed;

pub(crate) use forward::Product;
pub(crate) use transposed::TransposedProduct;

use crate::blocked::Shape;
use crate::lanes::LANES;

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

    /// Whether there is anything to compute, given the number of blocks of weights and of the other side, which lie in `places`.
    ///
    /// # Panics
    /// If something to compute reaches past a slice, which would be an error of this crate: layers check their slices. The products rely on it for their
    /// unchecked reads and writes.
    fn check(&self, weights: usize, places: &Places, blocks: usize) -> bool {
        let Extent { images, rows, columns } = self.extent;
        if [images, rows, columns, places.blocks].contains(&0) {
            return false;
        }
        let longest = self.runs.iter().copied().max().unwrap_or(0) + self.run_len.max(1) - 1;
        assert!(
            self.grid.last(self.extent) + longest < self.x.len(),
            "image side of a product out of range"
        );
        assert!(
            self.runs.len() * self.run_len * places.blocks <= weights,
            "weights of a product out of range"
        );
        let last = places.grid.last(self.extent) + (places.blocks - 1) * places.block;
        assert!(last < blocks, "blocks of a product out of range");
        true
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
    /// Vectors of `blocks` blocks, one after the other.
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

    /// The same places, moved by `by` blocks.
    pub(crate) fn moved(mut self, by: usize) -> Self {
        self.grid.base += by;
        self
    }
}

/// Floats in `n` blocks.
pub(crate) const fn floats(n: usize) -> usize {
    n * LANES
}
