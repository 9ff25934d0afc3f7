//! What the certificate is made from.

use serde::{Deserialize, Serialize};

use super::model::AccuracyModel;
use super::set::DescribedSet;
use super::window::WindowValue;
use crate::error::DetectorError;

/// What a model says of each image of a set. One entry an image in every array.
///
/// The arrays are public so that they can be saved compactly; `error` and `confidence` may be rounded to 1/65535.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SetEvidence {
    /// The severity; 0 for clean images.
    pub severity: u8,
    /// Error probability, 0..=1.
    pub error: Vec<f32>,
    /// Temperature-scaled largest probability, 0..=1.
    pub confidence: Vec<f32>,
    /// Whether both networks give the same class; true without a distilled network.
    pub agree: Vec<bool>,
    /// The class that the classifier gives.
    pub class: Vec<u32>,
    /// Whether the classifier's answer is wrong.
    pub wrong: Vec<bool>,
}

/// How a model that did not see a family of corruptions judges that family: honest evidence of what the deployed model does
/// with corruptions that were not declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FamilyEvidence {
    /// The family that was left out.
    pub family: String,
    /// The model without it.
    pub model: AccuracyModel,
    /// What that model says of the clean images.
    pub clean: SetEvidence,
    /// What it says of the family's sets, in the order they were given.
    pub sets: Vec<SetEvidence>,
}

impl AccuracyModel {
    /// What the model says of each image of a described set.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] if the set's classes, networks or views are not the model's.
    pub fn examine(&self, set: &DescribedSet) -> Result<SetEvidence, DetectorError> {
        let kind = self.kind();
        if set.images.kind != kind {
            return Err(DetectorError::shape(
                "classes, networks and views of a set",
                format!("{kind:?}"),
                format!("{:?}", set.images.kind),
            ));
        }
        Ok(SetEvidence::of(self, set))
    }
}

impl SetEvidence {
    pub(super) fn of(model: &AccuracyModel, set: &DescribedSet) -> Self {
        let mut evidence = Self {
            severity: set.severity,
            wrong: set.wrong.clone(),
            ..Self::default()
        };
        for image in set.images.images() {
            evidence.error.push(model.error(&image) as f32);
            evidence.confidence.push(image.confidence(model.temperature) as f32);
            evidence.agree.push(image.agree);
            evidence.class.push(image.class as u32);
        }
        evidence
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wrong.len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Whether all arrays have one length, at least 1.
    pub(crate) fn is_whole(&self) -> bool {
        let n = self.wrong.len();
        let lengths = [
            self.error.len(),
            self.confidence.len(),
            self.agree.len(),
            self.class.len(),
        ];
        n > 0 && lengths.iter().all(|&length| length == n)
    }

    /// The share of right answers, 0..=1.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let wrong = self.wrong.iter().filter(|&&wrong| wrong).count();
        1.0 - wrong as f64 / self.len().max(1) as f64
    }

    /// Adds the image at `place` to a window of as many classes as the model has; false if there is no such image.
    pub fn put(&self, place: usize, window: &mut WindowValue) -> bool {
        let image = (
            self.error.get(place),
            self.confidence.get(place),
            self.agree.get(place),
            self.class.get(place),
        );
        let (Some(&error), Some(&confidence), Some(&agree), Some(&class)) = image else {
            return false;
        };
        window.add(f64::from(error), f64::from(confidence), agree, class as usize);
        true
    }
}
