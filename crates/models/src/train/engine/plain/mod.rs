//! The distilled network in training.
//!
//! Nothing in it needs the whole batch, so a group goes through all layers in one task, forward and backward.

mod convolution;

use std::ops::Range;

use rayon::prelude::*;
use riptide_kernels::lanes::as_floats;
use riptide_kernels::training::{
    Gate, Moments, PackedDense, Planes, Shortcut, TrainableDense, add_moments, normalise, relu_backward,
};
use riptide_kernels::{Block, Simd};

use self::convolution::ConvLayer;
use super::flat::FlatLayout;
use super::images::Images;
use super::memory::{GROUP, Workspaces, grow, images, images_at_once, parts};
use super::norm::sum_groups;
use super::pass::Engine;
use crate::architecture::{self, Conv, Plain};
use crate::error::ModelError;

/// Floats in a block.
const LANES: usize = riptide_kernels::lanes::LANES;
/// Role of the buffers for a convolution's output in a workspace.
const OUTPUT: usize = 0;
/// Role of the buffers for gradients.
const GRADIENT: usize = 1;

/// A dense layer with its bias.
#[derive(Debug)]
struct DenseLayer {
    dense: TrainableDense,
    weight: Range<usize>,
    bias: Range<usize>,
    packed: PackedDense,
    /// Output vectors of the whole batch.
    output: Vec<Block>,
    /// The gradient of weights and bias, for each group.
    sums: Vec<Block>,
}

/// A distilled network with the memory of one training step.
#[derive(Debug)]
pub(crate) struct PlainEngine {
    simd: Simd,
    n_classes: usize,
    images: Images,
    convs: Vec<ConvLayer>,
    hidden: DenseLayer,
    last: DenseLayer,
    workspaces: Workspaces,
}

impl DenseLayer {
    /// `places` says where each of the layer's inputs is among the floats of `in_blocks` blocks.
    fn new(
        layout: &FlatLayout,
        dense: &architecture::Dense,
        in_blocks: usize,
        places: Vec<usize>,
    ) -> Result<Self, ModelError> {
        let weight = layout.find(&dense.name, "weight")?;
        let bias = layout.find(&dense.name, "bias")?;
        Ok(Self {
            dense: TrainableDense::new(bias.len(), in_blocks, places)?,
            weight,
            bias,
            packed: PackedDense::default(),
            output: Vec::new(),
            sums: Vec::new(),
        })
    }

    fn prepare(&mut self, parameters: &[f32], n: usize) -> Result<(), ModelError> {
        let (weight, bias) = (&parameters[self.weight.clone()], &parameters[self.bias.clone()]);
        self.dense.pack(weight, bias, &mut self.packed)?;
        grow(&mut self.output, n * self.dense.out_blocks());
        grow(&mut self.sums, n.div_ceil(GROUP) * self.dense.gradient_blocks());
        Ok(())
    }

    fn write_gradient(&mut self, n: usize, gradient: &mut [f32]) -> Result<(), ModelError> {
        let len = self.dense.gradient_blocks();
        sum_groups(&mut self.sums[..n.div_ceil(GROUP) * len], len);
        // The bias follows the weights in the flat vector.
        let (weights, bias) = gradient[self.weight.start..self.bias.end].split_at_mut(self.weight.len());
        Ok(self.dense.unpack_gradient(&self.sums[..len], weights, bias)?)
    }
}

/// The part of a group that one task reads and writes.
struct ForwardTask<'a> {
    group: usize,
    outputs: Vec<&'a mut [Block]>,
    hidden: &'a mut [Block],
    last: &'a mut [Block],
}

struct BackwardTask<'a> {
    group: usize,
    count: usize,
    plains: Vec<&'a mut [Block]>,
    hidden: &'a mut [Block],
    last: &'a mut [Block],
}

