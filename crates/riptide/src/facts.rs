//! What a monitor was fitted with, which cannot be changed without fitting again.

use std::collections::BTreeMap;

use riptide_corruptions::Family;
use riptide_datasets::Framing;
use riptide_detectors::accuracy::Target;
use riptide_detectors::{DetectorError, DistillationScore, Loss, Probabilities, Score, ScoreKind};
use riptide_files::digest;
use riptide_models::preprocess::Preprocessing;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a monitor was fitted with. Each fact decides what the reference's scores are, or what they mean; a saved monitor
/// seals each with its digest and is refused if one was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Facts {
    /// The score that the reference was scored with, and that batches are scored with.
    pub score: ScoreKind,
    /// The divergence of the distillation score.
    pub loss: Loss,
    /// The temperature of the distillation score, positive.
    pub temperature: f64,
    /// Height and width of the images in pixels.
    pub input_size: [usize; 2],
    /// The classes' names, in the order of the classifier's outputs.
    pub class_names: Vec<String>,
    /// What raw images go through before the classifier; none is known of a classifier that is a function.
    pub preprocessing: Option<Preprocessing>,
    /// How picture files are framed before both networks; as the monitor's images were when it was fitted.
    #[serde(default, skip_serializing_if = "is_kept")]
    pub framing: Framing,
    /// What raw images go through before the distilled network.
    pub distilled_preprocessing: Preprocessing,
    /// The classifier.
    pub classifier: ClassifierFacts,
    /// The distilled network's digest.
    pub distilled: String,
    /// The reference.
    pub reference: ReferenceFacts,
    /// How the distilled network was trained, if the monitor was fitted and not put together from two networks.
    pub training: Option<TrainingFacts>,
    /// What the estimate of accuracy was fitted on, if the monitor is calibrated.
    #[serde(default)]
    pub calibration: Option<CalibrationFacts>,
}

/// Which classifier is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClassifierFacts {
    /// A network that is saved with the monitor, by its digest.
    Network(String),
    /// A function that has to be given again; the digest is of what it answered to a few images of the reference.
    Function(String),
    /// A classifier whose probabilities were logged, and come with the images.
    Logged,
}

/// The reference of clean images that batches are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceFacts {
    /// Number of images.
    pub n_images: usize,
    /// SHA-256 of the scores' file.
    pub scores: String,
    /// SHA-256 of the file of both networks' answers.
    pub answers: Option<String>,
    /// Share of the images that both networks give the same class, if their answers are known.
    pub agreement: Option<f64>,
    /// SHA-256 of the file of the classifier's largest probabilities, if they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidences: Option<String>,
}

/// How the distilled network was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingFacts {
    /// Images that it was trained on.
    pub n_images: usize,
    /// Images that were kept to validate the epochs.
    pub n_validation: usize,
    /// The epoch whose weights are in use, counted from 1.
    pub epoch: u32,
    /// Temperature of the classifier's outputs that it learned from.
    pub temperature: f64,
    /// Mean loss over the images of that epoch.
    pub loss: f64,
    /// Share of the images of that epoch that both networks gave the same class.
    pub agreement: f64,
    /// Decides the initial weights, the order of the images and which were kept for the reference.
    pub seed: u64,
}

/// What the estimate of accuracy was fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFacts {
    /// Images that were corrupted.
    pub n_images: usize,
    /// Other clean images, which batches are compared with.
    pub n_reference: usize,
    /// The families of corruptions, each at five severities.
    pub families: Vec<Family>,
    /// 2 if the classifier also saw each image mirrored, 1 if not.
    pub views: u8,
    /// What accuracy means: right answers if the images were labelled, else answers that are as on the clean image.
    pub target: Target,
    /// The accuracy on all of these images while they were clean, 0 to 1; 1 without labels.
    pub accuracy: f64,
    /// Decided which images were corrupted, and the random numbers of the corruptions.
    pub seed: u64,
    /// SHA-256 of the file of the model.
    pub model: String,
    /// SHA-256 of the file of what the certificate is made from.
    pub evidence: String,
}

impl Facts {
    /// The score of each image, larger if the classifier is more likely to be wrong.
    ///
    /// # Errors
    /// Those of [`Score::score`].
    pub fn score_probabilities(&self, probabilities: &Probabilities) -> Result<Vec<f32>, DetectorError> {
        match self.score {
            ScoreKind::Distillation => DistillationScore::default()
                .loss(self.loss)
                .temperature(self.temperature)
                .score(probabilities.into()),
            other => other.score(probabilities.into()),
        }
    }

    /// The digest of each fact, by its name.
    pub(crate) fn seal(&self) -> serde_json::Result<BTreeMap<String, String>> {
        let Value::Object(facts) = serde_json::to_value(self)? else {
            return Ok(BTreeMap::new());
        };
        Ok(facts
            .into_iter()
            .map(|(name, value)| {
                let sealed = seal_of(&name, &value);
                (name, sealed)
            })
            .collect())
    }

