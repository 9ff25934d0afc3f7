//! What both architectures share on the way from images to probabilities.

use candle_core::{D, DType, Device, Tensor};

use crate::config::NetworkConfig;
use crate::error::ModelError;
use crate::plan::Plan;
use crate::preprocess::Preprocessing;
use crate::weights::Weights;

/// What a network takes and gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) n_classes: usize,
    pub(crate) preprocessing: Preprocessing,
}

impl NetworkConfig {
    /// What the network takes and gives.
    pub(crate) fn input(&self) -> Input {
        let (height, width, n_classes, preprocessing) = match self {
            Self::ResNet(c) => (c.height, c.width, c.n_classes, c.preprocessing),
            Self::DistilledCnn(c) => (c.height, c.width, c.n_classes, c.preprocessing),
            Self::Onnx(c) => (c.height, c.width, c.n_classes, c.preprocessing),
        };
        Input {
            height,
            width,
            n_classes,
            preprocessing,
        }
    }
}

/// A network as a function of preprocessed images.
pub(crate) trait Architecture {
    /// What it takes and gives.
    fn input(&self) -> Input;
    /// The parameters.
    fn weights(&self) -> &Weights;
    /// The network compiled for the CPU.
    fn plan(&self) -> Result<&Plan, ModelError>;
    /// Preprocessed images, f32 (N, 3, H, W), to logits, f32 (N, n_classes), by candle's own operations.
    fn layers(&self, x: &Tensor) -> candle_core::Result<Tensor>;
}

/// Images of either kind to logits.
pub(crate) fn logits(network: &impl Architecture, images: &Tensor) -> Result<Tensor, ModelError> {
    run(network, images, Output::Logits)
}

/// Images of either kind to class probabilities.
pub(crate) fn probabilities(network: &impl Architecture, images: &Tensor) -> Result<Tensor, ModelError> {
    run(network, images, Output::Probabilities)
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Logits,
    Probabilities,
}

fn run(network: &impl Architecture, images: &Tensor, output: Output) -> Result<Tensor, ModelError> {
    let input = network.input();
    check(&input, images)?;
    let n = images.dim(0)?;
    if n == 0 {
        return Ok(Tensor::zeros((0, input.n_classes), DType::F32, images.device())?);
    }
    if is_plannable(network, images) {
        let plan = network.plan()?;
        let images = images.flatten_all()?;
        let values = match (images.dtype(), output) {
            (DType::U8, Output::Logits) => plan.logits(&images.to_vec1()?)?,
            (DType::U8, Output::Probabilities) => plan.predict_proba(&images.to_vec1()?)?,
            (_, Output::Logits) => plan.logits_scaled(&images.to_vec1()?)?,
            (_, Output::Probabilities) => plan.predict_proba_scaled(&images.to_vec1()?)?,
        };
        return Ok(Tensor::from_vec(values, (n, input.n_classes), &Device::Cpu)?);
    }
    let logits = network.layers(&prepare(&input, images)?)?;
    match output {
        Output::Logits => Ok(logits),
        Output::Probabilities => Ok(candle_nn::ops::softmax(&logits, D::Minus1)?),
    }
}

/// Whether a plan gives what candle would: everything on the CPU, and nothing to be differentiated.
fn is_plannable(network: &impl Architecture, images: &Tensor) -> bool {
    matches!(images.dtype(), DType::U8 | DType::F32)
        && images.device().is_cpu()
        && !images.track_op()
        && network.weights().are_plain_on_cpu()
}

/// Preprocesses raw images; images that already are stay as they are.
pub(crate) fn prepare(input: &Input, images: &Tensor) -> Result<Tensor, ModelError> {
    check(input, images)?;
    match images.dtype() {
        DType::U8 => input.preprocessing.apply(images),
        _ => Ok(images.to_dtype(DType::F32)?),
    }
}

/// Checks the layout and size of images.
pub(crate) fn check(input: &Input, images: &Tensor) -> Result<(), ModelError> {
    let Input { height, width, .. } = *input;
    match (images.dtype(), images.dims()) {
        (DType::U8, &[_, h, w, 3]) if (h, w) == (height, width) => Ok(()),
        (dtype, &[_, 3, h, w]) if dtype.is_float() && (h, w) == (height, width) => Ok(()),
        (dtype, dims) => Err(ModelError::Images {
            found: format!("{} tensor of shape {dims:?}", dtype.as_str()),
            expected: format!("u8 (N, {height}, {width}, 3) or f32 (N, 3, {height}, {width})"),
        }),
    }
}
