//! The classifier that is watched: a network from a file, or anything that turns images into class probabilities.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Module, Tensor};
use riptide_datasets::ImageSet;
use riptide_detectors::Probabilities;
use riptide_detectors::distillation::tempered;
use riptide_models::preprocess::Preprocessing;
use riptide_models::{Network, NetworkPair};

use crate::error::{BoxError, Error, Result};
use crate::locate::locate;

/// The classifier that is watched.
///
/// ```
/// use riptide::prelude::*;
///
/// // Anything that gives class probabilities, row-major (N, n_classes), for images (N, H, W, 3): here, two classes by
/// // brightness.
/// let classifier = Classifier::from_fn(2, (8, 8), |images| {
///     let mean = |image: &[u8]| image.iter().map(|&v| f32::from(v)).sum::<f32>() / (255.0 * image.len() as f32);
///     Ok(images.images().flat_map(|image| [mean(image), 1.0 - mean(image)]).collect())
/// });
/// assert_eq!(classifier.n_classes(), 2);
/// ```
#[derive(Clone)]
pub struct Classifier(Kind);

#[derive(Clone)]
enum Kind {
    Network(Network),
    Own(Own),
}

/// A classifier of the caller's.
#[derive(Clone)]
struct Own {
    n_classes: usize,
    input_size: (usize, usize),
    predict: Arc<Predict>,
}

type Predict = dyn Fn(&ImageSet) -> Result<Vec<f32>, BoxError> + Send + Sync;

/// What a candle module's `forward` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleOutput {
    /// Probabilities, which add up to 1.
    Probabilities,
    /// Any numbers that softmax makes probabilities of.
    Logits,
}

impl Classifier {
    /// Loads a network: a folder with `config.json` and `model.safetensors`, a Keras `.h5` file, an `.onnx` file, or with the
    /// feature `fetch` the address of one, `hf://OWNER/REPO[/PATH][@REVISION]`.
    ///
    /// # Errors
    /// [`Error::Network`] if it cannot be read, [`Error::FeatureMissing`] for an address without the feature.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(open_network(path)?.into())
    }

    /// Any function of images, all of `input_size` (height, width), that gives class probabilities, row-major
    /// (N, `n_classes`).
    ///
    /// A monitor with such a classifier is saved without it: [`Monitor::load_with`](crate::Monitor::load_with) takes it
    /// again, and checks that it is the same.
    pub fn from_fn<F>(n_classes: usize, input_size: (usize, usize), predict: F) -> Self
    where
        F: Fn(&ImageSet) -> Result<Vec<f32>, BoxError> + Send + Sync + 'static,
    {
        Self(Kind::Own(Own {
            n_classes,
            input_size,
            predict: Arc::new(predict),
        }))
    }

    /// A candle module on the CPU whose `forward` takes f32 (N, 3, H, W), as `preprocessing` makes them of raw images, and gives
    /// (N, `n_classes`).
    pub fn from_module<M>(
        module: M,
        output: ModuleOutput,
        n_classes: usize,
        input_size: (usize, usize),
        preprocessing: Preprocessing,
    ) -> Self
    where
        M: Module + Send + Sync + 'static,
    {
        Self::from_fn(n_classes, input_size, move |images| {
            let raw = Tensor::from_slice(images.pixels(), &images.shape()[..], &Device::Cpu)?;
            let rows = module.forward(&preprocessing.apply(&raw)?)?.to_dtype(DType::F32)?;
            let mut rows = rows.flatten_all()?.to_vec1::<f32>()?;
            if output == ModuleOutput::Logits {
                rows.chunks_exact_mut(n_classes.max(1))
                    .for_each(riptide_kernels::softmax);
            }
            Ok(rows)
        })
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        match &self.0 {
            Kind::Network(network) => network.n_classes(),
            Kind::Own(own) => own.n_classes,
        }
    }

    /// Height and width of the images that it takes.
    pub fn input_size(&self) -> (usize, usize) {
        match &self.0 {
            Kind::Network(network) => network.input_size(),
            Kind::Own(own) => own.input_size,
        }
    }

    /// The network, unless the classifier is a function.
    pub fn network(&self) -> Option<&Network> {
        match &self.0 {
            Kind::Network(network) => Some(network),
            Kind::Own(_) => None,
        }
    }

    /// What raw images go through before the network; none is known of a function's.
    pub(crate) fn preprocessing(&self) -> Option<Preprocessing> {
        self.network().map(Network::preprocessing)
    }

    /// Class probabilities, row-major (n, n_classes), of raw images, a bounded number at a time; `progress` is told the number
    /// of images after each part.
    ///
    /// # Errors
    /// [`Error::Network`] or [`Error::Classifier`] if it fails, [`Error::Mismatch`] if it gives too few or too many numbers,
    /// [`Error::Detector`] if a row is not of probabilities.
    pub fn predict_proba(&self, images: &ImageSet, mut progress: impl FnMut(usize)) -> Result<Vec<f32>> {
        const CHUNK: usize = 512;
        match &self.0 {
            Kind::Network(network) => {
                let size = (images.height(), images.width());
                if size != network.input_size() {
                    return Err(Error::ImageSize {
                        name: "the images".into(),
                        found: size,
                        expected: network.input_size(),
                    });
                }
                Ok(network.predict_proba(images.pixels(), progress)?)
            }
            Kind::Own(own) => {
                let mut all = Vec::with_capacity(images.len() * own.n_classes);
                for first in (0..images.len()).step_by(CHUNK) {
                    let chunk = images.slice(first..images.len().min(first + CHUNK))?;
                    all.extend(own.predict_proba(&chunk)?);
                    progress(chunk.len());
                }
                Ok(all)
            }
        }
    }
}

