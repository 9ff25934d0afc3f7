//! Opening a classifier together with what images go through before it.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use riptide_models::onnx::InputType;
use riptide_models::preprocess::{ColourOrder, Preprocessing};
use riptide_models::{ModelError, Network, NetworkConfig, OnnxClassifier, OnnxOptions};

use super::{Described, Pipeline, Preset};
use crate::classifier::{Classifier, open_network};
use crate::error::{Error, Result};
use crate::locate::locate;

/// What images go through before a classifier, as somebody names it.
///
/// ```
/// use riptide::pipeline::{Input, Preset};
/// assert_eq!("clip".parse(), Ok(Input::Preset(Preset::Clip)));
/// assert_eq!("model/config.json".parse(), Ok(Input::File("model/config.json".into())));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// A preset.
    Preset(Preset),
    /// A file that [`Described::read`] reads.
    File(PathBuf),
    /// The pipeline itself.
    Pipeline(Pipeline),
}

impl FromStr for Input {
    type Err = Infallible;

    /// A preset's name, else a file's.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Preset))
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preset(preset) => preset.fmt(f),
            Self::File(path) => path.display().fmt(f),
            Self::Pipeline(pipeline) => pipeline.preprocessing.fmt(f),
        }
    }
}

impl From<Preset> for Input {
    fn from(preset: Preset) -> Self {
        Self::Preset(preset)
    }
}

impl From<Pipeline> for Input {
    fn from(pipeline: Pipeline) -> Self {
        Self::Pipeline(pipeline)
    }
}

impl From<Preprocessing> for Input {
    fn from(preprocessing: Preprocessing) -> Self {
        Self::Pipeline(preprocessing.into())
    }
}

/// What it says of a classifier; a preset's pipeline follows when the classifier's size is known.
enum Named {
    Preset(Preset),
    Described(Described),
}

impl Named {
    fn of(input: &Input) -> Result<Self> {
        Ok(match input {
            Input::Preset(preset) => Self::Preset(*preset),
            Input::Pipeline(pipeline) => Self::Described(Described {
                pipeline: Some(*pipeline),
                ..Described::default()
            }),
            Input::File(path) => {
                if !path.exists() {
                    // Whoever mistyped a name learns the names.
                    path.to_string_lossy().parse::<Preset>()?;
                }
                let described = Described::read(path)?;
                if described.pipeline.is_none() {
                    return Err(Error::malformed(path, "does not say what images go through"));
                }
                Self::Described(described)
            }
        })
    }

    fn size(&self) -> Option<(usize, usize)> {
        match self {
            Self::Preset(preset) => preset.size(),
            Self::Described(described) => described.size,
        }
    }

    fn pipeline(&self, size: (usize, usize)) -> Result<Option<Pipeline>> {
        match self {
            Self::Preset(preset) => preset.pipeline(size).map(Some),
            Self::Described(described) => Ok(described.pipeline),
        }
    }
}

/// How a classifier's file is opened. The default takes everything from the file and from what lies beside it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ClassifierOptions {
    /// What images go through before it. Without it: of a network's folder what its `config.json` says, of a Keras file scaling by
    /// instance, of an ONNX file what a `preprocessor_config.json` or `config.json` beside it says. If there is none of these, the
    /// classifier is undecided: [`Fit`](crate::Fit) tries the [candidates](super::candidates) on labelled images, and
    /// everything else refuses it.
    pub input: Option<Input>,
    /// The order in which it takes the colours, if not as `input` says.
    pub colours: Option<ColourOrder>,
    /// What an ONNX file leaves open; its preprocessing is not looked at.
    pub onnx: OnnxOptions,
}

