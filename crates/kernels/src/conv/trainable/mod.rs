//! Convolutions with their gradients.

mod backward;
mod pack;

use super::winograd::{self, Scratch};
use super::{ConvParams, Padding};
use crate::blocked::Shape;
use crate::error::{KernelError, Result, check_len};
use crate::lanes::{Block, LANES};
use crate::product::{Extent, Grid, Places, Product, Windows, floats};
use crate::simd::Simd;

/// How the input images of a convolution are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Channels in blocks of 16 ([`Shape`]).
    Blocked,
    /// Channels of a pixel beside each other, (H + 2 halo, W + 2 halo, C): for images of few channels. No gradient flows into them.
    Interleaved,
}

/// Weights as the kernels read them. Made by [`TrainableConv::pack`].
#[derive(Debug, Default, Clone)]
pub struct PackedWeights {
    forward: Vec<Block>,
    backward: Vec<Block>,
}

/// The pixels of the input that one residue of the stride selects: each is a sum over the same taps.
#[derive(Debug, Clone)]
struct Phase {
    row: usize,
    column: usize,
    /// (kernel row, kernel column, rows back, columns back): input pixel s*u + row takes output pixel u + back.
    taps: Vec<(usize, usize, isize, isize)>,
    /// Where the phase's weights start, in blocks.
    start: usize,
}

/// A convolution layer in training: output, gradient of the input and gradient of the weights, over the blocked layout.
///
/// 3x3 kernels with stride 1, padding 1 and sides that are multiples of 4 go through Winograd F(4x4, 3x3); everything else is a product that
/// reads its windows in place. The gradient of the input of a strided convolution is computed for each residue of the stride by itself.
#[derive(Debug, Clone)]
pub struct TrainableConv {
    params: ConvParams,
    layout: Layout,
    input: Shape,
    output: Shape,
    winograd: bool,
    runs: Vec<usize>,
    run_len: usize,
    phases: Vec<Phase>,
    backward_blocks: usize,
}

impl TrainableConv {
    /// Plans a convolution for inputs of the given shape (its halo included). The output's shape has the halo that the gradient needs.
    ///
    /// # Errors
    /// If a size is zero, the channels disagree, the input is smaller than the kernel, or its halo smaller than the padding.
    pub fn new(params: ConvParams, layout: Layout, input: Shape) -> Result<Self> {
        check_sizes(&params, input)?;
        let [rows, columns] = params.kernel;
        let stride = params.stride;
        if input.halo < params.padding.halo() {
            return Err(shape_error(
                "the halo of a convolution's input",
                "at least its padding",
                &input,
            ));
        }
        let output = params.output(input, 0)?;
        // Whole tiles only: the transforms of training then need no code for edges, and the networks' sides are 32, 16 and 8.
        let winograd = layout == Layout::Blocked
            && params.kernel == [3, 3]
            && stride == 1
            && params.padding == Padding::all(1)
            && input.height.is_multiple_of(4)
            && input.width.is_multiple_of(4);
        // Offsets of the taps from the pixel of the halo's corner that belongs to output (0, 0). Interleaved rows of taps are neighbours in memory and
        // so are one long run; blocked taps are runs of 16 channels.
        let (runs, run_len) = match layout {
            Layout::Blocked => {
                let mut runs = Vec::new();
                for block in 0..input.blocks() {
                    for ky in 0..rows {
                        runs.extend((0..columns).map(|kx| floats(block * input.plane() + ky * input.row() + kx)));
                    }
                }
                (runs, LANES)
            }
            Layout::Interleaved => (
                (0..rows).map(|ky| ky * input.row() * input.channels).collect(),
                columns * input.channels,
            ),
        };
        // The gradient of the input of a strided convolution, taken over all taps, would multiply mostly zeros. Input pixels of one residue of the
        // stride take the same few taps, so each residue is a convolution with stride 1.
        let mut phases = Vec::new();
        let mut halo = 0;
        let mut start = 0;
        for row in 0..stride {
            for column in 0..stride {
                let mut taps = Vec::new();
                for ky in 0..rows {
                    for kx in 0..columns {
                        let (y, x) = (row + params.padding.top, column + params.padding.left);
                        // A tap reaches this residue if position - tap is a multiple of the stride; the sum with the kernel's size keeps it unsigned.
                        if (y + stride * rows - ky).is_multiple_of(stride)
                            && (x + stride * columns - kx).is_multiple_of(stride)
                        {
                            let back = (step(y, ky, stride), step(x, kx, stride));
                            halo = halo.max(back.0.unsigned_abs()).max(back.1.unsigned_abs());
                            taps.push((ky, kx, back.0, back.1));
                        }
                    }
                }
                let blocks = output.blocks() * taps.len() * LANES * input.blocks();
                phases.push(Phase {
                    row,
                    column,
                    taps,
                    start,
                });
                start += blocks;
            }
        }
        // Input pixels past the last window still read their gradients from the halo.
        let reach = |size: usize, out: usize| size.div_ceil(stride).saturating_sub(out);
        let halo = halo + reach(input.height, output.height).max(reach(input.width, output.width));
        let backward_blocks = match (layout, winograd) {
            (Layout::Interleaved, _) => 0,
            (_, true) => winograd::PLANES * floats(output.blocks()) * input.blocks(),
            (_, false) => start,
        };
        // Only a gradient that flows on is read beyond its border.
        let output = output.with_halo(if layout == Layout::Blocked { halo } else { 0 });
        Ok(Self {
            params,
            layout,
            input,
            output,
            winograd,
            runs,
            run_len,
            phases,
            backward_blocks,
        })
    }