/// Loads a network from all that [`Classifier::open`] takes.
///
/// # Errors
/// [`Error::Network`] or [`Error::Load`] if it cannot be read, [`Error::FeatureMissing`] for an address without the feature.
pub fn open_network(path: impl AsRef<Path>) -> Result<Network> {
    let path = path.as_ref();
    Network::load(locate(path)?).map_err(|error| {
        if error.to_string().contains(&*path.to_string_lossy()) {
            return error.into();
        }
        let (path, source) = (path.into(), Box::new(error));
        Error::Load { path, source }
    })
}

impl Own {
    fn predict_proba(&self, images: &ImageSet) -> Result<Vec<f32>> {
        let n = images.len();
        let rows = (self.predict)(images).map_err(|source| Error::Classifier { n, source })?;
        let expected = n * self.n_classes;
        if rows.len() != expected {
            return Err(Error::mismatch(
                "numbers that the classifier gave",
                expected,
                rows.len(),
            ));
        }
        // A temperature of 1 changes nothing; what is wanted is the check of every row.
        Ok(tempered(&rows, self.n_classes, 1.0)?)
    }
}

impl From<Network> for Classifier {
    fn from(network: Network) -> Self {
        Self(Kind::Network(network))
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Network(network) => f.debug_tuple("Classifier").field(&network.config()).finish(),
            Kind::Own(own) => write!(
                f,
                "Classifier(a function: {} classes, {:?})",
                own.n_classes, own.input_size
            ),
        }
    }
}

/// The classifier and its distilled network, asked together.
#[derive(Debug, Clone)]
pub(crate) enum Pair {
    /// Two networks of ours, which share their preprocessing and one pass over the images.
    Networks(Box<NetworkPair>),
    /// A function and the network distilled from it.
    Own {
        classifier: Classifier,
        distilled: Box<Network>,
    },
}

impl Pair {
    pub(crate) fn new(classifier: Classifier, distilled: Network) -> Result<Self> {
        if let Kind::Network(network) = classifier.0 {
            return Ok(Self::Networks(Box::new(NetworkPair::new(network, distilled)?)));
        }
        if classifier.n_classes() != distilled.n_classes() {
            return Err(Error::mismatch(
                "classes of the distilled network",
                classifier.n_classes(),
                distilled.n_classes(),
            ));
        }
        if classifier.input_size() != distilled.input_size() {
            return Err(Error::mismatch(
                "size of the distilled network's images",
                format!("{:?}", classifier.input_size()),
                format!("{:?}", distilled.input_size()),
            ));
        }
        Ok(Self::Own {
            classifier,
            distilled: Box::new(distilled),
        })
    }

    pub(crate) fn distilled(&self) -> &Network {
        match self {
            Self::Networks(pair) => pair.distilled(),
            Self::Own { distilled, .. } => distilled,
        }
    }

    /// The classifier, if it is a network.
    pub(crate) fn network(&self) -> Option<&Network> {
        match self {
            Self::Networks(pair) => Some(pair.classifier()),
            Self::Own { .. } => None,
        }
    }

    pub(crate) fn input_size(&self) -> (usize, usize) {
        self.distilled().input_size()
    }

    /// Class probabilities of the classifier alone for images of the right size.
    pub(crate) fn classifier_probabilities(&self, images: &ImageSet) -> Result<Vec<f32>> {
        match self {
            Self::Networks(pair) => Ok(pair.classifier().predict_proba(images.pixels(), |_| ())?),
            Self::Own { classifier, .. } => classifier.predict_proba(images, |_| ()),
        }
    }

    /// Class probabilities of both for images of the right size.
    pub(crate) fn probabilities(&self, images: &ImageSet) -> Result<Probabilities> {
        match self {
            Self::Networks(pair) => {
                let shape = [images.len(), images.height(), images.width()];
                Ok(pair.probabilities(images.pixels(), shape, |_| ())?)
            }
            Self::Own { classifier, distilled } => Ok(Probabilities::new(
                classifier.predict_proba(images, |_| ())?,
                distilled.predict_proba(images.pixels(), |_| ())?,
                distilled.n_classes(),
            )?),
        }
    }
}
