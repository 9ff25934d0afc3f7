//! How an ONNX file is used.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::{MAX_SIZE, range};
use crate::error::ModelError;
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

/// The type of the numbers that a model takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputType {
    /// 32-bit floats.
    #[default]
    Float32,
    /// 16-bit floats; images are rounded to them after preprocessing.
    Float16,
    /// Bytes: the pixels as they are, 0 to 255, without preprocessing.
    Uint8,
}

/// What a model gives for an image.
///
/// Which it is, is measured on images: see [`OnnxClassifier::load`](crate::OnnxClassifier::load) and
/// [`OnnxClassifier::verify`](crate::OnnxClassifier::verify).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// Probabilities of the classes, which add up to 1.
    Probabilities,
    /// Any numbers that softmax turns into probabilities.
    Logits,
    /// The logarithms of probabilities.
    LogProbabilities,
    /// One number: the probability of class 1 of two classes.
    Probability,
    /// One number that the logistic function turns into the probability of class 1 of two classes.
    Logit,
}

impl Output {
    /// The name, as in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::Logits => "logits",
            Self::LogProbabilities => "log_probabilities",
            Self::Probability => "probability",
            Self::Logit => "logit",
        }
    }
}

/// What runs an ONNX file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Engine {
    /// ONNX Runtime if its library is found, else tract.
    #[default]
    Auto,
    /// [tract](https://docs.rs/tract-onnx), which is built in.
    Tract,
    /// [ONNX Runtime](https://onnxruntime.ai), if its library is installed (feature `onnxruntime`).
    #[serde(rename = "onnxruntime")]
    OnnxRuntime,
}

impl Engine {
    /// Whether it is [`Engine::Tract`].
    pub(crate) fn is_tract(&self) -> bool {
        *self == Self::Tract
    }

    /// What ran the files of configurations that do not say it.
    pub(crate) fn tract() -> Self {
        Self::Tract
    }
}

/// What ONNX Runtime computes on. tract has only the CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Device {
    /// The CPU.
    #[default]
    Cpu,
    /// The first NVIDIA GPU, by ONNX Runtime's CUDA provider. No test of this crate has run on one.
    Cuda,
}

/// What an ONNX file may leave open. The default takes everything from the file.
///
/// ```
/// use riptide_models::{OnnxOptions, onnx::{Engine, Layout}};
/// let options = OnnxOptions::default().layout(Some(Layout::Nchw)).size(Some((224, 224))).engine(Engine::Tract);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OnnxOptions {
    /// The order of the axes of the input, needed if the file's input shape does not show which axis has 3 channels.
    pub layout: Option<Layout>,
    /// Height and width of the images, needed if the file leaves them open.
    pub size: Option<(usize, usize)>,
    /// The name of the output with the class scores, needed if there are several.
    pub output_name: Option<String>,
    /// What the output is; without it, that is measured.
    pub output: Option<Output>,
    /// What raw images go through before the network.
    pub preprocessing: Preprocessing,
    /// What runs the file.
    pub engine: Engine,
    /// ONNX Runtime's library; without it, the library is looked for (see [`crate::onnx`]).
    pub library: Option<PathBuf>,
    /// What ONNX Runtime computes on.
    pub device: Device,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }
    )*};
}

impl OnnxOptions {
    setters! {
        /// Sets the order of the axes of the input.
        layout: Option<Layout>;
        /// Sets height and width of the images.
        size: Option<(usize, usize)>;
        /// Sets the name of the output with the class scores.
        output_name: Option<String>;
        /// Sets what the output is.
        output: Option<Output>;
        /// Sets what raw images go through before the network.
        preprocessing: Preprocessing;
        /// Sets what runs the file.
        engine: Engine;
        /// Sets the file of ONNX Runtime's library.
        library: Option<PathBuf>;
        /// Sets what ONNX Runtime computes on.
        device: Device;
    }
}

/// How an ONNX file is used, with everything settled that the file left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OnnxConfig {
    /// The order of the axes of the input.
    pub layout: Layout,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// Channels of the input: 3, or 1, which takes the grey value of raw images.
    #[serde(default = "three", skip_serializing_if = "is_three")]
    pub channels: usize,
    /// The type of the numbers of the input.
    #[serde(default, skip_serializing_if = "is_default")]
    pub input_type: InputType,
    /// The number of classes: 2 if the output is one number.
    pub n_classes: usize,
    /// The name of the output with the class scores, if the file has several outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_name: Option<String>,
    /// What the output is.
    pub output: Output,
    /// What raw images go through before the network.
    pub preprocessing: Preprocessing,
    /// What runs the file: never [`Engine::Auto`].
    #[serde(default = "Engine::tract", skip_serializing_if = "Engine::is_tract")]
    pub engine: Engine,
    /// What ONNX Runtime computes on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub device: Device,
    /// Whether tract and ONNX Runtime gave the same answers when they were compared
    /// ([`OnnxClassifier::verify`](crate::OnnxClassifier::verify)). If they did, tract stands in if ONNX Runtime is missing later.
    #[serde(default, skip_serializing_if = "is_default")]
    pub engines_agree: bool,
}

impl OnnxConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ModelError::Config`], naming the field, its value and what it may be.
    pub fn validate(&self) -> Result<(), ModelError> {
        range("height", self.height, 1, MAX_SIZE)?;
        range("width", self.width, 1, MAX_SIZE)?;
        if !matches!(self.channels, 1 | 3) {
            return Err(ModelError::Config {
                field: "channels",
                value: self.channels.to_string(),
                expected: "1 or 3".into(),
            });
        }
        range("n_classes", self.n_classes, 2, 1 << 24)?;
        let is_single = matches!(self.output, Output::Probability | Output::Logit);
        if is_single && self.n_classes != 2 {
            return Err(ModelError::Config {
                field: "n_classes",
                value: self.n_classes.to_string(),
                expected: "2 for an output of one number".into(),
            });
        }
        if self.engine == Engine::Auto {
            return Err(ModelError::Config {
                field: "engine",
                value: "auto".into(),
                expected: "tract or onnxruntime".into(),
            });
        }
        self.preprocessing.validate()
    }
}

fn three() -> usize {
    3
}

fn is_three(channels: &usize) -> bool {
    *channels == 3
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
