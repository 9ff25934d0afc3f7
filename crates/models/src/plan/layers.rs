//! What both planned networks are made of.

use riptide_kernels::{Activation, Block, Dense, DirectConv, Epilogue, Scratch, Shape, Simd, WinogradConv};

use crate::architecture;
use crate::error::ModelError;
use crate::weights::Weights;

/// A parameter of a layer as floats, row-major.
pub(super) fn floats(weights: &Weights, layer: &str, array: &str) -> Result<Vec<f32>, ModelError> {
    Ok(weights.get(&format!("{layer}.{array}"))?.flatten_all()?.to_vec1()?)
}

/// The weights and the bias of a convolution. A batch normalisation that follows it becomes part of them: w * scale and
/// beta - mean * scale for each output channel, with scale = gamma / sqrt(variance + epsilon), in f64 because it is done only once.
pub(super) fn folded(weights: &Weights, conv: &architecture::Conv) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
    let mut kernel = floats(weights, &conv.name, "weight")?;
    let Some(norm) = &conv.norm else {
        return Ok((kernel, floats(weights, &conv.name, "bias")?));
    };
    let of = |array: &str| floats(weights, &norm.name, array);
    let (gamma, beta) = (of("weight")?, of("bias")?);
    let (mean, variance) = (of("running_mean")?, of("running_var")?);
    let inner = kernel.len() / gamma.len().max(1);
    let mut bias = Vec::with_capacity(gamma.len());
    for (o, channel) in kernel.chunks_exact_mut(inner).enumerate() {
        let scale = f64::from(gamma[o]) / (f64::from(variance[o]) + norm.epsilon).sqrt();
        for w in channel {
            *w = (f64::from(*w) * scale) as f32;
        }
        bias.push((f64::from(beta[o]) - f64::from(mean[o]) * scale) as f32);
    }
    Ok((kernel, bias))
}

/// What follows a convolution.
pub(super) fn activation(conv: &architecture::Conv) -> Activation {
    if conv.is_rectified {
        Activation::Relu
    } else {
        Activation::Linear
    }
}

/// A dense layer, packed.
pub(super) fn dense(weights: &Weights, layer: &architecture::Dense) -> Result<Dense, ModelError> {
    let (weight, bias) = (
        floats(weights, &layer.name, "weight")?,
        floats(weights, &layer.name, "bias")?,
    );
    Ok(Dense::new(layer.inputs, layer.outputs, &weight, Some(&bias))?)
}

/// A convolution in whichever way is fastest for its sizes.
#[derive(Debug)]
pub(super) struct Conv {
    kind: Kind,
    pub(super) input: Shape,
    pub(super) output: Shape,
}

#[derive(Debug)]
enum Kind {
    Direct(DirectConv),
    Winograd(WinogradConv),
}

impl Conv {
    /// Packs a convolution of images of this shape; the output has the given halo, which the next layer's padding needs, so that no
    /// image is copied between layers.
    pub(super) fn new(
        conv: &architecture::Conv,
        weights: &Weights,
        input: Shape,
        halo: usize,
    ) -> Result<Self, ModelError> {
        let params = conv.params();
        let (weights, bias) = folded(weights, conv)?;
        let output = params.output(input, halo)?;
        // Winograd where it can be used: 3x3 at stride 1 take 4 times fewer multiplications and were faster at every size measured.
        let kind = if WinogradConv::supports(&params) {
            Kind::Winograd(WinogradConv::new(params, &weights, Some(&bias))?)
        } else {
            Kind::Direct(DirectConv::new(params, &weights, Some(&bias))?)
        };
        Ok(Self { kind, input, output })
    }

    /// Convolves `n` images from the front of one buffer into the front of another.
    pub(super) fn run(
        &self,
        simd: Simd,
        n: usize,
        input: &[Block],
        epilogue: Epilogue,
        output: &mut [Block],
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        let input = &input[..n * self.input.len()];
        let output = &mut output[..n * self.output.len()];
        match &self.kind {
            Kind::Direct(conv) => conv.images(simd, self.input, input, epilogue, self.output, output)?,
            Kind::Winograd(conv) => conv.images(simd, self.input, input, epilogue, self.output, output, scratch)?,
        }
        Ok(())
    }
}