    /// The sizes of the layer.
    pub fn params(&self) -> &ConvParams {
        &self.params
    }

    /// The shape of the input, with its halo.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// The shape of the output's gradient, with the halo that [`Self::backward_input`] reads. The output itself may have any halo.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Whether the layer goes through Winograd's algorithm.
    pub fn is_winograd(&self) -> bool {
        self.winograd
    }

    /// Floats of one input image, halo included.
    pub fn input_floats(&self) -> usize {
        match self.layout {
            Layout::Blocked => floats(self.input.len()),
            Layout::Interleaved => (self.input.height + 2 * self.input.halo) * self.input.row() * self.input.channels,
        }
    }

    /// Blocks of a buffer for [`Self::backward_weights`].
    pub fn gradient_blocks(&self) -> usize {
        let taps = if self.winograd {
            winograd::PLANES * floats(self.input.blocks())
        } else {
            self.runs.len() * self.run_len
        };
        taps * self.output.blocks()
    }

    /// The windows of all output pixels.
    fn windows<'a>(&'a self, x: &'a [f32], images: usize) -> Windows<'a> {
        let Self { params, input, .. } = self;
        let pixel = match self.layout {
            Layout::Blocked => LANES,
            Layout::Interleaved => input.channels,
        };
        let corner = (input.halo - params.padding.top) * input.row() + input.halo - params.padding.left;
        Windows {
            extent: Extent {
                images,
                rows: self.output.height,
                columns: self.output.width,
            },
            x,
            grid: Grid {
                base: corner * pixel,
                image: self.input_floats(),
                row: params.stride * input.row() * pixel,
                column: params.stride * pixel,
            },
            runs: &self.runs,
            run_len: self.run_len,
        }
    }

    /// Checks that a shape is the output's, apart from the halo.
    fn check_output(&self, shape: &Shape) -> Result<()> {
        if shape.with_halo(0) == self.output.with_halo(0) {
            Ok(())
        } else {
            Err(shape_error(
                "the output of a convolution",
                &format!("{:?} with any halo", self.output),
                shape,
            ))
        }
    }

    /// y = conv(x), without bias. `x` holds `images` images in the planned layout, `y` as many of `y_shape`: the output's shape with any halo.
    ///
    /// # Errors
    /// If a slice has another length than its shape says, or `y_shape` is not the output's.
    #[allow(clippy::too_many_arguments)]
    pub fn forward(
        &self,
        simd: Simd,
        weights: &PackedWeights,
        x: &[f32],
        images: usize,
        y: &mut [Block],
        y_shape: Shape,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.check_output(&y_shape)?;
        check_len("the input of a convolution", images * self.input_floats(), x.len())?;
        check_len("the output of a convolution", images * y_shape.len(), y.len())?;
        check_len(
            "the packed weights of a convolution",
            self.gradient_blocks(),
            weights.forward.len(),
        )?;
        if self.winograd {
            simd.run(winograd::Convolve {
                x: as_blocks(x)?,
                x_shape: self.input,
                u: &weights.forward,
                y,
                y_shape,
                images,
                accumulate: false,
                scratch,
            });
        } else {
            simd.run(Product {
                windows: self.windows(x, images),
                w: &weights.forward,
                out: y,
                places: Places::of_shape(&y_shape, 1),
                accumulate: false,
            });
        }
        Ok(())
    }
}

/// Returns an error if a size is zero.
pub(super) fn check_sizes(params: &ConvParams, input: Shape) -> Result<()> {
    let [rows, columns] = params.kernel;
    let channels = [params.in_channels, params.out_channels];
    if channels.contains(&0) || [rows, columns, params.stride, input.height, input.width].contains(&0) {
        return Err(shape_error("the sizes of a convolution", "all at least 1", params));
    }
    Ok(())
}

/// (position - tap) / stride, which has no remainder.
fn step(position: usize, tap: usize, stride: usize) -> isize {
    (position as isize - tap as isize) / stride as isize
}

/// Floats that are whole, aligned blocks.
fn as_blocks(floats: &[f32]) -> Result<&[Block]> {
    // SAFETY: a Block is 16 f32 without padding and every pattern of bits is a valid f32; `align_to` keeps to aligned, whole blocks.
    let (before, blocks, after) = unsafe { floats.align_to::<Block>() };
    if before.is_empty() && after.is_empty() {
        Ok(blocks)
    } else {
        Err(shape_error(
            "the memory of blocked images",
            "whole blocks, aligned to 64 bytes",
            &floats.len(),
        ))
    }
}

fn shape_error(what: &'static str, expected: &str, got: &dyn std::fmt::Debug) -> KernelError {
    KernelError::Shape {
        what,
        expected: expected.to_owned(),
        got: format!("{got:?}"),
    }
}
