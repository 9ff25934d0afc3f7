//! What stands between convolutions, dense layers and probabilities: global mean pool, flatten and softmax.

use crate::blocked::Shape;
use crate::error::{KernelError, Result, check_len};
use crate::lanes::{Block, Kernel, LANES, Lanes};
use crate::simd::Simd;

/// The mean of every channel over the pixels of one image: C floats.
///
/// # Errors
/// If a length disagrees with the shape, or the image has no pixels.
pub fn global_mean_pool(simd: Simd, shape: Shape, image: &[Block], means: &mut [f32]) -> Result<()> {
    check_len("the image of a mean pool", shape.len(), image.len())?;
    check_len("the means of a mean pool", shape.channels, means.len())?;
    if shape.height * shape.width == 0 {
        return Err(KernelError::Shape {
            what: "the image of a mean pool",
            expected: "at least one pixel".into(),
            got: format!("{shape:?}"),
        });
    }
    for (block, means) in means.chunks_mut(LANES).enumerate() {
        let sum = simd.run(Sum { shape, block, image });
        let pixels = (shape.height * shape.width) as f32;
        for (mean, sum) in means.iter_mut().zip(sum.0) {
            *mean = sum / pixels;
        }
    }
    Ok(())
}

/// The sum of the pixels of one block of channels; the image's length is checked.
struct Sum<'a> {
    shape: Shape,
    block: usize,
    image: &'a [Block],
}

impl Kernel for Sum<'_> {
    type Output = Block;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> Block {
        let mut total = l.zero();
        for y in 0..self.shape.height {
            let start = self.shape.index(self.block, y, 0);
            // Each row has a sum of its own: adding short sums loses fewer bits than one long chain.
            let mut sum = l.zero();
            for pixel in &self.image[start..start + self.shape.width] {
                sum = l.add(sum, l.load(pixel));
            }
            total = l.add(total, sum);
        }
        let mut out = Block::ZERO;
        l.store(total, &mut out);
        out
    }
}

/// One image as H * W * C floats in the order (height, width, channels), as Keras flattens.
///
/// # Errors
/// If a length disagrees with the shape.
pub fn flatten_nhwc(shape: Shape, image: &[Block], floats: &mut [f32]) -> Result<()> {
    check_len("the image to flatten", shape.len(), image.len())?;
    check_len("the floats of a flattened image", shape.floats(), floats.len())?;
    for (i, pixel) in floats.chunks_mut(shape.channels.max(1)).enumerate() {
        let at = shape.index(0, i / shape.width, i % shape.width);
        for (block, channels) in pixel.chunks_mut(LANES).enumerate() {
            channels.copy_from_slice(&image[at + block * shape.plane()].0[..channels.len()]);
        }
    }
    Ok(())
}

/// Turns logits into probabilities, in place: exp(x - max) over their sum.
///
/// ```
/// let mut x = [0.0, 0.0, f32::NEG_INFINITY];
/// riptide_kernels::softmax(&mut x);
/// assert_eq!(x, [0.5, 0.5, 0.0]);
/// ```
pub fn softmax(logits: &mut [f32]) {
    // The largest exponent is then zero, so nothing overflows and the sum is at least one.
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in logits.iter_mut() {
        *x = (*x - max).exp();
        sum += *x;
    }
    for x in logits {
        *x /= sum;
    }
}
