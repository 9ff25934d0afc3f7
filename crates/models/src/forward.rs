//! Any network by candle's own operations: for gradients, for devices other than the CPU, and as the reference that plans and training
//! are tested against.

use candle_core::{D, Tensor};
use riptide_kernels::Padding;

use crate::architecture::{Architecture, Block, Conv, Dense, Norm, Plain, Residual};
use crate::error::ModelError;
use crate::weights::Weights;

/// Preprocessed images, (N, 3, H, W), to logits, (N, n_classes), with batch normalisation by the running statistics.
pub(crate) fn logits(architecture: &Architecture, weights: &Weights, images: &Tensor) -> Result<Tensor, ModelError> {
    let normalise = |norm: &Norm, y: &Tensor| by_running_statistics(weights, norm, y);
    Forward {
        weights,
        normalise: &normalise,
    }
    .run(architecture, images)
}

/// Logits to probabilities along the last axis.
pub(crate) fn softmax(logits: &Tensor) -> Result<Tensor, ModelError> {
    let exponentials = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
    Ok(exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)?)
}

/// One array of a batch normalisation, to be broadcast over (N, C, H, W).
pub(crate) fn per_channel(values: &Tensor) -> Result<Tensor, ModelError> {
    Ok(values.reshape((1, (), 1, 1))?)
}

/// What a pass reads, and how it normalises: training takes the batch's statistics.
pub(crate) struct Forward<'a> {
    pub(crate) weights: &'a Weights,
    /// A convolution's output, (N, C, H, W), to the same shape.
    pub(crate) normalise: &'a dyn Fn(&Norm, &Tensor) -> Result<Tensor, ModelError>,
}

impl Forward<'_> {
    /// Preprocessed images to logits.
    pub(crate) fn run(&self, architecture: &Architecture, images: &Tensor) -> Result<Tensor, ModelError> {
        match architecture {
            Architecture::Residual(Residual { stem, stages, fc }) => {
                let mut x = self.conv(stem, images)?;
                for block in stages.iter().flatten() {
                    x = self.block(block, &x)?;
                }
                // The mean over the pixels.
                self.dense(fc, &x.flatten_from(2)?.mean(D::Minus1)?)
            }
            Architecture::Plain(Plain { convs, hidden, last }) => {
                let mut x = images.clone();
                for conv in convs {
                    x = self.conv(conv, &x)?;
                }
                // Keras flattens (N, H, W, C).
                let flat = x.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?;
                self.dense(last, &self.dense(hidden, &flat)?)
            }
        }
    }

    fn block(&self, block: &Block, x: &Tensor) -> Result<Tensor, ModelError> {
        let shortcut = match &block.branch1 {
            Some(branch1) => self.conv(branch1, x)?,
            None => x.clone(),
        };
        let y = self.conv(&block.branch2b, &self.conv(&block.branch2a, x)?)?;
        Ok((y + shortcut)?.relu()?)
    }

    fn conv(&self, conv: &Conv, x: &Tensor) -> Result<Tensor, ModelError> {
        let weight = self.array(&conv.name, "weight")?;
        let Padding {
            top,
            bottom,
            left,
            right,
        } = conv.params().padding;
        let y = if top == bottom && top == left && top == right {
            x.conv2d(weight, top, conv.stride, 1, 1)?
        } else {
            // candle pads all sides alike.
            let x = x.pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)?;
            x.conv2d(weight, 0, conv.stride, 1, 1)?
        };
        let y = match &conv.norm {
            Some(norm) => (self.normalise)(norm, &y)?,
            None => y.broadcast_add(&per_channel(self.array(&conv.name, "bias")?)?)?,
        };
        Ok(if conv.is_rectified { y.relu()? } else { y })
    }

    /// (N, in) to (N, out).
    fn dense(&self, dense: &Dense, x: &Tensor) -> Result<Tensor, ModelError> {
        let weight = self.array(&dense.name, "weight")?;
        let bias = self.array(&dense.name, "bias")?;
        Ok(x.matmul(&weight.t()?)?.broadcast_add(bias)?)
    }

    fn array(&self, layer: &str, array: &str) -> Result<&Tensor, ModelError> {
        self.weights.get(&format!("{layer}.{array}"))
    }
}

fn by_running_statistics(weights: &Weights, norm: &Norm, y: &Tensor) -> Result<Tensor, ModelError> {
    let get = |array: &str| weights.get(&format!("{}.{array}", norm.name));
    let scale = (get("weight")? / (get("running_var")? + norm.epsilon)?.sqrt()?)?;
    let shift = (get("bias")? - (get("running_mean")? * &scale)?)?;
    Ok(y.broadcast_mul(&per_channel(&scale)?)?
        .broadcast_add(&per_channel(&shift)?)?)
}
