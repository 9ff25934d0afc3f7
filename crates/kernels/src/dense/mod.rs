//! Dense layers: forward with fixed weights, and forward and backward in training.

mod trainable;

pub use trainable::{PackedDense, TrainableDense};

use crate::error::{Result, check_len};
use crate::lanes::{Block, Kernel, LANES, Lanes, pack_bias};
use crate::simd::Simd;

/// A dense layer with its weights packed: y = W x + b.
///
/// ```
/// use riptide_kernels::{Dense, Simd};
/// let dense = Dense::new(2, 1, &[3.0, 4.0], Some(&[0.5]))?;
/// let mut y = [0.0];
/// dense.forward(Simd::current()?, &[1.0, 2.0], &mut y)?;
/// assert_eq!(y, [11.5]);
/// # Ok::<(), riptide_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dense {
    inputs: usize,
    outputs: usize,
    /// [out block][input] of 16 outputs.
    weights: Vec<Block>,
    bias: Vec<Block>,
}

impl Dense {
    /// Packs the weights (out, in), row-major, and the bias (out).
    ///
    /// # Errors
    /// If a slice disagrees with the sizes.
    pub fn new(inputs: usize, outputs: usize, weights: &[f32], bias: Option<&[f32]>) -> Result<Self> {
        check_len("the weights of a dense layer", inputs * outputs, weights.len())?;
        if let Some(bias) = bias {
            check_len("the bias of a dense layer", outputs, bias.len())?;
        }
        let blocks = outputs.div_ceil(LANES);
        let mut packed = vec![Block::ZERO; blocks * inputs];
        for (i, w) in weights.iter().enumerate() {
            let (o, input) = (i / inputs, i % inputs);
            packed[o / LANES * inputs + input].0[o % LANES] = *w;
        }
        Ok(Self {
            inputs,
            outputs,
            weights: packed,
            bias: pack_bias(bias, blocks),
        })
    }

    /// Two dense layers without an activation between them as one, (weights, bias) of each: W2 (W1 x + b1) + b2. Sums are in f64.
    ///
    /// # Errors
    /// If a slice disagrees with the sizes.
    pub fn composed(
        [inputs, hidden, outputs]: [usize; 3],
        first: (&[f32], &[f32]),
        second: (&[f32], &[f32]),
    ) -> Result<Self> {
        check_len("the weights of the first dense layer", inputs * hidden, first.0.len())?;
        check_len("the bias of the first dense layer", hidden, first.1.len())?;
        check_len(
            "the weights of the second dense layer",
            hidden * outputs,
            second.0.len(),
        )?;
        check_len("the bias of the second dense layer", outputs, second.1.len())?;
        let mut weights = Vec::with_capacity(inputs * outputs);
        let mut bias = Vec::with_capacity(outputs);
        for o in 0..outputs {
            let row = &second.0[o * hidden..(o + 1) * hidden];
            let mut sums = vec![0f64; inputs];
            for (h, w) in row.iter().enumerate() {
                for (sum, w1) in sums.iter_mut().zip(&first.0[h * inputs..(h + 1) * inputs]) {
                    *sum += f64::from(*w) * f64::from(*w1);
                }
            }
            weights.extend(sums.into_iter().map(|sum| sum as f32));
            let sum: f64 = row
                .iter()
                .zip(first.1)
                .map(|(w, b)| f64::from(*w) * f64::from(*b))
                .sum();
            bias.push((sum + f64::from(second.1[o])) as f32);
        }
        Self::new(inputs, outputs, &weights, Some(&bias))
    }

    /// One vector through the layer.
    ///
    /// # Errors
    /// If a length disagrees with the sizes.
    pub fn forward(&self, simd: Simd, input: &[f32], output: &mut [f32]) -> Result<()> {
        check_len("the input of a dense layer", self.inputs, input.len())?;
        check_len("the output of a dense layer", self.outputs, output.len())?;
        for (block, out) in output.chunks_mut(LANES).enumerate() {
            let weights = &self.weights[block * self.inputs..(block + 1) * self.inputs];
            let sum = simd.run(Product {
                input,
                weights,
                bias: &self.bias[block],
            });
            out.copy_from_slice(&sum.0[..out.len()]);
        }
        Ok(())
    }
}

/// Sixteen outputs of a dense layer.
struct Product<'a> {
    input: &'a [f32],
    weights: &'a [Block],
    bias: &'a Block,
}

impl Kernel for Product<'_> {
    type Output = Block;

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> Block {
        // One vector has one block of sums, so the only way to hide the latency of a multiply-add is to split the inputs: four sums.
        let mut sums = [l.load(self.bias), l.zero(), l.zero(), l.zero()];
        let (inputs, rest) = self.input.as_chunks::<4>();
        let (weights, rest_weights) = self.weights.as_chunks::<4>();
        for (x, w) in inputs.iter().zip(weights) {
            for i in 0..4 {
                sums[i] = l.mul_add(l.splat(x[i]), l.load(&w[i]), sums[i]);
            }
        }
        for (x, w) in rest.iter().zip(rest_weights) {
            sums[0] = l.mul_add(l.splat(*x), l.load(w), sums[0]);
        }
        let sum = l.add(l.add(sums[0], sums[1]), l.add(sums[2], sums[3]));
        let mut out = Block::ZERO;
        l.store(sum, &mut out);
        out
    }
}
