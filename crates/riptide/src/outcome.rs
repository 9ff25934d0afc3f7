//! What a monitor finds out about batches and about single images.

use std::path::PathBuf;

use riptide_detectors::SequentialTest;
use riptide_detectors::accuracy::{AccuracyOutcome, Assumption, Fallen, Outside, Target, Verdict, WindowValue};
use riptide_detectors::harm::HarmTest;
use riptide_stats::Interval;
use riptide_stats::ks::Alternative;
use riptide_stats::means::{Sample, welch_greater};
use serde::Serialize;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::images::Images;
use crate::monitor::Monitor;
use crate::score::Row;
use crate::window::Window;

/// What was found out about a batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The batch's number, counted from 0.
    pub batch: usize,
    /// The place of its first image among all images.
    pub first_image: usize,
    /// Which images it is of, if batches are windows of a group or of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Its number of images.
    pub n_images: usize,
    /// Whether the accuracy has fallen by more than is tolerated, if the monitor is calibrated.
    pub verdict: Option<Verdict>,
    /// The estimated accuracy, if the monitor is calibrated and the batch lies within what was declared.
    pub accuracy: Option<Accuracy>,
    /// Why the batch lies outside what was declared, if it does. Of a monitor without calibration, for which only the reference is:
    /// that its scores are smaller on as many images as would make it harmful if they were larger.
    pub outside: Option<String>,
    /// The alarm over all batches up to this one, if the monitor is calibrated and there is a sequence of batches.
    pub sequential: Option<Sequential>,
    /// Of a monitor without calibration that knows its reference's confidences: whether the classifier is less certain on average than
    /// it was there. This says nothing about how far the accuracy fell, and misses a classifier that is wrong and certain.
    pub confidence: Option<Fallen>,
    /// Whether its scores differ from the reference's: whether `p_value` is below `level`.
    pub is_drift: bool,
    /// The p-value of the two-sample Kolmogorov-Smirnov test of its scores against the reference's.
    pub p_value: f64,
    /// The test's statistic: the largest distance of the two distribution functions.
    pub distance: f64,
    /// The significance level.
    pub level: f64,
    /// What counts as drift of the scores.
    pub alternative: Alternative,
    /// Whether its scores are significantly larger than the reference's, and its excess fraction reaches the least one.
    pub is_harmful: bool,
    /// The p-value of the one-sided test behind `is_harmful`.
    pub harm_p_value: f64,
    /// A lower bound of the fraction of its images in excess of the reference, estimated, with its interval.
    pub excess_fraction: Interval,
}

/// The accuracy of a batch, estimated without labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Accuracy {
    /// The estimate, 0 to 1, with its interval.
    #[serde(flatten)]
    pub interval: Interval,
    /// The accuracy on the reference.
    pub reference: f64,
    /// By how much the batch's accuracy is below the reference's; negative if it is above.
    pub drop: Interval,
    /// The drop that is accepted.
    pub tolerated_drop: f64,
    /// What these figures rest on; B: that the drift is like the declared families of corruptions.
    pub assumption: Assumption,
    /// What accuracy means: right answers (`errors`), or answers that are as they would be on the clean image (`flips`).
    pub target: Target,
    /// The p-value of "the accuracy fell by no more than is tolerated".
    pub p_value: f64,
    /// Whether the accuracy has fallen at all.
    pub fallen: Fallen,
    /// How many images would decide, if the batch is undecided.
    pub n_needed: Option<u64>,
}

/// The alarm over a sequence of batches: the evidence of all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sequential {
    /// The evidence that the accuracy is below what is tolerated: at most 1 on average if it is not, however long the sequence.
    pub e_value: f64,
    /// Whether the evidence has reached 1 / level, in this batch or before.
    pub alarm: bool,
    /// The number of batches after which it first did.
    pub alarm_after: Option<u64>,
}

impl Sequential {
    pub(crate) fn of(test: &SequentialTest) -> Self {
        Self {
            // JSON has no infinity.
            e_value: test.e_value().min(f64::MAX),
            alarm: test.alarm(),
            alarm_after: test.alarm_at(),
        }
    }
}

impl Accuracy {
    fn of(found: &AccuracyOutcome, target: Target) -> Self {
        Self {
            interval: found.accuracy,
            reference: found.reference,
            drop: found.drop,
            tolerated_drop: found.tolerated_drop,
            assumption: found.assumption,
            target,
            p_value: found.p_value,
            fallen: found.fallen,
            n_needed: found.n_needed,
        }
    }
}

