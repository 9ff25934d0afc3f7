//! Every kind of network behind one type, with its files.

use std::path::Path;

use candle_core::{Device, Module, Tensor};
use sha2::{Digest, Sha256};

use crate::config::NetworkConfig;
use crate::distilled::DistilledCnn;
use crate::error::ModelError;
use crate::import;
use crate::onnx::{OnnxClassifier, OnnxOptions};
use crate::preprocess::Preprocessing;
use crate::resnet::ResNet;
use crate::weights::{Weights, write_atomically};

/// The name of the configuration in a network's folder.
pub const CONFIG_FILE: &str = "config.json";
/// The name of the parameters in a network's folder.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The name of an ONNX classifier in a network's folder.
pub const ONNX_FILE: &str = "model.onnx";

/// A network of any kind.
///
/// ```
/// use riptide_models::{DistilledCnn, DistilledCnnConfig, Network};
///
/// let config = DistilledCnnConfig { n_filters1: 8, n_dense: 4, ..Default::default() };
/// let network = Network::from(DistilledCnn::random(config, 0)?);
/// let folder = std::env::temp_dir().join("riptide-network-example");
/// network.save(&folder)?;
/// assert_eq!(Network::load(&folder)?.digest(), network.digest());
/// let read = |name| std::fs::read(folder.join(name));
/// let again = Network::from_bytes(&read("config.json")?, &read("model.safetensors")?)?;
/// assert_eq!(again.digest(), network.digest());
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub enum Network {
    /// A residual network.
    ResNet(ResNet),
    /// A distilled network.
    DistilledCnn(DistilledCnn),
    /// A classifier from an ONNX file.
    Onnx(OnnxClassifier),
}

impl Network {
    /// Builds a network from its configuration and parameters.
    ///
    /// # Errors
    /// Those of [`NetworkConfig::validate`] and [`Weights::check`]; [`ModelError::Opaque`] for the configuration of an ONNX file.
    pub fn new(config: NetworkConfig, weights: Weights) -> Result<Self, ModelError> {
        match config {
            NetworkConfig::ResNet(config) => ResNet::new(config, weights).map(Self::ResNet),
            NetworkConfig::DistilledCnn(config) => DistilledCnn::new(config, weights).map(Self::DistilledCnn),
            NetworkConfig::Onnx(_) => Err(ModelError::Opaque {
                operation: "building from parameters",
            }),
        }
    }

