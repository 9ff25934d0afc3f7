//! The planned distilled network.

use riptide_kernels::{Activation, Block, Dense, Epilogue, ImageConv, ImageShape, Scratch, Shape, Simd, flatten_nhwc};

use super::images_per_group;
use super::input::Geometry;
use super::layers::{Conv, floats, same};
use crate::config::DistilledCnnConfig;
use crate::error::ModelError;
use crate::weights::Weights;

/// Most multiply-adds that composing two layers may take; beyond it they stay apart.
const MAX_COMPOSING: usize = 1 << 29;
/// Most weights of two composed convolutions.
const MAX_COMPOSED: usize = 1 << 23;

/// Layers of a distilled network. No activation stands between the first two convolutions, nor between the dense layers, so each pair is one layer
/// where that takes less work.
#[derive(Debug)]
pub(super) struct DistilledPlan {
    first: ImageConv,
    activation: Activation,
    convolutions: Vec<Conv>,
    dense: Vec<Dense>,
    n_dense: usize,
}

/// One thread's buffers.
#[derive(Debug)]
pub(super) struct DistilledScratch {
    /// Output of each convolution, for a group.
    outputs: Vec<Vec<Block>>,
    flat: Vec<f32>,
    hidden: Vec<f32>,
    conv: Scratch,
}

impl DistilledPlan {
    /// Packs the weights, for input images with at least this halo.
    pub(super) fn new(
        config: &DistilledCnnConfig,
        weights: &Weights,
        halo: usize,
    ) -> Result<(Self, Geometry), ModelError> {
        let sizes = config.convolutions();
        let mut shape = Shape {
            channels: 3,
            height: config.height,
            width: config.width,
            halo: 0,
        };
        let mut params = Vec::new();
        for (_, filters, kernel) in &sizes {
            let layer = same(shape, *filters, *kernel, 2);
            let half = |size: usize| size.div_ceil(2);
            shape = Shape {
                channels: *filters,
                height: half(shape.height),
                width: half(shape.width),
                halo: 0,
            };
            params.push(layer);
        }
        let mut values = Vec::new();
        for layer in 1..=sizes.len() {
            values.push((
                floats(weights, &format!("conv{layer}.weight"))?,
                floats(weights, &format!("conv{layer}.bias"))?,
            ));
        }
        let image = |need: usize| ImageShape {
            channels: 3,
            height: config.height,
            width: config.width,
            halo: halo.max(need),
        };
        let layer = |i: usize| (params[i], values[i].0.as_slice(), Some(values[i].1.as_slice()));
        let composed = params.len() > 1 && worth_composing(config, &sizes);
        let first = if composed {
            // The padding of both together; after the image it may be one more than before.
            let need = params[1].padding.halo() * 2 + params[0].padding.halo();
            ImageConv::composed(image(need), layer(0), layer(1))?
        } else {
            let need = params[0].padding.halo();
            ImageConv::new(params[0], image(need), layer(0).1, layer(0).2)?
        };
        let consumed = if composed { 2 } else { 1 };
        let halo_after = |layers: usize| params.get(layers).map_or(0, |next| next.padding.halo());
        let first = first.with_output_halo(halo_after(consumed));
        let mut convolutions: Vec<Conv> = Vec::new();
        let mut input = first.output();
        for i in consumed..params.len() {
            let conv = Conv::new(params[i], input, halo_after(i + 1), &values[i].0, &values[i].1)?;
            input = conv.output;
            convolutions.push(conv);
        }
        let named = |name: &str| floats(weights, name);
        let (w1, b1) = (named("dense1.weight")?, named("dense1.bias")?);
        let (w2, b2) = (named("dense2.weight")?, named("dense2.bias")?);
        let (flat, hidden, classes) = (input.floats(), config.n_dense, config.n_classes);
        let small = flat.saturating_mul(hidden).saturating_mul(classes) <= MAX_COMPOSING;
        let dense = if small && flat * classes <= (flat + classes) * hidden {
            vec![Dense::composed([flat, hidden, classes], (&w1, &b1), (&w2, &b2))?]
        } else {
            vec![
                Dense::new(flat, hidden, &w1, Some(&b1))?,
                Dense::new(hidden, classes, &w2, Some(&b2))?,
            ]
        };
        let largest = convolutions
            .iter()
            .map(|conv| conv.output.len())
            .max()
            .unwrap_or(1)
            .max(first.output().len());
        let geometry = Geometry {
            image: first.input(),
            n_classes: classes,
            preprocessing: config.preprocessing,
            group: images_per_group(largest * size_of::<Block>()),
        };
        let activation = if composed { Activation::Relu } else { Activation::Linear };
        Ok((
            Self {
                first,
                activation,
                convolutions,
                dense,
                n_dense: hidden,
            },
            geometry,
        ))
    }

    /// Memory for groups of so many images.
    pub(super) fn scratch(&self, group: usize) -> DistilledScratch {
        let shapes = std::iter::once(self.first.output()).chain(self.convolutions.iter().map(|conv| conv.output));
        let last = self.convolutions.last().map_or(self.first.output(), |conv| conv.output);
        DistilledScratch {
            outputs: shapes.map(|shape| vec![Block::ZERO; group * shape.len()]).collect(),
            flat: vec![0.0; last.floats()],
            hidden: vec![0.0; self.n_dense],
            conv: Scratch::default(),
        }
    }

    /// Interleaved images to logits.
    pub(super) fn run(
        &self,
        simd: Simd,
        images: &[f32],
        logits: &mut [f32],
        scratch: &mut DistilledScratch,
    ) -> Result<(), ModelError> {
        let n = images.len() / self.first.input().len();
        let DistilledScratch {
            outputs,
            flat,
            hidden,
            conv: memory,
        } = scratch;
        let [current, rest @ ..] = outputs.as_mut_slice() else {
            return Ok(());
        };
        let mut shape = self.first.output();
        let mut current = &mut current[..n * shape.len()];
        self.first.images(simd, images, self.activation, current)?;
        for (conv, next) in self.convolutions.iter().zip(rest) {
            conv.run(simd, n, current, Epilogue::new(Activation::Relu), next, memory)?;
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

/// Whether the first two convolutions take less work as one, and composing them is quick.
fn worth_composing(config: &DistilledCnnConfig, sizes: &[(usize, usize, usize)]) -> bool {
    let [(_, m, k1), (_, k, k2), ..] = *sizes else {
        return false;
    };
    let half = |size: usize| size.div_ceil(2);
    let (h1, w1) = (half(config.height), half(config.width));
    let pixels = half(h1).saturating_mul(half(w1));
    let taps = 2 * (k2 - 1) + k1;
    let apart = (h1 * w1)
        .saturating_mul(3 * k1 * k1 * m)
        .saturating_add(pixels.saturating_mul(k2 * k2 * m * k));
    let together = pixels.saturating_mul(3 * taps * taps * k);
    let composing = (k2 * k2 * k1 * k1 * 3).saturating_mul(m).saturating_mul(k);
    // Positions near either end of an axis have kernels of their own.
    let variants = (2 * taps.div_ceil(4) + 1).pow(2);
    together < apart && composing <= MAX_COMPOSING && variants.saturating_mul(3 * taps * taps * k) <= MAX_COMPOSED
}
