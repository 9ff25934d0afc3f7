//! Two convolutions of an image without an activation between them, trained as their product.
//!
//! With z = w1 * x + b1 and y = w2 * z + b2, y is a convolution of x whose kernel is the product of both. The work that every image takes is that of the
//! product, which has few input channels; the product itself and the way back from its gradient to those of w1, b1 and w2 are taken once a batch. With
//! S(t) the gradient of the product of tap t of w2 with w1: dw2(t) = S(t) w1, dw1 = sum over t of w2(t) S(t), the biases being one more value of w1.
//!
//! The second layer's padding puts zeros around z, so output pixels near the border leave out taps of w2: pixels that leave out the same ones are a
//! part with a kernel of its own.

use std::ops::Range;

use super::super::ConvParams;
use super::super::taps::variants;
use super::super::trainable::check_sizes;
use super::{Axis, Taps};
use crate::blocked::Shape;
use crate::error::{KernelError, Result, check_eq, check_len};
use crate::lanes::{Block, add};
use crate::product::{Extent, Grid, Places, Product, TransposedProduct, Windows};
use crate::simd::Simd;

/// Two convolutions of interleaved images as one in training, instead of two [`crate::training::TrainableConv`].
#[derive(Debug, Clone)]
pub struct ComposedConv {
    pub(super) first: ConvParams,
    pub(super) second: ConvParams,
    input: Shape,
    pub(super) output: Shape,
    pub(super) parts: Vec<Part>,
    pub(super) gradient_blocks: usize,
    /// Multiply-adds of both layers, one after the other, for an image.
    apart: usize,
}

/// Both layers' weights and their product as the kernels read them. Made by [`ComposedConv::pack`].
#[derive(Debug, Default, Clone)]
pub struct ComposedWeights {
    /// Kernel and bias of every part.
    pub(super) product: Vec<Block>,
    /// (middle channels, first layer's weights and bias).
    pub(super) first: Vec<f32>,
    /// (taps, out channels, middle blocks).
    pub(super) second: Vec<Block>,
}

/// A rectangle of output pixels that take the same taps.
#[derive(Debug, Clone)]
pub(super) struct Part {
    rows: Range<usize>,
    columns: Range<usize>,
    /// Taps of the second layer, and of the product.
    pub(super) row_taps: Taps,
    pub(super) column_taps: Taps,
    /// Offsets of the product's rows of taps, in floats, from the first tap.
    runs: Vec<usize>,
    /// Floats of a row of taps.
    pub(super) run_len: usize,
    /// The first tap of the first pixel, in floats.
    base: usize,
    /// Where the part's weights start, in blocks: (taps, out blocks), then (out blocks) of bias.
    pub(super) start: usize,
}

impl Part {
    pub(super) fn taps(&self) -> usize {
        self.runs.len() * self.run_len
    }

    /// Where the part's pixels are in images of a shape.
    fn places(&self, shape: &Shape) -> Places {
        Places::of_shape(shape, 1).moved(self.rows.start * shape.row() + self.columns.start)
    }
}

impl ComposedConv {
    /// Plans both layers for interleaved images of the given shape, (H + 2 halo, W + 2 halo, C).
    ///
    /// # Errors
    /// If a size is zero, the channels disagree, or an image is smaller than a kernel.
    pub fn new(first: ConvParams, second: ConvParams, input: Shape) -> Result<Self> {
        check_sizes(&first, input)?;
        check_sizes(&second, input)?;
        let middle = first.output(input, second.padding.halo())?;
        let output = second.output(middle, 0)?;
        check_eq(
            "the channels between two convolutions",
            first.out_channels,
            second.in_channels,
        )?;
        let sizes = ([input.height, input.width], [middle.height, middle.width]);
        let [rows, columns] = Axis::both(&first, &second, sizes.0, sizes.1);
        let stride = first.stride * second.stride;
        let row = input.row() * input.channels;
        let mut parts = Vec::new();
        let mut start = 0;
        // Windows move on with the pixels, so pixels that leave out the same taps are neighbours.
        for (row_taps, ys) in variants(output.height, |y| rows.variant(y)) {
            for (column_taps, xs) in variants(output.width, |x| columns.variant(x)) {
                let corner =
                    |axis: &Axis, at: usize, taps: &Taps| at * stride + taps.1.start + input.halo - axis.padding();
                let part = Part {
                    rows: ys[0]..ys[0] + ys.len(),
                    columns: xs[0]..xs[0] + xs.len(),
                    runs: (0..row_taps.1.len()).map(|y| y * row).collect(),
                    run_len: column_taps.1.len() * input.channels,
                    base: corner(&rows, ys[0], &row_taps) * row
                        + corner(&columns, xs[0], &column_taps) * input.channels,
                    start,
                    row_taps: row_taps.clone(),
                    column_taps,
                };
                start += (part.taps() + 1) * output.blocks();
                parts.push(part);
            }
        }
        Ok(Self {
            first,
            second,
            input,
            output,
            parts,
            gradient_blocks: start,
            apart: middle.height * middle.width * first.weights() + output.height * output.width * second.weights(),
        })
    }