impl PlainEngine {
    /// An engine for the given network.
    pub(crate) fn new(network: &Plain, layout: &FlatLayout, simd: Simd) -> Result<Self, ModelError> {
        let Plain {
            convs: layers,
            hidden,
            last,
        } = network;
        let Some(stem) = layers.first() else {
            return Err(ModelError::Opaque { operation: "training" });
        };
        // Every output has the halo that the next layer's padding needs, so that no image is copied between layers.
        let halo = |layer: usize| layers.get(layer).map_or(0, |conv: &Conv| conv.params().padding.halo());
        let [height, width] = stem.size;
        let images = Images::new(height, width, halo(0));
        let mut convs = Vec::new();
        convs.extend(ConvLayer::composed(layout, layers, images.shape, halo(2))?);
        for (index, conv) in layers.iter().enumerate().skip(2 * convs.len()) {
            let below = convs.last().map(|layer: &ConvLayer| layer.shape);
            convs.push(ConvLayer::single(layout, conv, images.shape, below, halo(index + 1))?);
        }
        let shape = convs.last().map_or(images.shape, |layer| layer.shape);
        // The dense layer reads the blocks as they are, halo and all; only its weights are put in order.
        let mut places = Vec::with_capacity(hidden.inputs);
        for y in 0..shape.height {
            for x in 0..shape.width {
                places.extend((0..shape.channels).map(|c| shape.index(c / LANES, y, x) * LANES + c % LANES));
            }
        }
        let n_classes = last.outputs;
        let n_hidden = hidden.outputs;
        let hidden = DenseLayer::new(layout, hidden, shape.len(), places)?;
        let in_blocks = hidden.dense.out_blocks();
        let last = DenseLayer::new(layout, last, in_blocks, (0..n_hidden).collect())?;
        Ok(Self {
            simd,
            n_classes,
            images,
            convs,
            hidden,
            last,
            workspaces: Workspaces::default(),
        })
    }

    /// All layers of one group, from the last to the first, so that a gradient is still in the cache when the layer below reads it. Gives the
    /// sums that the biases of the convolutions need.
    fn backward_group(&self, task: BackwardTask<'_>, d_logits: &[f32]) -> Result<Vec<Moments>, ModelError> {
        let simd = self.simd;
        let BackwardTask {
            group,
            count: n,
            mut plains,
            hidden: hidden_sums,
            last: last_sums,
        } = task;
        let from = group * GROUP;
        let out_blocks = self.last.dense.out_blocks();
        let mut d_last = vec![Block::ZERO; n * out_blocks];
        for (d, blocks) in d_logits
            .chunks_exact(self.n_classes)
            .zip(d_last.chunks_exact_mut(out_blocks))
        {
            for (c, d) in d.iter().enumerate() {
                blocks[c / LANES].0[c % LANES] = *d;
            }
        }
        let range = |blocks: usize| from * blocks..(from + n) * blocks;
        let hidden = &self.hidden.output[range(self.hidden.dense.out_blocks())];
        let mut d_hidden = vec![Block::ZERO; hidden.len()];
        last_sums.fill(Block::ZERO);
        self.last.dense.backward_weights(simd, hidden, &d_last, n, last_sums)?;
        self.last
            .dense
            .backward_input(simd, &self.last.packed, &d_last, n, &mut d_hidden)?;
        let Some(top) = self.convs.last() else {
            return Ok(Vec::new());
        };
        // No activation stands between the dense layers, nor between the last convolution's ReLU and the first of them.
        let flat = images(&top.output, top.shape, from, n);
        let mut d_flat = vec![Block::ZERO; flat.len()];
        hidden_sums.fill(Block::ZERO);
        self.hidden
            .dense
            .backward_weights(simd, flat, &d_hidden, n, hidden_sums)?;
        self.hidden
            .dense
            .backward_input(simd, &self.hidden.packed, &d_hidden, n, &mut d_flat)?;
        // The gradient of the last convolution's output gets the halo that its kernel's backward pass reads.
        let wide = top.kernel.output();
        let mut gradient = self.workspaces.with(|workspace| workspace.take(GRADIENT, wide, n));
        for (image, out) in d_flat
            .chunks_exact(top.shape.len())
            .zip(gradient.chunks_exact_mut(wide.len()))
        {
            for block in 0..wide.blocks() {
                for y in 0..wide.height {
                    let (to, at) = (wide.index(block, y, 0), top.shape.index(block, y, 0));
                    out[to..to + wide.width].copy_from_slice(&image[at..at + wide.width]);
                }
            }
        }
        self.workspaces.with(|workspace| {
            let mut biases = Vec::new();
            for (index, layer) in self.convs.iter().enumerate().rev() {
                let shape = layer.kernel.output();
                let before = index.checked_sub(1).map(|index| &self.convs[index]);
                // Nothing flows into the images, so the first layer has no gradient below it.
                let mut below = before.map(|before| workspace.take(GRADIENT, before.kernel.output(), n));
                let mut moments = Moments::zeros(&shape);
                let mut sums = workspace.zeros(layer.kernel.gradient_blocks());
                let mean = vec![Block::ZERO; shape.blocks()];
                let at_once = images_at_once(&shape);
                for (first, count) in parts(n, at_once) {
                    let dy = &mut gradient[first * shape.len()..(first + count) * shape.len()];
                    // The bias's gradient is the sum of the output's, taken in the pass that closes the ReLU.
                    if layer.is_rectified {
                        let out = layer.planes(from + first, count);
                        let values = (out, mean.as_slice(), &mut moments);
                        relu_backward(simd, dy, shape, None, Gate::Output(out), count, &mut [values])?;
                    } else {
                        add_moments(simd, Planes::new(dy, shape), count, &mut moments)?;
                    }
                    let x = match before {
                        Some(before) => as_floats(images(&before.output, before.shape, from + first, count)),
                        None => {
                            let image = layer.kernel.input_floats();
                            &self.images.group(group)[first * image..(first + count) * image]
                        }
                    };
                    let scratch = &mut workspace.conv;
                    layer.kernel.backward_weights(simd, x, dy, count, &mut sums, scratch)?;
                    if let (Some(before), Some(below)) = (before, &mut below) {
                        let to = before.kernel.output();
                        let dx = &mut below[first * to.len()..(first + count) * to.len()];
                        layer.kernel.backward_input(simd, dy, count, dx, to, scratch)?;
                    }
                }
                // Layers go backward, so the last piece belongs to this one.
                if let Some(plain) = plains.pop() {
                    layer.kernel.plain_gradient(simd, &sums, plain)?;
                }
                workspace.sums = sums;
                biases.push(moments);
                let done = std::mem::replace(&mut gradient, below.unwrap_or_default());
                workspace.put(GRADIENT, shape, done);
            }
            biases.reverse();
            Ok(biases)
        })
    }
}

