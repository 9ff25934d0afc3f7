//! Winograd convolution: 3x3 with stride 1 as F(4x4, 3x3), and 4x4 with stride 2 as F(4x4, 2x2) over the input's four phases.
//!
//! `transform` has the matrices for inference and training; `engine` is the forward pass of inference; `trainable`, over `tiles`, is the forward
//! pass and the gradients of training.

mod engine;
mod tiles;
mod trainable;
mod transform;

pub(crate) use trainable::{Convolve, WeightGradient, finish_gradient, transform_weights};

use std::marker::PhantomData;

use engine::{Grid, Images, Run};
use transform::{TILE, ThreeTaps, Transform, TwoTaps, transform_kernel};

use super::{ConvParams, Epilogue};
use crate::blocked::{Blocked, Shape};
use crate::error::{KernelError, Result};
use crate::lanes::{Block, LANES, pack_bias};
use crate::simd::Simd;

/// Rows (and columns) of a transformed tile of F(4x4, 3x3).
const POINTS: usize = 6;
/// Planes of transformed tiles of F(4x4, 3x3): one for each value of a tile.
pub(crate) const PLANES: usize = POINTS * POINTS;
/// Blocks between planes beyond their content: planes at a power of two from each other fall in the same sets of the first-level cache, which costs up
/// to half as much time again.
const PLANE_PAD: usize = 3;
/// Tiles that are transformed and multiplied together in inference; a multiple of every group of tiles in registers. 8 and 32 were slower: with fewer the
/// weights are read more often, with more the planes leave the first-level cache.
const CHUNK: usize = 16;
/// Rows of the planes that are transformed and multiplied before the others, so that what is between both steps stays in the first-level cache. All
/// rows at once and a third of them at a time were slower.
const HALF: usize = 3;

/// Memory that convolutions work in. Made empty, grows to what the largest layer needs; keep one for each thread.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// Transformed input: half of its planes in inference, all of them in training.
    v: Vec<Block>,
    /// Products, or the gradient of the output, still transformed.
    m: Vec<Block>,
}

impl Scratch {
    /// Both buffers, at least this long, with whatever they held before.
    fn planes(&mut self, v: usize, m: usize) -> (&mut [Block], &mut [Block]) {
        for (buffer, len) in [(&mut self.v, v), (&mut self.m, m)] {
            if buffer.len() < len {
                buffer.resize(len, Block::ZERO);
            }
        }
        (&mut self.v, &mut self.m)
    }
}

/// A convolution by Winograd's minimal filtering, its weights transformed and packed: 3x3 with stride 1 in a quarter of the multiplications, or 4x4 with
/// stride 2 in 1 / 2.56 of them.
///
/// y = act(A^T ((G g G^T) * (B^T d B)) A + bias) on tiles of 4x4 outputs (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural
/// Networks"). A 4x4 kernel with stride 2 is a 2x2 kernel with stride 1 over the four phases (even and odd rows and columns) of its input.
/// Errors are up to about 1e-5 of the largest output, against 1e-6 for [`super::DirectConv`].
///
/// ```
/// use riptide_kernels::{Activation, Blocked, ConvParams, Epilogue, Padding, Scratch, Shape, Simd, WinogradConv};
/// let params = ConvParams { in_channels: 1, out_channels: 1, kernel: [3, 3], stride: 1, padding: Padding::all(1) };
/// let conv = WinogradConv::new(params, &[1.0; 9], Some(&[0.5]))?;
/// let input = Blocked::from_nchw(&[1.0; 4], 1, Shape::new(1, 2, 2))?;
/// let mut output = Blocked::zeros(Shape::new(1, 2, 2), 1);
/// conv.forward_into(Simd::current()?, &input, Epilogue::new(Activation::Relu), &mut output, &mut Scratch::default())?;
/// assert!(output.to_nchw().iter().all(|y| (y - 4.5).abs() < 1e-5));
/// # Ok::<(), riptide_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct WinogradConv {
    params: ConvParams,
    /// [plane][in block][phase][lane][out block] of 16 output channels: the order in which they are multiplied, plane by plane.
    weights: Vec<Block>,
    bias: Vec<Block>,
}

impl WinogradConv {
    /// Whether a layer is of one of the two kinds.
    pub const fn supports(params: &ConvParams) -> bool {
        matches!((params.kernel, params.stride), ([3, 3], 1) | ([4, 4], 2))
    }

    /// Transforms and packs the weights (out, in, kernel rows, kernel columns), row-major, and the bias (out).
    ///
    /// # Errors
    /// If kernel and stride are of neither kind, a size is zero, or a slice disagrees with the sizes.
    pub fn new(params: ConvParams, weights: &[f32], bias: Option<&[f32]>) -> Result<Self> {
        params.check(weights, bias)?;
        let packed = match (params.kernel, params.stride) {
            ([3, 3], 1) => pack::<6, ThreeTaps>(&params, weights),
            ([4, 4], 2) => pack::<5, TwoTaps>(&params, weights),
            (kernel, stride) => {
                return Err(KernelError::Shape {
                    what: "the kernel and stride of a Winograd convolution",
                    expected: "[3, 3] with stride 1 or [4, 4] with stride 2".into(),
                    got: format!("{kernel:?} with stride {stride}"),
                });
            }
        };
        Ok(Self {
            params,
            weights: packed,
            bias: pack_bias(bias, params.out_channels.div_ceil(LANES)),
        })
    }

