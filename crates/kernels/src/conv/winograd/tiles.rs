//! Tiles of images to and from their transforms, in training.

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over small arrays stay in registers; iterators over them were a quarter slower on AVX2"
)]

use super::transform::{Axis, Output, TILE};
use super::{PLANES, POINTS};
use crate::blocked::Shape;
use crate::lanes::{Block, Lanes};

/// Tiles of one image, whose sides are multiples of [`TILE`].
pub(super) const fn tiles(shape: &Shape) -> usize {
    (shape.height / TILE) * (shape.width / TILE)
}

/// Tiles that are transformed and multiplied together, counted over all images.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) first: usize,
    pub(super) count: usize,
}

/// Where the tiles of a chunk are: walks images, then rows of tiles, then columns.
#[derive(Clone, Copy)]
struct TileWalk {
    image: usize,
    y: usize,
    x: usize,
    rows: usize,
    columns: usize,
}

impl TileWalk {
    #[inline(always)]
    fn new(shape: &Shape, first: usize) -> Self {
        let (rows, columns) = (shape.height / TILE, shape.width / TILE);
        let within = first % (rows * columns);
        Self {
            image: first / (rows * columns),
            y: within / columns,
            x: within % columns,
            rows,
            columns,
        }
    }

    /// Index of the tile's first pixel (channel block 0), moved by `back` pixels up and to the left.
    #[inline(always)]
    fn start(&self, shape: &Shape, back: usize) -> usize {
        self.image * shape.len() + (self.y * TILE + shape.halo - back) * shape.row() + self.x * TILE + shape.halo - back
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.x += 1;
        if self.x == self.columns {
            self.x = 0;
            self.y += 1;
            if self.y == self.rows {
                self.y = 0;
                self.image += 1;
            }
        }
    }
}

/// Where the values of a tile are: the first, and the steps from row to row and from column to column.
#[derive(Clone, Copy)]
pub(super) struct Values {
    pub(super) start: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// T X Tᵀ of the tile X at `from`, stored at `to`, or added to what is there.
///
/// # Safety
/// The I x I values at `from` are inside `x`, the O x O values at `to` inside `y`.
#[inline(always)]
pub(super) unsafe fn transform<L: Lanes, T: Axis<I, O>, const I: usize, const O: usize>(
    l: L,
    x: &[Block],
    from: Values,
    y: &mut [Block],
    to: Values,
    accumulate: bool,
) {
    // Columns first, so that all loads are done when the first value is stored: `half` is what the registers have to hold.
    let mut half = [[l.zero(); I]; O];
    // SAFETY: the caller says that both tiles are inside.
    unsafe {
        for column in 0..I {
            let mut values = [l.zero(); I];
            for row in 0..I {
                values[row] = l.at(x, from.start + row * from.row + column * from.column);
            }
            let values = T::apply(l, values);
            for row in 0..O {
                half[row][column] = values[row];
            }
        }
        for row in 0..O {
            let values = T::apply(l, half[row]);
            for column in 0..O {
                let at = to.start + row * to.row + column * to.column;
                let value = if accumulate {
                    l.add(values[column], l.at(y, at))
                } else {
                    values[column]
                };
                l.put(value, y, at);
            }
        }
    }
}

/// Transforms a chunk of tiles of I x I pixels, which overlap by I - 4, to `planes` (36, tile, blocks), `stride` blocks from plane to plane.
#[inline(always)]
pub(super) fn to_planes<L: Lanes, T: Axis<I, POINTS>, const I: usize>(
    l: L,
    x: &[Block],
    shape: &Shape,
    chunk: Chunk,
    planes: &mut [Block],
    stride: usize,
) {
    let (blocks, border) = (shape.blocks(), (I - TILE) / 2);
    assert!(shape.halo >= border && (chunk.first + chunk.count).div_ceil(tiles(shape)) * shape.len() <= x.len());
    assert!(PLANES * stride <= planes.len() && chunk.count * blocks <= stride);
    let mut walk = TileWalk::new(shape, chunk.first);
    // A tile's blocks are neighbours in the planes: the product then reads each vector of channels as one run.
    for tile in 0..chunk.count {
        for block in 0..blocks {
            let from = Values {
                start: walk.start(shape, border) + block * shape.plane(),
                row: shape.row(),
                column: 1,
            };
            let to = Values {
                start: tile * blocks + block,
                row: POINTS * stride,
                column: stride,
            };
            // SAFETY: the tile and its border are inside its plane and halo; the planes were compared with their length.
            unsafe { transform::<L, T, I, POINTS>(l, x, from, planes, to, false) };
        }
        walk.advance();
    }
}

/// Transforms `planes` (36, tile, blocks) back to a chunk of tiles of outputs, or adds them to what is there.
#[inline(always)]
pub(super) fn from_planes<L: Lanes>(
    l: L,
    (planes, stride): (&[Block], usize),
    chunk: Chunk,
    y: &mut [Block],
    shape: &Shape,
    accumulate: bool,
) {
    let blocks = shape.blocks();
    assert!((chunk.first + chunk.count).div_ceil(tiles(shape)) * shape.len() <= y.len());
    assert!(PLANES * stride <= planes.len() && chunk.count * blocks <= stride);
    let mut walk = TileWalk::new(shape, chunk.first);
    for tile in 0..chunk.count {
        for block in 0..blocks {
            let from = Values {
                start: tile * blocks + block,
                row: POINTS * stride,
                column: stride,
            };
            let to = Values {
                start: walk.start(shape, 0) + block * shape.plane(),
                row: shape.row(),
                column: 1,
            };
            // SAFETY: the tile is inside its plane; the planes were compared with their length.
            unsafe { transform::<L, Output, POINTS, TILE>(l, planes, from, y, to, accumulate) };
        }
        walk.advance();
    }
}
