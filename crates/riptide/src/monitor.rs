//! What is fitted, saved and loaded, and judges batches.

use std::sync::Arc;

use riptide_datasets::Framing;
use riptide_detectors::harm::HarmTest;
use riptide_detectors::{Answers, KsDrift};
use riptide_files::{Progress, Silent, digest};
use riptide_models::Network;
use riptide_stats::summary::percentile;

use crate::calibration::{Calibrated, Calibration};
use crate::encoding;
use crate::error::{Error, Result};
use crate::facts::{ClassifierFacts, Facts, ReferenceFacts, TrainingFacts};
use crate::images::Images;
use crate::options::Options;
use crate::pair::Pair;
use crate::probe::Probe;
use crate::score::{ScoreStream, Scored, Scores};

/// A classifier, the network distilled from it, and a reference of clean images: everything that judging new images takes.
///
/// It is made by [`Fit`](crate::Fit), or from existing networks by [`Import`](crate::Import), and kept by
/// [`save`](Self::save) and [`load`](Self::load). Whatever takes images takes a set in memory or [`Images`] of any number,
/// which are read a chunk at a time.
#[derive(Debug, Clone)]
pub struct Monitor {
    facts: Facts,
    options: Options,
    pair: Pair,
    reference: Vec<f64>,
    answers: Option<Answers>,
    confidences: Option<Vec<f32>>,
    calibration: Option<Arc<Calibration>>,
    note: Option<String>,
    probe: Option<Probe>,
    drift: KsDrift,
    harm: HarmTest,
    threshold: f64,
}

/// What a monitor is made of, unchecked.
pub(crate) struct Parts {
    pub(crate) facts: Facts,
    pub(crate) options: Options,
    pub(crate) pair: Pair,
    pub(crate) scores: Vec<f64>,
    pub(crate) answers: Option<Answers>,
    /// The classifier's largest probability for each image of the reference.
    pub(crate) confidences: Option<Vec<f32>>,
    pub(crate) calibration: Option<Calibration>,
    pub(crate) probe: Option<Probe>,
}

/// The facts of a monitor with the published score. `class_names` are in the order of the classifier's outputs.
pub(crate) fn facts_of(
    pair: &Pair,
    class_names: Vec<String>,
    scores: &[f64],
    answers: Option<&Answers>,
    confidences: Option<&[f32]>,
    probe: Option<&Probe>,
    training: Option<TrainingFacts>,
) -> Facts {
    let (height, width) = pair.input_size();
    let agreement = answers.map(|answers| {
        let pairs = answers.classifier.iter().zip(&answers.distilled);
        pairs.filter(|(a, b)| a == b).count() as f64 / scores.len().max(1) as f64
    });
    let classifier = match (pair.network(), probe) {
        (Some(network), _) => ClassifierFacts::Network(network.digest()),
        (None, _) if pair.is_logged() => ClassifierFacts::Logged,
        (None, probe) => {
            let rows = probe
                .map(|probe| encoding::probe(&probe.probabilities, probe.images.len(), pair.distilled().n_classes()));
            ClassifierFacts::Function(digest::of_bytes(&rows.unwrap_or_default()))
        }
    };
    Facts {
        score: Default::default(),
        loss: Default::default(),
        temperature: 1.0,
        input_size: [height, width],
        class_names,
        preprocessing: pair.network().map(Network::preprocessing),
        framing: Framing::Keep,
        distilled_preprocessing: pair.distilled().preprocessing(),
        classifier,
        distilled: pair.distilled().digest(),
        reference: ReferenceFacts {
            n_images: scores.len(),
            scores: digest::of_bytes(&encoding::scores(scores)),
            answers: answers.map(|answers| digest::of_bytes(&encoding::answers(answers))),
            agreement,
            confidences: confidences.map(|confidences| digest::of_bytes(&encoding::confidences(confidences))),
        },
        training,
        calibration: None,
    }
}

