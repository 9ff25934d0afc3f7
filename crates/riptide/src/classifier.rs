//! The classifier that is watched: a network from a file, or anything that turns images into class probabilities.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Module, Tensor};
use riptide_datasets::{Framing, ImageSet};
use riptide_detectors::check_rows;
use riptide_models::onnx::Check;
use riptide_models::preprocess::Preprocessing;
use riptide_models::{ModelError, Network};

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
pub struct Classifier {
    kind: Kind,
    /// How pictures are framed for it.
    pub(crate) framing: Framing,
    /// The names of its classes, if its own files say them.
    pub(crate) class_names: Option<Vec<String>>,
    /// Whether it is known what images go through before it.
    pub(crate) is_settled: bool,
}

#[derive(Clone)]
enum Kind {
    Network(Box<Network>),
    Own(Own),
    Logged(Logged),
}

/// A classifier that cannot be asked: its answers come with the images.
#[derive(Clone, Copy)]
struct Logged {
    n_classes: usize,
    input_size: (usize, usize),
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
    /// Any function of images, all of `input_size` (height, width), that gives class probabilities, row-major
    /// (N, `n_classes`).
    ///
    /// A monitor with such a classifier is saved without it: [`Monitor::load_with`](crate::Monitor::load_with) takes it
    /// again, and checks that it is the same.
    pub fn from_fn<F>(n_classes: usize, input_size: (usize, usize), predict: F) -> Self
    where
        F: Fn(&ImageSet) -> Result<Vec<f32>, BoxError> + Send + Sync + 'static,
    {
        Self::of(Kind::Own(Own {
            n_classes,
            input_size,
            predict: Arc::new(predict),
        }))
    }

    /// A classifier that is not at hand, and whose answers were logged: images of `input_size` (height, width), which is the
    /// size that the distilled network sees them at, have to come with the probabilities that it gave them. See
    /// [`Images::with_probabilities`](crate::Images::with_probabilities).
    ///
    /// A monitor of such a classifier judges images that come with their probabilities, too. What needs the classifier's answer
    /// to changed images, such as a calibration by corruptions, is an [`Error::Logged`].
    pub fn logged(n_classes: usize, input_size: (usize, usize)) -> Self {
        Self::of(Kind::Logged(Logged { n_classes, input_size }))
    }

