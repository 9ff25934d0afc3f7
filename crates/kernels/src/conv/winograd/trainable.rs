//! Winograd F(4x4, 3x3) for training: output, input gradient and weight gradient of 3x3 convolutions with stride 1.
//!
//! y = Aᵀ \[(G g Gᵀ) ⊙ (Bᵀ d B)\] A on tiles of 4x4 outputs. The gradient of the weights is its adjoint, dg = Gᵀ \[Σ (A dy Aᵀ) ⊙ (Bᵀ d B)\] G; the
//! gradient of the input is a convolution of dy with the kernels flipped and transposed.
//!
//! The products are those of every trainable layer ([`crate::product`]), one for each of the 36 planes. Inference has an engine of its own, because it
//! knows its weights and its residual beforehand and never needs the transformed tiles again.

use std::marker::PhantomData;

use super::tiles::{Chunk, Values, from_planes, tiles, to_planes, transform};
use super::transform::{Axis, Input, OutputAdjoint, TILE, Weights, WeightsAdjoint};
use super::{PLANE_PAD, PLANES, POINTS, Scratch};
use crate::blocked::Shape;
use crate::lanes::{Block, Kernel, Lanes, as_floats};
use crate::product::{Places, Product, TransposedProduct, Windows, floats};
use crate::simd::Simd;

/// Tiles that are transformed and multiplied together: twice as many as in inference, because the gradient of the weights reads and writes all 36
/// planes of its sums once a chunk.
const CHUNK: usize = 32;

/// The planes of a chunk: V of the input with C blocks of channels, M of the output with K.
struct Planes<'a> {
    v: &'a mut [Block],
    m: &'a mut [Block],
    /// Blocks from plane to plane of V and of M.
    v_stride: usize,
    m_stride: usize,
}

impl Scratch {
    /// Memory for the chunks of a layer.
    fn of_layer(&mut self, c: usize, k: usize) -> Planes<'_> {
        let [v_stride, m_stride] = [c, k].map(|blocks| CHUNK * blocks + PLANE_PAD);
        let (v, m) = self.planes(PLANES * v_stride, PLANES * m_stride);
        Planes {
            v,
            m,
            v_stride,
            m_stride,
        }
    }
}

/// The tiles of all images, chunk by chunk.
fn chunks(shape: &Shape, images: usize) -> impl Iterator<Item = Chunk> {
    let total = images * tiles(shape);
    (0..total).step_by(CHUNK).map(move |first| Chunk {
        first,
        count: CHUNK.min(total - first),
    })
}

/// y = conv(x, u): `x` and `y` share height and width; the halo of `x` is at least 1.
pub(crate) struct Convolve<'a> {
    pub(crate) x: &'a [Block],
    pub(crate) x_shape: Shape,
    /// Transformed weights (36, C, K blocks), C padded to blocks.
    pub(crate) u: &'a [Block],
    pub(crate) y: &'a mut [Block],
    pub(crate) y_shape: Shape,
    pub(crate) images: usize,
    pub(crate) accumulate: bool,
    pub(crate) scratch: &'a mut Scratch,
}

impl Kernel for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (c, k) = (self.x_shape.blocks(), self.y_shape.blocks());
        let Planes {
            v,
            m,
            v_stride,
            m_stride,
        } = self.scratch.of_layer(c, k);
        for chunk in chunks(&self.x_shape, self.images) {
            to_planes::<L, Input, POINTS>(l, self.x, &self.x_shape, chunk, v, v_stride);
            for (plane, u) in self.u.chunks_exact(floats(c) * k).enumerate() {
                Product {
                    windows: Windows::vectors(as_floats(&v[plane * v_stride..]), floats(c), chunk.count),
                    w: u,
                    out: &mut m[plane * m_stride..],
                    places: Places::vectors(k),
                    accumulate: false,
                }
                .run(l);
            }
            from_planes(l, (m, m_stride), chunk, self.y, &self.y_shape, self.accumulate);
        }
    }
}

/// du += the transformed weight gradient of `x` and `dy`.
pub(crate) struct WeightGradient<'a> {
    pub(crate) x: &'a [Block],
    pub(crate) x_shape: Shape,
    pub(crate) dy: &'a [Block],
    pub(crate) dy_shape: Shape,
    pub(crate) images: usize,
    /// (36, C, K blocks), C padded to blocks.
    pub(crate) du: &'a mut [Block],
    pub(crate) scratch: &'a mut Scratch,
}

impl Kernel for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (c, k) = (self.x_shape.blocks(), self.dy_shape.blocks());
        let Planes {
            v,
            m,
            v_stride,
            m_stride,
        } = self.scratch.of_layer(c, k);
        for chunk in chunks(&self.x_shape, self.images) {
            // The tiles of x are transformed again here: keeping them from the forward pass would take 2.25 times the memory of the activations.
            to_planes::<L, Input, POINTS>(l, self.x, &self.x_shape, chunk, v, v_stride);
            to_planes::<L, OutputAdjoint, TILE>(l, self.dy, &self.dy_shape, chunk, m, m_stride);
            for (plane, du) in self.du.chunks_exact_mut(floats(c) * k).enumerate() {
                TransposedProduct {
                    windows: Windows::vectors(as_floats(&v[plane * v_stride..]), floats(c), chunk.count),
                    dy: &m[plane * m_stride..],
                    places: Places::vectors(k),
                    dw: du,
                }
                .run(l);
            }
        }
    }
}

/// Transforms weights (9, C, K blocks) to (36, C, K blocks): u = G g Gᵀ.
pub(crate) fn transform_weights(simd: Simd, g: &[Block], u: &mut [Block]) {
    simd.run(EveryKernel::<Weights, 3, POINTS>(g, u, PhantomData));
}

/// The adjoint of [`transform_weights`]: (36, C, K blocks) to (9, C, K blocks).
pub(crate) fn finish_gradient(simd: Simd, du: &[Block], dg: &mut [Block]) {
    simd.run(EveryKernel::<WeightsAdjoint, POINTS, 3>(du, dg, PhantomData));
}

/// T X Tᵀ of every kernel: (I * I, C, K blocks) to (O * O, C, K blocks).
struct EveryKernel<'a, T, const I: usize, const O: usize>(&'a [Block], &'a mut [Block], PhantomData<T>);

impl<T: Axis<I, O>, const I: usize, const O: usize> Kernel for EveryKernel<'_, T, I, O> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self(from, to, _) = self;
        let n = to.len() / (O * O);
        assert!(I * I * n <= from.len());
        let plane_of = |start, side| Values {
            start,
            row: side * n,
            column: n,
        };
        for i in 0..n {
            // SAFETY: i is below n, and both sides have n blocks for each of their values.
            unsafe { transform::<L, T, I, O>(l, from, plane_of(i, I), to, plane_of(i, O), false) };
        }
    }
}
