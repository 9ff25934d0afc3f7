//! The planned distilled network.

use riptide_kernels::{Activation, Block, Dense, Epilogue, ImageConv, ImageShape, Scratch, Shape, Simd, flatten_nhwc};

use super::groups::images_per_group;
use super::layers::{self, Conv, dense, floats, folded};
use crate::architecture;
use crate::error::ModelError;
use crate::weights::Weights;

/// Most multiply-adds that composing two layers may take, because it is done when a network is first used; beyond it they stay apart.
const MAX_COMPOSING: usize = 1 << 29;
/// Most weights of two composed convolutions: all border positions have kernels of their own, and they are read for every group.
const MAX_COMPOSED: usize = 1 << 23;

/// Layers of a distilled network. No activation stands between the first two convolutions, nor between the dense layers, so each pair is one layer
/// if that takes less work.
#[derive(Debug)]
pub(super) struct PlainPlan {
    first: ImageConv,
    activation: Activation,
    /// The other convolutions, and what follows each.
    convolutions: Vec<(Conv, Activation)>,
    /// One or two layers.
    dense: Vec<Dense>,
    n_hidden: usize,
}

/// One thread's buffers.
#[derive(Debug)]
pub(super) struct PlainScratch {
    /// Output of each convolution, for a group.
    outputs: Vec<Vec<Block>>,
    flat: Vec<f32>,
    hidden: Vec<f32>,
    conv: Scratch,
}

impl PlainPlan {
    /// Packs the weights, for input images with at least this halo.
    pub(super) fn new(network: &architecture::Plain, weights: &Weights, halo: usize) -> Result<Self, ModelError> {
        let architecture::Plain { convs, hidden, last } = network;
        let Some((stem, others)) = convs.split_first() else {
            return Err(ModelError::Opaque { operation: "planning" });
        };
        let [height, width] = stem.size;
        let image = |need: usize| ImageShape {
            channels: stem.inputs,
            height,
            width,
            halo: halo.max(need),
        };
        let (kernel, bias) = folded(weights, stem)?;
        let (params, padding) = (stem.params(), stem.params().padding);
        let composed = others.first().filter(|second| worth_composing(stem, second));
        let (first, activation, others) = match (composed, others) {
            (Some(second), [_, others @ ..]) => {
                let (kernel2, bias2) = folded(weights, second)?;
                // The padding of both together; after the image it may be one more than before.
                let need = second.params().padding.halo() * stem.stride + padding.halo();
                let parts = (params, kernel.as_slice(), Some(bias.as_slice()));
                let second_parts = (second.params(), kernel2.as_slice(), Some(bias2.as_slice()));
                let conv = ImageConv::composed(image(need), parts, second_parts)?;
                (conv, layers::activation(second), others)
            }
            _ => {
                let conv = ImageConv::new(params, image(padding.halo()), &kernel, Some(&bias))?;
                (conv, layers::activation(stem), others)
            }
        };
        // Every output has the halo that the next layer's padding needs.
        let halo_of = |next: Option<&architecture::Conv>| next.map_or(0, |conv| conv.params().padding.halo());
        let first = first.with_output_halo(halo_of(others.first()));
        let mut convolutions: Vec<(Conv, Activation)> = Vec::new();
        let mut input = first.output();
        for (i, conv) in others.iter().enumerate() {
            let packed = Conv::new(conv, weights, input, halo_of(others.get(i + 1)))?;
            input = packed.output;
            convolutions.push((packed, layers::activation(conv)));
        }
        Ok(Self {
            first,
            activation,
            convolutions,
            dense: dense_layers(weights, hidden, last)?,
            n_hidden: hidden.outputs,
        })
    }

    /// The images that it takes.
    pub(super) fn image(&self) -> ImageShape {
        self.first.input()
    }

    /// Images of a group.
    pub(super) fn group(&self) -> usize {
        let largest = self.shapes().map(|shape| shape.len()).max().unwrap_or(1);
        images_per_group(largest * size_of::<Block>())
    }

    /// The outputs of the convolutions.
    fn shapes(&self) -> impl Iterator<Item = Shape> {
        std::iter::once(self.first.output()).chain(self.convolutions.iter().map(|(conv, _)| conv.output))
    }

