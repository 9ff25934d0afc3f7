//! Dense layers with their gradients, over vectors of blocks.

use crate::error::{Result, check_len};
use crate::lanes::{Block, LANES, add, as_floats, pack_bias};
use crate::product::{Places, Product, TransposedProduct, Windows, floats};
use crate::simd::Simd;

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
    /// (floats of the input vector, out blocks)
    forward: Vec<Block>,
    /// (floats of the output vector, in blocks): the transposed weights, so that both passes are the same product.
    backward: Vec<Block>,
    bias: Vec<Block>,
}

impl TrainableDense {
    /// A layer of `outputs` units over vectors of `in_blocks` blocks; column i of the weights belongs to float `places[i]` of the vector.
    ///
    /// # Errors
    /// If a place is outside of the vector.
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
    /// If a slice has another length.
    pub fn pack(&self, weights: &[f32], bias: &[f32], packed: &mut PackedDense) -> Result<()> {
        self.check_weights(weights, bias)?;
        let (c, k) = (self.in_blocks, self.out_blocks());
        // Places that no column takes stay zero, so the whole vector can be read.
        packed.forward.clear();
        packed.forward.resize(floats(c) * k, Block::ZERO);
        packed.backward.clear();
        packed.backward.resize(floats(k) * c, Block::ZERO);
        for (o, row) in weights.chunks_exact(self.places.len().max(1)).enumerate() {
            for (&i, &w) in self.places.iter().zip(row) {
                packed.forward[i * k + o / LANES].0[o % LANES] = w;
                packed.backward[o * c + i / LANES].0[i % LANES] = w;
            }
        }
        packed.bias = pack_bias(Some(bias), k);
        Ok(())
    }

    fn check_weights(&self, weights: &[f32], bias: &[f32]) -> Result<()> {
        let expected = self.outputs * self.places.len();
        check_len("the weights of a dense layer", expected, weights.len())?;
        check_len("the bias of a dense layer", self.outputs, bias.len())
    }

    /// y = W x + b for `n` vectors.
    ///
    /// # Errors
    /// If a slice has another length, or the weights were packed for another layer.
    pub fn forward(&self, simd: Simd, weights: &PackedDense, x: &[Block], n: usize, y: &mut [Block]) -> Result<()> {
        let (c, k) = (self.in_blocks, self.out_blocks());
        check_len("the input of a dense layer", n * c, x.len())?;
        check_len("the output of a dense layer", n * k, y.len())?;
        check_len("the packed bias of a dense layer", k, weights.bias.len())?;
        check_len(PACKED, floats(c) * k, weights.forward.len())?;
        // The bias goes to the output first and the product is added to it, which needs no other pass over the output.
        for y in y.chunks_exact_mut(k.max(1)) {
            y.copy_from_slice(&weights.bias);
        }
        simd.run(Product {
            windows: Windows::vectors(as_floats(x), floats(c), n),
            w: &weights.forward,
            out: y,
            places: Places::vectors(k),
            accumulate: true,
        });
        Ok(())
    }

    /// dx = Wᵀ dy for `n` vectors.
    ///
    /// # Errors
    /// If a slice has another length, or the weights were packed for another layer.
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
        check_len(PACKED, floats(k) * c, weights.backward.len())?;
        simd.run(Product {
            windows: Windows::vectors(as_floats(dy), floats(k), n),
            w: &weights.backward,
            out: dx,
            places: Places::vectors(c),
            accumulate: false,
        });
        Ok(())
    }

    /// Adds the gradient of weights and bias over `n` vectors to `dw` ([`Self::gradient_blocks`] blocks; see [`Self::unpack_gradient`]).
    ///
    /// # Errors
    /// If a slice has another length.
    pub fn backward_weights(&self, simd: Simd, x: &[Block], dy: &[Block], n: usize, dw: &mut [Block]) -> Result<()> {
        let (c, k) = (self.in_blocks, self.out_blocks());
        check_len("the input of a dense layer", n * c, x.len())?;
        check_len("the output gradient of a dense layer", n * k, dy.len())?;
        check_len("the gradient of a dense layer", self.gradient_blocks(), dw.len())?;
        let (weights, bias) = dw.split_at_mut(floats(c) * k);
        simd.run(TransposedProduct {
            windows: Windows::vectors(as_floats(x), floats(c), n),
            dy,
            places: Places::vectors(k),
            dw: weights,
        });
        for dy in dy.chunks_exact(k.max(1)) {
            add(bias, dy);
        }
        Ok(())
    }

    /// Writes the gradient that [`Self::backward_weights`] summed as (out, in) and (out).
    ///
    /// # Errors
    /// If a slice has another length.
    pub fn unpack_gradient(&self, dw: &[Block], weights: &mut [f32], bias: &mut [f32]) -> Result<()> {
        check_len("the gradient of a dense layer", self.gradient_blocks(), dw.len())?;
        self.check_weights(weights, bias)?;
        let k = self.out_blocks();
        for (o, row) in weights.chunks_exact_mut(self.places.len().max(1)).enumerate() {
            for (&i, w) in self.places.iter().zip(row) {
                *w = dw[i * k + o / LANES].0[o % LANES];
            }
        }
        let sums = as_floats(&dw[floats(self.in_blocks) * k..]);
        bias.copy_from_slice(&sums[..self.outputs]);
        Ok(())
    }
}

/// What a check of packed weights names.
const PACKED: &str = "the packed weights of a dense layer";
