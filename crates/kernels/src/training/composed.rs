//! Two convolutions of an image without an activation between them, trained as their product.
//!
//! With z = w1 * x + b1 and y = w2 * z + b2, y is a convolution of x whose kernel is the product of both. The work that every image takes is that of the
//! product, which has few input channels; the product itself and the way back from its gradient to those of w1, b1 and w2 are taken once a batch. With
//! S(t) the gradient of the product of tap t of w2 with w1: dw2(t) = S(t) w1, dw1 = sum over t of w2(t) S(t), the biases being one more value of w1.
//!
//! The second layer's padding puts zeros around z, so output pixels near the border leave out taps of w2: pixels that leave out the same ones are a
//! part with a kernel of its own.

use std::ops::Range;

use rayon::prelude::*;

use super::conv::check_sizes;
use super::product::{Extent, Grid, Product, TransposedProduct, floats};
use crate::blocked::Shape;
use crate::conv::ConvParams;
use crate::conv::composed::{Axis, Taps, variants};
use crate::error::{KernelError, Result, check_eq, check_len};
use crate::lanes::{Block, LANES, as_floats};
use crate::tier::Simd;

/// Rows of the first layer's gradient that one task sums.
const ROWS: usize = 13;

/// Two convolutions of interleaved images as one in training, in place of two [`super::TrainableConv`].
#[derive(Debug, Clone)]
pub struct ComposedConv {
    first: ConvParams,
    second: ConvParams,
    input: Shape,
    output: Shape,
    parts: Vec<Part>,
    gradient_blocks: usize,
    /// Multiply-adds of both layers, one after the other, for an image.
    apart: usize,
}

/// A rectangle of output pixels that take the same taps.
#[derive(Debug, Clone)]
struct Part {
    rows: Range<usize>,
    columns: Range<usize>,
    /// Taps of the second layer, and of the product.
    row_taps: Taps,
    column_taps: Taps,
    /// Offsets of the product's rows of taps, in floats, from the first tap.
    runs: Vec<usize>,
    /// Floats of a row of taps.
    run_len: usize,
    /// The first tap of the first pixel, in floats.
    base: usize,
    /// Where the part's weights start, in blocks: (taps, out blocks), then (out blocks) of bias.
    start: usize,
}

impl Part {
    fn taps(&self) -> usize {
        self.runs.len() * self.run_len
    }

    fn extent(&self, images: usize) -> Extent {
        Extent {
            images,
            rows: self.rows.len(),
            columns: self.columns.len(),
        }
    }

    /// Where the part's pixels are in images of a shape, in blocks.
    fn grid(&self, shape: &Shape) -> Grid {
        Grid {
            base: shape.index(0, self.rows.start, self.columns.start),
            image: shape.len(),
            row: shape.row(),
            column: 1,
        }
    }
}

/// Both layers' weights and their product as the kernels read them. Made by [`ComposedConv::pack`].
#[derive(Debug, Default, Clone)]
pub struct ComposedWeights {
    /// Kernel and bias of every part.
    product: Vec<Block>,
    /// (middle channels, first layer's weights and bias).
    first: Vec<f32>,
    /// (taps, out channels, middle blocks).
    second: Vec<Block>,
}

impl ComposedConv {
    /// Plans both layers for interleaved images of the given shape, (H + 2 halo, W + 2 halo, C).
    ///
    /// # Errors
    /// When a size is zero, the channels disagree, or an image is smaller than a kernel.
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
    fn inner(&self) -> usize {
        self.first.weights() / self.first.out_channels
    }

    /// Taps of the second layer.
    fn taps(&self) -> usize {
        self.second.kernel[0] * self.second.kernel[1]
    }

    /// Calls `f` with the row of a part's weights and the weight of the first layer, for every product of that weight with a tap of the second layer.
    fn for_each_product(&self, part: &Part, tap: usize, mut f: impl FnMut(usize, usize)) {
        let [k1y, k1x] = self.first.kernel;
        let (ky, kx) = (tap / self.second.kernel[1], tap % self.second.kernel[1]);
        if !part.row_taps.0.contains(&ky) || !part.column_taps.0.contains(&kx) {
            return;
        }
        let channels = self.first.in_channels;
        for at in 0..k1y * k1x {
            let (y, x) = (ky * self.first.stride + at / k1x, kx * self.first.stride + at % k1x);
            if part.row_taps.1.contains(&y) && part.column_taps.1.contains(&x) {
                let row = (y - part.row_taps.1.start) * part.run_len + (x - part.column_taps.1.start) * channels;
                for c in 0..channels {
                    f(row + c, c * k1y * k1x + at);
                }
            }
        }
        f(part.taps(), self.inner());
    }

