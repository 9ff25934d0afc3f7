//! What both networks answered.

use serde::{Deserialize, Serialize};

use crate::error::DetectorError;
use crate::networks::Probabilities;

/// The class that each network gave each image. The answers to the reference's images are worth keeping beside its scores:
/// [`excess_by_class`](crate::harm::excess_by_class) and [`excess_by_pair`](crate::harm::excess_by_pair) compare a batch's
/// answers with them.
///
/// ```
/// use riptide_detectors::{Answers, Probabilities};
/// let probabilities = Probabilities::new(vec![0.9, 0.1, 0.3, 0.7], vec![0.8, 0.2, 0.6, 0.4], 2)?;
/// let answers = Answers::from(&probabilities);
/// assert_eq!((answers.classifier, answers.distilled), (vec![0, 1], vec![0, 0]));
/// # Ok::<(), riptide_detectors::DetectorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// The classifier's answers, as class indices.
    pub classifier: Vec<usize>,
    /// The distilled network's answers, likewise.
    pub distilled: Vec<usize>,
}

impl From<&Probabilities> for Answers {
    fn from(probabilities: &Probabilities) -> Self {
        Self {
            classifier: probabilities.predicted_classes(),
            distilled: probabilities.distilled_classes(),
        }
    }
}

impl Answers {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classifier.len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classifier.is_empty()
    }

    /// Checks that there are `n` answers of each network, all below `n_classes`.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] if there are not.
    pub fn check(&self, n: usize, n_classes: usize) -> Result<(), DetectorError> {
        for answers in [&self.classifier, &self.distilled] {
            if answers.len() != n {
                return Err(DetectorError::shape("answers", n, answers.len()));
            }
            if let Some(class) = answers.iter().find(|class| **class >= n_classes) {
                let expected = format!("classes below {n_classes}");
                return Err(DetectorError::shape("answers", expected, class));
            }
        }
        Ok(())
    }
}
