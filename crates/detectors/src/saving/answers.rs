//! What both networks answered.

use std::path::Path;

use super::npy;
use crate::drift::Samples;
use crate::error::DetectorError;
use crate::networks::Probabilities;

/// The file of the answers: f64, (N, 2), the classifier's class and the distilled network's.
const ANSWERS: &str = "x_ref_answers.npy";

/// The class that each network gave each image. Those of the reference are saved with a detector: findings by class are
/// compared with them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// The classifier's answers.
    pub classifier: Vec<usize>,
    /// The distilled network's answers.
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
    /// Errors unless there are `n` of each, all below `n_classes`.
    pub(crate) fn check(&self, n: usize, n_classes: usize) -> Result<(), DetectorError> {
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

    pub(super) fn write(&self, folder: &Path) -> Result<(), DetectorError> {
        let pairs = self.classifier.iter().zip(&self.distilled);
        let values: Vec<f64> = pairs.flat_map(|(&a, &b)| [a as f64, b as f64]).collect();
        npy::write(&folder.join(ANSWERS), &Samples::new(values, 2)?)
    }

    /// What [`write`](Self::write) wrote; nothing where the detector was saved without answers.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, DetectorError> {
        let path = folder.join(ANSWERS);
        if !path.exists() {
            return Ok(None);
        }
        let rows = npy::read(&path)?;
        let is_class = |value: &f64| value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(value);
        if rows.n_features() != 2 || !rows.values().iter().all(is_class) {
            let reason = "holds something other than two classes a row; save the detector again".into();
            return Err(DetectorError::BadFormat { path, reason });
        }
        let column = |feature| rows.column(feature).iter().map(|&class| class as usize).collect();
        Ok(Some(Self {
            classifier: column(0),
            distilled: column(1),
        }))
    }
}
