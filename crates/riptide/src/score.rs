//! Scores of images, a chunk at a time or all together.

use std::path::{Path, PathBuf};

use riptide_datasets::{Framing, ImageSet, Skipped};
use riptide_detectors::{Answers, Probabilities};
use riptide_files::bytes_beside;
use serde::Serialize;

use crate::calibration::{Calibration, mirrored};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::images::Images;
use crate::pair::Pair;

/// Scores images a chunk at a time; made by [`Monitor::score_stream`](crate::Monitor::score_stream).
///
/// An input without images is an error. After an error the iterator ends.
#[derive(Debug)]
pub struct ScoreStream<'a> {
    pair: &'a Pair,
    facts: &'a Facts,
    calibration: Option<&'a Calibration>,
    /// Whether the error probability of each image is wanted, and not only sums over batches.
    wants_errors: bool,
    images: Images<'a>,
    is_over: bool,
}

/// A chunk of images with what both networks make of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Scored {
    /// The place of the chunk's first image among all images.
    pub first: usize,
    /// The images, with their files and columns if they have any.
    pub images: ImageSet,
    /// Class probabilities of both networks.
    pub probabilities: Probabilities,
    /// One score an image; larger is worse.
    pub scores: Vec<f32>,
    /// The calibrated probability of each image that the classifier is wrong, if the monitor is calibrated.
    pub error_probabilities: Option<Vec<f64>>,
    /// The classifier's probabilities for the mirrored images, if the calibration takes two views.
    pub mirrored: Option<Vec<f32>>,
}

/// One image's results.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Row<'a> {
    /// The image's place among all images.
    pub index: usize,
    /// Its file, if each image is a file of its own.
    pub file: Option<&'a PathBuf>,
    /// Its score.
    pub score: f32,
    /// The class that the classifier gives it.
    pub prediction: usize,
    /// The probability that the classifier gives that class.
    pub confidence: f32,
    /// The calibrated probability that the classifier is wrong, if the monitor is calibrated.
    pub error_probability: Option<f64>,
    /// The classifier's class probabilities.
    pub classifier: &'a [f32],
    /// The distilled network's class probabilities.
    pub distilled: &'a [f32],
}

impl<'a> ScoreStream<'a> {
    pub(crate) fn new(
        pair: &'a Pair,
        facts: &'a Facts,
        calibration: Option<&'a Calibration>,
        images: Images<'a>,
    ) -> Self {
        Self {
            pair,
            facts,
            calibration,
            wants_errors: true,
            images,
            is_over: false,
        }
    }

    /// The same stream without the error probability of each image, for who only needs sums.
    pub(crate) fn without_errors(self) -> Self {
        Self {
            wants_errors: false,
            ..self
        }
    }

    /// How many images are still to come, if that is known.
    pub fn remaining(&self) -> Option<u64> {
        self.images.remaining()
    }

    /// The pictures so far that were passed over because they cannot be read; see [`Images::unreadable`].
    pub fn unreadable(&self) -> Option<&Skipped> {
        self.images.unreadable()
    }

    /// The next chunk, of as many images as complete an answer for which `needed` are missing.
    pub(crate) fn next_for(&mut self, needed: Option<usize>) -> Option<Result<Scored>> {
        if self.is_over {
            return None;
        }
        let nothing_yet = self.images.is_untouched();
        let next = match self.chunk(self.images.enough_for(needed)) {
            Ok(None) if nothing_yet => Some(Err(self.images.none())),
            other => other.transpose(),
        };
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }

