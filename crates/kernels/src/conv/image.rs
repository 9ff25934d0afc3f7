//! Convolution of images with few channels, which are kept interleaved: the first layer of a network, or its first two if nothing is between them.

use super::taps::{inside, variants};
use super::{Activation, ConvParams, Epilogue};
use crate::blocked::Shape;
use crate::error::{KernelError, Result, check_len};
use crate::lanes::{Block, Kernel, LANES, Lanes, pack_bias};
use crate::simd::Simd;

/// The shape of an image of few channels: (H + 2 halo, W + 2 halo, C) floats, row-major, zeros in the halo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageShape {
    /// Channels C.
    pub channels: usize,
    /// Rows H, without the halo.
    pub height: usize,
    /// Columns W, without the halo.
    pub width: usize,
    /// Pixels of zeros around the image.
    pub halo: usize,
}

impl ImageShape {
    /// Floats from one row to the next.
    pub const fn row(&self) -> usize {
        (self.width + 2 * self.halo) * self.channels
    }

    /// Floats of an image, halo included.
    pub const fn len(&self) -> usize {
        (self.height + 2 * self.halo) * self.row()
    }

    /// Whether an image holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the pixel (y, x), without the halo, starts.
    pub const fn index(&self, y: usize, x: usize) -> usize {
        (y + self.halo) * self.row() + (x + self.halo) * self.channels
    }

    /// The same sizes as a blocked shape.
    pub(super) const fn blocked(&self) -> Shape {
        Shape {
            channels: self.channels,
            height: self.height,
            width: self.width,
            halo: self.halo,
        }
    }
}

/// Output pixels that take the same taps.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    /// Rows of the kernel that are inside the image for every pixel of the variant.
    pub(super) rows: std::ops::Range<usize>,
    /// Columns of the kernel that are inside the image for every pixel of the variant.
    pub(super) columns: std::ops::Range<usize>,
    /// [out block][kernel row of `rows`][kernel column of `columns`][in channel] of 16 output channels.
    pub(super) weights: Vec<Block>,
    /// [out block]
    pub(super) bias: Vec<Block>,
    /// The output's pixels (y, x).
    pub(super) pixels: Vec<(u32, u32)>,
}

/// A convolution of interleaved images of a fixed size into blocked ones, its weights packed.
///
/// Taps that lie in the padding are left out, so pixels near the border cost less. Pixels of few channels are kept interleaved, because a block of 16
/// channels would be mostly zeros; a row of the kernel is then one stretch of floats.
///
/// ```
/// use riptide_kernels::{Activation, Block, ConvParams, ImageConv, ImageShape, Padding, Shape, Simd};
/// let params = ConvParams { in_channels: 1, out_channels: 1, kernel: [3, 3], stride: 1, padding: Padding::all(1) };
/// let shape = ImageShape { channels: 1, height: 1, width: 2, halo: 1 };
/// let conv = ImageConv::new(params, shape, &[1.0; 9], Some(&[0.5]))?;
/// let mut output = vec![Block::ZERO; conv.output().len()];
/// let mut image = vec![0.0; shape.len()];
/// image[shape.index(0, 1)] = 2.0;
/// conv.images(Simd::current()?, &image, Activation::Relu, &mut output)?;
/// assert_eq!(output[conv.output().index(0, 0, 0)].0[0], 2.5);
/// # Ok::<(), riptide_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ImageConv {
    input: ImageShape,
    output: Shape,
    padding: super::Padding,
    stride: usize,
    variants: Vec<Variant>,
}