    /// Memory for groups of so many images.
    pub(super) fn scratch(&self, group: usize) -> PlainScratch {
        PlainScratch {
            outputs: self
                .shapes()
                .map(|shape| vec![Block::ZERO; group * shape.len()])
                .collect(),
            flat: vec![0.0; self.shapes().last().map_or(0, |shape| shape.floats())],
            hidden: vec![0.0; self.n_hidden],
            conv: Scratch::default(),
        }
    }

    /// Interleaved images to logits.
    pub(super) fn run(
        &self,
        simd: Simd,
        images: &[f32],
        logits: &mut [f32],
        scratch: &mut PlainScratch,
    ) -> Result<(), ModelError> {
        let n = images.len() / self.first.input().len();
        let PlainScratch {
            outputs,
            flat,
            hidden,
            conv: memory,
        } = scratch;
        let [current, rest @ ..] = outputs.as_mut_slice() else {
            return Ok(());
        };
        // Layer by layer over the whole group: the buffers are small, and each layer's weights, the bulk of what is read, serve all images.
        let mut shape = self.first.output();
        let mut current = &mut current[..n * shape.len()];
        self.first.images(simd, images, self.activation, current)?;
        for ((conv, activation), next) in self.convolutions.iter().zip(rest) {
            conv.run(simd, n, current, Epilogue::new(*activation), next, memory)?;
            shape = conv.output;
            current = &mut next[..n * shape.len()];
        }
        let classes = logits.len() / n.max(1);
        for (image, logits) in current.chunks_exact(shape.len()).zip(logits.chunks_exact_mut(classes)) {
            flatten_nhwc(shape, image, flat)?;
            match self.dense.as_slice() {
                [one] => one.forward(simd, flat, logits)?,
                [first, second, ..] => {
                    first.forward(simd, flat, hidden)?;
                    second.forward(simd, hidden, logits)?;
                }
                [] => {}
            }
        }
        Ok(())
    }
}

/// Both dense layers, as one if that takes less work: no activation stands between them.
fn dense_layers(
    weights: &Weights,
    hidden: &architecture::Dense,
    last: &architecture::Dense,
) -> Result<Vec<Dense>, ModelError> {
    let (flat, between, classes) = (hidden.inputs, hidden.outputs, last.outputs);
    let is_quick = flat.saturating_mul(between).saturating_mul(classes) <= MAX_COMPOSING;
    if !is_quick || flat * classes > (flat + classes) * between {
        return Ok(vec![dense(weights, hidden)?, dense(weights, last)?]);
    }
    let of = |layer: &architecture::Dense, array| floats(weights, &layer.name, array);
    let (w1, b1) = (of(hidden, "weight")?, of(hidden, "bias")?);
    let (w2, b2) = (of(last, "weight")?, of(last, "bias")?);
    Ok(vec![Dense::composed([flat, between, classes], (&w1, &b1), (&w2, &b2))?])
}

/// Whether the first two convolutions take less work as one, and composing them is quick.
fn worth_composing(first: &architecture::Conv, second: &architecture::Conv) -> bool {
    if first.is_rectified {
        return false;
    }
    let (colours, m, k) = (first.inputs, first.outputs, second.outputs);
    let (k1, k2) = (first.kernel, second.kernel);
    let pixels = |conv: &architecture::Conv| conv.output_size().into_iter().fold(1, usize::saturating_mul);
    // Neighbouring positions of the second kernel see the image `stride` pixels apart.
    let taps = first.stride * (k2 - 1) + k1;
    let apart = pixels(first)
        .saturating_mul(colours * k1 * k1 * m)
        .saturating_add(pixels(second).saturating_mul(k2 * k2 * m * k));
    let together = pixels(second).saturating_mul(colours * taps * taps * k);
    let composing = (k2 * k2 * k1 * k1 * colours).saturating_mul(m).saturating_mul(k);
    // Positions near either end of an axis have kernels of their own.
    let variants = (2 * taps.div_ceil(first.stride * second.stride) + 1).pow(2);
    together < apart && composing <= MAX_COMPOSING && variants.saturating_mul(colours * taps * taps * k) <= MAX_COMPOSED
}
