//! A classifier and its distilled network, run together over raw images.

use candle_core::{Device, Module, Tensor};
use riptide_kernels::Simd;

use crate::error::ModelError;
use crate::network::Network;
use crate::plan::{Lazy, PairPlan};

/// How many images go through the networks at a time, which bounds the memory that a call needs.
const CHUNK: usize = 256;

/// A classifier and the network that was distilled from it.
///
/// ```
/// use riptide_models::{DistilledCnn, DistilledCnnConfig, NetworkPair, ResNet, ResNetConfig};
///
/// let classifier = ResNet::random(ResNetConfig { depth: 8, n_filters1: 4, ..Default::default() }, 0)?;
/// let distilled = DistilledCnn::random(DistilledCnnConfig { n_filters1: 8, ..Default::default() }, 0)?;
/// let pair = NetworkPair::new(classifier.into(), distilled.into())?;
/// let (classifier, distilled) = pair.predict_proba(&vec![0; 2 * 32 * 32 * 3], [2, 32, 32])?;
/// assert_eq!((classifier.len(), distilled.len()), (20, 20));
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
    /// [`ModelError::Pair`] where they differ in number of classes or size of images.
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

    /// Class probabilities of the classifier and of the distilled network, each row-major (n, n_classes).
    ///
    /// `images` is the bytes of `[n, height, width]` images, row-major (n, height, width, 3).
    ///
    /// # Errors
    /// [`ModelError::Images`] where the number of bytes does not fit the shape or the size is not the networks'.
    pub fn predict_proba(
        &self,
        images: &[u8],
        [n, height, width]: [usize; 3],
    ) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
        let (h, w) = self.classifier.input_size();
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
        if self.is_plannable() {
            return self.plan()?.predict_proba(images);
        }
        let mut outputs = (
            Vec::with_capacity(n * self.n_classes()),
            Vec::with_capacity(n * self.n_classes()),
        );
        for chunk in images.chunks(CHUNK * image_len) {
            let images = Tensor::from_slice(chunk, (chunk.len() / image_len, h, w, 3), &Device::Cpu)?;
            outputs
                .0
                .extend(self.classifier.forward(&images)?.flatten_all()?.to_vec1::<f32>()?);
            outputs
                .1
                .extend(self.distilled.forward(&images)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(outputs)
    }

    /// Whether both networks can be compiled: neither is an ONNX file, and all parameters are plain ones on the CPU.
    fn is_plannable(&self) -> bool {
        [&self.classifier, &self.distilled]
            .iter()
            .all(|network| !matches!(network, Network::Onnx(_)) && network.weights().are_plain_on_cpu())
    }

    fn plan(&self) -> Result<&PairPlan, ModelError> {
        self.plan.get_or_compile(|| {
            PairPlan::new(
                (&self.classifier.config(), self.classifier.weights()),
                (&self.distilled.config(), self.distilled.weights()),
                Simd::current()?,
            )
        })
    }
}
