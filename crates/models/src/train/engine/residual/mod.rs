//! The residual network in training.
//!
//! A normalisation needs the statistics of the whole batch, so a pass is a chain of steps that all groups finish together: a block's first
//! convolution (with its shortcut's), then its second. A convolution's output is kept for the whole batch; what is normalised from it is
//! made again, part by part, where it is read.

mod backward;

use std::ops::Range;

use rayon::prelude::*;
use riptide_kernels::lanes::as_floats;
use riptide_kernels::training::{Gate, Layout, Moments, Planes, Shortcut, add_moments, normalise, relu_backward};
use riptide_kernels::{Block, Shape, Simd};

use super::flat::FlatLayout;
use super::images::Images;
use super::memory::{GROUP, Workspaces, grow, images, images_at_once, parts};
use super::norm::{ConvNorm, cut, prepare_all};
use super::pass::Engine;
use crate::architecture::Residual;
use crate::error::ModelError;

/// Roles of buffers in a workspace.
const GRADIENT: usize = 0;
const ACTIVATION: usize = 1;

/// Two 3x3 convolutions beside a shortcut.
#[derive(Debug)]
struct ResBlock {
    a: ConvNorm,
    b: ConvNorm,
    shortcut: Option<ConvNorm>,
    in_shape: Shape,
    /// The input of the block for the whole batch: what came before, summed and through the ReLU.
    input: Vec<Block>,
}

/// What a block's input comes from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Stem(&'a ConvNorm),
    Block(&'a ResBlock),
}

impl<'a> Source<'a> {
    /// Writes the output of images `first..first + count`: normalised, summed with the shortcut and through the ReLU.
    fn output(self, simd: Simd, first: usize, count: usize, out: &mut [Block], shape: Shape) -> Result<(), ModelError> {
        let (last, shortcut) = match self {
            Self::Stem(stem) => (stem, Shortcut::None),
            Self::Block(block) => {
                let shortcut = match &block.shortcut {
                    Some(shortcut) => Shortcut::Projection(shortcut.planes(first, count), &shortcut.affine),
                    None => {
                        let input = images(&block.input, block.in_shape, first, count);
                        Shortcut::Identity(Planes::new(input, block.in_shape))
                    }
                };
                (&block.b, shortcut)
            }
        };
        Ok(normalise(
            simd,
            last.planes(first, count),
            &last.affine,
            shortcut,
            true,
            count,
            out,
            shape,
        )?)
    }

    /// The normalisations that end in the output.
    fn norms(self) -> (&'a ConvNorm, Option<&'a ConvNorm>) {
        match self {
            Self::Stem(stem) => (stem, None),
            Self::Block(block) => (&block.b, block.shortcut.as_ref()),
        }
    }

    /// Closes the gradient of the output's ReLU in place and sums what the normalisations need.
    #[allow(clippy::too_many_arguments)]
    fn relu_backward(
        self,
        simd: Simd,
        first: usize,
        count: usize,
        g: &mut [Block],
        shape: Shape,
        extra: Option<Planes<'_>>,
        output: Planes<'_>,
        moments: &mut (Moments, Moments),
    ) -> Result<(), ModelError> {
        let (main, shortcut) = self.norms();
        let main = (main.planes(first, count), main.mean_blocks.as_slice(), &mut moments.0);
        let gate = Gate::Output(output);
        match shortcut {
            None => relu_backward(simd, g, shape, extra, gate, count, &mut [main])?,
            Some(other) => {
                let other = (other.planes(first, count), other.mean_blocks.as_slice(), &mut moments.1);
                relu_backward(simd, g, shape, extra, gate, count, &mut [main, other])?;
            }
        }
        Ok(())
    }

    /// Empty sums for [`Self::relu_backward`].
    fn moments(self) -> (Moments, Moments) {
        let (main, shortcut) = self.norms();
        (
            Moments::zeros(&main.shape()),
            shortcut.map_or_else(Moments::default, |other| Moments::zeros(&other.shape())),
        )
    }
}