    /// Loads a network from a folder that [`Network::save`] wrote, from a Keras `.h5` file, or from an `.onnx` file. Of an ONNX file
    /// everything is taken from the file and raw images are scaled by instance; [`OnnxClassifier::load`] has options, and
    /// [`Network::with_preprocessing`] changes the latter.
    ///
    /// # Errors
    /// [`ModelError::NotANetwork`] where the path holds neither, else what the readers say: [`ModelError::Io`], [`ModelError::ConfigFile`],
    /// [`ModelError::Safetensors`], [`ModelError::Hdf5`], and those of [`Network::new`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(|source| ModelError::io("read", path, source))?;
        if metadata.is_dir() {
            return Self::load_folder(path);
        }
        let is_hdf5 = path.extension().is_some_and(|extension| {
            ["h5", "hdf5", "keras_h5"]
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        });
        if is_hdf5 || import::keras::is_hdf5(path)? {
            return import::keras::load(path);
        }
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
        {
            return OnnxClassifier::load(path, OnnxOptions::default()).map(Self::Onnx);
        }
        Err(ModelError::NotANetwork {
            path: path.into(),
            message: format!(
                "is not a network; give a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, a Keras .h5 file, or an .onnx file"
            ),
        })
    }

    /// The network in the bytes of the two files that [`Network::save`] writes: `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// [`ModelError::ConfigFile`] or [`ModelError::Safetensors`] if the bytes are something else, and those of [`Network::new`].
    pub fn from_bytes(config: &[u8], weights: &[u8]) -> Result<Self, ModelError> {
        let config: NetworkConfig = serde_json::from_slice(config).map_err(|source| ModelError::ConfigFile {
            path: CONFIG_FILE.into(),
            source,
        })?;
        config.validate()?;
        Self::new(config, Weights::parse(weights, Path::new(WEIGHTS_FILE))?)
    }

    fn load_folder(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(CONFIG_FILE);
        if !path.is_file() {
            let message = format!("is a folder without {CONFIG_FILE}, so it does not hold a network");
            return Err(ModelError::NotANetwork {
                path: folder.into(),
                message,
            });
        }
        let json = std::fs::read(&path).map_err(|source| ModelError::io("read", &path, source))?;
        let config: NetworkConfig = serde_json::from_slice(&json).map_err(|source| ModelError::ConfigFile {
            path: path.clone(),
            source,
        })?;
        config.validate()?;
        if let NetworkConfig::Onnx(config) = config {
            return OnnxClassifier::load_as(&folder.join(ONNX_FILE), config).map(Self::Onnx);
        }
        Self::new(config, Weights::load(folder.join(WEIGHTS_FILE))?)
    }

    /// Writes `config.json` and `model.safetensors` (`model.onnx` for an ONNX file) into `folder`, which is made where it does not exist. Each file is written under a temporary
    /// name and then renamed.
    ///
    /// # Errors
    /// [`ModelError::Io`] where the folder or a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), ModelError> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|source| ModelError::io("create", folder, source))?;
        match self {
            Self::Onnx(classifier) => write_atomically(&folder.join(ONNX_FILE), classifier.file())?,
            _ => self.weights().save(folder.join(WEIGHTS_FILE))?,
        }
        let path = folder.join(CONFIG_FILE);
        let mut json = serde_json::to_vec_pretty(&self.config()).map_err(|source| ModelError::ConfigFile {
            path: path.clone(),
            source,
        })?;
        json.push(b'\n');
        write_atomically(&path, &json)
    }

    /// SHA-256, in hexadecimal, of everything that the outputs depend on: configuration, names, shapes and values of the parameters.
    ///
    /// The same network gives the same digest on every machine, whatever file it came from. What is digested: the configuration as JSON without
    /// spaces, then for every parameter in the order of the names the length of its name, its name, its number of axes, its axes (numbers as 64-bit
    /// little-endian) and its values (f32 little-endian); or the bytes of the ONNX file.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        // Neither can fail: a validated configuration is plain numbers, and the parameters were read back once when they were checked.
        hasher.update(serde_json::to_vec(&self.config()).unwrap_or_default());
        match self {
            Self::Onnx(classifier) => hasher.update(classifier.file()),
            _ => {
                let _ = self.weights().feed(&mut hasher);
            }
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The configuration.
    pub fn config(&self) -> NetworkConfig {
        match self {
            Self::ResNet(network) => network.config().clone().into(),
            Self::DistilledCnn(network) => network.config().clone().into(),
            Self::Onnx(classifier) => NetworkConfig::Onnx(classifier.config().clone()),
        }
    }

    /// The parameters by canonical name; none for an ONNX file.
    pub fn weights(&self) -> &Weights {
        match self {
            Self::ResNet(network) => network.weights(),
            Self::DistilledCnn(network) => network.weights(),
            Self::Onnx(_) => Weights::none(),
        }
    }

    /// The number of classes.
    pub fn n_classes(&self) -> usize {
        match self {
            Self::ResNet(network) => network.config().n_classes,
            Self::DistilledCnn(network) => network.config().n_classes,
            Self::Onnx(classifier) => classifier.config().n_classes,
        }
    }

    /// Height and width of the images that the network takes.
    pub fn input_size(&self) -> (usize, usize) {
        match self {
            Self::ResNet(network) => (network.config().height, network.config().width),
            Self::DistilledCnn(network) => (network.config().height, network.config().width),
            Self::Onnx(classifier) => (classifier.config().height, classifier.config().width),
        }
    }

    /// What raw images go through before the network.
    pub fn preprocessing(&self) -> Preprocessing {
        match self {
            Self::ResNet(network) => network.config().preprocessing,
            Self::DistilledCnn(network) => network.config().preprocessing,
            Self::Onnx(classifier) => classifier.config().preprocessing,
        }
    }

    /// The same network with another preprocessing, for weights that were trained with one that their file does not tell.
    ///
    /// # Errors
    /// [`ModelError::Config`] where the preprocessing is invalid.
    pub fn with_preprocessing(self, preprocessing: Preprocessing) -> Result<Self, ModelError> {
        let weights = self.weights().clone();
        let mut config = self.config();
        if let Self::Onnx(classifier) = self {
            return classifier.with_preprocessing(preprocessing).map(Self::Onnx);
        }
        match &mut config {
            NetworkConfig::ResNet(config) => config.preprocessing = preprocessing,
            NetworkConfig::DistilledCnn(config) => config.preprocessing = preprocessing,
            NetworkConfig::Onnx(config) => config.preprocessing = preprocessing,
        }
        Self::new(config, weights)
    }

    /// Class probabilities, row-major (n, n_classes), of raw images, u8 (n, height, width, 3), a bounded number at a time;
    /// `progress` is told the number of images after each part.
    ///
    /// # Errors
    /// [`ModelError::Images`] where the bytes are not a whole number of images, and those of the network's own pass.
    pub fn predict_proba(&self, pixels: &[u8], mut progress: impl FnMut(usize)) -> Result<Vec<f32>, ModelError> {
        const CHUNK: usize = 4096;
        let (height, width) = self.input_size();
        let bytes = 3 * height * width;
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
            all.extend(self.forward(&batch)?.flatten_all()?.to_vec1::<f32>()?);
            progress(n);
        }
        Ok(all)
    }

    /// A copy on another device. An ONNX classifier stays on the CPU.
    ///
    /// # Errors
    /// [`ModelError::Candle`] where the device refuses.
    pub fn to_device(&self, device: &Device) -> Result<Self, ModelError> {
        match self {
            Self::ResNet(network) => network.to_device(device).map(Self::ResNet),
            Self::DistilledCnn(network) => network.to_device(device).map(Self::DistilledCnn),
            Self::Onnx(classifier) => Ok(Self::Onnx(classifier.clone())),
        }
    }

    /// What the last layer gives before softmax: f32 (N, n_classes), for the same images as [`Module::forward`] takes.
    ///
    /// # Errors
    /// [`ModelError::Images`] where the images have another layout or size, [`ModelError::Candle`] where an operation fails.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        match self {
            Self::ResNet(network) => network.logits(images),
            Self::DistilledCnn(network) => network.logits(images),
            Self::Onnx(classifier) => classifier.logits(images),
        }
    }
}

impl Module for Network {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::ResNet(network) => network.forward(images),
            Self::DistilledCnn(network) => network.forward(images),
            Self::Onnx(classifier) => classifier.forward(images),
        }
    }
}

impl From<ResNet> for Network {
    fn from(network: ResNet) -> Self {
        Self::ResNet(network)
    }
}

impl From<OnnxClassifier> for Network {
    fn from(classifier: OnnxClassifier) -> Self {
        Self::Onnx(classifier)
    }
}

impl From<DistilledCnn> for Network {
    fn from(network: DistilledCnn) -> Self {
        Self::DistilledCnn(network)
    }
}