impl ClassifierOptions {
    /// Sets what images go through before it.
    #[must_use]
    pub fn input(mut self, input: impl Into<Input>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Sets the order of the colours.
    #[must_use]
    pub fn colours(mut self, colours: ColourOrder) -> Self {
        self.colours = Some(colours);
        self
    }

    /// Sets what an ONNX file leaves open.
    #[must_use]
    pub fn onnx(mut self, onnx: OnnxOptions) -> Self {
        self.onnx = onnx;
        self
    }
}

impl Classifier {
    /// Loads a network: a folder with `config.json` and `model.safetensors`, a Keras `.h5` file, an `.onnx` file, or with the
    /// feature `fetch` the address of one, `hf://OWNER/REPO[/PATH][@REVISION]`.
    ///
    /// An ONNX file does not say what images go through before it. That is taken from a `preprocessor_config.json` or
    /// `config.json` beside it; if there is none, [`Fit`](crate::Fit) finds out on labelled images. [`Self::open_with`] says it.
    ///
    /// # Errors
    /// [`Error::Network`] if it cannot be read, [`Error::FeatureMissing`] for an address without the feature.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &ClassifierOptions::default())
    }

    /// As [`open`](Self::open), with what images go through before the network and what an ONNX file leaves open.
    ///
    /// ```no_run
    /// use riptide::prelude::*;
    ///
    /// let options = ClassifierOptions::default().input(Preset::Imagenet);
    /// let classifier = Classifier::open_with("resnet18.onnx", &options)?;
    /// let photographs = Images::open_with("photographs/", OpenOptions::default().framing(classifier.framing()))?;
    /// let monitor = Fit::default().run(classifier, photographs)?;
    /// # Ok::<(), riptide::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Malformed`], naming the file and the key, for a description that is not understood;
    /// [`Error::Mismatch`] if it makes images of another size than the network takes, or if an order of colours is given for
    /// an ONNX file whose preprocessing is not known.
    pub fn open_with(path: impl AsRef<Path>, options: &ClassifierOptions) -> Result<Self> {
        let path = path.as_ref();
        let local = locate(path)?;
        let is_onnx = local
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
        let named = options.input.as_ref().map(Named::of).transpose()?;
        if !is_onnx {
            return settled(open_network(path)?, named, options.colours);
        }
        // What is said explicitly goes before what lies beside the file, even if that is broken.
        let beside = match (Described::beside(&local), &named) {
            (Err(error), None) => return Err(error),
            (beside, _) => beside.unwrap_or_default(),
        };
        let class_names = beside.class_names.clone();
        let named = match (named, beside.pipeline) {
            (None, Some(_)) => Some(Named::Described(beside)),
            (named, _) => named,
        };
        let network = open_onnx(&local, &options.onnx, named.as_ref().and_then(Named::size))?;
        // Bytes as they are leave nothing open.
        let takes_bytes =
            matches!(network.config(), NetworkConfig::Onnx(config) if config.input_type == InputType::Uint8);
        let is_settled = named.is_some() || takes_bytes;
        if let (false, Some(order)) = (is_settled, options.colours) {
            return Err(Error::mismatch(
                "preprocessing of the classifier",
                format!("known, as the order of its colours, {order}, is"),
                "not known",
            ));
        }
        let mut classifier = settled(network, named, options.colours)?;
        classifier.is_settled = is_settled;
        classifier.class_names = class_names.filter(|names| names.len() == classifier.n_classes());
        Ok(classifier)
    }
}

/// The file with the size of its own, or with `size` if it leaves that open.
fn open_onnx(path: &Path, options: &OnnxOptions, size: Option<(usize, usize)>) -> Result<Network> {
    let first = match OnnxClassifier::load(path, options.clone()) {
        Ok(classifier) => return Ok(classifier.into()),
        Err(error) => error,
    };
    if let (ModelError::Onnx { .. }, None, Some(_)) = (&first, options.size, size)
        && let Ok(classifier) = OnnxClassifier::load(path, options.clone().size(size))
    {
        return Ok(classifier.into());
    }
    Err(first.into())
}

fn settled(network: Network, named: Option<Named>, colours: Option<ColourOrder>) -> Result<Classifier> {
    let size = network.input_size();
    let pipeline = match named {
        Some(named) => named.pipeline(size)?,
        None => None,
    };
    let mut pipeline = pipeline.unwrap_or_else(|| network.preprocessing().into());
    if let Some(order) = colours {
        pipeline.preprocessing = pipeline.preprocessing.with_order(order);
    }
    pipeline.check(size)?;
    let mut classifier = Classifier::from(network.with_preprocessing(pipeline.preprocessing)?);
    classifier.framing = pipeline.framing;
    Ok(classifier)
}