impl Engine for PlainEngine {
    fn input(&mut self) -> &mut Images {
        &mut self.images
    }

    fn forward(&mut self, parameters: &[f32], _statistics: &mut [f32]) -> Result<Vec<f32>, ModelError> {
        let (n, simd, classes) = (self.images.n, self.simd, self.n_classes);
        // The weights have moved since the last step, so they are packed, and composed, anew.
        self.convs
            .par_iter_mut()
            .try_for_each(|layer| layer.prepare(simd, parameters, n))?;
        self.hidden.prepare(parameters, n)?;
        self.last.prepare(parameters, n)?;
        let (all, workspaces) = (&self.images, &self.workspaces);
        let mut outputs = Vec::new();
        let mut layers = Vec::new();
        for ConvLayer {
            kernel,
            is_rectified,
            affine,
            output,
            shape,
            ..
        } in &mut self.convs
        {
            outputs.push(output[..n * shape.len()].chunks_mut(GROUP * shape.len()));
            layers.push((&*kernel, *is_rectified, &*affine, *shape));
        }
        let (hidden, last) = (&mut self.hidden, &mut self.last);
        let (hidden_out, last_out) = (hidden.dense.out_blocks(), last.dense.out_blocks());
        let tasks: Vec<_> = hidden.output[..n * hidden_out]
            .chunks_mut(GROUP * hidden_out)
            .zip(last.output[..n * last_out].chunks_mut(GROUP * last_out))
            .enumerate()
            .map(|(group, (hidden, last))| ForwardTask {
                group,
                outputs: outputs.iter_mut().filter_map(Iterator::next).collect(),
                hidden,
                last,
            })
            .collect();
        let (hidden, last) = ((&hidden.dense, &hidden.packed), (&last.dense, &last.packed));
        tasks.into_par_iter().try_for_each(|mut task| {
            workspaces.with(|workspace| -> Result<(), ModelError> {
                let n = task.hidden.len() / hidden_out;
                for (index, &(kernel, is_rectified, affine, shape)) in layers.iter().enumerate() {
                    let (before, rest) = task.outputs.split_at_mut(index);
                    let plain = shape.with_halo(0);
                    let at_once = images_at_once(&shape);
                    // The kernel writes without a halo to a small buffer; bias and ReLU then copy from there to where the next layer
                    // reads, halo included.
                    let mut y = workspace.take(OUTPUT, plain, at_once);
                    let image = kernel.input_floats();
                    let x = match before.last() {
                        Some(before) => as_floats(before),
                        None => all.group(task.group),
                    };
                    for (first, count) in parts(n, at_once) {
                        let y = &mut y[..count * plain.len()];
                        let x = &x[first * image..(first + count) * image];
                        kernel.forward(simd, x, count, y, plain, &mut workspace.conv)?;
                        let out = &mut rest[0][first * shape.len()..(first + count) * shape.len()];
                        let y = Planes::new(y, plain);
                        normalise(simd, y, affine, Shortcut::None, is_rectified, count, out, shape)?;
                    }
                    workspace.put(OUTPUT, plain, y);
                }
                let flat = task.outputs.last().map_or(&[][..], |flat| &**flat);
                hidden.0.forward(simd, hidden.1, flat, n, task.hidden)?;
                last.0.forward(simd, last.1, task.hidden, n, task.last)?;
                Ok(())
            })
        })?;
        let mut logits = Vec::with_capacity(n * classes);
        for blocks in self.last.output[..n * last_out].chunks_exact(last_out) {
            logits.extend_from_slice(&as_floats(blocks)[..classes]);
        }
        Ok(logits)
    }