impl Monitor {
    pub(crate) fn from_parts(parts: Parts) -> Result<Self> {
        let Parts {
            facts,
            options,
            pair,
            scores,
            answers,
            confidences,
            calibration,
            probe,
        } = parts;
        let n_classes = pair.distilled().n_classes();
        if facts.class_names.len() != n_classes {
            return Err(Error::mismatch("class names", n_classes, facts.class_names.len()));
        }
        if facts.reference.n_images != scores.len() {
            return Err(Error::mismatch(
                "scores of the reference",
                facts.reference.n_images,
                scores.len(),
            ));
        }
        if let Some(answers) = &answers {
            answers.check(scores.len(), n_classes)?;
        }
        if let Some(confidences) = confidences
            .as_ref()
            .filter(|confidences| confidences.len() != scores.len())
        {
            return Err(Error::mismatch(
                "confidences of the reference",
                scores.len(),
                confidences.len(),
            ));
        }
        if let Some(model) = calibration
            .as_ref()
            .map(Calibration::model)
            .filter(|model| model.n_classes() != n_classes)
        {
            return Err(Error::mismatch(
                "classes of the calibration",
                n_classes,
                model.n_classes(),
            ));
        }
        let (drift, harm, threshold) = tests(&options, &scores)?;
        Ok(Self {
            facts,
            options,
            pair,
            reference: scores,
            answers,
            confidences,
            calibration: calibration.map(Arc::new),
            note: None,
            probe,
            drift,
            harm,
            threshold,
        })
    }

    /// What the monitor was fitted with.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How it judges scores.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The same monitor, judging otherwise.
    ///
    /// # Errors
    /// [`Error::Detector`] or [`Error::Option`] for an option out of range.
    pub fn with_options(self, options: Options) -> Result<Self> {
        let (drift, harm, threshold) = tests(&options, &self.reference)?;
        Ok(Self {
            options,
            drift,
            harm,
            threshold,
            ..self
        })
    }

    /// Height and width of the images.
    pub fn input_size(&self) -> (usize, usize) {
        self.pair.input_size()
    }

    /// How picture files are framed: they are to be opened with it, as those were that the monitor was fitted on.
    ///
    /// ```no_run
    /// # use riptide::prelude::*;
    /// let monitor = Monitor::load("monitor")?;
    /// let today = Images::open_with("today/", OpenOptions::default().framing(monitor.framing()))?;
    /// # Ok::<(), riptide::Error>(())
    /// ```
    pub fn framing(&self) -> Framing {
        self.facts.framing
    }

    pub(crate) fn set_framing(&mut self, framing: Framing) {
        self.facts.framing = framing;
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.facts.class_names.len()
    }

    /// The name of a class; `?` if there is no such class.
    pub fn class_name(&self, class: usize) -> &str {
        self.facts.class_names.get(class).map_or("?", String::as_str)
    }

    /// The classifier, unless it is a function or its answers come with the images.
    pub fn classifier(&self) -> Option<&Network> {
        self.pair.network()
    }

    /// The distilled network.
    pub fn distilled(&self) -> &Network {
        self.pair.distilled()
    }

    /// The reference's scores, in the order of its images.
    pub fn reference_scores(&self) -> &[f64] {
        &self.reference
    }

    /// What both networks answered to the reference's images, if that is known.
    pub fn reference_answers(&self) -> Option<&Answers> {
        self.answers.as_ref()
    }

    /// The classifier's largest probability for each image of the reference, if that is known.
    pub fn reference_confidences(&self) -> Option<&[f32]> {
        self.confidences.as_deref()
    }

