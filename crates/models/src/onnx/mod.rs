//! Classifiers from ONNX files, run by [tract](https://docs.rs/tract-onnx) (pure Rust; the feature `onnx` of this crate).
//!
//! An image classifier is a model with one f32 input of images, (N, 3, H, W) or (N, H, W, 3), and one output of class scores, (N, n_classes). The
//! number of images may be fixed or open. If the model ends in `Softmax`, its output is taken as probabilities, else as logits. The operators that
//! convolutional classifiers and vision transformers are exported with can all be read: `Conv`, `BatchNormalization`, `Gemm`, `MatMul`, the
//! poolings, `Relu` and the other activations, `Softmax`, elementwise arithmetic, reductions, `Reshape`, `Flatten`, `Transpose`, `Concat`, `Slice`,
//! `Pad`, `Resize`, `LayerNormalization` and so on; [`supported_operators`] lists them all. Weights must be inside the file.

#[cfg(feature = "onnx")]
mod engine;
#[cfg(not(feature = "onnx"))]
#[path = "absent.rs"]
mod engine;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use candle_core::{D, DType, Device, Module, Tensor};
use riptide_files::FileError;

pub use crate::config::{Layout, OnnxConfig, OnnxOptions, Output};
use crate::error::ModelError;
use crate::forward::softmax;
use crate::input::Input;
use crate::preprocess::Preprocessing;
use crate::shrink::Shrink;
use engine::Engine;

/// A classifier from an ONNX file.
///
/// [`Module::forward`] takes u8 (N, H, W, 3) raw images, which it preprocesses as the configuration says, or f32 (N, 3, H, W) preprocessed ones
/// (whatever the layout of the file), and gives class probabilities, f32 (N, n_classes). It runs on the CPU.
///
/// ```no_run
/// use riptide_models::{Network, OnnxClassifier, OnnxOptions, preprocess::Preprocessing};
///
/// let preprocessing = Preprocessing::MeanStd { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/// let classifier = OnnxClassifier::load("classifier.onnx", OnnxOptions { preprocessing, ..Default::default() })?;
/// let network = Network::from(classifier);
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Clone)]
pub struct OnnxClassifier {
    config: OnnxConfig,
    file: Arc<[u8]>,
    engine: Arc<Engine>,
}

impl fmt::Debug for OnnxClassifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxClassifier")
            .field("config", &self.config)
            .field("bytes", &self.file.len())
            .finish()
    }
}

impl OnnxClassifier {
    /// Reads a classifier from an ONNX file.
    ///
    /// # Errors
    /// [`ModelError::File`] if the file cannot be read; [`ModelError::Onnx`] if it is damaged, is no image classifier, has an operator that is not
    /// supported, or leaves something open that `options` does not settle; [`ModelError::Config`] if the preprocessing is invalid;
    /// [`ModelError::FeatureMissing`] if this crate was built without the feature `onnx`.
    pub fn load(path: impl AsRef<Path>, options: OnnxOptions) -> Result<Self, ModelError> {
        let path = path.as_ref();
        options.preprocessing.validate()?;
        let file = std::fs::read(path).map_err(FileError::on("read", path))?;
        let failed = |message| ModelError::Onnx {
            path: path.into(),
            message,
        };
        if !cfg!(feature = "onnx") {
            return Err(ModelError::FeatureMissing {
                path: path.into(),
                what: "an ONNX file",
                feature: "onnx",
            });
        }
        let (engine, config) = Engine::new(&file, options).map_err(failed)?;
        Ok(Self {
            config,
            file: file.into(),
            engine: Arc::new(engine),
        })
    }

    /// Reads the file of a folder that [`Network::save`](crate::Network::save) wrote.
    pub(crate) fn load_as(path: &Path, config: OnnxConfig) -> Result<Self, ModelError> {
        let options = OnnxOptions {
            layout: Some(config.layout),
            size: Some((config.height, config.width)),
            output: Some(config.output),
            preprocessing: config.preprocessing,
        };
        let classifier = Self::load(path, options)?;
        if classifier.config == config {
            return Ok(classifier);
        }
        let message = format!(
            "has {} classes, but its configuration says {}",
            classifier.config.n_classes, config.n_classes
        );
        Err(ModelError::Onnx {
            path: path.into(),
            message,
        })
    }

    /// How the file is used.
    pub fn config(&self) -> &OnnxConfig {
        &self.config
    }

    /// The bytes of the file.
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    pub(crate) fn with_preprocessing(mut self, preprocessing: Preprocessing) -> Result<Self, ModelError> {
        preprocessing.validate()?;
        self.config.preprocessing = preprocessing;
        Ok(self)
    }

    /// Logits, f32 (N, n_classes), for the same images as [`Module::forward`] takes. If the file gives probabilities, their logarithms.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the images have another layout or size, [`ModelError::Candle`] if the run fails.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let scores = self.scores(images)?;
        Ok(match self.config.output {
            Output::Logits => scores,
            Output::Probabilities => scores.maximum(f64::from(f32::MIN_POSITIVE))?.log()?,
        })
    }

    /// The file's own output.
    fn scores(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let OnnxConfig {
            height,
            width,
            n_classes,
            preprocessing,
            ..
        } = self.config;
        let input = Input {
            height,
            width,
            shrink: Shrink::none(height, width),
            n_classes,
            preprocessing,
        };
        let x = input.prepare(images)?;
        let x = match self.config.layout {
            Layout::Nchw => x,
            Layout::Nhwc => x.permute((0, 2, 3, 1))?,
        };
        let n = x.dim(0)?;
        let values = x
            .to_device(&Device::Cpu)?
            .contiguous()?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let scores = self.engine.run(&values, n).map_err(candle_core::Error::msg)?;
        Ok(Tensor::from_vec(scores, (n, n_classes), images.device())?)
    }

    pub(crate) fn probabilities(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let scores = self.scores(images)?;
        if scores.dim(0)? == 0 {
            return Ok(scores);
        }
        if self.config.output == Output::Logits {
            return softmax(&scores);
        }
        let sums = scores.to_dtype(DType::F64)?.sum(D::Minus1)?.to_vec1::<f64>()?;
        let mut rows = sums.into_iter().enumerate();
        match rows.find(|(_, sum)| sum.is_nan() || (sum - 1.0).abs() > 1e-3) {
            None => Ok(scores),
            Some((image, sum)) => Err(ModelError::NotProbabilities { image, sum }),
        }
    }
}

impl Module for OnnxClassifier {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        Ok(self.probabilities(images)?)
    }
}

/// The names of the ONNX operators that can be read, in alphabetical order; empty without the feature `onnx`.
pub fn supported_operators() -> Vec<String> {
    engine::operators()
}
