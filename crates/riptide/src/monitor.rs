//! What is fitted, saved and loaded, and judges batches.

use riptide_datasets::{Framing, ImageSet};
use riptide_detectors::harm::HarmTest;
use riptide_detectors::{Answers, KsDrift};
use riptide_files::{Progress, Silent, digest};
use riptide_models::Network;
use riptide_stats::summary::percentile;

use crate::classifier::{Classifier, Pair};
use crate::encoding;
use crate::error::{Error, Result};
use crate::facts::{ClassifierFacts, Facts, ReferenceFacts, TrainingFacts};
use crate::images::Images;
use crate::options::Options;
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
    pub(crate) probe: Option<Probe>,
}

/// A few images of the reference, and what a classifier that is a function answers to them.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) images: ImageSet,
    pub(crate) probabilities: Vec<f32>,
}

/// The facts of a monitor with the published score. `class_names` are in the order of the classifier's outputs.
pub(crate) fn facts_of(
    pair: &Pair,
    class_names: Vec<String>,
    scores: &[f64],
    answers: Option<&Answers>,
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
        },
        training,
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
        let (drift, harm, threshold) = tests(&options, &scores)?;
        Ok(Self {
            facts,
            options,
            pair,
            reference: scores,
            answers,
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

    /// The classifier, unless it is a function.
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
        ScoreStream::new(&self.pair, &self.facts, images.into())
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
        let files = images.files().map(<[_]>::to_vec);
        let mut all = Scores::new(&self.facts.class_names, files);
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
    let drift = KsDrift::new(reference.to_vec(), options.drift())?;
    let harm = HarmTest::new(reference, options.harm())?;
    Ok((drift, harm, threshold))
}

/// Images of the reference that a function's answers are kept of.
const PROBE: usize = 16;

impl Probe {
    /// The first few images of a reference, if the classifier is a function.
    pub(crate) fn of(pair: &Pair, images: &ImageSet) -> Result<Option<Self>> {
        let Pair::Own { classifier, .. } = pair else {
            return Ok(None);
        };
        let images = images.slice(0..images.len().min(PROBE))?;
        let probabilities = Classifier::predict_proba(classifier, &images, |_| ())?;
        Ok(Some(Self { images, probabilities }))
    }
}