    /// Packs the weights (out, in, kernel rows, kernel columns) and biases (out) of both layers, and their product.
    ///
    /// # Errors
    /// When a slice has another length.
    pub fn pack(
        &self,
        simd: Simd,
        first: (&[f32], &[f32]),
        second: (&[f32], &[f32]),
        packed: &mut ComposedWeights,
    ) -> Result<()> {
        for (params, (weights, bias)) in [(&self.first, first), (&self.second, second)] {
            check_len("the weights of a convolution", params.weights(), weights.len())?;
            check_len("the bias of a convolution", params.out_channels, bias.len())?;
        }
        let (inner, taps) = (self.inner(), self.taps());
        let (middle, out) = (self.second.in_channels, self.second.out_channels);
        let (m, k) = (middle.div_ceil(LANES), self.output.blocks());
        packed.first.clear();
        let mut turned = vec![0.0; (inner + 1) * middle];
        for (channel, (weights, bias)) in first.0.chunks_exact(inner).zip(first.1).enumerate() {
            packed.first.extend_from_slice(weights);
            packed.first.push(*bias);
            for (i, w) in weights.iter().chain([bias]).enumerate() {
                turned[i * middle + channel] = *w;
            }
        }
        packed.second.resize(taps * floats(k) * m, Block::ZERO);
        let mut products = vec![Block::ZERO; taps * (inner + 1) * k];
        let tasks = products
            .par_chunks_mut((inner + 1) * k)
            .zip(packed.second.par_chunks_mut(floats(k) * m));
        tasks.enumerate().for_each(|(tap, (product, rows))| {
            let mut columns = vec![Block::ZERO; middle * k];
            for o in 0..out {
                for i in 0..middle {
                    let w = second.0[(o * middle + i) * taps + tap];
                    columns[i * k + o / LANES].0[o % LANES] = w;
                    rows[o * m + i / LANES].0[i % LANES] = w;
                }
            }
            simd.run(rows_by_matrix(&turned, middle, &columns, k, product, false));
        });
        packed.product.resize(self.gradient_blocks, Block::ZERO);
        let mut pieces = Vec::with_capacity(self.parts.len());
        let mut rest = packed.product.as_mut_slice();
        for part in &self.parts {
            let (piece, after) = rest.split_at_mut((part.taps() + 1) * k);
            pieces.push((part, piece));
            rest = after;
        }
        pieces.into_par_iter().for_each(|(part, weights)| {
            weights.fill(Block::ZERO);
            for (o, b) in second.1.iter().enumerate() {
                weights[part.taps() * k + o / LANES].0[o % LANES] = *b;
            }
            for (tap, product) in products.chunks_exact((inner + 1) * k).enumerate() {
                self.for_each_product(part, tap, |row, i| {
                    add(&mut weights[row * k..(row + 1) * k], &product[i * k..(i + 1) * k]);
                });
            }
        });
        Ok(())
    }

