//! Every kind of network behind one type.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Module, Tensor};
use riptide_files::{atomic, digest};
use riptide_kernels::Simd;

use crate::architecture::Architecture;
use crate::config::NetworkConfig;
use crate::error::ModelError;
use crate::formats::{self, CONFIG_FILE, Contents, ONNX_FILE, WEIGHTS_FILE, safetensors};
use crate::forward;
use crate::onnx::{Check, OnnxClassifier};
use crate::plan::{Lazy, Plan};
use crate::preprocess::Preprocessing;
use crate::weights::Weights;

/// A network of any kind.
///
/// [`Module::forward`] takes u8 (N, H, W, 3) raw images, which it preprocesses as the configuration says, or f32 (N, 3, H, W) preprocessed
/// ones, and gives class probabilities, f32 (N, n_classes). On the CPU it runs a [`Plan`], unless a gradient is asked for.
///
/// ```
/// # #[cfg(feature = "train")] {
/// use riptide_models::{DistilledCnnConfig, Network};
///
/// let config = DistilledCnnConfig { n_filters1: 8, n_dense: 4, ..Default::default() };
/// let network = Network::random(config, 0)?;
/// let folder = std::env::temp_dir().join("riptide-network-example");
/// network.save(&folder)?;
/// assert_eq!(Network::load(&folder)?.digest(), network.digest());
/// let read = |name| std::fs::read(folder.join(name));
/// let again = Network::from_bytes(&read("config.json")?, &read("model.safetensors")?)?;
/// assert_eq!(again.digest(), network.digest());
/// # std::fs::remove_dir_all(folder)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Network {
    config: NetworkConfig,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Layers(Layers),
    Onnx(Box<OnnxClassifier>),
}

/// A network whose layers are known.
#[derive(Debug, Clone)]
struct Layers {
    architecture: Arc<Architecture>,
    weights: Weights,
    plan: Lazy<Plan>,
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Logits,
    Probabilities,
}

impl Network {
    /// Builds a network from its configuration and parameters, which must be exactly those that [`NetworkConfig::parameters`] lists.
    ///
    /// # Errors
    /// Those of [`NetworkConfig::validate`] and [`Weights::check`]; [`ModelError::Opaque`] for the configuration of an ONNX file.
    pub fn new(config: impl Into<NetworkConfig>, weights: Weights) -> Result<Self, ModelError> {
        let config = config.into();
        config.validate()?;
        let Some(architecture) = config.architecture() else {
            return Err(ModelError::Opaque {
                operation: "building from parameters",
            });
        };
        weights.check(&config)?;
        let kind = Kind::Layers(Layers {
            architecture: Arc::new(architecture),
            weights,
            plan: Lazy::default(),
        });
        Ok(Self { config, kind })
    }