/// A residual network with the memory of one training step.
#[derive(Debug)]
pub(crate) struct ResidualEngine {
    simd: Simd,
    images: Images,
    stem: ConvNorm,
    blocks: Vec<ResBlock>,
    /// The last block's output.
    output: Vec<Block>,
    fc_weight: Range<usize>,
    fc_bias: Range<usize>,
    /// The output's mean over the pixels, (n, channels).
    pooled: Vec<f32>,
    /// Gradients of a block's output, of its inner activation, and of its input. Three buffers serve all blocks: what a block's input gets is
    /// what the block before it starts from, so the first and the third change places.
    gradients: [Vec<Block>; 3],
    workspaces: Workspaces,
}

impl ResidualEngine {
    /// An engine for the given network.
    pub(crate) fn new(network: &Residual, layout: &FlatLayout, simd: Simd) -> Result<Self, ModelError> {
        let [height, width] = network.stem.size;
        let image = Shape::new(network.stem.inputs, height, width);
        let stem = ConvNorm::new(layout, &network.stem, Layout::Interleaved, image)?;
        let mut blocks = Vec::new();
        // Every 3x3 convolution needs a halo of one pixel around its input.
        let mut shape = stem.shape().with_halo(1);
        for block in network.stages.iter().flatten() {
            let layer = |conv, input| ConvNorm::new(layout, conv, Layout::Blocked, input);
            let a = layer(&block.branch2a, shape)?;
            let inner = a.shape().with_halo(1);
            let b = layer(&block.branch2b, inner)?;
            let shortcut = match &block.branch1 {
                Some(branch1) => Some(layer(branch1, shape)?),
                None => None,
            };
            blocks.push(ResBlock {
                a,
                b,
                shortcut,
                in_shape: shape,
                input: Vec::new(),
            });
            shape = inner;
        }
        Ok(Self {
            simd,
            images: Images::new(height, width, 1),
            stem,
            blocks,
            output: Vec::new(),
            fc_weight: layout.find(&network.fc.name, "weight")?,
            fc_bias: layout.find(&network.fc.name, "bias")?,
            pooled: Vec::new(),
            gradients: Default::default(),
            workspaces: Workspaces::default(),
        })
    }

    fn layers_mut(&mut self) -> Vec<&mut ConvNorm> {
        let mut layers = vec![&mut self.stem];
        for ResBlock { a, b, shortcut, .. } in &mut self.blocks {
            layers.push(a);
            layers.push(b);
            layers.extend(shortcut);
        }
        layers
    }

    /// Shape of the last block's output.
    fn last_shape(&self) -> Shape {
        self.blocks
            .last()
            .map_or_else(|| self.stem.shape(), |block| block.b.shape())
    }

    fn stem_forward(&mut self, n: usize) -> Result<Vec<Moments>, ModelError> {
        let (simd, shape, workspaces, all) = (self.simd, self.stem.shape(), &self.workspaces, &self.images);
        let at_once = images_at_once(&shape);
        let (conv, packed, y) = self.stem.split();
        let image = conv.input_floats();
        let groups: Vec<_> = ConvNorm::groups_mut(y, &shape, n).enumerate().collect();
        groups
            .into_par_iter()
            .map(|(group, y)| {
                workspaces.with(|workspace| {
                    let mut moments = Moments::zeros(&shape);
                    // The statistics are summed from each part while it is in the cache, not in a second pass over the batch.
                    let x = all.group(group);
                    for (first, count) in parts(y.len() / shape.len(), at_once) {
                        let x = &x[first * image..(first + count) * image];
                        let y = &mut y[first * shape.len()..(first + count) * shape.len()];
                        ConvNorm::forward((conv, packed), simd, x, count, y, workspace)?;
                        add_moments(simd, Planes::new(y, shape), count, &mut moments)?;
                    }
                    Ok(moments)
                })
            })
            .collect()
    }

