//! Winograd F(4x4, 3x3) for training: output, input gradient and weight gradient of 3x3 convolutions with stride 1.
//!
//! y = Aᵀ \[(G g Gᵀ) ⊙ (Bᵀ d B)\] A on tiles of 4x4 outputs (Lavin and Gray 2016). The gradient of the weights is its adjoint,
//! dg = Gᵀ \[Σ (A dy Aᵀ) ⊙ (Bᵀ d B)\] G; the gradient of the input is a convolution of dy with the kernels flipped and transposed.

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over small arrays are what stays in registers"
)]

use super::product::{Extent, Grid, Product, TransposedProduct, floats};
use crate::blocked::Shape;
use crate::lanes::{Block, Kernel, Lanes, as_floats};

/// Rows (and columns) of a transformed tile.
const POINTS: usize = 6;
/// Planes of transformed tiles.
pub(super) const PLANES: usize = POINTS * POINTS;
/// Blocks between two planes beyond their content, so that the planes do not alias in the first-level cache.
const PAD: usize = 3;
/// Tiles that are transformed and multiplied together.
const CHUNK: usize = 32;

/// Memory for transformed tiles.
#[derive(Debug, Default)]
pub(super) struct Tiles {
    pub(super) v: Vec<Block>,
    pub(super) m: Vec<Block>,
}

/// Blocks from one plane of transformed tiles to the next.
fn plane_stride(channel_blocks: usize) -> usize {
    CHUNK * channel_blocks + PAD
}

/// Tiles of one image.
fn tiles(shape: &Shape) -> usize {
    (shape.height / 4) * (shape.width / 4)
}

/// Grows a buffer; what it holds does not matter.
fn reserve(buffer: &mut Vec<Block>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, Block::ZERO);
    }
}

/// y = conv(x, u): `x` and `y` share height and width; the halo of `x` is at least 1.
pub(super) struct Convolve<'a> {
    pub(super) x: &'a [Block],
    pub(super) x_shape: Shape,
    /// Transformed weights (36, C, K blocks), C padded to blocks.
    pub(super) u: &'a [Block],
    pub(super) y: &'a mut [Block],
    pub(super) y_shape: Shape,
    pub(super) images: usize,
    pub(super) accumulate: bool,
    pub(super) scratch: &'a mut Tiles,
}

impl Kernel for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (c, k) = (self.x_shape.blocks(), self.y_shape.blocks());
        let (v_stride, m_stride) = (plane_stride(c), plane_stride(k));
        let Tiles { v, m } = self.scratch;
        reserve(v, PLANES * v_stride);
        reserve(m, PLANES * m_stride);
        let total = self.images * tiles(&self.x_shape);
        let mut first = 0;
        while first < total {
            let count = CHUNK.min(total - first);
            input_tiles(l, self.x, &self.x_shape, first, count, v, v_stride);
            for plane in 0..PLANES {
                Product {
                    extent: Extent {
                        images: 1,
                        rows: 1,
                        columns: count,
                    },
                    x: as_floats(v),
                    x_grid: Grid {
                        base: floats(plane * v_stride),
                        image: 0,
                        row: 0,
                        column: floats(c),
                    },
                    runs: &[0],
                    run_len: floats(c),
                    w: &self.u[plane * floats(c) * k..(plane + 1) * floats(c) * k],
                    out_blocks: k,
                    out: m,
                    out_grid: Grid {
                        base: plane * m_stride,
                        image: 0,
                        row: 0,
                        column: k,
                    },
                    out_block: 1,
                    accumulate: false,
                }
                .run(l);
            }
            output_tiles(l, m, m_stride, first, count, self.y, &self.y_shape, self.accumulate);
            first += count;
        }
    }
}

