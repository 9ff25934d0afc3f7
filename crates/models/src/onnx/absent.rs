//! What stands for ONNX classifiers if the feature `onnx` is off.

use std::convert::Infallible;
use std::path::Path;

use candle_core::{Module, Tensor};

use super::Check;
use crate::config::{OnnxConfig, OnnxOptions};
use crate::error::ModelError;
use crate::preprocess::Preprocessing;

/// A classifier from an ONNX file. There is none in this build, which lacks the feature `onnx`.
#[derive(Debug, Clone)]
pub struct OnnxClassifier(Infallible);

impl OnnxClassifier {
    /// Refuses the file.
    ///
    /// # Errors
    /// Always [`ModelError::FeatureMissing`].
    pub fn load(path: impl AsRef<Path>, _options: OnnxOptions) -> Result<Self, ModelError> {
        Err(ModelError::FeatureMissing {
            path: path.as_ref().into(),
            what: "an ONNX file",
            feature: "onnx",
        })
    }

    pub(crate) fn load_as(path: &Path, _config: OnnxConfig) -> Result<Self, ModelError> {
        Self::load(path, OnnxOptions::default())
    }

    /// How the file is used.
    pub fn config(&self) -> &OnnxConfig {
        match self.0 {}
    }

    /// The bytes of the file.
    pub fn file(&self) -> &[u8] {
        match self.0 {}
    }

    pub(crate) fn with_preprocessing(self, _preprocessing: Preprocessing) -> Result<Self, ModelError> {
        match self.0 {}
    }

    /// Checks the classifier.
    ///
    /// # Errors
    /// None: there is no classifier.
    pub fn verify(&mut self, _images: &Tensor) -> Result<Check, ModelError> {
        match self.0 {}
    }

    /// Logits.
    ///
    /// # Errors
    /// None: there is no classifier.
    pub fn logits(&self, _images: &Tensor) -> Result<Tensor, ModelError> {
        match self.0 {}
    }

    pub(crate) fn probabilities(&self, _images: &Tensor) -> Result<Tensor, ModelError> {
        match self.0 {}
    }
}

impl Module for OnnxClassifier {
    fn forward(&self, _images: &Tensor) -> candle_core::Result<Tensor> {
        match self.0 {}
    }
}
