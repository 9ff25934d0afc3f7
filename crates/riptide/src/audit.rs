//! Audits: labels of a few images of a batch tell its accuracy under any drift.

use std::path::{Path, PathBuf};

use riptide_detectors::accuracy::Target;
use riptide_detectors::audit::{self, AuditConfig, AuditOutcome, Labelled, Pick};
use riptide_files::{atomic, regular};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::images::Images;
use crate::monitor::Monitor;

/// The label of an image that shows none of the classifier's classes.
const OTHER: &str = "other";

/// A batch that is audited; made by [`Monitor::audit`].
///
/// The estimate of a batch's accuracy rests on the assumption that the drift is like the corruptions that the monitor was
/// calibrated on. Labels of a few images that were picked at random rest on nothing: they find any loss of accuracy, also
/// one that no image shows (a class that has come to mean something else).
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    errors: Vec<f64>,
    predictions: Vec<usize>,
    files: Option<Vec<PathBuf>>,
    class_names: Vec<String>,
    /// The accuracy that is accepted, if the calibration knows one.
    accepted: Option<f64>,
    level: f64,
    confidence: f64,
}

/// An image that was picked for labelling: a line of the file that a person fills in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditPick {
    /// Its turn, from 1. Labels may stop at any turn, but none may be left out.
    pub turn: usize,
    /// The image's place in the batch, from 0.
    pub image: usize,
    /// Its file, if each image is a file of its own; else empty.
    pub file: String,
    /// The chance of this image at its turn.
    pub probability: f64,
    /// The class that the classifier gave it.
    pub prediction: String,
    /// The class that a person gives it: its name, or `other` if it is none of the classifier's; empty until then.
    pub label: String,
}

impl Monitor {
    /// Scores a batch for an audit.
    ///
    /// # Errors
    /// [`Error::NotCalibrated`], and as [`score`](Self::score).
    pub fn audit<'a>(&'a self, images: impl Into<Images<'a>>) -> Result<Audit> {
        let facts = self.facts().calibration.as_ref().ok_or(Error::NotCalibrated)?;
        let (mut errors, mut predictions, mut files) = (Vec::new(), Vec::new(), None::<Vec<PathBuf>>);
        for chunk in self.score_stream(images) {
            let chunk = chunk?;
            predictions.extend(chunk.rows().map(|row| row.prediction));
            errors.extend(chunk.error_probabilities.unwrap_or_default());
            if let Some(more) = chunk.images.files() {
                files.get_or_insert_default().extend_from_slice(more);
            }
        }
        let options = self.options();
        Ok(Audit {
            errors,
            predictions,
            files,
            class_names: self.facts().class_names.clone(),
            accepted: (facts.target == Target::Errors).then_some(facts.accuracy - options.tolerated_drop),
            level: options.level,
            confidence: options.confidence,
        })
    }
}

impl Audit {
    /// Number of images in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Picks `m` different images at random, those more often about which the calibration is uncertain.
    ///
    /// # Errors
    /// [`Error::Detector`] if `m` is 0 or larger than the batch, or for an option out of range.
    pub fn pick(&self, m: usize, config: &AuditConfig) -> Result<Vec<AuditPick>> {
        let picks = audit::pick(&self.errors, m, config)?;
        let named = picks.into_iter().zip(1..).map(|(pick, turn)| AuditPick {
            turn,
            image: pick.index,
            file: self.file(pick.index),
            probability: pick.probability,
            prediction: self.prediction(pick.index).to_owned(),
            label: String::new(),
        });
        Ok(named.collect())
    }

    /// Estimates the batch's accuracy from the labels of the first picks. `accepted` is the accuracy that the alarm is about; by
    /// default the reference's less the tolerated drop.
    ///
    /// # Errors
    /// [`Error::Audit`] if the picks are not those of this batch, if one is missing or has no label although a later one has,
    /// or if a label is no class; [`Error::Detector`] if there are no labels.
    pub fn update(&self, picks: &[AuditPick], accepted: Option<f64>) -> Result<AuditOutcome> {
        let wrong = |turn: usize, reason: String| Error::Audit { turn, reason };
        let accepted = accepted.or(self.accepted).ok_or_else(|| {
            let reason =
                "the monitor was calibrated without labels and knows no accuracy to accept; say which is accepted";
            wrong(0, reason.into())
        })?;
        let n = picks.iter().take_while(|pick| !pick.label.trim().is_empty()).count();
        let mut labelled = Vec::with_capacity(n);
        for (pick, turn) in picks.iter().zip(1..) {
            let label = pick.label.trim();
            if pick.turn != turn {
                let reason = format!("turn {} stands here; keep every line, in its order", pick.turn);
                return Err(wrong(turn, reason));
            }
            if labelled.len() == n {
                if !label.is_empty() {
                    let reason = format!("turn {} before it has no label; none may be left out", n + 1);
                    return Err(wrong(turn, reason));
                }
                continue;
            }
            if pick.image >= self.len()
                || pick.prediction != self.prediction(pick.image)
                || pick.file != self.file(pick.image)
            {
                let reason = format!(
                    "image {} is another than when it was picked; give the same images and the same monitor",
                    pick.image
                );
                return Err(wrong(turn, reason));
            }
            if label != OTHER && !self.class_names.iter().any(|name| name == label) {
                let shown: Vec<&str> = self.class_names.iter().take(20).map(String::as_str).collect();
                let reason = format!("{label:?} is no class; give one of {}, or {OTHER}", shown.join(", "));
                return Err(wrong(turn, reason));
            }
            labelled.push(Labelled {
                pick: Pick {
                    index: pick.image,
                    probability: pick.probability,
                },
                right: label == pick.prediction,
            });
        }
        let config = AuditConfig::default().level(self.level).confidence(self.confidence);
        Ok(audit::update(&self.errors, &labelled, accepted, &config)?)
    }

    fn prediction(&self, image: usize) -> &str {
        let class = self.predictions.get(image);
        class
            .and_then(|&class| self.class_names.get(class))
            .map_or("?", String::as_str)
    }

    fn file(&self, image: usize) -> String {
        let file = self.files.as_ref().and_then(|files| files.get(image));
        file.map_or_else(String::new, |file| file.display().to_string())
    }
}

impl AuditPick {
    /// Writes picks as comma-separated values with a header line, to be labelled in any editor of tables.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be written.
    pub fn write(picks: &[Self], path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = to_csv(picks).map_err(|error| Error::malformed(path, error.to_string()))?;
        Ok(atomic::write(path, &bytes)?)
    }

    /// Reads what [`write`](Self::write) wrote and a person labelled.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, [`Error::Malformed`], naming the line, if it is another.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<Self>> {
        let path = path.as_ref();
        let bytes = regular::read(path, regular::NUMBERS)?;
        let picks: csv::Result<Vec<Self>> = csv::Reader::from_reader(bytes.as_slice()).deserialize().collect();
        picks
            .map_err(|error| Error::malformed(path, format!("{error}; give the file that the pick wrote, with labels")))
    }
}

fn to_csv(picks: &[AuditPick]) -> csv::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for pick in picks {
        writer.serialize(pick)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}
