//! The images that a network takes.

use candle_core::{DType, Tensor};

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

impl Input {
    /// Bytes of a raw image.
    pub(crate) fn image_len(&self) -> usize {
        3 * self.height * self.width
    }

    /// Preprocesses raw images; images that already are preprocessed stay as they are.
    pub(crate) fn prepare(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        self.check(images)?;
        match images.dtype() {
            DType::U8 => self.preprocessing.apply(images),
            _ => Ok(images.to_dtype(DType::F32)?),
        }
    }

    /// Checks the layout and size of images.
    pub(crate) fn check(&self, images: &Tensor) -> Result<(), ModelError> {
        let Self { height, width, .. } = *self;
        match (images.dtype(), images.dims()) {
            (DType::U8, &[_, h, w, 3]) if (h, w) == (height, width) => Ok(()),
            (dtype, &[_, 3, h, w]) if dtype.is_float() && (h, w) == (height, width) => Ok(()),
            (dtype, dims) => Err(ModelError::Images {
                found: format!("{} tensor of shape {dims:?}", dtype.as_str()),
                expected: format!("u8 (N, {height}, {width}, 3) or f32 (N, 3, {height}, {width})"),
            }),
        }
    }
}
