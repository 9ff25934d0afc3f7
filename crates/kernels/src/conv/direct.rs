//! Direct convolution: any kernel, stride and padding; a tile of output pixels times output blocks stays in registers.

use super::{Activation, ConvParams, Epilogue};
use crate::blocked::{Blocked, Shape};
use crate::error::{Result, check_len};
use crate::lanes::{Block, Kernel, LANES, Lanes, as_floats, pack_bias};
use crate::simd::Simd;

/// A convolution computed directly, with its weights packed.
///
/// y = act(sum over channels and taps of w x + bias + residual)
///
/// ```
/// use riptide_kernels::{Activation, Blocked, ConvParams, DirectConv, Padding, Shape, Simd};
/// let params = ConvParams { in_channels: 1, out_channels: 1, kernel: [3, 3], stride: 1, padding: Padding::all(1) };
/// let conv = DirectConv::new(params, &[1.0; 9], Some(&[0.5]))?;
/// let input = Blocked::from_nchw(&[1.0; 4], 1, Shape::new(1, 2, 2))?;
/// let output = conv.forward(Simd::current()?, &input, Activation::Relu)?;
/// assert_eq!(output.to_nchw(), [4.5; 4]);
/// # Ok::<(), riptide_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct DirectConv {
    params: ConvParams,
    /// [out block][in channel][kernel row][kernel column] of 16 output channels.
    weights: Vec<Block>,
    /// [out block]
    bias: Vec<Block>,
}

impl DirectConv {
    /// Packs the weights (out, in, kernel rows, kernel columns), row-major, and the bias (out).
    ///
    /// # Errors
    /// If a size is zero or a slice disagrees with the sizes.
    pub fn new(params: ConvParams, weights: &[f32], bias: Option<&[f32]>) -> Result<Self> {
        params.check(weights, bias)?;
        let inner = params.weights() / params.out_channels;
        let blocks = params.out_channels.div_ceil(LANES);
        let mut conv = Self {
            params,
            weights: vec![Block::ZERO; blocks * inner],
            bias: pack_bias(bias, blocks),
        };
        conv.set_weights(weights)?;
        Ok(conv)
    }

    /// Packs other weights over the present ones.
    ///
    /// # Errors
    /// If the slice disagrees with the sizes.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<()> {
        check_len("the weights of a convolution", self.params.weights(), weights.len())?;
        let inner = self.params.weights() / self.params.out_channels;
        for (o, channel) in weights.chunks_exact(inner).enumerate() {
            let packed = &mut self.weights[o / LANES * inner..][..inner];
            for (block, w) in packed.iter_mut().zip(channel) {
                block.0[o % LANES] = *w;
            }
        }
        Ok(())
    }

    /// The sizes of the layer.
    pub fn params(&self) -> &ConvParams {
        &self.params
    }

    /// Convolves all images into new memory with a halo of one pixel.
    ///
    /// # Errors
    /// If a shape disagrees, or the input's halo is smaller than the padding.
    pub fn forward(&self, simd: Simd, input: &Blocked, activation: Activation) -> Result<Blocked> {
        let mut output = Blocked::zeros(self.params.output(input.shape(), 1)?, input.images());
        self.forward_into(simd, input, Epilogue::new(activation), &mut output)?;
        Ok(output)
    }

    /// Convolves all images into `output`, which may have any halo; the halo is not written.
    ///
    /// # Errors
    /// If a shape disagrees, or the input's halo is smaller than the padding.
    pub fn forward_into(&self, simd: Simd, input: &Blocked, epilogue: Epilogue, output: &mut Blocked) -> Result<()> {
        let out_shape = self.params.output(input.shape(), output.shape().halo)?;
        output.check("the output of a convolution", out_shape, input.images())?;
        self.images(
            simd,
            input.shape(),
            input.data(),
            epilogue,
            out_shape,
            output.data_mut(),
        )
    }

    /// Convolves images given as the blocks of their shape, halo included, one after the other.
    ///
    /// # Errors
    /// If a shape or length disagrees, or the input's halo is smaller than the padding.
    pub fn images(
        &self,
        simd: Simd,
        in_shape: Shape,
        input: &[Block],
        epilogue: Epilogue,
        out_shape: Shape,
        output: &mut [Block],
    ) -> Result<()> {
        let images = self.params.check_run(in_shape, input, out_shape, output)?;
        for n in 0..images {
            let (first, last) = (n * out_shape.len(), (n + 1) * out_shape.len());
            let input = &input[n * in_shape.len()..(n + 1) * in_shape.len()];
            simd.run(Image {
                conv: self,
                in_shape,
                input,
                epilogue,
                out_shape,
                output: &mut output[first..last],
            });
        }
        Ok(())
    }
}

