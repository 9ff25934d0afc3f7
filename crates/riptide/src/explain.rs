//! Where the harm of a batch sits.

use std::path::PathBuf;

use riptide_detectors::Answers;
use riptide_detectors::drift::Correction;
use riptide_detectors::harm::{self, ClassExcess, HarmData, PairExcess, excess_by_class, excess_by_pair};
use riptide_draw::{Picture, contact_sheet, png};
use riptide_files::{Progress, Silent, shown};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::images::Images;
use crate::monitor::Monitor;
use crate::score::{Row, ScoreStream, Scored};

/// How a batch is explained; see [`Monitor::explain`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explain {
    /// How many of the most harmful images are kept; 24 by default.
    pub n_images: usize,
    /// Correction for the number of classes and pairs tested; Benjamini and Hochberg's by default.
    pub correction: Correction,
}

impl Default for Explain {
    fn default() -> Self {
        Self {
            n_images: 24,
            correction: Correction::Fdr,
        }
    }
}

/// Where the harm of a batch sits.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Number of images of the batch.
    pub n_images: usize,
    /// The test of the whole batch for an excess of harmful images.
    pub harm: HarmData,
    /// The correction for the number of classes and pairs tested.
    pub correction: Correction,
    /// The excess by the classifier's answer, most significant first.
    pub classes: Vec<ClassFinding>,
    /// The excess by what both networks answered, if they disagree; most significant first.
    pub pairs: Vec<PairFinding>,
    /// The most harmful images, highest score first.
    pub images: Vec<HarmfulImage>,
}

/// A class of the classifier's answers.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ClassFinding {
    /// The class's name.
    pub name: String,
    /// What was found.
    #[serde(flatten)]
    pub finding: ClassExcess,
}

/// One way in which the two networks disagree.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PairFinding {
    /// The name of the classifier's answer.
    pub classifier_name: String,
    /// The name of the distilled network's answer.
    pub distilled_name: String,
    /// What was found.
    #[serde(flatten)]
    pub finding: PairExcess,
}

/// One of the most harmful images, with its pixels.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HarmfulImage {
    /// Its place among all images.
    pub index: usize,
    /// Its file, if each image is a file of its own.
    #[serde(
        flatten,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::score::named"
    )]
    pub file: Option<PathBuf>,
    /// Its score.
    pub score: f32,
    /// The name of the class that the classifier gives it.
    pub classifier: String,
    /// The name of the class that the distilled network gives it.
    pub distilled: String,
    /// Its pixels, (height, width, 3), row-major.
    #[serde(skip)]
    pub pixels: Vec<u8>,
    /// Its height in pixels.
    #[serde(skip)]
    pub height: usize,
    /// Its width in pixels.
    #[serde(skip)]
    pub width: usize,
}

impl Monitor {
    /// Shows where the harm of a batch sits: its most harmful images, classes and confused pairs.
    ///
    /// # Errors
    /// As [`score`](Self::score); [`Error::Detector`] if the answers to the reference's images are not known.
    pub fn explain<'a>(&'a self, images: impl Into<Images<'a>>, how: &Explain) -> Result<Explanation> {
        self.explain_with(images, how, &mut Silent)
    }

    /// As [`explain`](Self::explain), with progress, whose task the caller has begun.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn explain_with<'a>(
        &'a self,
        images: impl Into<Images<'a>>,
        how: &Explain,
        progress: &mut dyn Progress,
    ) -> Result<Explanation> {
        how.explain(self, self.score_stream(images), progress)
    }
}

impl Explain {
    /// Sets how many of the most harmful images are kept.
    #[must_use]
    pub fn n_images(mut self, n: usize) -> Self {
        self.n_images = n;
        self
    }

    /// Sets the correction for the number of classes and pairs tested.
    #[must_use]
    pub fn correction(mut self, correction: Correction) -> Self {
        self.correction = correction;
        self
    }

    pub(crate) fn explain(
        &self,
        monitor: &Monitor,
        stream: ScoreStream<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Explanation> {
        let known = monitor.reference_answers().ok_or(Error::NoAnswers)?;
        let (mut scores, mut answers) = (Vec::new(), Answers::default());
        let mut images = Vec::new();
        for chunk in stream {
            let chunk = chunk?;
            progress.advance(chunk.scores.len() as u64);
            scores.extend(chunk.scores.iter().copied().map(f64::from));
            let these = chunk.answers();
            self.keep(&mut images, monitor, &chunk, &these);
            answers.classifier.extend(these.classifier);
            answers.distilled.extend(these.distilled);
        }
        progress.end();
        let reference = harm::Scored {
            scores: monitor.reference_scores(),
            answers: known,
        };
        let batch = harm::Scored {
            scores: &scores,
            answers: &answers,
        };
        let (config, n_classes) = (monitor.harm_test().config(), monitor.n_classes());
        let name = |class: usize| monitor.class_name(class).to_owned();
        let classes = excess_by_class(reference, batch, n_classes, config, self.correction)?;
        let pairs = excess_by_pair(known, &answers, n_classes, config, self.correction)?;
        Ok(Explanation {
            n_images: scores.len(),
            harm: monitor.harm_test().test(&scores)?.data,
            correction: self.correction,
            classes: classes
                .into_iter()
                .map(|finding| ClassFinding {
                    name: name(finding.class),
                    finding,
                })
                .collect(),
            pairs: pairs
                .into_iter()
                .map(|finding| PairFinding {
                    classifier_name: name(finding.classifier),
                    distilled_name: name(finding.distilled),
                    finding,
                })
                .collect(),
            images,
        })
    }

    /// Keeps those images of a chunk that are among the most harmful so far.
    fn keep(&self, kept: &mut Vec<HarmfulImage>, monitor: &Monitor, chunk: &Scored, answers: &Answers) {
        for ((row, pixels), &distilled) in chunk.rows().zip(chunk.images.images()).zip(&answers.distilled) {
            let Row { index, score, .. } = row;
            if kept.len() >= self.n_images && kept.last().is_none_or(|least| least.score >= score) {
                continue;
            }
            // Among equal scores the earlier image comes first.
            let place = kept.partition_point(|other| other.score >= score);
            let image = HarmfulImage {
                index,
                file: row.file.cloned(),
                score,
                classifier: monitor.class_name(row.prediction).to_owned(),
                distilled: monitor.class_name(distilled).to_owned(),
                pixels: pixels.to_vec(),
                height: chunk.images.height(),
                width: chunk.images.width(),
            };
            kept.insert(place, image);
            kept.truncate(self.n_images);
        }
    }
}

impl Explanation {
    /// The most harmful images with their scores and both answers, as a PNG file.
    ///
    /// # Errors
    /// [`Error::Draw`](crate::Error::Draw) if the picture cannot be drawn.
    pub fn contact_sheet(&self) -> Result<Vec<u8>> {
        let title = format!("The {} most harmful of {} images", self.images.len(), self.n_images);
        let pictures: Vec<Picture<'_>> = self.images.iter().map(HarmfulImage::picture).collect();
        Ok(png(&contact_sheet(&title, &pictures)?)?)
    }
}

impl HarmfulImage {
    fn picture(&self) -> Picture<'_> {
        let file = self.file.as_ref().and_then(|file| file.file_name());
        let name = match file {
            Some(file) => shown(file).to_string(),
            None => format!("image {}", self.index),
        };
        Picture {
            pixels: &self.pixels,
            height: self.height,
            width: self.width,
            lines: vec![
                format!("{}  {:.2}", self.classifier, self.score),
                format!("distilled: {}", self.distilled),
                name,
            ],
        }
    }
}