    /// Loads a network from a folder that [`Network::save`] wrote, from a Keras `.h5` file (feature `keras`), or from an `.onnx` file
    /// (feature `onnx`). Of an ONNX file everything is taken from the file, and raw images are scaled by instance;
    /// [`OnnxClassifier::load`] has options, and [`Network::with_preprocessing`] changes the latter.
    ///
    /// # Errors
    /// [`ModelError::NotANetwork`] if the path holds none of these, [`ModelError::FeatureMissing`] if this build lacks the feature, else
    /// what the readers say: [`ModelError::File`], [`ModelError::ConfigFile`], [`ModelError::Safetensors`], [`ModelError::NotHdf5`],
    /// [`ModelError::Hdf5`], [`ModelError::UnknownArchitecture`], [`ModelError::MissingLayer`], [`ModelError::LayerShape`],
    /// [`ModelError::LayerSetting`], and those of [`Network::new`]; [`ModelError::Changed`] if it is not the network that [`save`](Self::save) wrote there.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        match formats::read(path)? {
            Contents::Layers(config, weights, seal) => Self::sealed(config, weights, seal, path),
            Contents::Onnx(classifier) => Ok(classifier.into()),
        }
    }

    /// The network in the bytes of the two files that [`Network::save`] writes: `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// [`ModelError::ConfigFile`] or [`ModelError::Safetensors`] if the bytes are something else, and those of [`Network::new`].
    pub fn from_bytes(config: &[u8], weights: &[u8]) -> Result<Self, ModelError> {
        let config = formats::parse_config(config, Path::new(CONFIG_FILE))?;
        let path = Path::new(WEIGHTS_FILE);
        let seal = safetensors::metadata(weights, safetensors::NETWORK, path)?;
        Self::sealed(config, Weights::parse(weights, path)?, seal, path)
    }

    /// The network, if it is the one whose digest was kept with its parameters: the configuration beside them is a text that is easily
    /// changed, and everything in it decides the outputs.
    fn sealed(config: NetworkConfig, weights: Weights, seal: Option<String>, path: &Path) -> Result<Self, ModelError> {
        let network = Self::new(config, weights)?;
        match seal {
            Some(seal) if seal != network.digest() => Err(ModelError::Changed {
                path: path.into(),
                what: "config.json or model.safetensors was changed by hand or by a fault; restore both, or save the network again",
            }),
            _ => Ok(network),
        }
    }

    /// Writes `config.json` and `model.safetensors` (`model.onnx` for an ONNX file) into `folder`, which is made if it does not exist. Each
    /// file is written under a temporary name and then renamed.
    ///
    /// # Errors
    /// [`ModelError::File`] if the folder or a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), ModelError> {
        let folder = folder.as_ref();
        formats::create(folder)?;
        match &self.kind {
            Kind::Onnx(classifier) => atomic::write(folder.join(ONNX_FILE), classifier.file())?,
            Kind::Layers(layers) => layers.weights.save_sealed(&folder.join(WEIGHTS_FILE), self.digest())?,
        }
        formats::write_config(folder, &self.config)
    }

    /// SHA-256, in hexadecimal, of everything that the outputs depend on: configuration, names, shapes and values of the parameters.
    ///
    /// The same network gives the same digest on every machine, whatever file it came from. What is digested: the configuration as JSON without
    /// spaces, then for every parameter in the order of the names the length of its name, its name, its number of axes, its axes (numbers as 64-bit
    /// little-endian) and its values (f32 little-endian); or the bytes of the ONNX file.
    pub fn digest(&self) -> String {
        let mut hasher = digest::Hasher::default();
        // Neither can fail: a validated configuration is plain numbers, and the parameters were read back once when they were checked.
        hasher.update(serde_json::to_vec(&self.config).unwrap_or_default());
        match &self.kind {
            Kind::Onnx(classifier) => hasher.update(classifier.file()),
            Kind::Layers(layers) => {
                let _ = layers.weights.feed(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// The configuration.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The parameters by canonical name; none for an ONNX file.
    pub fn weights(&self) -> &Weights {
        match &self.kind {
            Kind::Layers(layers) => &layers.weights,
            Kind::Onnx(_) => Weights::none(),
        }
    }

    /// The number of classes.
    pub fn n_classes(&self) -> usize {
        self.config.input().n_classes
    }

    /// Height and width of the images that the network takes.
    pub fn input_size(&self) -> (usize, usize) {
        let input = self.config.input();
        (input.height, input.width)
    }

    /// The number of channels of the network's own input: 3, or 1 if it takes grey values. Raw images have three in either case.
    pub fn channels(&self) -> usize {
        self.config.input().channels
    }

    /// What raw images go through before the network.
    pub fn preprocessing(&self) -> Preprocessing {
        self.config.input().preprocessing
    }

    /// The same network with another preprocessing, for weights whose file does not say which one they were trained with.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the preprocessing is invalid.
    pub fn with_preprocessing(self, preprocessing: Preprocessing) -> Result<Self, ModelError> {
        match self.kind {
            Kind::Layers(layers) => Self::new(self.config.with_preprocessing(preprocessing), layers.weights),
            Kind::Onnx(classifier) => Ok(classifier.with_preprocessing(preprocessing)?.into()),
        }
    }

    /// Class probabilities, row-major (n, n_classes), of raw images, u8 (n, height, width, 3), a bounded number at a time;
    /// `progress` is told the number of images after each part.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the bytes are not a whole number of images, and those of the network's own pass.
    pub fn predict_proba(&self, pixels: &[u8], mut progress: impl FnMut(usize)) -> Result<Vec<f32>, ModelError> {
        const CHUNK: usize = 4096;
        let (height, width) = self.input_size();
        let bytes = self.config.input().image_len();
        if !pixels.len().is_multiple_of(bytes) {
            return Err(ModelError::Images {
                found: format!("slice of {} bytes", pixels.len()),
                expected: format!("a multiple of the {bytes} bytes of an image"),
            });
        }
        let mut all = Vec::with_capacity(pixels.len() / bytes * self.n_classes());
        for chunk in pixels.chunks(CHUNK * bytes) {
            let n = chunk.len() / bytes;
            let batch = Tensor::from_slice(chunk, (n, height, width, 3), &Device::Cpu)?;
            let done = all.len() / self.n_classes().max(1);
            let probabilities = self.probabilities(&batch).map_err(|error| error.counted_from(done))?;
            all.extend(probabilities.flatten_all()?.to_vec1::<f32>()?);
            progress(n);
        }
        Ok(all)
    }

    /// What the last layer gives before softmax: f32 (N, n_classes), for the same images as [`Module::forward`] takes.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the images have another layout or size, [`ModelError::Candle`] if an operation fails.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        match &self.kind {
            Kind::Layers(layers) => layers.run(&self.config, images, Output::Logits),
            Kind::Onnx(classifier) => classifier.logits(images),
        }
    }

    /// As [`Module::forward`], with an error of this crate.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the images have another layout or size, and those of the network's own pass.
    pub fn probabilities(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        match &self.kind {
            Kind::Layers(layers) => layers.run(&self.config, images, Output::Probabilities),
            Kind::Onnx(classifier) => classifier.probabilities(images),
        }
    }

    /// Checks a classifier from an ONNX file on real images: see [`OnnxClassifier::verify`]. `None` for a network of another kind, which needs no check.
    ///
    /// # Errors
    /// Those of [`OnnxClassifier::verify`].
    pub fn verify(&mut self, images: &Tensor) -> Result<Option<Check>, ModelError> {
        let Kind::Onnx(classifier) = &mut self.kind else {
            return Ok(None);
        };
        let check = classifier.verify(images)?;
        self.config = NetworkConfig::Onnx(classifier.config().clone());
        Ok(Some(check))
    }

    /// The classifier from an ONNX file, if it is one.
    pub fn onnx(&self) -> Option<&OnnxClassifier> {
        match &self.kind {
            Kind::Layers(_) => None,
            Kind::Onnx(classifier) => Some(classifier),
        }
    }

    /// Whether a [`Plan`] gives what candle would: the layers are known, and their parameters are plain ones on the CPU.
    pub(crate) fn is_plannable(&self) -> bool {
        match &self.kind {
            Kind::Layers(layers) => layers.weights.are_plain_on_cpu(),
            Kind::Onnx(_) => false,
        }
    }
}

impl Layers {
    fn run(&self, config: &NetworkConfig, images: &Tensor, output: Output) -> Result<Tensor, ModelError> {
        let input = config.input();
        input.check(images)?;
        let n = images.dim(0)?;
        if n == 0 {
            return Ok(Tensor::zeros((0, input.n_classes), DType::F32, images.device())?);
        }
        if is_plain(images) && self.weights.are_plain_on_cpu() {
            let plan = self
                .plan
                .get_or_compile(|| Plan::new(config, &self.weights, Simd::current()?))?;
            let images = images.flatten_all()?;
            let values = match (images.dtype(), output) {
                (DType::U8, Output::Logits) => plan.logits(&images.to_vec1()?)?,
                (DType::U8, Output::Probabilities) => plan.predict_proba(&images.to_vec1()?)?,
                (_, Output::Logits) => plan.logits_scaled(&images.to_vec1()?)?,
                (_, Output::Probabilities) => plan.predict_proba_scaled(&images.to_vec1()?)?,
            };
            return Ok(Tensor::from_vec(values, (n, input.n_classes), &Device::Cpu)?);
        }
        let logits = forward::logits(&self.architecture, &self.weights, &input.prepare(images)?)?;
        match output {
            Output::Logits => Ok(logits),
            Output::Probabilities => forward::softmax(&logits),
        }
    }
}

/// Whether a plan can take the images: they are on the CPU, and nothing is to be differentiated.
fn is_plain(images: &Tensor) -> bool {
    matches!(images.dtype(), DType::U8 | DType::F32) && images.device().is_cpu() && !images.track_op()
}

impl Module for Network {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        Ok(self.probabilities(images)?)
    }
}

impl From<OnnxClassifier> for Network {
    fn from(classifier: OnnxClassifier) -> Self {
        Self {
            config: NetworkConfig::Onnx(classifier.config().clone()),
            kind: Kind::Onnx(Box::new(classifier)),
        }
    }
}