impl ImageConv {
    /// Packs the weights (out, in, kernel rows, kernel columns), row-major, and the bias (out), for images of this shape.
    ///
    /// # Errors
    /// If a size is zero, a slice or the channels disagree with the sizes, or the halo is smaller than the padding.
    pub fn new(params: ConvParams, input: ImageShape, weights: &[f32], bias: Option<&[f32]>) -> Result<Self> {
        params.check(weights, bias)?;
        let output = params.output(input.blocked(), 1)?;
        let [rows, columns] = params.kernel;
        let blocks = params.out_channels.div_ceil(LANES);
        let bias = pack_bias(bias, blocks);
        let inside_y = variants(output.height, |y| {
            inside(y, params.stride, params.padding.top, rows, input.height)
        });
        let inside_x = variants(output.width, |x| {
            inside(x, params.stride, params.padding.left, columns, input.width)
        });
        let mut list = Vec::with_capacity(inside_y.len() * inside_x.len());
        for (rows_inside, ys) in &inside_y {
            for (columns_inside, xs) in &inside_x {
                let inner = rows_inside.len() * columns_inside.len() * params.in_channels;
                let mut packed = vec![Block::ZERO; blocks * inner];
                for o in 0..params.out_channels {
                    let mut at = o / LANES * inner;
                    for y in rows_inside.clone() {
                        for x in columns_inside.clone() {
                            for c in 0..params.in_channels {
                                let tap = ((o * params.in_channels + c) * rows + y) * columns + x;
                                packed[at].0[o % LANES] = weights[tap];
                                at += 1;
                            }
                        }
                    }
                }
                list.push(Variant {
                    rows: rows_inside.clone(),
                    columns: columns_inside.clone(),
                    weights: packed,
                    bias: bias.clone(),
                    pixels: pixels(ys, xs),
                });
            }
        }
        Self::checked(input, output, params, list)
    }

    /// With kernels for the variants, packed; an error if the halo is smaller than the padding.
    pub(super) fn checked(
        input: ImageShape,
        output: Shape,
        params: ConvParams,
        variants: Vec<Variant>,
    ) -> Result<Self> {
        if input.halo < params.padding.halo() {
            return Err(KernelError::Shape {
                what: "the halo of a convolution's input",
                expected: format!("at least {}", params.padding.halo()),
                got: input.halo.to_string(),
            });
        }
        Ok(Self {
            input,
            output,
            padding: params.padding,
            stride: params.stride,
            variants,
        })
    }

    /// The shape of each input image.
    pub fn input(&self) -> ImageShape {
        self.input
    }

    /// The shape of each output image, with a halo of one pixel unless [`Self::with_output_halo`] changed it.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Gives the output another halo, for a next layer with a larger kernel.
    pub fn with_output_halo(mut self, halo: usize) -> Self {
        self.output.halo = halo;
        self
    }

    /// Multiply-adds of one image.
    pub fn multiply_adds(&self) -> usize {
        let taps = |v: &Variant| v.rows.len() * v.columns.len() * self.input.channels;
        self.variants
            .iter()
            .map(|v| v.pixels.len() * taps(v) * self.output.channels)
            .sum()
    }

    /// Convolves images that follow each other. The halo of the output stays as it is.
    ///
    /// # Errors
    /// If a length disagrees with the shapes.
    pub fn images(&self, simd: Simd, input: &[f32], activation: Activation, output: &mut [Block]) -> Result<()> {
        let images = input.len() / self.input.len().max(1);
        check_len("the input of a convolution", images * self.input.len(), input.len())?;
        check_len("the output of a convolution", images * self.output.len(), output.len())?;
        simd.run(Run {
            conv: self,
            images,
            input,
            epilogue: Epilogue::new(activation),
            output,
        });
        Ok(())
    }
}

/// Every (y, x).
pub(super) fn pixels(ys: &[usize], xs: &[usize]) -> Vec<(u32, u32)> {
    ys.iter()
        .flat_map(|y| xs.iter().map(|x| (*y as u32, *x as u32)))
        .collect()
}

/// Images whose lengths are checked.
struct Run<'a> {
    conv: &'a ImageConv,
    images: usize,
    input: &'a [f32],
    epilogue: Epilogue,
    output: &'a mut [Block],
}