    /// Writes block `i`'s input and runs its first convolution and its shortcut's, while the part of the input that both read is in the cache.
    fn block_forward_a(&mut self, i: usize, n: usize) -> Result<Vec<(Moments, Moments)>, ModelError> {
        let (simd, workspaces) = (self.simd, &self.workspaces);
        let (before, rest) = self.blocks.split_at_mut(i);
        let source = before.last().map_or(Source::Stem(&self.stem), Source::Block);
        let ResBlock {
            a,
            shortcut,
            in_shape,
            input,
            ..
        } = &mut rest[0];
        let (in_shape, shape) = (*in_shape, a.shape());
        grow(input, n * in_shape.len());
        let at_once = images_at_once(&in_shape);
        let (conv, packed, y) = a.split();
        let mut shortcut = shortcut.as_mut().map(ConvNorm::split);
        let (side_layer, side_y) = match &mut shortcut {
            Some((conv, packed, y)) => (Some((*conv, *packed)), Some(ConvNorm::groups_mut(y, &shape, n))),
            None => (None, None),
        };
        let mut side_y = side_y.into_iter().flatten();
        let tasks: Vec<_> = ConvNorm::groups_mut(y, &shape, n)
            .zip(input[..n * in_shape.len()].chunks_mut(GROUP * in_shape.len()))
            .enumerate()
            .map(|(group, (y, input))| (group, y, input, side_y.next()))
            .collect();
        tasks
            .into_par_iter()
            .map(|(group, y, input, mut side_y)| {
                workspaces.with(|workspace| {
                    let mut moments = (Moments::zeros(&shape), Moments::zeros(&shape));
                    for (first, count) in parts(y.len() / shape.len(), at_once) {
                        let x = &mut input[first * in_shape.len()..(first + count) * in_shape.len()];
                        source.output(simd, group * GROUP + first, count, x, in_shape)?;
                        let range = first * shape.len()..(first + count) * shape.len();
                        let y = &mut y[range.clone()];
                        ConvNorm::forward((conv, packed), simd, as_floats(x), count, y, workspace)?;
                        add_moments(simd, Planes::new(y, shape), count, &mut moments.0)?;
                        if let (Some(layer), Some(y)) = (side_layer, &mut side_y) {
                            let y = &mut y[range];
                            ConvNorm::forward(layer, simd, as_floats(x), count, y, workspace)?;
                            add_moments(simd, Planes::new(y, shape), count, &mut moments.1)?;
                        }
                    }
                    Ok(moments)
                })
            })
            .collect()
    }

    /// Runs block `i`'s second convolution.
    fn block_forward_b(&mut self, i: usize, n: usize) -> Result<Vec<Moments>, ModelError> {
        let (simd, workspaces) = (self.simd, &self.workspaces);
        let ResBlock { a, b, .. } = &mut self.blocks[i];
        let (inner, shape) = (b.conv.input(), b.shape());
        let at_once = images_at_once(&shape);
        let (conv, packed, y) = b.split();
        let groups: Vec<_> = ConvNorm::groups_mut(y, &shape, n).enumerate().collect();
        groups
            .into_par_iter()
            .map(|(group, y)| {
                workspaces.with(|workspace| {
                    let mut moments = Moments::zeros(&shape);
                    let mut x = workspace.take(ACTIVATION, inner, at_once);
                    for (first, count) in parts(y.len() / shape.len(), at_once) {
                        let x = &mut x[..count * inner.len()];
                        let planes = a.planes(group * GROUP + first, count);
                        normalise(simd, planes, &a.affine, Shortcut::None, true, count, x, inner)?;
                        let y = &mut y[first * shape.len()..(first + count) * shape.len()];
                        ConvNorm::forward((conv, packed), simd, as_floats(x), count, y, workspace)?;
                        add_moments(simd, Planes::new(y, shape), count, &mut moments)?;
                    }
                    workspace.put(ACTIVATION, inner, x);
                    Ok(moments)
                })
            })
            .collect()
    }

    /// The last output, its mean over the pixels, and the dense layer.
    fn head_forward(&mut self, n: usize, parameters: &[f32]) -> Result<Vec<f32>, ModelError> {
        let (simd, shape) = (self.simd, self.last_shape());
        let source = self.blocks.last().map_or(Source::Stem(&self.stem), Source::Block);
        grow(&mut self.output, n * shape.len());
        let (channels, classes) = (shape.channels, self.fc_bias.len());
        let (weight, bias) = (&parameters[self.fc_weight.clone()], &parameters[self.fc_bias.clone()]);
        self.pooled.resize(n * channels, 0.0);
        let mut logits = vec![0.0; n * classes];
        // Image by image: the output of one image goes straight into its mean and its logits.
        self.output[..n * shape.len()]
            .par_chunks_mut(shape.len())
            .zip(self.pooled.par_chunks_mut(channels))
            .zip(logits.par_chunks_mut(classes))
            .enumerate()
            .try_for_each(|(image, ((out, pooled), logits))| -> Result<(), ModelError> {
                source.output(simd, image, 1, out, shape)?;
                pool(&shape, out, pooled);
                for ((logit, row), bias) in logits.iter_mut().zip(weight.chunks_exact(channels)).zip(bias) {
                    *logit = bias + row.iter().zip(pooled.iter()).map(|(w, x)| w * x).sum::<f32>();
                }
                Ok(())
            })?;
        Ok(logits)
    }
}