/// What was found out about one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Decision {
    /// The image's place among all images.
    pub index: usize,
    /// Its file, if each image is a file of its own.
    #[serde(
        flatten,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::score::named"
    )]
    pub file: Option<PathBuf>,
    /// Whether its score is above the threshold, strictly.
    pub flagged: bool,
    /// Its score.
    pub score: f32,
    /// The score above which an image is flagged.
    pub threshold: f64,
    /// The class that the classifier gives it.
    pub prediction: usize,
    /// The name of that class.
    pub class: String,
    /// The calibrated probability that the classifier is wrong, if the monitor is calibrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_probability: Option<f64>,
}

impl Outcome {
    pub(crate) fn new(monitor: &Monitor, batch: &Batch) -> Result<Self> {
        let drift = monitor.ks_drift().test(&batch.scores)?;
        let harm = monitor.harm_test().test(&batch.scores)?.data;
        let judged = match &batch.window {
            Some(window) => monitor.judge(window)?,
            None => None,
        };
        let outside = judged.as_ref().and_then(|found| found.outside.as_ref());
        let outside = match monitor.calibration() {
            Some(_) => outside.map(|outside| reason(monitor, outside)),
            None if harm.is_harmful => None,
            None => unlike(monitor, &batch.scores)?,
        };
        let target = monitor.calibration().map(|calibration| calibration.model().target());
        Ok(Self {
            batch: 0,
            first_image: 0,
            window: None,
            n_images: batch.len(),
            verdict: judged.as_ref().map(|found| found.verdict),
            accuracy: judged
                .as_ref()
                .filter(|found| found.verdict != Verdict::Outside)
                .zip(target)
                .map(|(found, target)| Accuracy::of(found, target)),
            outside,
            sequential: None,
            confidence: less_certain(monitor, batch)?,
            is_drift: drift.is_drift(),
            p_value: drift.p_value(),
            distance: drift.distance(),
            level: monitor.options().level,
            alternative: monitor.options().alternative,
            is_harmful: harm.is_harmful,
            harm_p_value: harm.p_value,
            excess_fraction: harm.excess_fraction,
        })
    }

    /// Whether someone should look: the verdict is harmful, or the batch lies outside what was declared, where nothing can be said.
    /// Without a calibration: whether the batch is harmful by its scores, unlike the reference in the other direction, or the
    /// classifier is significantly less certain.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        match self.verdict {
            Some(verdict) => matches!(verdict, Verdict::Harmful | Verdict::Outside),
            None => {
                self.is_harmful
                    || self.outside.is_some()
                    || self.confidence.is_some_and(|confidence| confidence.is_significant)
            }
        }
    }
}

/// Why a batch lies outside if no calibration says so: the test of harm with the scores' sign turned. Where both networks agree much
/// more than on the reference, as on black frames, the scores are small and say nothing about accuracy.
fn unlike(monitor: &Monitor, scores: &[f64]) -> Result<Option<String>> {
    let turned = |scores: &[f64]| scores.iter().map(|score| -score).collect::<Vec<_>>();
    let test = HarmTest::new(&turned(monitor.reference_scores()), monitor.options().harm())?;
    let found = test.test(&turned(scores))?.data;
    Ok(found.is_harmful.then(|| {
        format!(
            "at least {:.0} % of the images score lower than the reference's: they are unlike it, and a monitor that is not calibrated cannot tell \
             whether that is harmful",
            100.0 * found.excess_fraction.estimate
        )
    }))
}

/// Why a batch lies outside, with the name of the class.
fn reason(monitor: &Monitor, outside: &Outside) -> String {
    match outside {
        Outside::Classes {
            class,
            share,
            reference,
        } => format!(
            "{:.0} % of the answers are {}, {:.0} % in the reference: answers so distributed were not declared",
            100.0 * share,
            monitor.class_name(*class),
            100.0 * reference
        ),
        other => other.to_string(),
    }
}

/// The one-sided test of the mean of 1 less the largest probability, if that is all that is known.
fn less_certain(monitor: &Monitor, batch: &Batch) -> Result<Option<Fallen>> {
    let (Some(reference), true) = (monitor.reference_confidences(), batch.doubts.len() > 1) else {
        return Ok(None);
    };
    let reference: Vec<f64> = reference
        .iter()
        .map(|&confidence| 1.0 - f64::from(confidence))
        .collect();
    let (batch, reference) = (
        Sample::new("batch", &batch.doubts)?,
        Sample::new("reference", &reference)?,
    );
    let p_value = welch_greater(&batch, &reference, 0.0).p_value;
    Ok(Some(Fallen {
        p_value,
        is_significant: p_value < monitor.options().level,
    }))
}

