//! What both architectures share on the way from images to probabilities.

use candle_core::{D, DType, Tensor};

use crate::error::ModelError;
use crate::preprocess::Preprocessing;

/// What a network takes and gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) n_classes: usize,
    pub(crate) preprocessing: Preprocessing,
}

/// A network as a function of preprocessed images.
pub(crate) trait Architecture {
    /// What it takes and gives.
    fn input(&self) -> Input;
    /// Preprocessed images, f32 (N, 3, H, W), to logits, f32 (N, n_classes), by candle's own operations.
    fn layers(&self, x: &Tensor) -> candle_core::Result<Tensor>;
}

/// Images of either kind to logits.
pub(crate) fn logits(network: &impl Architecture, images: &Tensor) -> Result<Tensor, ModelError> {
    let input = network.input();
    let x = prepare(&input, images)?;
    if x.dim(0)? == 0 {
        return Ok(Tensor::zeros((0, input.n_classes), DType::F32, x.device())?);
    }
    Ok(network.layers(&x)?)
}

/// Images of either kind to class probabilities.
pub(crate) fn probabilities(network: &impl Architecture, images: &Tensor) -> Result<Tensor, ModelError> {
    let logits = logits(network, images)?;
    if logits.dim(0)? == 0 {
        return Ok(logits);
    }
    Ok(candle_nn::ops::softmax(&logits, D::Minus1)?)
}

/// Preprocesses raw images, and checks the layout of those that already are.
pub(crate) fn prepare(input: &Input, images: &Tensor) -> Result<Tensor, ModelError> {
    let Input { height, width, .. } = *input;
    match (images.dtype(), images.dims()) {
        (DType::U8, &[_, h, w, 3]) if (h, w) == (height, width) => input.preprocessing.apply(images),
        (DType::F32, &[_, 3, h, w]) if (h, w) == (height, width) => Ok(images.clone()),
        (dtype, &[_, 3, h, w]) if dtype.is_float() && (h, w) == (height, width) => Ok(images.to_dtype(DType::F32)?),
        (dtype, dims) => Err(ModelError::Images {
            found: format!("{} tensor of shape {dims:?}", dtype.as_str()),
            expected: format!("u8 (N, {height}, {width}, 3) or f32 (N, 3, {height}, {width})"),
        }),
    }
}
