//! The images that a network takes.

use candle_core::{DType, Device, Tensor};

use crate::error::ModelError;
use crate::preprocess::Preprocessing;
use crate::shrink::Shrink;

/// What a network takes and gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// What raw images go through before they are preprocessed.
    pub(crate) shrink: Shrink,
    /// Channels of preprocessed images: 3, or 1 for grey values. Raw images have three in either case.
    pub(crate) channels: usize,
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
            DType::U8 if self.shrink.factor == 1 => self.preprocessing.apply_channels(images, self.channels),
            DType::U8 => self.preprocessing.apply_channels(&self.smaller(images)?, self.channels),
            _ => Ok(images.to_dtype(DType::F32)?),
        }
    }

    /// Raw images, made smaller.
    fn smaller(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let bytes = images.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<u8>()?;
        let (height, width) = self.shrink.output_size();
        let mut small = vec![0; images.dim(0)? * self.shrink.output_len()];
        let each = small.chunks_exact_mut(self.shrink.output_len());
        each.zip(bytes.chunks_exact(self.shrink.input_len()))
            .for_each(|(small, image)| self.shrink.apply(image, small));
        Ok(Tensor::from_vec(small, ((), height, width, 3), images.device())?)
    }

    /// Checks the layout and size of images.
    pub(crate) fn check(&self, images: &Tensor) -> Result<(), ModelError> {
        let Self { height, width, .. } = *self;
        let inner = self.shrink.output_size();
        match (images.dtype(), images.dims()) {
            (DType::U8, &[_, h, w, 3]) if (h, w) == (height, width) => Ok(()),
            (dtype, &[_, c, h, w]) if dtype.is_float() && c == self.channels && (h, w) == inner => Ok(()),
            (dtype, dims) => Err(ModelError::Images {
                found: format!("{} tensor of shape {dims:?}", dtype.as_str()),
                expected: format!(
                    "u8 (N, {height}, {width}, 3) or f32 (N, {}, {}, {})",
                    self.channels, inner.0, inner.1
                ),
            }),
        }
    }
}