impl Monitor {
    /// Tests all images as one batch.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn detect<'a>(&'a self, images: impl Into<Images<'a>>) -> Result<Outcome> {
        let mut batch = Batch::default();
        for chunk in self.score_stream(images).without_errors() {
            let chunk = chunk?;
            batch.add(self, &chunk, 0..chunk.scores.len())?;
        }
        Outcome::new(self, &batch)
    }

    /// Judges sums over a batch's images, for whoever gathers them in several places and merges them; `None` if the monitor is not
    /// calibrated. [`AccuracyModel::window`](riptide_detectors::AccuracyModel::window) makes them.
    ///
    /// # Errors
    /// [`Error::Detector`] if there are no images, or if they have other classes.
    pub fn judge(&self, window: &WindowValue) -> Result<Option<AccuracyOutcome>> {
        let Some(calibration) = self.calibration() else {
            return Ok(None);
        };
        Ok(Some(calibration.model().judge(window, &self.options().accuracy())?))
    }

    /// A new alarm over a sequence of batches, to be given to [`Outcomes::continue_from`](crate::Outcomes::continue_from); it can be saved by serde and continued
    /// another day.
    ///
    /// # Errors
    /// [`Error::NotCalibrated`].
    pub fn sequential(&self) -> Result<SequentialTest> {
        let calibration = self.calibration().ok_or(Error::NotCalibrated)?;
        let (accuracy, sequential) = (self.options().accuracy(), self.options().sequential());
        Ok(calibration.model().sequential(&accuracy, &sequential)?)
    }

    /// Tests scores that are known already as one batch. They tell nothing about accuracy.
    ///
    /// # Errors
    /// [`Error::Detector`](crate::Error) if there are none, or one is not a number.
    pub fn detect_scores(&self, scores: &[f64]) -> Result<Outcome> {
        let batch = Batch {
            scores: scores.to_vec(),
            ..Batch::default()
        };
        Outcome::new(self, &batch)
    }

    /// Tests images that were scored before, as one batch, from what was kept of them, and gives what [`detect`](Self::detect) gives
    /// for the images themselves. `confidences` are the classifier's largest probabilities, one an image in the order of `scores`;
    /// `window` are the sums that [`AccuracyModel::window`](riptide_detectors::AccuracyModel::window) made of the same images, in
    /// one or in several parts.
    ///
    /// # Errors
    /// [`Error::Detector`] if there are no images, or a number is none; [`Error::Mismatch`] if there are more or fewer
    /// confidences than scores, or if the monitor is calibrated and the sums are missing or of more or fewer images.
    pub fn detect_kept(&self, scores: &[f32], confidences: &[f32], window: Option<WindowValue>) -> Result<Outcome> {
        let n = scores.len();
        if confidences.len() != n {
            return Err(Error::mismatch("confidences", n, confidences.len()));
        }
        let summed = window.as_ref().map_or(0, |window| window.len());
        if self.calibration().is_some() && summed != n as u64 {
            return Err(Error::mismatch("images in the sums for the accuracy", n, summed));
        }
        let doubts = confidences.iter().map(|&confidence| 1.0 - f64::from(confidence));
        let knows_doubts = self.calibration().is_none() && self.reference_confidences().is_some();
        let batch = Batch {
            scores: scores.iter().copied().map(f64::from).collect(),
            window: window.filter(|_| self.calibration().is_some()),
            doubts: if knows_doubts { doubts.collect() } else { Vec::new() },
        };
        Outcome::new(self, &batch)
    }

    /// Says of each image whether it is flagged: whether its score is above the [threshold](Self::threshold), strictly.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn predict<'a>(&'a self, images: impl Into<Images<'a>>) -> Result<Vec<Decision>> {
        let mut all = Vec::new();
        for chunk in self.score_stream(images) {
            all.extend(chunk?.rows().map(|row| self.decide(&row)));
        }
        Ok(all)
    }

    /// Says of one image whether it is flagged.
    pub fn decide(&self, row: &Row<'_>) -> Decision {
        Decision {
            index: row.index,
            file: row.file.cloned(),
            flagged: f64::from(row.score) > self.threshold(),
            score: row.score,
            threshold: self.threshold(),
            prediction: row.prediction,
            class: self.class_name(row.prediction).to_owned(),
            error_probability: row.error_probability,
        }
    }
}
