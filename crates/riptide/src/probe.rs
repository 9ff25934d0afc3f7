//! A few images by which a classifier that is a function is known again.

use riptide_datasets::ImageSet;

use crate::classifier::Classifier;
use crate::error::Result;
use crate::pair::Pair;

/// A few images of the reference, and what a classifier that is a function answers to them.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) images: ImageSet,
    pub(crate) probabilities: Vec<f32>,
}

/// Images of the reference that a function's answers are kept of.
const PROBE: usize = 16;

impl Probe {
    /// The first few images of a reference, if the classifier is a function.
    pub(crate) fn of(pair: &Pair, images: &ImageSet) -> Result<Option<Self>> {
        let Pair::Own { classifier, .. } = pair else {
            return Ok(None);
        };
        if classifier.is_logged() {
            return Ok(None);
        }
        let images = images.slice(0..images.len().min(PROBE))?;
        let probabilities = Classifier::predict_proba(classifier, &images, |_| ())?;
        Ok(Some(Self { images, probabilities }))
    }
}