    /// The first fact whose digest is not the sealed one: its name, and what to tell the user.
    pub(crate) fn changed(
        &self,
        sealed: &BTreeMap<String, String>,
    ) -> serde_json::Result<Option<(&'static str, String)>> {
        let found = self.seal()?;
        for name in NAMES {
            // Monitors saved before there was a calibration have no seal of it.
            let is_older = *name == "calibration" && self.calibration.is_none();
            let is_sealed = sealed.contains_key(*name) || *name == OPTIONAL || is_older;
            if found.get(*name) == sealed.get(*name) && is_sealed || is_older && !sealed.contains_key(*name) {
                continue;
            }
            let advice = match *name {
                "score" => sealed_name(sealed, name, &ScoreKind::ALL)
                    .map(|score| format!("the reference was scored with {score}; fit again to use {}", self.score)),
                "loss" => sealed_name(sealed, name, &[Loss::Kld, Loss::Xent]).map(|loss| {
                    format!(
                        "the reference was scored with the loss {loss}; fit again to use {}",
                        self.loss
                    )
                }),
                _ => None,
            };
            let advice = advice.unwrap_or_else(|| {
                format!(
                    "the fact `{name}` was changed after the monitor was saved, and the reference's scores do not follow: put the old \
                     value back, or fit again"
                )
            });
            return Ok(Some((name, advice)));
        }
        Ok(None)
    }
}

/// The facts' names, in the order in which they are checked.
const NAMES: &[&str] = &[
    "score",
    "loss",
    "temperature",
    "input_size",
    "class_names",
    "preprocessing",
    "framing",
    "distilled_preprocessing",
    "classifier",
    "distilled",
    "reference",
    "training",
    "calibration",
];

/// The fact that is left out, and has no seal, if pictures are kept as they are; monitors did not have it before.
const OPTIONAL: &str = "framing";

fn is_kept(framing: &Framing) -> bool {
    *framing == Framing::Keep
}

/// Which of the values of a fact was sealed.
fn sealed_name<T: Serialize + Copy>(sealed: &BTreeMap<String, String>, name: &str, all: &[T]) -> Option<T> {
    let sealed = sealed.get(name)?;
    all.iter()
        .copied()
        .find(|value| serde_json::to_value(value).is_ok_and(|value| &seal_of(name, &value) == sealed))
}

/// The digest of a fact.
fn seal_of(name: &str, value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    digest::of_parts(&[name.as_bytes(), text.as_bytes()])
}

/// JSON without spaces, keys sorted: whether serde_json keeps their order is another crate's choice.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            text.push('{');
            for (key, value) in sorted {
                text.push_str(&Value::String(key.clone()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                canonical(value, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_a_seal() {
        let facts = crate::testing::facts();
        let seal = facts.seal().unwrap();
        let mut names: Vec<&str> = NAMES.to_vec();
        names.sort_unstable();
        assert_eq!(seal.keys().map(String::as_str).collect::<Vec<_>>(), names);
        assert_eq!(facts.changed(&seal).unwrap(), None);
    }

    #[test]
    fn a_framing_is_sealed_unless_there_is_none() {
        let framed = crate::testing::facts();
        let kept = Facts {
            framing: Framing::Keep,
            ..framed.clone()
        };
        let is_changed = |facts: &Facts, seal| facts.changed(seal).unwrap().map(|(name, _)| name);
        let (seal, no_seal) = (framed.seal().unwrap(), kept.seal().unwrap());
        assert!(!no_seal.contains_key("framing"));
        assert_eq!(is_changed(&kept, &no_seal), None);
        assert_eq!(is_changed(&kept, &seal), Some("framing"));
        assert_eq!(is_changed(&framed, &no_seal), Some("framing"));
    }

    #[test]
    fn a_changed_score_is_told_with_the_old_one() {
        let facts = crate::testing::facts();
        let seal = facts.seal().unwrap();
        let other = Facts {
            score: ScoreKind::Entropy,
            ..facts
        };
        let (name, advice) = other.changed(&seal).unwrap().unwrap();
        assert_eq!(name, "score");
        assert_eq!(
            advice,
            "the reference was scored with distillation; fit again to use entropy"
        );
    }

    #[test]
    fn the_seal_does_not_depend_on_the_order_of_keys() {
        let (mut a, mut b) = (String::new(), String::new());
        canonical(&serde_json::from_str("{\"x\": 1.0, \"a\": [2]}").unwrap(), &mut a);
        canonical(&serde_json::from_str("{\"a\": [2], \"x\": 1.0}").unwrap(), &mut b);
        assert_eq!(a, b);
    }
}
