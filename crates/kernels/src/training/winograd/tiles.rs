//! Tiles of images to and from their transforms.

use super::transform::{gradient_transform, input_transform, output_transform};
use super::{PLANES, POINTS, tiles};
use crate::blocked::Shape;
use crate::lanes::{Block, Lanes};

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
        let (rows, columns) = (shape.height / 4, shape.width / 4);
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
        self.image * shape.len() + (self.y * 4 + shape.halo - back) * shape.row() + self.x * 4 + shape.halo - back
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

/// Transforms `count` input tiles to v (36, tile, C blocks).
#[inline(always)]
pub(super) fn input_tiles<L: Lanes>(
    l: L,
    x: &[Block],
    shape: &Shape,
    first: usize,
    count: usize,
    v: &mut [Block],
    stride: usize,
) {
    let (blocks, row, plane) = (shape.blocks(), shape.row(), shape.plane());
    assert!(shape.halo >= 1 && (first + count).div_ceil(tiles(shape)) * shape.len() <= x.len());
    assert!(PLANES * stride <= v.len() && count * blocks <= stride);
    let mut walk = TileWalk::new(shape, first);
    for tile in 0..count {
        for block in 0..blocks {
            let start = walk.start(shape, 1) + block * plane;
            let mut half = [[l.zero(); POINTS]; POINTS];
            // SAFETY: the tile and its border of one pixel are inside of its plane and halo; the planes of v were compared with its length.
            unsafe {
                for column in 0..POINTS {
                    let mut d = [l.zero(); POINTS];
                    for i in 0..POINTS {
                        d[i] = l.at(x, start + i * row + column);
                    }
                    let t = input_transform(l, d);
                    for i in 0..POINTS {
                        half[i][column] = t[i];
                    }
                }
                for i in 0..POINTS {
                    let t = input_transform(l, half[i]);
                    for j in 0..POINTS {
                        l.put(t[j], v, (i * POINTS + j) * stride + tile * blocks + block);
                    }
                }
            }
        }
        walk.advance();
    }
}

/// Transforms `count` tiles of output gradients to m (36, tile, K blocks).
#[inline(always)]
pub(super) fn gradient_tiles<L: Lanes>(
    l: L,
    dy: &[Block],
    shape: &Shape,
    first: usize,
    count: usize,
    m: &mut [Block],
    stride: usize,
) {
    let (blocks, row, plane) = (shape.blocks(), shape.row(), shape.plane());
    assert!((first + count).div_ceil(tiles(shape)) * shape.len() <= dy.len());
    assert!(PLANES * stride <= m.len() && count * blocks <= stride);
    let mut walk = TileWalk::new(shape, first);
    for tile in 0..count {
        for block in 0..blocks {
            let start = walk.start(shape, 0) + block * plane;
            let mut half = [[l.zero(); 4]; POINTS];
            // SAFETY: the tile is inside of its plane; the planes of m were compared with its length.
            unsafe {
                for column in 0..4 {
                    let mut d = [l.zero(); 4];
                    for i in 0..4 {
                        d[i] = l.at(dy, start + i * row + column);
                    }
                    let t = gradient_transform(l, d);
                    for i in 0..POINTS {
                        half[i][column] = t[i];
                    }
                }
                for i in 0..POINTS {
                    let t = gradient_transform(l, half[i]);
                    for j in 0..POINTS {
                        l.put(t[j], m, (i * POINTS + j) * stride + tile * blocks + block);
                    }
                }
            }
        }
        walk.advance();
    }
}

/// Transforms m (36, tile, K blocks) back to `count` tiles of outputs.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn output_tiles<L: Lanes>(
    l: L,
    m: &[Block],
    stride: usize,
    first: usize,
    count: usize,
    y: &mut [Block],
    shape: &Shape,
    accumulate: bool,
) {
    let (blocks, row, plane) = (shape.blocks(), shape.row(), shape.plane());
    assert!((first + count).div_ceil(tiles(shape)) * shape.len() <= y.len());
    assert!(PLANES * stride <= m.len() && count * blocks <= stride);
    let mut walk = TileWalk::new(shape, first);
    for tile in 0..count {
        for block in 0..blocks {
            let start = walk.start(shape, 0) + block * plane;
            let mut half = [[l.zero(); POINTS]; 4];
            // SAFETY: the tile is inside of its plane; the planes of m were compared with its length.
            unsafe {
                for column in 0..POINTS {
                    let mut t = [l.zero(); POINTS];
                    for i in 0..POINTS {
                        t[i] = l.at(m, (i * POINTS + column) * stride + tile * blocks + block);
                    }
                    let t = output_transform(l, t);
                    for i in 0..4 {
                        half[i][column] = t[i];
                    }
                }
                for i in 0..4 {
                    let t = output_transform(l, half[i]);
                    for j in 0..4 {
                        let at = start + i * row + j;
                        let value = if accumulate { l.add(t[j], l.at(y, at)) } else { t[j] };
                        l.put(value, y, at);
                    }
                }
            }
        }
        walk.advance();
    }
}
