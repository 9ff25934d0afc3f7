//! What can go wrong with networks, their configurations and their files.

use std::path::PathBuf;

use candle_core::Shape;
use riptide_files::{FileError, shown};

/// Everything this crate's functions can fail with.
///
/// Each variant says what was wrong, where, and if possible what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file or folder could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A configuration holds a value that no network can have.
    #[error("invalid configuration: {field} is {value}, but must be {expected}")]
    Config {
        /// The field of the configuration.
        field: &'static str,
        /// Its value.
        value: String,
        /// The values that are allowed.
        expected: String,
    },
    /// A `config.json` is not JSON, or not the configuration of a network of this crate.
    #[error("{} is not a network configuration: {source}", shown(path))]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What the JSON reader said, with line and column.
        source: serde_json::Error,
    },
    /// The configuration in a `config.json` is not one that there can be.
    #[error("{}: {source}", shown(path))]
    InConfigFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ModelError>,
    },
    /// A file has a digest of its content, and the content is another.
    #[error("{} is not as it was saved: {what}", shown(path))]
    Changed {
        /// The file or folder.
        path: PathBuf,
        /// What changed, and what to do.
        what: &'static str,
    },
    /// A safetensors file is damaged or is something else.
    #[error("{} is not a whole safetensors file: {source}", shown(path))]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: safetensors::SafeTensorError,
    },
    /// A file is not HDF5 at all.
    #[error(
        "{} is not an HDF5 file; a Keras model saved with `model.save(\"NAME.h5\")` is expected",
        shown(path)
    )]
    NotHdf5 {
        /// The file.
        path: PathBuf,
    },
    /// An HDF5 file is damaged, truncated or uses a feature that the reader does not have.
    #[error("cannot read {} as HDF5 (is the file whole?): {source}", shown(path))]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A Keras file holds another network than the ones this crate knows.
    #[error("{}: {message}", shown(path))]
    UnknownArchitecture {
        /// The file.
        path: PathBuf,
        /// What was found, and what would have been accepted.
        message: String,
    },
    /// A layer that the architecture needs is not in the file.
    #[error("{} has no layer {layer}, which a {architecture} needs", shown(path))]
    MissingLayer {
        /// The file.
        path: PathBuf,
        /// The layer's name in the file.
        layer: String,
        /// The architecture, in words.
        architecture: String,
    },
    /// A layer of an imported file has an array of another shape than the architecture needs.
    #[error(
        "{}: layer {layer}: {array} has shape {found:?}, but {expected:?} is needed",
        shown(path)
    )]
    LayerShape {
        /// The file.
        path: PathBuf,
        /// The layer's name in the file.
        layer: String,
        /// The array within the layer, such as `kernel`.
        array: &'static str,
        /// The shape in the file, in the file's own order of axes.
        found: Vec<usize>,
        /// The shape that the architecture needs, in the file's own order of axes.
        expected: Vec<usize>,
    },
    /// A layer of an imported file computes something else than the architecture's.
    #[error(
        "{}: layer {layer} has {setting} {found}, but the architecture has {expected} there",
        shown(path)
    )]
    LayerSetting {
        /// The file.
        path: PathBuf,
        /// The layer's name in the file.
        layer: String,
        /// The setting, such as `activation`.
        setting: &'static str,
        /// Its value in the file.
        found: String,
        /// The value that the architecture has.
        expected: String,
    },
    /// A parameter that the configuration asks for is not among the weights.
    #[error("the weights have no parameter {name} (shape {expected:?}), which the configuration asks for")]
    MissingParameter {
        /// The parameter's canonical name.
        name: String,
        /// The shape it should have.
        expected: Shape,
    },
    /// The weights hold a parameter that the configuration does not know.
    #[error(
        "the weights have a parameter {name}, which the configuration does not ask for; are they another network's?"
    )]
    UnexpectedParameter {
        /// The parameter's name.
        name: String,
    },
    /// A parameter has another shape than the configuration asks for.
    #[error("parameter {name} has shape {found:?}, but the configuration asks for {expected:?}")]
    ParameterShape {
        /// The parameter's canonical name.
        name: String,
        /// Its shape.
        found: Shape,
        /// The shape it should have.
        expected: Shape,
    },
    /// A parameter is not a tensor of 32-bit floats.
    #[error("parameter {name} is stored as {found}; only f32, f16, bf16 and f64 are read")]
    ParameterType {
        /// The parameter's name.
        name: String,
        /// The type found.
        found: String,
    },
    /// A parameter holds a NaN or an infinity, or a variance that is negative.
    #[error("parameter {name} holds {value} at index {index}; the weights are damaged or the training diverged")]
    ParameterValue {
        /// The parameter's canonical name.
        name: String,
        /// The flat index of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// Images do not have the layout that a network takes.
    #[error("images are a {found}, but {expected} is needed")]
    Images {
        /// The shape and type of the images given.
        found: String,
        /// The shapes and types that the network takes.
        expected: String,
    },
    /// Two networks cannot work on the same images.
    #[error("the classifier and the distilled network differ in {what}: {classifier} and {distilled}")]
    Pair {
        /// What they disagree about.
        what: &'static str,
        /// The classifier's value.
        classifier: String,
        /// The distilled network's value.
        distilled: String,
    },
    /// A path that should hold a network holds nothing that is known.
    #[error("{}: {message}", shown(path))]
    NotANetwork {
        /// The path.
        path: PathBuf,
        /// What was found, and what would have been accepted.
        message: String,
    },
    /// An ONNX file is damaged, is no image classifier, or leaves something open.
    #[error("{} {message}", shown(path))]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What was wrong, and if possible what to do.
        message: String,
    },
    /// A file was given to a build that cannot read files of its kind.
    #[error(
        "{} is {what}, which this build cannot read; build riptide-models with the feature {feature}",
        shown(path)
    )]
    FeatureMissing {
        /// The file.
        path: PathBuf,
        /// What it is: "a Keras file", "an ONNX file".
        what: &'static str,
        /// The feature that reads it.
        feature: &'static str,
    },
    /// A training's loss is no longer finite.
    #[error(
        "the training diverged in epoch {epoch}, at step {step} (learning rate {rate:.3e}); lower the learning rate, or look for damaged images"
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: u32,
        /// The step, from 1 over all epochs.
        step: u64,
        /// The learning rate of the step.
        rate: f64,
    },
    /// A checkpoint belongs to another training.
    #[error(
        "{} has another {what} than this training; give the same options as before, or start afresh",
        shown(path)
    )]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// An operation needs a network whose parameters are known, and was given one from an ONNX file.
    #[error("{operation} needs a network with known parameters, but this one is an ONNX file")]
    Opaque {
        /// What was asked for.
        operation: &'static str,
    },
    /// What a classifier gives as probabilities does not add up to 1.
    #[error(
        "the outputs for image {image} add up to {sum} instead of 1: they are not class probabilities; are they logits?"
    )]
    NotProbabilities {
        /// The index of the image.
        image: usize,
        /// The sum of its outputs.
        sum: f64,
    },
    /// A classifier gives no number for an image.
    #[error(
        "the classifier gives NaN or an infinity for image {image}: look at the image, and at the classifier's weights and preprocessing"
    )]
    NotFinite {
        /// The index of the image.
        image: usize,
    },
    /// An ONNX file gives other answers if it is computed another way.
    #[error(
        "{} {what}: a probability of image {image} differs by {difference:.2e}; {cure}",
        shown(path)
    )]
    Disagreement {
        /// The file.
        path: PathBuf,
        /// What was compared.
        what: &'static str,
        /// The index of the image with the largest difference.
        image: usize,
        /// The difference of a probability.
        difference: f32,
        /// What to do.
        cure: &'static str,
    },
    /// The kernels refused: the tier that `RIPTIDE_KERNEL` names cannot run, or a size is beyond them.
    #[error(transparent)]
    Kernel(#[from] riptide_kernels::KernelError),
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Candle(#[source] Box<candle_core::Error>),
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(Box::new(error))
    }
}

impl From<ModelError> for candle_core::Error {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Candle(error) => *error,
            other => candle_core::Error::wrap(other),
        }
    }
}

impl ModelError {
    /// The same error about images of which the first was number `first` of more: indices count among all of them.
    #[must_use]
    pub fn counted_from(self, first: usize) -> Self {
        self.renumbered(|image| first.saturating_add(image))
    }

    /// The same error about images that `number` numbers otherwise; as it is, if it is about no image.
    #[must_use]
    pub fn renumbered(mut self, number: impl Fn(usize) -> usize) -> Self {
        if let Self::NotProbabilities { image, .. } | Self::NotFinite { image } | Self::Disagreement { image, .. } =
            &mut self
        {
            *image = number(*image);
        }
        self
    }
}
