//! Dense layers with their gradients, over vectors of blocks.

use super::product::{Extent, Grid, Product, TransposedProduct, floats};
use crate::error::{Result, check_len};
use crate::lanes::{Block, LANES, as_floats};
use crate::tier::Simd;

/// A dense layer in training. Inputs and outputs are vectors padded to blocks of 16; which place of the vector each column of the weights takes is free,
/// so that a layer can read blocked images directly.
#[derive(Debug, Clone)]
pub struct TrainableDense {
    outputs: usize,
    in_blocks: usize,
    /// Place in the input vector of every column of the weights.
    places: Vec<usize>,
}

/// Weights of a dense layer as the kernels read them. Made by [`TrainableDense::pack`].
#[derive(Debug, Default, Clone)]
pub struct PackedDense {
    forward: Vec<Block>,
    backward: Vec<Block>,
    bias: Vec<Block>,
}

impl TrainableDense {
    /// A layer of `outputs` units over vectors of `in_blocks` blocks; column i of the weights belongs to float `places[i]` of the vector.
    ///
    /// # Errors
    /// When a place is outside of the vector.
    pub fn new(outputs: usize, in_blocks: usize, places: Vec<usize>) -> Result<Self> {
        if let Some(place) = places.iter().find(|place| **place >= floats(in_blocks)) {
            check_len("the vector of a dense layer", place + 1, floats(in_blocks))?;
        }
        Ok(Self {
            outputs,
            in_blocks,
            places,
        })
    }