/// du += the transformed weight gradient of `x` and `dy`.
pub(super) struct WeightGradient<'a> {
    pub(super) x: &'a [Block],
    pub(super) x_shape: Shape,
    pub(super) dy: &'a [Block],
    pub(super) dy_shape: Shape,
    pub(super) images: usize,
    /// (36, C, K blocks), C padded to blocks.
    pub(super) du: &'a mut [Block],
    pub(super) scratch: &'a mut Tiles,
}

impl Kernel for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (c, k) = (self.x_shape.blocks(), self.dy_shape.blocks());
        let (v_stride, m_stride) = (plane_stride(c), plane_stride(k));
        let Tiles { v, m } = self.scratch;
        reserve(v, PLANES * v_stride);
        reserve(m, PLANES * m_stride);
        let total = self.images * tiles(&self.x_shape);
        let mut first = 0;
        while first < total {
            let count = CHUNK.min(total - first);
            input_tiles(l, self.x, &self.x_shape, first, count, v, v_stride);
            gradient_tiles(l, self.dy, &self.dy_shape, first, count, m, m_stride);
            for plane in 0..PLANES {
                TransposedProduct {
                    extent: Extent {
                        images: 1,
                        rows: 1,
                        columns: count,
                    },
                    x: as_floats(v),
                    x_grid: Grid {
                        base: floats(plane * v_stride),
                        image: 0,
                        row: 0,
                        column: floats(c),
                    },
                    runs: &[0],
                    run_len: floats(c),
                    dy: m,
                    dy_grid: Grid {
                        base: plane * m_stride,
                        image: 0,
                        row: 0,
                        column: k,
                    },
                    dy_block: 1,
                    out_blocks: k,
                    dw: &mut self.du[plane * floats(c) * k..(plane + 1) * floats(c) * k],
                }
                .run(l);
            }
            first += count;
        }
    }
}

/// Transforms weights (9, C, K blocks) to (36, C, K blocks): u = G g Gᵀ.
pub(super) struct TransformWeights<'a> {
    pub(super) g: &'a [Block],
    pub(super) u: &'a mut [Block],
}

impl Kernel for TransformWeights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let n = self.g.len() / 9;
        for i in 0..n {
            let mut half = [[l.zero(); 3]; POINTS];
            for column in 0..3 {
                let g = [0, 1, 2].map(|row| row * 3 + column);
                let t = weight_transform(
                    l,
                    [
                        l.load(&self.g[g[0] * n + i]),
                        l.load(&self.g[g[1] * n + i]),
                        l.load(&self.g[g[2] * n + i]),
                    ],
                );
                for row in 0..POINTS {
                    half[row][column] = t[row];
                }
            }
            for row in 0..POINTS {
                let t = weight_transform(l, half[row]);
                for column in 0..POINTS {
                    l.store(t[column], &mut self.u[(row * POINTS + column) * n + i]);
                }
            }
        }
    }
}

/// The adjoint of [`TransformWeights`]: (36, C, K blocks) to (9, C, K blocks).
pub(super) struct FinishGradient<'a> {
    pub(super) du: &'a [Block],
    pub(super) dg: &'a mut [Block],
}

impl Kernel for FinishGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let n = self.dg.len() / 9;
        for i in 0..n {
            let mut half = [[l.zero(); POINTS]; 3];
            for column in 0..POINTS {
                let mut u = [l.zero(); POINTS];
                for row in 0..POINTS {
                    u[row] = l.load(&self.du[(row * POINTS + column) * n + i]);
                }
                let t = weight_adjoint(l, u);
                for row in 0..3 {
                    half[row][column] = t[row];
                }
            }
            for row in 0..3 {
                let t = weight_adjoint(l, half[row]);
                for column in 0..3 {
                    l.store(t[column], &mut self.dg[(row * 3 + column) * n + i]);
                }
            }
        }
    }
}