    /// The sizes of the layer.
    pub fn params(&self) -> &ConvParams {
        &self.params
    }

    /// Convolves all images into `output`, whose halo stays as it is.
    ///
    /// # Errors
    /// If a shape disagrees, or the input's halo is smaller than the padding.
    pub fn forward_into(
        &self,
        simd: Simd,
        input: &Blocked,
        epilogue: Epilogue,
        output: &mut Blocked,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (in_shape, out_shape, images) = (input.shape(), output.shape(), input.images());
        output.check(
            "the output of a convolution",
            self.params.output(in_shape, out_shape.halo)?,
            images,
        )?;
        self.images(
            simd,
            in_shape,
            input.data(),
            epilogue,
            out_shape,
            output.data_mut(),
            scratch,
        )
    }

    /// Convolves images given as the blocks of their shape, halo included, one after the other.
    ///
    /// # Errors
    /// If a shape or length disagrees, or the input's halo is smaller than the padding.
    #[allow(clippy::too_many_arguments)]
    pub fn images(
        &self,
        simd: Simd,
        in_shape: Shape,
        input: &[Block],
        epilogue: Epilogue,
        out_shape: Shape,
        output: &mut [Block],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let count = self.params.check_run(in_shape, input, out_shape, output)?;
        let images = Images {
            count,
            in_shape,
            input,
            epilogue,
            out_shape,
            output,
        };
        if self.params.stride == 1 {
            self.run::<6, ThreeTaps>(simd, images, scratch);
        } else {
            self.run::<5, TwoTaps>(simd, images, scratch);
        }
        Ok(())
    }

    /// Convolves images whose lengths and shapes are checked. Chunks are whole rows of tiles, so that neighbouring tiles share transformed columns.
    fn run<const P: usize, F: Transform<P>>(&self, simd: Simd, images: Images<'_>, scratch: &mut Scratch) {
        let (in_shape, out_shape) = (images.in_shape, images.out_shape);
        let phases = self.params.stride * self.params.stride;
        let tiles_x = out_shape.width.div_ceil(TILE);
        let chunk_rows = (CHUNK / tiles_x).max(1);
        let tiles = (chunk_rows * tiles_x).next_multiple_of(CHUNK);
        let grid = Grid {
            tiles_x,
            tiles_y: out_shape.height.div_ceil(TILE),
            chunk_rows,
            tiles,
            v_plane: in_shape.blocks() * phases * tiles + PLANE_PAD,
            m_plane: out_shape.blocks() * tiles + PLANE_PAD,
        };
        let (v, m) = scratch.planes(HALF * P * grid.v_plane, P * P * grid.m_plane);
        simd.run(Run::<P, F> {
            params: &self.params,
            weights: &self.weights,
            bias: &self.bias,
            grid,
            images,
            v,
            m,
            transform: PhantomData,
        });
    }
}

/// The transformed weights, [plane][in block][phase][lane][out block].
fn pack<const P: usize, F: Transform<P>>(params: &ConvParams, weights: &[f32]) -> Vec<Block> {
    let (blocks, stride) = (params.out_channels.div_ceil(LANES), params.stride);
    let [rows, columns] = params.kernel;
    let phases = stride * stride;
    // Only real channels have weights: the zeros that fill up the last block of the input are not multiplied, which saves most of the work of layers
    // with a few channels more than a block.
    let plane = params.in_channels * phases * blocks;
    let mut packed = vec![Block::ZERO; P * P * plane];
    for (k, kernel) in weights.chunks_exact(rows * columns).enumerate() {
        let (o, c) = (k / params.in_channels, k % params.in_channels);
        let (block, lane) = (c / LANES, c % LANES);
        let lanes = (params.in_channels - block * LANES).min(LANES);
        // Each phase of a strided kernel is a smaller kernel with stride 1 over the same phase of the input: more channels, and fewer taps.
        for phase in 0..phases {
            let mut g = [[0f64; 3]; 3];
            for y in (phase / stride..rows).step_by(stride) {
                for x in (phase % stride..columns).step_by(stride) {
                    g[y / stride][x / stride] = f64::from(kernel[y * columns + x]);
                }
            }
            let channel = block * LANES * phases + phase * lanes + lane;
            for (p, u) in transform_kernel::<P, F>(&g).into_iter().flatten().enumerate() {
                packed[p * plane + channel * blocks + o / LANES].0[o % LANES] = u;
            }
        }
    }
    packed
}