    /// Blocks of an output vector.
    pub fn out_blocks(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// Blocks of an input vector.
    pub fn in_blocks(&self) -> usize {
        self.in_blocks
    }

    /// Blocks of a buffer for [`Self::backward_weights`].
    pub fn gradient_blocks(&self) -> usize {
        (floats(self.in_blocks) + 1) * self.out_blocks()
    }

    /// Packs weights (out, in) and bias (out).
    ///
    /// # Errors
    /// When a slice has another length.
    pub fn pack(&self, weights: &[f32], bias: &[f32], packed: &mut PackedDense) -> Result<()> {
        check_len(
            "the weights of a dense layer",
            self.outputs * self.places.len(),
            weights.len(),
        )?;
        check_len("the bias of a dense layer", self.outputs, bias.len())?;
        let (c, k) = (self.in_blocks, self.out_blocks());
        let PackedDense {
            forward,
            backward,
            bias: packed_bias,
        } = packed;
        forward.clear();
        forward.resize(floats(c) * k, Block::ZERO);
        backward.clear();
        backward.resize(floats(k) * c, Block::ZERO);
        packed_bias.clear();
        packed_bias.resize(k, Block::ZERO);
        for (o, row) in weights.chunks_exact(self.places.len().max(1)).enumerate() {
            for (&i, &w) in self.places.iter().zip(row) {
                forward[i * k + o / LANES].0[o % LANES] = w;
                backward[o * c + i / LANES].0[i % LANES] = w;
            }
        }
        for (o, &b) in bias.iter().enumerate() {
            packed_bias[o / LANES].0[o % LANES] = b;
        }
        Ok(())
    }

    /// y = W x + b for `n` vectors.
    ///
    /// # Errors
    /// When a slice has another length.
    pub fn forward(&self, simd: Simd, weights: &PackedDense, x: &[Block], n: usize, y: &mut [Block]) -> Result<()> {
        let (c, k) = (self.in_blocks, self.out_blocks());
        check_len("the input of a dense layer", n * c, x.len())?;
        check_len("the output of a dense layer", n * k, y.len())?;
        for y in y.chunks_exact_mut(k.max(1)) {
            y.copy_from_slice(&weights.bias);
        }
        simd.run(Product {
            extent: Extent {
                images: 1,
                rows: 1,
                columns: n,
            },
            x: as_floats(x),
            x_grid: Grid {
                base: 0,
                image: 0,
                row: 0,
                column: floats(c),
            },
            runs: &[0],
            run_len: floats(c),
            w: &weights.forward,
            out_blocks: k,
            out: y,
            out_grid: Grid {
                base: 0,
                image: 0,
                row: 0,
                column: k,
            },
            out_block: 1,
            accumulate: true,
        });
        Ok(())
    }

    /// dx = Wᵀ dy for `n` vectors.
    ///
    /// # Errors
    /// When a slice has another length.
    pub fn backward_input(
        &self,
        simd: Simd,
        weights: &PackedDense,
        dy: &[Block],
        n: usize,
        dx: &mut [Block],
    ) -> Result<()> {
        let (c, k) = (self.in_blocks, self.out_blocks());
        check_len("the input gradient of a dense layer", n * c, dx.len())?;
        check_len("the output gradient of a dense layer", n * k, dy.len())?;
        simd.run(Product {
            extent: Extent {
                images: 1,
                rows: 1,
                columns: n,
            },
            x: as_floats(dy),
            x_grid: Grid {
                base: 0,
                image: 0,
                row: 0,
                column: floats(k),
            },
            runs: &[0],
            run_len: floats(k),
            w: &weights.backward,
            out_blocks: c,
            out: dx,
            out_grid: Grid {
                base: 0,
                image: 0,
                row: 0,
                column: c,
            },
            out_block: 1,
            accumulate: false,
        });
        Ok(())
    }

    /// Adds the gradient of weights and bias over `n` vectors to `dw` ([`Self::gradient_blocks`] blocks; see [`Self::unpack_gradient`]).
    ///
    /// # Errors
    /// When a slice has another length.
    pub fn backward_weights(&self, simd: Simd, x: &[Block], dy: &[Block], n: usize, dw: &mut [Block]) -> Result<()> {
        let (c, k) = (self.in_blocks, self.out_blocks());
        check_len("the input of a dense layer", n * c, x.len())?;
        check_len("the output gradient of a dense layer", n * k, dy.len())?;
        check_len("the gradient of a dense layer", self.gradient_blocks(), dw.len())?;
        let (weights, bias) = dw.split_at_mut(floats(c) * k);
        simd.run(TransposedProduct {
            extent: Extent {
                images: 1,
                rows: 1,
                columns: n,
            },
            x: as_floats(x),
            x_grid: Grid {
                base: 0,
                image: 0,
                row: 0,
                column: floats(c),
            },
            runs: &[0],
            run_len: floats(c),
            dy,
            dy_grid: Grid {
                base: 0,
                image: 0,
                row: 0,
                column: k,
            },
            dy_block: 1,
            out_blocks: k,
            dw: weights,
        });
        for dy in dy.chunks_exact(k.max(1)) {
            for (sum, dy) in bias.iter_mut().zip(dy) {
                for (sum, dy) in sum.0.iter_mut().zip(dy.0) {
                    *sum += dy;
                }
            }
        }
        Ok(())
    }

    /// Writes the gradient that [`Self::backward_weights`] summed as (out, in) and (out).
    ///
    /// # Errors
    /// When a slice has another length.
    pub fn unpack_gradient(&self, dw: &[Block], weights: &mut [f32], bias: &mut [f32]) -> Result<()> {
        check_len("the gradient of a dense layer", self.gradient_blocks(), dw.len())?;
        check_len(
            "the weights of a dense layer",
            self.outputs * self.places.len(),
            weights.len(),
        )?;
        check_len("the bias of a dense layer", self.outputs, bias.len())?;
        let k = self.out_blocks();
        for (o, row) in weights.chunks_exact_mut(self.places.len().max(1)).enumerate() {
            for (&i, w) in self.places.iter().zip(row) {
                *w = dw[i * k + o / LANES].0[o % LANES];
            }
        }
        let sums = &dw[floats(self.in_blocks) * k..];
        for (o, b) in bias.iter_mut().enumerate() {
            *b = sums[o / LANES].0[o % LANES];
        }
        Ok(())
    }
}
