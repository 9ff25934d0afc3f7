//! What both planned networks are made of.

use candle_core::Tensor;
use riptide_kernels::{Block, ConvParams, DirectConv, Epilogue, Padding, Scratch, Shape, Simd, WinogradConv};

use crate::error::ModelError;
use crate::weights::Weights;

/// A parameter as floats, row-major.
pub(super) fn floats(weights: &Weights, name: &str) -> Result<Vec<f32>, ModelError> {
    let tensor: &Tensor = weights.get(name)?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}

/// The weights and bias of a convolution followed by batch normalisation by its running statistics: w * scale and beta - mean * scale, with
/// scale = gamma / sqrt(variance + epsilon), for each output channel.
pub(super) fn folded(
    weights: &Weights,
    conv: &str,
    bn: &str,
    epsilon: f64,
) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
    let mut kernel = floats(weights, &format!("{conv}.weight"))?;
    let statistic = |array: &str| floats(weights, &format!("{bn}.{array}"));
    let (gamma, beta) = (statistic("weight")?, statistic("bias")?);
    let (mean, variance) = (statistic("running_mean")?, statistic("running_var")?);
    let inner = kernel.len() / gamma.len().max(1);
    let mut bias = Vec::with_capacity(gamma.len());
    for (o, channel) in kernel.chunks_exact_mut(inner).enumerate() {
        let scale = f64::from(gamma[o]) / (f64::from(variance[o]) + epsilon).sqrt();
        for w in channel {
            *w = (f64::from(*w) * scale) as f32;
        }
        bias.push((f64::from(beta[o]) - f64::from(mean[o]) * scale) as f32);
    }
    Ok((kernel, bias))
}

/// The sizes of a convolution with `same` padding on an input of this shape.
pub(super) fn same(input: Shape, out_channels: usize, kernel: usize, stride: usize) -> ConvParams {
    ConvParams {
        in_channels: input.channels,
        out_channels,
        kernel: [kernel, kernel],
        stride,
        padding: Padding::same([kernel, kernel], stride, input.height, input.width),
    }
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
    /// Packs a convolution of images of this shape; the output has the given halo.
    pub(super) fn new(
        params: ConvParams,
        input: Shape,
        halo: usize,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self, ModelError> {
        let output = params.output(input, halo)?;
        let kind = if WinogradConv::supports(&params) {
            Kind::Winograd(WinogradConv::new(params, weights, Some(bias))?)
        } else {
            Kind::Direct(DirectConv::new(params, weights, Some(bias))?)
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
