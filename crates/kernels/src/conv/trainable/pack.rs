//! Weights and their gradients in the kernels' own order.

use super::super::{ConvParams, winograd};
use super::{Layout, PackedWeights, TrainableConv};
use crate::error::{Result, check_len};
use crate::lanes::{Block, LANES};
use crate::product::floats;
use crate::simd::Simd;

impl TrainableConv {
    /// Packs weights (out, in, kernel rows, kernel columns) for the forward and the backward pass.
    ///
    /// # Errors
    /// If the slice has another length.
    pub fn pack(&self, simd: Simd, weights: &[f32], packed: &mut PackedWeights) -> Result<()> {
        check_len("the weights of a convolution", self.params.weights(), weights.len())?;
        let [rows, columns] = self.params.kernel;
        let (c, k) = (self.input.blocks(), self.output.blocks());
        if self.winograd {
            let mut plain = vec![Block::ZERO; 9 * floats(c) * k];
            for_each_weight(&self.params, |at, [o, i, ky, kx]| {
                plain[self.plain_row(i, ky, kx) * k + o / LANES].0[o % LANES] = weights[at];
            });
            packed.forward.resize(self.gradient_blocks(), Block::ZERO);
            winograd::transform_weights(simd, &plain, &mut packed.forward);
            // The gradient of the input is a convolution of the output's with the kernels flipped and the channels exchanged.
            plain.clear();
            plain.resize(9 * floats(k) * c, Block::ZERO);
            for_each_weight(&self.params, |at, [o, i, ky, kx]| {
                let tap = 8 - (ky * 3 + kx);
                plain[(tap * floats(k) + o) * c + i / LANES].0[i % LANES] = weights[at];
            });
            packed.backward.resize(self.backward_blocks, Block::ZERO);
            winograd::transform_weights(simd, &plain, &mut packed.backward);
            return Ok(());
        }
        // Cleared first: the rows of the channels that fill up a block have no weights and must be zero.
        packed.forward.clear();
        packed.forward.resize(self.gradient_blocks(), Block::ZERO);
        for_each_weight(&self.params, |at, [o, i, ky, kx]| {
            packed.forward[self.plain_row(i, ky, kx) * k + o / LANES].0[o % LANES] = weights[at];
        });
        packed.backward.clear();
        packed.backward.resize(self.backward_blocks, Block::ZERO);
        if self.layout == Layout::Blocked {
            for phase in &self.phases {
                for (t, &(ky, kx, ..)) in phase.taps.iter().enumerate() {
                    for o in 0..self.params.out_channels {
                        // Runs are (block of outputs, tap); the channel of the block follows.
                        let row = ((o / LANES) * phase.taps.len() + t) * LANES + o % LANES;
                        for i in 0..self.params.in_channels {
                            let w = weights[((o * self.params.in_channels + i) * rows + ky) * columns + kx];
                            packed.backward[phase.start + row * c + i / LANES].0[i % LANES] = w;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The row of the forward weights in plain order (and of their gradient) of an input channel and tap.
    fn plain_row(&self, i: usize, ky: usize, kx: usize) -> usize {
        let [rows, columns] = self.params.kernel;
        match self.layout {
            Layout::Blocked if self.winograd => (ky * columns + kx) * floats(self.input.blocks()) + i,
            Layout::Blocked => (((i / LANES) * rows + ky) * columns + kx) * LANES + i % LANES,
            Layout::Interleaved => ky * self.run_len + kx * self.params.in_channels + i,
        }
    }

    /// Blocks of a weight gradient in plain order: one for each tap, input channel and block of output channels.
    pub fn plain_blocks(&self) -> usize {
        if self.winograd {
            9 * floats(self.input.blocks()) * self.output.blocks()
        } else {
            self.gradient_blocks()
        }
    }

    /// Brings the sums of [`Self::backward_weights`] to plain order, [`Self::plain_blocks`] blocks. Gradients of several groups can be added before or
    /// after.
    ///
    /// # Errors
    /// If a slice has another length.
    pub fn plain_gradient(&self, simd: Simd, dw: &[Block], plain: &mut [Block]) -> Result<()> {
        check_len("the weight gradient of a convolution", self.gradient_blocks(), dw.len())?;
        check_len(
            "the plain weight gradient of a convolution",
            self.plain_blocks(),
            plain.len(),
        )?;
        if self.winograd {
            winograd::finish_gradient(simd, dw, plain);
        } else {
            plain.copy_from_slice(dw);
        }
        Ok(())
    }

    /// Writes a gradient in plain order as (out, in, kernel rows, kernel columns).
    ///
    /// # Errors
    /// If a slice has another length.
    pub fn unpack_gradient(&self, plain: &[Block], gradient: &mut [f32]) -> Result<()> {
        check_len(
            "the plain weight gradient of a convolution",
            self.plain_blocks(),
            plain.len(),
        )?;
        check_len("the weights of a convolution", self.params.weights(), gradient.len())?;
        let k = self.output.blocks();
        for_each_weight(&self.params, |at, [o, i, ky, kx]| {
            gradient[at] = plain[self.plain_row(i, ky, kx) * k + o / LANES].0[o % LANES];
        });
        Ok(())
    }
}

/// Calls `f` for every weight with its place in (out, in, kernel rows, kernel columns) and its indices.
fn for_each_weight(params: &ConvParams, mut f: impl FnMut(usize, [usize; 4])) {
    let [rows, columns] = params.kernel;
    let mut at = 0;
    for o in 0..params.out_channels {
        for i in 0..params.in_channels {
            for ky in 0..rows {
                for kx in 0..columns {
                    f(at, [o, i, ky, kx]);
                    at += 1;
                }
            }
        }
    }
}