/// G times 3 values.
#[inline(always)]
fn weight_transform<L: Lanes>(l: L, g: [L::V; 3]) -> [L::V; POINTS] {
    let even = l.mul(l.add(g[0], g[2]), l.splat(-1.0 / 6.0));
    let sixth = l.splat(1.0 / 6.0);
    let outer = l.mul_add(g[2], sixth, l.mul(g[0], l.splat(1.0 / 24.0)));
    let twelfth = l.splat(1.0 / 12.0);
    [
        l.mul(g[0], l.splat(0.25)),
        l.neg_mul_add(g[1], sixth, even),
        l.mul_add(g[1], sixth, even),
        l.mul_add(g[1], twelfth, outer),
        l.neg_mul_add(g[1], twelfth, outer),
        g[2],
    ]
}

/// Gᵀ times 6 values.
#[inline(always)]
fn weight_adjoint<L: Lanes>(l: L, u: [L::V; POINTS]) -> [L::V; 3] {
    let (near, near_odd) = (l.add(u[1], u[2]), l.sub(u[2], u[1]));
    let (far, far_odd) = (l.add(u[3], u[4]), l.sub(u[3], u[4]));
    let sixth = l.splat(1.0 / 6.0);
    let first = l.neg_mul_add(near, sixth, l.mul(far, l.splat(1.0 / 24.0)));
    [
        l.mul_add(u[0], l.splat(0.25), first),
        l.mul_add(near_odd, sixth, l.mul(far_odd, l.splat(1.0 / 12.0))),
        l.mul_add(l.sub(far, near), sixth, u[5]),
    ]
}

/// Bᵀ times 6 values.
#[inline(always)]
fn input_transform<L: Lanes>(l: L, d: [L::V; POINTS]) -> [L::V; POINTS] {
    let (two, four, five) = (l.splat(2.0), l.splat(4.0), l.splat(5.0));
    let even = l.neg_mul_add(d[2], four, d[4]);
    let odd = l.neg_mul_add(d[1], four, d[3]);
    let far_even = l.sub(d[4], d[2]);
    let far_odd = l.sub(d[3], d[1]);
    [
        l.mul_add(d[0], four, l.neg_mul_add(d[2], five, d[4])),
        l.add(even, odd),
        l.sub(even, odd),
        l.mul_add(far_odd, two, far_even),
        l.neg_mul_add(far_odd, two, far_even),
        l.mul_add(d[1], four, l.neg_mul_add(d[3], five, d[5])),
    ]
}

/// Aᵀ times 6 values.
#[inline(always)]
fn output_transform<L: Lanes>(l: L, m: [L::V; POINTS]) -> [L::V; 4] {
    let (near, near_odd) = (l.add(m[1], m[2]), l.sub(m[1], m[2]));
    let (far, far_odd) = (l.add(m[3], m[4]), l.sub(m[3], m[4]));
    [
        l.add(l.add(m[0], near), far),
        l.mul_add(far_odd, l.splat(2.0), near_odd),
        l.mul_add(far, l.splat(4.0), near),
        l.add(l.mul_add(far_odd, l.splat(8.0), near_odd), m[5]),
    ]
}

/// A times 4 values.
#[inline(always)]
fn gradient_transform<L: Lanes>(l: L, y: [L::V; 4]) -> [L::V; POINTS] {
    let (even, odd) = (l.add(y[0], y[2]), l.add(y[1], y[3]));
    let far_even = l.mul_add(y[2], l.splat(4.0), y[0]);
    let far_odd = l.mul_add(y[3], l.splat(8.0), l.mul(y[1], l.splat(2.0)));
    [
        y[0],
        l.add(even, odd),
        l.sub(even, odd),
        l.add(far_even, far_odd),
        l.sub(far_even, far_odd),
        y[3],
    ]
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
fn input_tiles<L: Lanes>(l: L, x: &[Block], shape: &Shape, first: usize, count: usize, v: &mut [Block], stride: usize) {
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
fn gradient_tiles<L: Lanes>(
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
fn output_tiles<L: Lanes>(
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
