//! How an ONNX file is used.

use serde::{Deserialize, Serialize};

use crate::preprocess::Preprocessing;

/// The order of the axes of a batch of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// (N, 3, H, W), as in PyTorch.
    Nchw,
    /// (N, H, W, 3), as in TensorFlow.
    Nhwc,
}

/// What a model gives for each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Probabilities, which add up to 1.
    Probabilities,
    /// Any numbers that softmax turns into probabilities.
    Logits,
}

/// What an ONNX file may leave open. The default takes everything from the file.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OnnxOptions {
    /// The order of the axes of the input, needed if the file's input shape does not show which axis has 3 channels.
    pub layout: Option<Layout>,
    /// Height and width of the images, needed if the file leaves them open.
    pub size: Option<(usize, usize)>,
    /// What the output is; without it, probabilities if the model ends in `Softmax`, else logits.
    pub output: Option<Output>,
    /// What raw images go through before the network.
    pub preprocessing: Preprocessing,
}

/// How an ONNX file is used, with everything settled that the file left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnnxConfig {
    /// The order of the axes of the input.
    pub layout: Layout,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// The number of classes.
    pub n_classes: usize,
    /// What the output is.
    pub output: Output,
    /// What raw images go through before the network.
    pub preprocessing: Preprocessing,
}
