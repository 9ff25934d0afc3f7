//! The classifier and its distilled network.

use riptide_datasets::ImageSet;
use riptide_detectors::Probabilities;
use riptide_models::{Network, NetworkPair};

use crate::classifier::Classifier;
use crate::error::{Error, Result};

/// The classifier and its distilled network, asked together.
#[derive(Debug, Clone)]
pub(crate) enum Pair {
    /// Two networks of ours, which share their preprocessing and one pass over the images.
    Networks(Box<NetworkPair>),
    /// A function, or logged answers, and the network distilled from it.
    Own {
        classifier: Classifier,
        distilled: Box<Network>,
    },
}

impl Pair {
    pub(crate) fn new(classifier: Classifier, distilled: Network) -> Result<Self> {
        if !classifier.is_settled {
            return Err(classifier.undecided("nothing beside its file says it"));
        }
        let classifier = match classifier.into_network() {
            Ok(network) => return Ok(Self::Networks(Box::new(NetworkPair::new(network, distilled)?))),
            Err(classifier) => classifier,
        };
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

    /// Whether the classifier's answers come with the images.
    pub(crate) fn is_logged(&self) -> bool {
        matches!(self, Self::Own { classifier, .. } if classifier.is_logged())
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
