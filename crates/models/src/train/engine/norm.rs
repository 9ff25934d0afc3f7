//! A convolution with the batch normalisation that follows it.

use std::ops::Range;

use rayon::prelude::*;
use riptide_kernels::training::{Affine, Layout, Moments, NormGradient, PackedWeights, Planes, TrainableConv};
use riptide_kernels::{Block, Shape, Simd};

use super::flat::FlatLayout;
use super::memory::{GROUP, Workspace, grow, images};
use crate::architecture::Conv;
use crate::error::ModelError;

/// Floats in a block.
const LANES: usize = riptide_kernels::lanes::LANES;

/// A convolution, its normalisation, and what the backward pass needs of both. The normalised output is not kept: it is one multiply-add
/// away from `y`, which the backward pass reads anyway.
#[derive(Debug)]
pub(super) struct ConvNorm {
    pub(super) conv: TrainableConv,
    weight: Range<usize>,
    gamma: Range<usize>,
    beta: Range<usize>,
    running_mean: Range<usize>,
    running_var: Range<usize>,
    epsilon: f64,
    momentum: f64,
    packed: PackedWeights,
    /// The convolution's output for the whole batch.
    pub(super) y: Vec<Block>,
    /// From the convolution's output to the normalised one.
    pub(super) affine: Affine,
    mean: Vec<f32>,
    pub(super) mean_blocks: Vec<Block>,
    inverse_std: Vec<f32>,
    pub(super) gradient: NormGradient,
    /// The gradient of the weights, for each group.
    pub(super) plain: Vec<Block>,
}

impl ConvNorm {
    /// A layer whose input has the given layout and shape, halo included.
    pub(super) fn new(layout: &FlatLayout, conv: &Conv, images: Layout, input: Shape) -> Result<Self, ModelError> {
        let Some(norm) = &conv.norm else {
            return Err(ModelError::Opaque { operation: "training" });
        };
        let of_norm = |array: &str| layout.find(&norm.name, array);
        Ok(Self {
            conv: TrainableConv::new(conv.params(), images, input)?,
            weight: layout.find(&conv.name, "weight")?,
            gamma: of_norm("weight")?,
            beta: of_norm("bias")?,
            running_mean: of_norm("running_mean")?,
            running_var: of_norm("running_var")?,
            epsilon: norm.epsilon,
            momentum: norm.momentum,
            packed: PackedWeights::default(),
            y: Vec::new(),
            affine: Affine::default(),
            mean: Vec::new(),
            mean_blocks: Vec::new(),
            inverse_std: Vec::new(),
            gradient: NormGradient::default(),
            plain: Vec::new(),
        })
    }

    /// The shape of [`Self::y`].
    pub(super) fn shape(&self) -> Shape {
        self.conv.output().with_halo(0)
    }

    /// Packs the weights and makes room for `n` images.
    pub(super) fn prepare(&mut self, simd: Simd, parameters: &[f32], n: usize) -> Result<(), ModelError> {
        self.conv
            .pack(simd, &parameters[self.weight.clone()], &mut self.packed)?;
        let len = n * self.shape().len();
        grow(&mut self.y, len);
        grow(&mut self.plain, n.div_ceil(GROUP) * self.conv.plain_blocks());
        Ok(())
    }