impl Kernel for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let blocks = self.conv.output.blocks();
        // Tiles as in the direct convolution. Variants are the outer loop, because the pixels of a tile share their weights; a variant's pixels go
        // through all images, because a corner is one pixel and would leave most of a tile empty.
        for variant in &self.conv.variants {
            let mut ob = 0;
            if L::REGISTERS >= 32 {
                while ob + 2 <= blocks {
                    // SAFETY: both blocks are there.
                    unsafe { self.pixels::<L, 8, 2>(l, variant, ob) };
                    ob += 2;
                }
            }
            while ob < blocks {
                // SAFETY: the block is there.
                unsafe {
                    if L::REGISTERS >= 32 {
                        self.pixels::<L, 8, 1>(l, variant, ob);
                    } else {
                        self.pixels::<L, 4, 1>(l, variant, ob);
                    }
                }
                ob += 1;
            }
        }
    }
}

impl Run<'_> {
    /// All pixels of a variant in all images, `T` at a time. The last group repeats the last pixel: storing the same value again is harmless, because
    /// nothing is added to the output here, and groups of one size need no code for the rest.
    ///
    /// # Safety
    /// The output has blocks `ob` to `ob + OB`. The variant's pixels are pixels of the output, and its taps are inside the image for each of
    /// them, as `ImageConv::new` and `ImageConv::composed` choose them.
    #[inline(always)]
    unsafe fn pixels<L: Lanes, const T: usize, const OB: usize>(&mut self, l: L, variant: &Variant, ob: usize) {
        let (shape, out_shape) = (self.conv.input, self.conv.output);
        let (count, stride) = (variant.pixels.len(), self.conv.stride);
        let taps = variant.columns.len() * shape.channels;
        let inner = variant.rows.len() * taps;
        // Offset of the first tap from the pixel's corner of the kernel; the halo covers the padding.
        let first = (shape.halo - self.conv.padding.top + variant.rows.start) * shape.row()
            + (shape.halo - self.conv.padding.left + variant.columns.start) * shape.channels;
        let (mut image, mut index, mut done) = (0, 0, 0);
        while done < self.images * count {
            // Places are looked up once for a tile, outside the sums: the pixels of a variant need not be neighbours.
            let mut from = [0; T];
            let mut to = [0; T];
            for (from, to) in from.iter_mut().zip(&mut to) {
                let (y, x) = variant.pixels[index];
                let (y, x) = (y as usize, x as usize);
                *from = image * shape.len() + first + y * stride * shape.row() + x * stride * shape.channels;
                *to = image * out_shape.len() + out_shape.index(ob, y, x);
                if index + 1 < count {
                    index += 1;
                } else if image + 1 < self.images {
                    (image, index) = (image + 1, 0);
                }
            }
            done += T;
            let mut acc = [[l.zero(); OB]; T];
            for (o, bias) in variant.bias[ob..ob + OB].iter().enumerate() {
                for pixel in &mut acc {
                    pixel[o] = l.load(bias);
                }
            }
            let mut weight = ob * inner;
            for row in 0..variant.rows.len() {
                let line = row * shape.row();
                for tap in 0..taps {
                    let mut w = [l.zero(); OB];
                    for (o, w) in w.iter_mut().enumerate() {
                        // SAFETY: block and tap are inside the variant's weights.
                        *w = unsafe { l.at(&variant.weights, weight + o * inner) };
                    }
                    for (pixel, from) in acc.iter_mut().zip(from) {
                        // SAFETY: the variant's taps are inside the image.
                        let x = unsafe { l.splat_at(self.input, from + line + tap) };
                        for (sum, w) in pixel.iter_mut().zip(w) {
                            *sum = l.mul_add(x, w, *sum);
                        }
                    }
                    weight += 1;
                }
            }
            for (pixel, to) in acc.into_iter().zip(to) {
                for (o, sum) in pixel.into_iter().enumerate() {
                    // SAFETY: the pixel is inside the output.
                    unsafe { self.epilogue.store(l, sum, self.output, to + o * out_shape.plane()) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::Padding;

    #[test]
    fn a_halo_smaller_than_the_padding_is_an_error() {
        let params = ConvParams {
            in_channels: 3,
            out_channels: 4,
            kernel: [3, 3],
            stride: 1,
            padding: Padding::all(1),
        };
        let shape = ImageShape {
            channels: 3,
            height: 5,
            width: 5,
            halo: 0,
        };
        assert!(ImageConv::new(params, shape, &vec![0.0; params.weights()], None).is_err());
    }
}
