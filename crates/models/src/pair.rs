//! A classifier and its distilled network, run together over raw images.

use candle_core::{Device, Tensor};
use riptide_detectors::{BoxError, Probabilities, ScoringNetworks};
use riptide_files::digest;
use riptide_kernels::Simd;

use crate::error::ModelError;
use crate::network::Network;
use crate::onnx::Check;
use crate::plan::{Lazy, PairPlan};

/// How many images go through the networks at a time, which bounds the memory that a call needs.
const CHUNK: usize = 512;

/// A classifier and the network that was distilled from it.
///
/// ```
/// # #[cfg(feature = "train")] {
/// use riptide_models::{DistilledCnnConfig, Network, NetworkPair, ResNetConfig};
///
/// let classifier = Network::random(ResNetConfig { depth: 8, n_filters1: 4, ..Default::default() }, 0)?;
/// let distilled = Network::random(DistilledCnnConfig { n_filters1: 8, ..Default::default() }, 0)?;
/// let pair = NetworkPair::new(classifier, distilled)?;
/// let probabilities = pair.probabilities(&vec![0; 2 * 32 * 32 * 3], [2, 32, 32], |_done| ())?;
/// assert_eq!((probabilities.classifier.len(), probabilities.distilled.len()), (20, 20));
/// # }
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NetworkPair {
    classifier: Network,
    distilled: Network,
    plan: Lazy<PairPlan>,
}

impl NetworkPair {
    /// Pairs two networks.
    ///
    /// # Errors
    /// [`ModelError::Pair`] if they differ in number of classes or size of images.
    pub fn new(classifier: Network, distilled: Network) -> Result<Self, ModelError> {
        let disagreement = |what, classifier: String, distilled: String| ModelError::Pair {
            what,
            classifier,
            distilled,
        };
        if classifier.n_classes() != distilled.n_classes() {
            let (a, b) = (classifier.n_classes(), distilled.n_classes());
            return Err(disagreement("number of classes", a.to_string(), b.to_string()));
        }
        if classifier.input_size() != distilled.input_size() {
            let (a, b) = (classifier.input_size(), distilled.input_size());
            return Err(disagreement("size of images", format!("{a:?}"), format!("{b:?}")));
        }
        Ok(Self {
            classifier,
            distilled,
            plan: Lazy::default(),
        })
    }

    /// The classifier.
    pub fn classifier(&self) -> &Network {
        &self.classifier
    }

    /// The distilled network.
    pub fn distilled(&self) -> &Network {
        &self.distilled
    }

    /// The number of classes of both.
    pub fn n_classes(&self) -> usize {
        self.classifier.n_classes()
    }

    /// Height and width of the images that both take.
    pub fn input_size(&self) -> (usize, usize) {
        self.classifier.input_size()
    }

    /// SHA-256 over both networks' digests, hexadecimal.
    pub fn digest(&self) -> String {
        digest::of_parts(&[self.classifier.digest().as_bytes(), self.distilled.digest().as_bytes()])
    }

    /// Checks a classifier from an ONNX file on real images: see [`Network::verify`].
    ///
    /// # Errors
    /// Those of [`Network::verify`].
    pub fn verify(&mut self, images: &Tensor) -> Result<Option<Check>, ModelError> {
        self.classifier.verify(images)
    }

    /// Class probabilities of both networks, a bounded number of images at a time; `progress` is told the number of images
    /// after each part.
    ///
    /// `images` is the bytes of `[n, height, width]` images, row-major (n, height, width, 3).
    ///
    /// # Errors
    /// [`ModelError::Images`] if the number of bytes does not fit the shape or the size is not the networks'.
    pub fn probabilities(
        &self,
        images: &[u8],
        [n, height, width]: [usize; 3],
        mut progress: impl FnMut(usize),
    ) -> Result<Probabilities, ModelError> {
        let (h, w) = self.input_size();
        let image_len = h * w * 3;
        if (height, width) != (h, w) || n.checked_mul(image_len) != Some(images.len()) {
            return Err(ModelError::Images {
                found: format!(
                    "slice of {} bytes for the shape ({n}, {height}, {width}, 3)",
                    images.len()
                ),
                expected: format!("u8 (N, {h}, {w}, 3)"),
            });
        }
        let plan = match self.classifier.is_plannable() && self.distilled.is_plannable() {
            true => Some(self.plan()?),
            false => None,
        };
        let mut all = Probabilities {
            classifier: Vec::with_capacity(n * self.n_classes()),
            distilled: Vec::with_capacity(n * self.n_classes()),
            n_classes: self.n_classes(),
        };
        for chunk in images.chunks(CHUNK * image_len) {
            let n = chunk.len() / image_len;
            let (classifier, distilled) = match plan {
                Some(plan) => plan.predict_proba(chunk)?,
                None => {
                    let images = Tensor::from_slice(chunk, (n, h, w, 3), &Device::Cpu)?;
                    let done = all.len();
                    let values = |network: &Network| -> Result<Vec<f32>, ModelError> {
                        let rows = network
                            .probabilities(&images)
                            .map_err(|error| error.counted_from(done))?;
                        Ok(rows.flatten_all()?.to_vec1()?)
                    };
                    (values(&self.classifier)?, values(&self.distilled)?)
                }
            };
            all.classifier.extend(classifier);
            all.distilled.extend(distilled);
            progress(n);
        }
        Ok(all)
    }

    fn plan(&self) -> Result<&PairPlan, ModelError> {
        self.plan.get_or_compile(|| {
            PairPlan::new(
                (self.classifier.config(), self.classifier.weights()),
                (self.distilled.config(), self.distilled.weights()),
                Simd::current()?,
            )
        })
    }
}

impl ScoringNetworks for NetworkPair {
    fn n_classes(&self) -> usize {
        self.classifier.n_classes()
    }

    fn predict_proba(&self, images: &[u8], shape: [usize; 3]) -> Result<Probabilities, BoxError> {
        Ok(self.probabilities(images, shape, |_| ())?)
    }
}