/// One image, its lengths and shapes checked.
struct Image<'a> {
    conv: &'a DirectConv,
    in_shape: Shape,
    input: &'a [Block],
    epilogue: Epilogue,
    out_shape: Shape,
    output: &'a mut [Block],
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let blocks = self.out_shape.blocks();
        let mut ob = 0;
        // AVX-512 holds 8 pixels by 2 blocks in registers: 16 sums hide the latency of a multiply-add, and each splat feeds two. Smaller register files
        // hold one block of 4 pixels, which is 8 AVX2 or 16 NEON registers. Blocks are the outer loop: their weights stay in the first-level cache
        // while all pixels pass.
        if L::REGISTERS >= 32 {
            while ob + 2 <= blocks {
                self.rows::<L, 8, 2>(l, ob);
                ob += 2;
            }
        }
        while ob < blocks {
            if L::REGISTERS >= 32 {
                self.rows::<L, 8, 1>(l, ob)
            } else {
                self.rows::<L, 4, 1>(l, ob)
            }
            ob += 1;
        }
    }
}

impl Image<'_> {
    /// All rows of `OB` output blocks, in tiles of `PX` pixels.
    ///
    /// The last tile of a row overlaps the one before it: computing a few pixels twice costs less than single pixels, each of which loads all weights
    /// for itself. If sums are added to the output, each pixel may be stored only once, so the rest of a row is single pixels.
    #[inline(always)]
    fn rows<L: Lanes, const PX: usize, const OB: usize>(&mut self, l: L, ob: usize) {
        for y in 0..self.out_shape.height {
            let width = self.out_shape.width;
            let mut x = 0;
            while x < width {
                let start = if self.epilogue.accumulate {
                    x
                } else {
                    x.min(width.saturating_sub(PX))
                };
                if start + PX <= width {
                    // SAFETY: the tile's pixels are inside the row.
                    unsafe { self.tile::<L, PX, OB>(l, ob, y, start) };
                    x = start + PX;
                } else {
                    // SAFETY: the pixel is inside the row.
                    unsafe { self.tile::<L, 1, OB>(l, ob, y, x) };
                    x += 1;
                }
            }
        }
    }

    /// `PX` output pixels of `OB` output blocks.
    ///
    /// # Safety
    /// ob + OB is at most the output's blocks, y inside its height, x + PX at most its width. `DirectConv::images` has checked the lengths of the
    /// slices against the shapes, and that the halo covers the padding, so every tap of such an output pixel is inside the input.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const PX: usize, const OB: usize>(&mut self, l: L, ob: usize, y: usize, x: usize) {
        let (shape, params) = (&self.in_shape, &self.conv.params);
        let [rows, columns] = params.kernel;
        let (stride, taps) = (params.stride, rows * columns);
        let inner = params.in_channels * taps;
        let row = shape.row();
        let top = (y * stride + shape.halo - params.padding.top) * row + x * stride + shape.halo - params.padding.left;
        let floats = as_floats(self.input);
        // Sums start at the bias, which saves an addition for each pixel.
        let mut acc = [[l.zero(); OB]; PX];
        for (o, bias) in self.conv.bias[ob..ob + OB].iter().enumerate() {
            for pixel in &mut acc {
                pixel[o] = l.load(bias);
            }
        }
        // Channels outside, taps inside: the weights are packed in this order and so are read from front to back.
        for c in 0..params.in_channels {
            let plane = (c / LANES * shape.plane() + top) * LANES + c % LANES;
            for ky in 0..rows {
                for kx in 0..columns {
                    let tap = c * taps + ky * columns + kx;
                    // Weights are loaded once for all pixels of the tile; each splat of a pixel then serves all of its blocks.
                    let mut w = [l.zero(); OB];
                    for (o, w) in w.iter_mut().enumerate() {
                        // SAFETY: block, channel and tap are inside the packed weights.
                        *w = unsafe { l.at(&self.conv.weights, (ob + o) * inner + tap) };
                    }
                    let start = plane + (ky * row + kx) * LANES;
                    for (p, pixel) in acc.iter_mut().enumerate() {
                        // SAFETY: see the function's.
                        let value = unsafe { l.splat_at(floats, start + p * stride * LANES) };
                        for (sum, w) in pixel.iter_mut().zip(w) {
                            *sum = l.mul_add(value, w, *sum);
                        }
                    }
                }
            }
        }
        for (p, pixel) in acc.iter().enumerate() {
            for (o, sum) in pixel.iter().enumerate() {
                let at = self.out_shape.index(ob + o, y, x + p);
                // SAFETY: the pixel is inside the output.
                unsafe { self.epilogue.store(l, *sum, self.output, at) };
            }
        }
    }
}