    /// Whether its answers come with the images; see [`logged`](Self::logged).
    pub fn is_logged(&self) -> bool {
        matches!(self.kind, Kind::Logged(_))
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

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            framing: Framing::Keep,
            class_names: None,
            is_settled: true,
        }
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        match &self.kind {
            Kind::Network(network) => network.n_classes(),
            Kind::Own(own) => own.n_classes,
            Kind::Logged(logged) => logged.n_classes,
        }
    }

    /// Height and width of the images that it takes.
    pub fn input_size(&self) -> (usize, usize) {
        match &self.kind {
            Kind::Network(network) => network.input_size(),
            Kind::Own(own) => own.input_size,
            Kind::Logged(logged) => logged.input_size,
        }
    }

    /// The network, unless the classifier is a function or its answers were logged.
    pub fn network(&self) -> Option<&Network> {
        match &self.kind {
            Kind::Network(network) => Some(network),
            Kind::Own(_) | Kind::Logged(_) => None,
        }
    }

    /// What raw images go through before the network, if it is known: it is not of a function's, nor of an ONNX file's of which
    /// nobody said it.
    pub fn preprocessing(&self) -> Option<Preprocessing> {
        self.network().filter(|_| self.is_settled).map(Network::preprocessing)
    }

    /// How pictures are framed for the classifier, for opening them: [`Framing::Keep`] unless its [pipeline](crate::pipeline)
    /// says otherwise.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The names of its classes in the order of its outputs, if a file beside it says them.
    pub fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    /// The same classifier with another preprocessing, if it is a network; a function has its own and stays as it is.
    ///
    /// # Errors
    /// [`Error::Network`] if the preprocessing is impossible.
    pub fn with_preprocessing(mut self, preprocessing: Preprocessing) -> Result<Self> {
        if let Kind::Network(network) = self.kind {
            self.kind = Kind::Network(Box::new(network.with_preprocessing(preprocessing)?));
            self.is_settled = true;
        }
        Ok(self)
    }

    /// The network, if it is one.
    pub(crate) fn into_network(self) -> std::result::Result<Network, Self> {
        match self.kind {
            Kind::Network(network) => Ok(*network),
            _ => Err(self),
        }
    }

    /// Checks a classifier from an ONNX file on a few images: see [`Network::verify`]. `None` for other classifiers, which need no check.
    ///
    /// # Errors
    /// [`Error::Network`] if its engines disagree, or if its output is not that of a classifier.
    pub fn verify(&mut self, images: &ImageSet) -> Result<Option<Check>> {
        match &mut self.kind {
            Kind::Network(network) if network.onnx().is_some() => {
                let shape = &images.shape()[..];
                let images = Tensor::from_slice(images.pixels(), shape, &Device::Cpu).map_err(ModelError::from)?;
                Ok(network.verify(&images)?)
            }
            _ => Ok(None),
        }
    }

    /// Class probabilities, row-major (n, n_classes), of raw images, a bounded number at a time; `progress` is told the number
    /// of images after each part.
    ///
    /// # Errors
    /// [`Error::Network`] or [`Error::Classifier`] if it fails, [`Error::Mismatch`] if it gives too few or too many numbers,
    /// [`Error::Answer`], naming the image, if a row is not of probabilities, [`Error::Undecided`] if it is not known what images
    /// go through before it.
    pub fn predict_proba(&self, images: &ImageSet, mut progress: impl FnMut(usize)) -> Result<Vec<f32>> {
        const CHUNK: usize = 512;
        if !self.is_settled {
            return Err(self.undecided("nothing beside its file says it"));
        }
        match &self.kind {
            Kind::Network(network) => {
                let size = (images.height(), images.width());
                if size != network.input_size() {
                    return Err(Error::ImageSize {
                        name: "the images".into(),
                        found: size,
                        expected: network.input_size(),
                    });
                }
                let rows = network.predict_proba(images.pixels(), progress).map_err(Error::from);
                let checked =
                    rows.and_then(|rows| Ok(check_rows(&rows, network.n_classes(), "classifier").map(|()| rows)?));
                checked.map_err(|error| error.after(0, None))
            }
            Kind::Logged(logged) => {
                let rows = logged.predict_proba(images)?;
                progress(images.len());
                Ok(rows)
            }
            Kind::Own(own) => {
                let mut all = Vec::with_capacity(images.len() * own.n_classes);
                for first in (0..images.len()).step_by(CHUNK) {
                    let chunk = images.slice(first..images.len().min(first + CHUNK))?;
                    all.extend(own.predict_proba(&chunk).map_err(|error| error.after(first, None))?);
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

impl Logged {
    fn predict_proba(&self, images: &ImageSet) -> Result<Vec<f32>> {
        let Some((n_classes, rows)) = images.probabilities() else {
            return Err(Error::Logged {
                name: "the classifier".into(),
                reason: "only its logged probabilities are known, and these images come without any".into(),
            });
        };
        if n_classes != self.n_classes {
            return Err(Error::mismatch(
                "classes of the logged probabilities",
                self.n_classes,
                n_classes,
            ));
        }
        Ok(rows.to_vec())
    }
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
        check_rows(&rows, self.n_classes, "classifier")?;
        Ok(rows)
    }
}

impl From<Network> for Classifier {
    fn from(network: Network) -> Self {
        Self::of(Kind::Network(Box::new(network)))
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Network(network) => f.debug_tuple("Classifier").field(&network.config()).finish(),
            Kind::Own(own) => write!(
                f,
                "Classifier(a function: {} classes, {:?})",
                own.n_classes, own.input_size
            ),
            Kind::Logged(logged) => write!(
                f,
                "Classifier(logged: {} classes, {:?})",
                logged.n_classes, logged.input_size
            ),
        }
    }
}