    /// Images `first..first + count` of the output.
    pub(super) fn planes(&self, first: usize, count: usize) -> Planes<'_> {
        Planes::new(images(&self.y, self.shape(), first, count), self.shape())
    }

    /// The outputs of every group, to be written.
    pub(super) fn groups_mut<'a>(y: &'a mut [Block], shape: &Shape, n: usize) -> std::slice::ChunksMut<'a, Block> {
        y[..n * shape.len()].chunks_mut(GROUP * shape.len())
    }

    /// y = conv(x) for a few images.
    pub(super) fn forward(
        parts: (&TrainableConv, &PackedWeights),
        simd: Simd,
        x: &[f32],
        count: usize,
        y: &mut [Block],
        workspace: &mut Workspace,
    ) -> Result<(), ModelError> {
        let shape = parts.0.output().with_halo(0);
        Ok(parts
            .0
            .forward(simd, parts.1, x, count, y, shape, &mut workspace.conv)?)
    }

    /// Splits into what a forward pass reads and what it writes.
    pub(super) fn split(&mut self) -> (&TrainableConv, &PackedWeights, &mut Vec<Block>) {
        (&self.conv, &self.packed, &mut self.y)
    }

    pub(super) fn packed(&self) -> &PackedWeights {
        &self.packed
    }

    /// Turns the sums of all groups into the batch's statistics, the affine map and the running statistics. It has to wait for every group,
    /// so a normalisation is where a step's tasks meet; the sums are in f64 because the variance is a difference of large numbers.
    pub(super) fn settle(
        &mut self,
        groups: impl Iterator<Item = Moments>,
        n: usize,
        parameters: &[f32],
        statistics: &mut [f32],
    ) {
        let (epsilon, momentum) = (self.epsilon, self.momentum);
        let shape = self.shape();
        let mut total = Moments::zeros(&shape);
        groups.for_each(|moments| total.add(&moments));
        let count = (n * shape.height * shape.width) as f64;
        self.mean.clear();
        self.inverse_std.clear();
        // In f64, and rounded once.
        let mut keep = |running: &Range<usize>, c: usize, value: f64| {
            let running = &mut statistics[running.start + c];
            *running = (momentum * f64::from(*running) + (1.0 - momentum) * value) as f32;
        };
        for c in 0..shape.channels {
            let mean = total.first[c] / count;
            // Rounding may leave a channel of one value slightly below 0.
            let variance = (total.second[c] / count - mean * mean).max(0.0);
            self.mean.push(mean as f32);
            self.inverse_std.push((1.0 / (variance + epsilon).sqrt()) as f32);
            keep(&self.running_mean, c, mean);
            keep(&self.running_var, c, variance);
        }
        let (gamma, beta) = (&parameters[self.gamma.clone()], &parameters[self.beta.clone()]);
        self.affine = Affine::from_fn(shape.channels, |c| {
            let scale = gamma[c] * self.inverse_std[c];
            (scale, beta[c] - scale * self.mean[c])
        });
        self.mean_blocks.clear();
        self.mean_blocks.resize(shape.blocks(), Block::ZERO);
        for (c, mean) in self.mean.iter().enumerate() {
            self.mean_blocks[c / LANES].0[c % LANES] = *mean;
        }
    }

    /// Turns the gradients' sums of all groups into the gradient through the normalisation.
    pub(super) fn settle_gradient(&mut self, groups: impl Iterator<Item = Moments>, n: usize, parameters: &[f32]) {
        let shape = self.shape();
        let mut total = Moments::zeros(&shape);
        groups.for_each(|moments| total.add(&moments));
        let gamma = &parameters[self.gamma.clone()];
        let count = n * shape.height * shape.width;
        self.gradient = NormGradient::new(gamma, &self.mean, &self.inverse_std, &total, count);
    }

    /// Writes the gradients of weights, γ and β.
    pub(super) fn write_gradient(&mut self, n: usize, gradient: &mut [f32]) -> Result<(), ModelError> {
        let len = self.conv.plain_blocks();
        sum_groups(&mut self.plain[..n.div_ceil(GROUP) * len], len);
        // The three follow each other in the flat vector; the piece that this layer was given begins with its weights.
        let start = self.weight.start;
        let local = |range: &Range<usize>| range.start - start..range.end - start;
        self.conv
            .unpack_gradient(&self.plain[..len], &mut gradient[local(&self.weight)])?;
        gradient[local(&self.gamma)].copy_from_slice(&self.gradient.gamma);
        gradient[local(&self.beta)].copy_from_slice(&self.gradient.beta);
        Ok(())
    }

    /// The trained values of this layer in the flat vector.
    pub(super) fn range(&self) -> Range<usize> {
        self.weight.start..self.beta.end
    }
}

/// Adds all groups' blocks to the first group's, in the order of the groups: each value is summed by one task, so the number of threads does
/// not change a bit.
pub(super) fn sum_groups(groups: &mut [Block], len: usize) {
    /// Blocks that one task sums.
    const PIECE: usize = 512;
    let (first, others) = groups.split_at_mut(len);
    first.par_chunks_mut(PIECE).enumerate().for_each(|(piece, sums)| {
        for other in others.chunks_exact(len.max(1)) {
            for (a, b) in sums.iter_mut().zip(&other[piece * PIECE..]) {
                for (a, b) in a.0.iter_mut().zip(b.0) {
                    *a += b;
                }
            }
        }
    });
}

/// Cuts a flat vector into the given ranges, which are in order and do not overlap.
pub(super) fn cut<'a>(mut flat: &'a mut [f32], ranges: &[Range<usize>]) -> Vec<&'a mut [f32]> {
    let mut start = 0;
    let mut pieces = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (_, rest) = std::mem::take(&mut flat).split_at_mut(range.start - start);
        let (piece, rest) = rest.split_at_mut(range.len());
        pieces.push(piece);
        flat = rest;
        start = range.end;
    }
    pieces
}

/// Packs all layers' weights and makes room for `n` images.
pub(super) fn prepare_all(
    layers: Vec<&mut ConvNorm>,
    simd: Simd,
    parameters: &[f32],
    n: usize,
) -> Result<(), ModelError> {
    layers
        .into_par_iter()
        .map(|layer| layer.prepare(simd, parameters, n))
        .collect()
}
