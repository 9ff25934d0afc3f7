//! Winograd F(4x4, 3x3) for training: output, input gradient and weight gradient of 3x3 convolutions with stride 1.
//!
//! y = Aᵀ \[(G g Gᵀ) ⊙ (Bᵀ d B)\] A on tiles of 4x4 outputs (Lavin and Gray 2016). The gradient of the weights is its adjoint,
//! dg = Gᵀ \[Σ (A dy Aᵀ) ⊙ (Bᵀ d B)\] G; the gradient of the input is a convolution of dy with the kernels flipped and transposed.

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over small arrays are what stays in registers"
)]

mod tiles;
mod transform;

use super::product::{Extent, Grid, Product, TransposedProduct, floats};
use crate::blocked::Shape;
use crate::lanes::{Block, Kernel, Lanes, as_floats};
use tiles::{gradient_tiles, input_tiles, output_tiles};
use transform::{weight_adjoint, weight_transform};

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