    fn chunk(&mut self, max: usize) -> Result<Option<Scored>> {
        // Pictures that are framed in another way have other scores. Arrays, and pictures that have their size, are not framed.
        let (framing, found) = (self.facts.framing, self.images.framing());
        if framing != Framing::Keep && found != Framing::Keep && framing != found {
            return Err(Error::mismatch(
                "framing of the pictures",
                format!("{framing:?}, as the monitor was fitted"),
                format!("{found:?}"),
            ));
        }
        let Some((first, images)) = self.images.next_at_most(max, self.pair.input_size())? else {
            return Ok(None);
        };
        let model = self.calibration.map(Calibration::model);
        let ask = || {
            let probabilities = self.pair.probabilities(&images)?;
            let scores = self.facts.score_probabilities(&probabilities)?;
            let mirrored = match model.filter(|model| model.views() == 2) {
                Some(_) => Some(self.pair.classifier_probabilities(&mirrored(&images)?)?),
                None => None,
            };
            let error_probabilities = match model.filter(|_| self.wants_errors) {
                Some(model) => Some(model.error_probabilities(&probabilities, mirrored.as_deref())?),
                None => None,
            };
            Ok((probabilities, scores, mirrored, error_probabilities))
        };
        let asked = ask().map_err(|error: Error| error.after(first, images.files()).of_input(self.images.name()));
        let (probabilities, scores, mirrored, error_probabilities) = asked?;
        Ok(Some(Scored {
            first,
            images,
            probabilities,
            scores,
            error_probabilities,
            mirrored,
        }))
    }
}

impl Iterator for ScoreStream<'_> {
    type Item = Result<Scored>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_for(None)
    }
}

impl Scored {
    /// The images' results, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let n_classes = self.probabilities.n_classes.max(1);
        let predictions = self.probabilities.predicted_classes();
        let rows = self.probabilities.classifier.chunks_exact(n_classes);
        let rows = rows.zip(self.probabilities.distilled.chunks_exact(n_classes));
        let each = self.scores.iter().zip(predictions).zip(rows).enumerate();
        each.map(|(i, ((&score, prediction), (classifier, distilled)))| Row {
            index: self.first + i,
            file: self.images.files().and_then(|files| files.get(i)),
            score,
            prediction,
            confidence: classifier.get(prediction).copied().unwrap_or_default(),
            error_probability: self
                .error_probabilities
                .as_ref()
                .and_then(|errors| errors.get(i).copied()),
            classifier,
            distilled,
        })
    }

    /// What both networks answered.
    pub fn answers(&self) -> Answers {
        Answers::from(&self.probabilities)
    }
}

/// The results of many images, column by column.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scores {
    /// One score an image; larger is worse.
    pub scores: Vec<f32>,
    /// The class that the classifier gives each image.
    pub predictions: Vec<u32>,
    /// The probability that the classifier gives that class.
    pub confidences: Vec<f32>,
    /// The calibrated probability of each image that the classifier is wrong, if the monitor is calibrated.
    pub error_probabilities: Option<Vec<f32>>,
    /// The files of the images, if each is a file of its own.
    pub files: Option<Vec<PathBuf>>,
    /// The classes' names.
    pub class_names: Vec<String>,
}

impl Scores {
    pub(crate) fn new(class_names: &[String]) -> Self {
        Self {
            scores: Vec::new(),
            predictions: Vec::new(),
            confidences: Vec::new(),
            error_probabilities: None,
            files: None,
            class_names: class_names.to_vec(),
        }
    }

    /// Adds the results of a chunk.
    pub(crate) fn extend(&mut self, chunk: &Scored) {
        if let Some(files) = chunk.images.files() {
            self.files.get_or_insert_default().extend_from_slice(files);
        }
        for row in chunk.rows() {
            self.scores.push(row.score);
            // A network of more than 4,294,967,295 classes does not fit into memory.
            self.predictions.push(u32::try_from(row.prediction).unwrap_or(u32::MAX));
            self.confidences.push(row.confidence);
            if let Some(error) = row.error_probability {
                self.error_probabilities.get_or_insert_default().push(error as f32);
            }
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The name of the class that the classifier gives image `index`; empty if there is no such image.
    pub fn class_name(&self, index: usize) -> &str {
        let class = self.predictions.get(index).map(|&class| class as usize);
        class
            .and_then(|class| self.class_names.get(class))
            .map_or("", String::as_str)
    }
}

/// The name of an image's file as JSON has it; flattened into the record of its image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileName {
    /// The path; what is not Unicode in it is replaced.
    file: String,
    /// The bytes of a path that is not Unicode, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<String>,
}

impl FileName {
    /// Names a file.
    pub fn of(file: &Path) -> Self {
        Self {
            file: file.display().to_string(),
            file_bytes: bytes_beside(file),
        }
    }
}

/// A file flattened into the record that names it.
pub(crate) fn named<S: serde::Serializer>(
    file: &Option<PathBuf>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    file.as_deref().map(FileName::of).serialize(serializer)
}