    /// y = w2 * (w1 * x + b1) + b2. `x` holds `images` interleaved images, `y` as many of `y_shape`: the output's shape with any halo.
    ///
    /// # Errors
    /// When a slice has another length than its shape says, or `y_shape` is not the output's.
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
            let out_grid = part.grid(&y_shape);
            for_each_pixel(part, &out_grid, images, |at| {
                for (block, bias) in bias.iter().enumerate() {
                    y[at + block * y_shape.plane()] = *bias;
                }
            });
            simd.run(Product {
                extent: part.extent(images),
                x,
                x_grid: self.input_grid(part),
                runs: &part.runs,
                run_len: part.run_len,
                w,
                out_blocks: k,
                out: y,
                out_grid,
                out_block: y_shape.plane(),
                accumulate: true,
            });
        }
        Ok(())
    }

    /// Adds the gradient of the product over `images` images to `dw` ([`Self::gradient_blocks`] blocks; see [`Self::gradient`]).
    ///
    /// # Errors
    /// When a slice has another length than its shape says.
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
            let dy_grid = part.grid(&dy_shape);
            for_each_pixel(part, &dy_grid, images, |at| {
                for (block, sum) in bias.iter_mut().enumerate() {
                    let dy = &dy[at + block * dy_shape.plane()];
                    add(std::slice::from_mut(sum), std::slice::from_ref(dy));
                }
            });
            simd.run(TransposedProduct {
                extent: part.extent(images),
                x,
                x_grid: self.input_grid(part),
                runs: &part.runs,
                run_len: part.run_len,
                dy,
                dy_grid,
                dy_block: dy_shape.plane(),
                out_blocks: k,
                dw,
            });
        }
        Ok(())
    }

    /// From the gradient of the product, summed over all images, to those of the layers: weights and bias of the first, weights of the second. (The
    /// second's bias has the sum of the output's gradient.)
    ///
    /// # Errors
    /// When a slice has another length.
    pub fn gradient(
        &self,
        simd: Simd,
        weights: &ComposedWeights,
        dw: &[Block],
        first: (&mut [f32], &mut [f32]),
        second: &mut [f32],
    ) -> Result<()> {
        let (inner, taps, middle) = (self.inner(), self.taps(), self.second.in_channels);
        let (m, k) = (middle.div_ceil(LANES), self.output.blocks());
        check_len("the weight gradient of a convolution", self.gradient_blocks, dw.len())?;
        check_len("the weights of a convolution", self.first.weights(), first.0.len())?;
        check_len("the bias of a convolution", middle, first.1.len())?;
        check_len("the weights of a convolution", self.second.weights(), second.len())?;
        let size = taps * floats(k) * m;
        check_len("the packed weights of a convolution", size, weights.second.len())?;
        // For every tap of the second layer: the gradient of its product with the first (inner + 1, out blocks), and its own (middle channels, out blocks).
        let mut products = vec![Block::ZERO; taps * (inner + 1) * k];
        let mut own = vec![Block::ZERO; taps * middle * k];
        let tasks = products
            .par_chunks_mut((inner + 1) * k)
            .zip(own.par_chunks_mut(middle * k));
        tasks.enumerate().for_each(|(tap, (product, own))| {
            for part in &self.parts {
                let dw = &dw[part.start..];
                self.for_each_product(part, tap, |row, i| {
                    add(&mut product[i * k..(i + 1) * k], &dw[row * k..(row + 1) * k]);
                });
            }
            simd.run(rows_by_matrix(&weights.first, inner + 1, product, k, own, false));
        });
        let own = as_floats(&own);
        second.par_chunks_mut(middle * taps).enumerate().for_each(|(o, row)| {
            for (at, d) in row.iter_mut().enumerate() {
                let (i, tap) = (at / taps, at % taps);
                *d = own[(tap * middle + i) * floats(k) + o];
            }
        });
        let mut turned = vec![Block::ZERO; (inner + 1) * m];
        turned.par_chunks_mut(ROWS * m).enumerate().for_each(|(piece, sums)| {
            for tap in 0..taps {
                let product = &products[(tap * (inner + 1) + piece * ROWS) * k..][..sums.len() / m * k];
                let w = &weights.second[tap * floats(k) * m..][..floats(k) * m];
                simd.run(rows_by_matrix(as_floats(product), floats(k), w, m, sums, true));
            }
        });
        let turned = as_floats(&turned);
        for (channel, (d, bias)) in first.0.chunks_exact_mut(inner).zip(first.1).enumerate() {
            for (i, d) in d.iter_mut().chain([bias]).enumerate() {
                *d = turned[i * floats(m) + channel];
            }
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

    /// The grid of the first taps of a part's pixels, in floats.
    fn input_grid(&self, part: &Part) -> Grid {
        let stride = self.first.stride * self.second.stride * self.input.channels;
        Grid {
            base: part.base,
            image: self.input_floats(),
            row: stride * self.input.row(),
            column: stride,
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

fn add(sums: &mut [Block], values: &[Block]) {
    for (sums, values) in sums.iter_mut().zip(values) {
        for (sum, value) in sums.0.iter_mut().zip(values.0) {
            *sum += value;
        }
    }
}

/// out = rows w, or added to what is there: rows of `len` floats by a matrix (len, blocks).
fn rows_by_matrix<'a>(
    rows: &'a [f32],
    len: usize,
    w: &'a [Block],
    blocks: usize,
    out: &'a mut [Block],
    accumulate: bool,
) -> Product<'a> {
    let line = |column| Grid {
        base: 0,
        image: 0,
        row: 0,
        column,
    };
    Product {
        extent: Extent {
            images: 1,
            rows: 1,
            columns: out.len() / blocks.max(1),
        },
        x: rows,
        x_grid: line(len),
        runs: &[0],
        run_len: len,
        w,
        out_blocks: blocks,
        out,
        out_grid: line(blocks),
        out_block: 1,
        accumulate,
    }
}
