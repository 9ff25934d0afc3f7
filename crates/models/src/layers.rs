//! The layers of both networks in candle, with Keras's `same` padding.

use candle_core::{D, Tensor};

use crate::config::same_output;
use crate::error::ModelError;
use crate::weights::Weights;

/// How many zeros Keras's `same` padding puts before and after an axis of `size`: together `max((ceil(size / stride) - 1) * stride + kernel -
/// size, 0)`, the smaller half before. Where the total is odd the extra zero comes after.
///
/// ```
/// use riptide_models::same_padding;
/// assert_eq!(same_padding(32, 3, 1), (1, 1));
/// assert_eq!(same_padding(32, 3, 2), (0, 1));
/// assert_eq!(same_padding(33, 3, 2), (1, 1));
/// assert_eq!(same_padding(32, 4, 2), (1, 1));
/// ```
pub const fn same_padding(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let total = ((same_output(size, stride).saturating_sub(1)) * stride + kernel).saturating_sub(size);
    (total / 2, total - total / 2)
}

/// A convolution with `same` padding.
#[derive(Debug, Clone)]
pub(crate) struct Conv {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: usize,
}

impl Conv {
    pub(crate) fn new(weights: &Weights, name: &str, stride: usize, bias: bool) -> Result<Self, ModelError> {
        let weight = weights.get(&format!("{name}.weight"))?.clone();
        let bias = if bias {
            Some(weights.get(&format!("{name}.bias"))?.clone())
        } else {
            None
        };
        Ok(Self { weight, bias, stride })
    }

    /// f32 (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride)).
    pub(crate) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let (_, _, kernel_height, kernel_width) = self.weight.dims4()?;
        let (top, bottom) = same_padding(height, kernel_height, self.stride);
        let (left, right) = same_padding(width, kernel_width, self.stride);
        let y = if top == bottom && top == left && top == right {
            x.conv2d(&self.weight, top, self.stride, 1, 1)?
        } else {
            let x = x.pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)?;
            x.conv2d(&self.weight, 0, self.stride, 1, 1)?
        };
        match &self.bias {
            Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?),
            None => Ok(y),
        }
    }
}

/// A convolution without bias, then batch normalisation by the running statistics.
#[derive(Debug, Clone)]
pub(crate) struct ConvBn {
    conv: Conv,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    epsilon: f64,
}

impl ConvBn {
    pub(crate) fn new(
        weights: &Weights,
        conv: &str,
        bn: &str,
        stride: usize,
        epsilon: f64,
    ) -> Result<Self, ModelError> {
        let get = |array: &str| weights.get(&format!("{bn}.{array}")).cloned();
        Ok(Self {
            conv: Conv::new(weights, conv, stride, false)?,
            weight: get("weight")?,
            bias: get("bias")?,
            running_mean: get("running_mean")?,
            running_var: get("running_var")?,
            epsilon,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let scale = (&self.weight / (&self.running_var + self.epsilon)?.sqrt()?)?;
        let shift = (&self.bias - (&self.running_mean * &scale)?)?;
        let per_channel = |tensor: Tensor| tensor.reshape((1, (), 1, 1));
        self.conv
            .forward(x)?
            .broadcast_mul(&per_channel(scale)?)?
            .broadcast_add(&per_channel(shift)?)
    }
}

/// A dense layer: `x weight^T + bias`.
#[derive(Debug, Clone)]
pub(crate) struct Dense {
    weight: Tensor,
    bias: Tensor,
}

impl Dense {
    pub(crate) fn new(weights: &Weights, name: &str) -> Result<Self, ModelError> {
        Ok(Self {
            weight: weights.get(&format!("{name}.weight"))?.clone(),
            bias: weights.get(&format!("{name}.bias"))?.clone(),
        })
    }

    /// f32 (N, in) to (N, out).
    pub(crate) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

/// (N, C, H, W) to (N, H * W * C): the order in which Keras flattens.
pub(crate) fn flatten_nhwc(x: &Tensor) -> candle_core::Result<Tensor> {
    x.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)
}

/// (N, C, H, W) to (N, C): the mean of every plane.
pub(crate) fn global_mean_pool(x: &Tensor) -> candle_core::Result<Tensor> {
    x.flatten_from(2)?.mean(D::Minus1)
}