    /// Multiply-adds of the product for one image, and those of both layers.
    pub fn multiply_adds(&self) -> (usize, usize) {
        let product = |part: &Part| part.rows.len() * part.columns.len() * part.taps() * self.output.channels;
        (self.parts.iter().map(product).sum(), self.apart)
    }

    /// Multiply-adds of a product of both weights; [`Self::pack`] takes one of them and [`Self::gradient`] two.
    pub fn composing(&self) -> usize {
        self.second.weights() * (self.inner() + 1)
    }

    /// The shape of the output, without a halo.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Floats of one input image, halo included.
    pub fn input_floats(&self) -> usize {
        floats_of(&self.input)
    }

    /// Blocks of a buffer for [`Self::backward_weights`].
    pub fn gradient_blocks(&self) -> usize {
        self.gradient_blocks
    }

    /// Weights of one channel of the first layer.
    pub(super) fn inner(&self) -> usize {
        self.first.weights() / self.first.out_channels
    }

    /// Taps of the second layer.
    pub(super) fn taps(&self) -> usize {
        self.second.kernel[0] * self.second.kernel[1]
    }

    /// y = w2 * (w1 * x + b1) + b2. `x` holds `images` interleaved images, `y` as many of `y_shape`: the output's shape with any halo.
    ///
    /// # Errors
    /// If a slice has another length than its shape says, or `y_shape` is not the output's.
    pub fn forward(
        &self,
        simd: Simd,
        weights: &ComposedWeights,
        x: &[f32],
        images: usize,
        y: &mut [Block],
        y_shape: Shape,
    ) -> Result<()> {
        self.check(x, y, y_shape, images)?;
        let k = y_shape.blocks();
        let expected = self.gradient_blocks;
        check_len("the packed weights of a convolution", expected, weights.product.len())?;
        for part in &self.parts {
            let (w, bias) = weights.product[part.start..][..(part.taps() + 1) * k].split_at(part.taps() * k);
            let places = part.places(&y_shape);
            // The bias goes to the output first and the product is added to it, which needs no other pass over the output.
            for_each_pixel(part, &places.grid, images, |at| {
                for (block, bias) in bias.iter().enumerate() {
                    y[at + block * places.block] = *bias;
                }
            });
            simd.run(Product {
                windows: self.windows(part, x, images),
                w,
                out: y,
                places,
                accumulate: true,
            });
        }
        Ok(())
    }

    /// Adds the gradient of the product over `images` images to `dw` ([`Self::gradient_blocks`] blocks; see [`Self::gradient`]).
    ///
    /// # Errors
    /// If a slice has another length than its shape says.
    pub fn backward_weights(
        &self,
        simd: Simd,
        x: &[f32],
        dy: &[Block],
        dy_shape: Shape,
        images: usize,
        dw: &mut [Block],
    ) -> Result<()> {
        self.check(x, dy, dy_shape, images)?;
        check_len("the weight gradient of a convolution", self.gradient_blocks, dw.len())?;
        let k = dy_shape.blocks();
        for part in &self.parts {
            let (dw, bias) = dw[part.start..][..(part.taps() + 1) * k].split_at_mut(part.taps() * k);
            let places = part.places(&dy_shape);
            for_each_pixel(part, &places.grid, images, |at| {
                for (block, sum) in bias.iter_mut().enumerate() {
                    let dy = &dy[at + block * places.block];
                    add(std::slice::from_mut(sum), std::slice::from_ref(dy));
                }
            });
            simd.run(TransposedProduct {
                windows: self.windows(part, x, images),
                dy,
                places,
                dw,
            });
        }
        Ok(())
    }

    fn check(&self, x: &[f32], y: &[Block], y_shape: Shape, images: usize) -> Result<()> {
        if y_shape.with_halo(0) != self.output {
            return Err(KernelError::Shape {
                what: "the output of a convolution",
                expected: format!("{:?} with any halo", self.output),
                got: format!("{y_shape:?}"),
            });
        }
        check_len("the input of a convolution", images * self.input_floats(), x.len())?;
        check_len("the output of a convolution", images * y_shape.len(), y.len())
    }

    /// The windows of a part's pixels.
    fn windows<'a>(&self, part: &'a Part, x: &'a [f32], images: usize) -> Windows<'a> {
        let stride = self.first.stride * self.second.stride * self.input.channels;
        Windows {
            extent: Extent {
                images,
                rows: part.rows.len(),
                columns: part.columns.len(),
            },
            x,
            grid: Grid {
                base: part.base,
                image: self.input_floats(),
                row: stride * self.input.row(),
                column: stride,
            },
            runs: &part.runs,
            run_len: part.run_len,
        }
    }
}

/// Floats of an interleaved image.
fn floats_of(shape: &Shape) -> usize {
    shape.plane() * shape.channels
}

/// Calls `f` with the place of every pixel of a part.
fn for_each_pixel(part: &Part, grid: &Grid, images: usize, mut f: impl FnMut(usize)) {
    for image in 0..images {
        for row in 0..part.rows.len() {
            for column in 0..part.columns.len() {
                f(grid.base + image * grid.image + row * grid.row + column * grid.column);
            }
        }
    }
}