    /// What the monitor knows about accuracy, if it is calibrated.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_deref()
    }

    /// What fitting or importing had to say about the calibration, in a line: why there is none, or why it does without labels.
    /// A loaded monitor has nothing to say.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The same monitor with another calibration.
    pub(crate) fn with_calibration(mut self, calibrated: Calibrated) -> Result<Self> {
        let Calibrated {
            calibration,
            facts,
            note,
        } = calibrated;
        self.facts.calibration = Some(facts);
        self.calibration = Some(Arc::new(calibration));
        self.note = note;
        Ok(self)
    }

    /// The same monitor, which could not be calibrated.
    pub(crate) fn with_note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }

    /// The score above which a single image is flagged.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The two-sample test of a batch's scores against the reference's.
    pub fn ks_drift(&self) -> &KsDrift {
        &self.drift
    }

    /// The test of a batch for an excess of harmful images.
    pub fn harm_test(&self) -> &HarmTest {
        &self.harm
    }

    /// Scores images, a chunk at a time as the iterator is drawn from; each item holds a chunk with its pixels.
    ///
    /// ```no_run
    /// # use riptide::prelude::*;
    /// let monitor = Monitor::load("monitor")?;
    /// for chunk in monitor.score_stream(Images::open("today/")?) {
    ///     for row in chunk?.rows() {
    ///         println!("{} {:.3} {}", row.index, row.score, monitor.class_name(row.prediction));
    ///     }
    /// }
    /// # Ok::<(), riptide::Error>(())
    /// ```
    pub fn score_stream<'a>(&'a self, images: impl Into<Images<'a>>) -> ScoreStream<'a> {
        ScoreStream::new(&self.pair, &self.facts, self.calibration(), images.into())
    }

    /// The score, prediction and confidence of every image.
    ///
    /// # Errors
    /// [`Error::Images`] and [`Error::ImageSize`] for images that cannot be read or have another size, [`Error::TooFew`] if
    /// there are none, [`Error::Classifier`] or [`Error::Network`] if a network fails.
    pub fn score<'a>(&'a self, images: impl Into<Images<'a>>) -> Result<Scores> {
        self.score_with(images, &mut Silent)
    }

    /// As [`score`](Self::score), with progress, whose task the caller has begun.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn score_with<'a>(&'a self, images: impl Into<Images<'a>>, progress: &mut dyn Progress) -> Result<Scores> {
        self.score_and(images, progress, |_| Ok(()))
    }

    /// As [`score_with`](Self::score_with), and hands each chunk on as soon as it is scored, for whatever else is wanted of it.
    ///
    /// # Errors
    /// As [`score`](Self::score), and whatever `also` says.
    pub fn score_and<'a>(
        &'a self,
        images: impl Into<Images<'a>>,
        progress: &mut dyn Progress,
        mut also: impl FnMut(&Scored) -> Result<()>,
    ) -> Result<Scores> {
        let images = images.into();
        let mut all = Scores::new(&self.facts.class_names);
        for chunk in self.score_stream(images) {
            let chunk = chunk?;
            also(&chunk)?;
            progress.advance(chunk.scores.len() as u64);
            all.extend(&chunk);
        }
        progress.end();
        Ok(all)
    }

    pub(crate) fn pair(&self) -> &Pair {
        &self.pair
    }

    pub(crate) fn probe(&self) -> Option<&Probe> {
        self.probe.as_ref()
    }
}

/// The tests that options ask for, on a reference.
fn tests(options: &Options, reference: &[f64]) -> Result<(KsDrift, HarmTest, f64)> {
    if !(0.0..=100.0).contains(&options.percentile) {
        return Err(Error::option("percentile", options.percentile, "between 0 and 100"));
    }
    let threshold = match options.threshold {
        Some(threshold) if threshold.is_nan() => return Err(Error::option("threshold", threshold, "a number")),
        Some(threshold) => threshold,
        None => percentile(reference, options.percentile)?,
    };
    if !(0.0..1.0).contains(&options.tolerated_drop) {
        return Err(Error::option(
            "tolerated_drop",
            options.tolerated_drop,
            "at least 0 and below 1",
        ));
    }
    if !(options.sequential_level > 0.0 && options.sequential_level < 1.0) {
        let expected = "between 0 and 1, both excluded";
        return Err(Error::option("sequential_level", options.sequential_level, expected));
    }
    let drift = KsDrift::new(reference.to_vec(), options.drift())?;
    let harm = HarmTest::new(reference, options.harm())?;
    Ok((drift, harm, threshold))
}