    fn backward(&mut self, _parameters: &[f32], d_logits: &[f32], gradient: &mut [f32]) -> Result<(), ModelError> {
        let n = self.images.n;
        // Taken out so that tasks can write them while they read everything else; put back below.
        let mut plains: Vec<Vec<Block>> = Vec::new();
        for layer in &mut self.convs {
            plains.push(std::mem::take(&mut layer.plain));
        }
        let (mut hidden, mut last) = (
            std::mem::take(&mut self.hidden.sums),
            std::mem::take(&mut self.last.sums),
        );
        let mut chunks: Vec<_> = plains
            .iter_mut()
            .zip(&self.convs)
            .map(|(plain, layer)| plain.chunks_mut(layer.kernel.plain_blocks()))
            .collect();
        let tasks: Vec<_> = hidden
            .chunks_mut(self.hidden.dense.gradient_blocks())
            .zip(last.chunks_mut(self.last.dense.gradient_blocks()))
            .take(n.div_ceil(GROUP))
            .enumerate()
            .map(|(group, (hidden, last))| BackwardTask {
                group,
                count: GROUP.min(n - group * GROUP),
                plains: chunks.iter_mut().filter_map(Iterator::next).collect(),
                hidden,
                last,
            })
            .collect();
        let this = &*self;
        let biases: Vec<Vec<Moments>> = tasks
            .into_par_iter()
            .zip(d_logits.par_chunks(GROUP * self.n_classes))
            .map(|(task, d_logits)| this.backward_group(task, d_logits))
            .collect::<Result<_, _>>()?;
        self.hidden.sums = hidden;
        self.last.sums = last;
        for (index, (layer, plain)) in self.convs.iter_mut().zip(plains).enumerate() {
            layer.plain = plain;
            layer.write_gradient(self.simd, n, gradient)?;
            for (c, bias) in gradient[layer.bias.clone()].iter_mut().enumerate() {
                // In the order of the groups, and in f64.
                *bias = biases.iter().map(|group| group[index].first[c]).sum::<f64>() as f32;
            }
        }
        self.hidden.write_gradient(n, gradient)?;
        self.last.write_gradient(n, gradient)
    }
}