/// Mean over the pixels of every channel.
fn pool(shape: &Shape, image: &[Block], pooled: &mut [f32]) {
    let pixels = (shape.height * shape.width) as f32;
    for (plane, pooled) in image
        .chunks_exact(shape.plane())
        .zip(pooled.chunks_mut(Block::ZERO.0.len()))
    {
        let mut sums = Block::ZERO;
        for pixel in plane {
            for (sum, x) in sums.0.iter_mut().zip(pixel.0) {
                *sum += x;
            }
        }
        for (mean, sum) in pooled.iter_mut().zip(sums.0) {
            *mean = sum / pixels;
        }
    }
}

impl Engine for ResidualEngine {
    fn input(&mut self) -> &mut Images {
        &mut self.images
    }

    fn forward(&mut self, parameters: &[f32], statistics: &mut [f32]) -> Result<Vec<f32>, ModelError> {
        let (n, simd) = (self.images.n, self.simd);
        // The weights have moved since the last step, so they are packed anew, all layers at once.
        prepare_all(self.layers_mut(), simd, parameters, n)?;
        let sums = self.stem_forward(n)?;
        self.stem.settle(sums.into_iter(), n, parameters, statistics);
        for i in 0..self.blocks.len() {
            // The projection is settled with the first convolution, although it is needed only at the block's end: both read the same input.
            let (main, side): (Vec<_>, Vec<_>) = self.block_forward_a(i, n)?.into_iter().unzip();
            let block = &mut self.blocks[i];
            block.a.settle(main.into_iter(), n, parameters, statistics);
            if let Some(shortcut) = &mut block.shortcut {
                shortcut.settle(side.into_iter(), n, parameters, statistics);
            }
            let sums = self.block_forward_b(i, n)?;
            self.blocks[i].b.settle(sums.into_iter(), n, parameters, statistics);
        }
        self.head_forward(n, parameters)
    }

    fn backward(&mut self, parameters: &[f32], d_logits: &[f32], gradient: &mut [f32]) -> Result<(), ModelError> {
        let n = self.images.n;
        // The dense layer adds to its gradient; all others overwrite theirs.
        gradient.fill(0.0);
        let shapes = self
            .blocks
            .iter()
            .map(|block| block.in_shape.with_halo(0))
            .chain([self.last_shape()]);
        let largest = shapes.map(|shape| shape.len()).max().unwrap_or(0);
        self.gradients.iter_mut().for_each(|buffer| grow(buffer, n * largest));
        let mut sums = self.head_backward(n, parameters, d_logits, gradient)?;
        for i in (0..self.blocks.len()).rev() {
            let block = &mut self.blocks[i];
            Self::settle_gradients((&mut block.b, block.shortcut.as_mut()), sums, n, parameters);
            let inner = self.block_backward_b(i, n)?;
            self.blocks[i].a.settle_gradient(inner.into_iter(), n, parameters);
            sums = self.block_backward_a(i, n)?;
            // The gradient of this block's input is that of the output of the block before.
            self.gradients.swap(0, 2);
        }
        Self::settle_gradients((&mut self.stem, None), sums, n, parameters);
        self.stem_backward(n)?;
        let mut layers = self.layers_mut();
        // `cut` needs them in the order of the flat vector.
        layers.sort_by_key(|layer| layer.range().start);
        let ranges: Vec<_> = layers.iter().map(|layer| layer.range()).collect();
        let pieces = cut(gradient, &ranges);
        layers
            .into_par_iter()
            .zip(pieces)
            .try_for_each(|(layer, piece)| layer.write_gradient(n, piece))
    }
}
