//! Saving everything that monitoring a classifier takes, as one folder.

use std::path::Path;

use riptide_stats::ks::Alternative;
use serde::{Deserialize, Serialize};

use super::answers::Answers;
use super::drift::REFERENCE;
use super::{folder, npy};
use crate::distillation::{Loss, ModelDistillation};
use crate::drift::{DriftConfig, KsDrift, Samples};
use crate::error::{BoxError, DetectorError};
use crate::harm::{HarmConfig, HarmTest};
use crate::instance_score::{DistillationScore, Score, ScoreKind};
use crate::networks::{Probabilities, ScoringNetworks};

/// The kind of a [`Detector`] in its folder.
const KIND: &str = "HarmfulDrift";
const CLASSIFIER: &str = "classifier";
const DISTILLED: &str = "distilled";

/// What happens to raw images before the networks see them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Preprocessing {
    /// Nothing.
    None,
    /// Divided by 255, then each image less its mean, divided by its standard deviation.
    #[default]
    ScaleByInstance,
    /// Divided by 255, then each channel less `mean`, divided by `std`.
    MeanStd {
        /// Mean of each channel, red, green, blue, of images within 0..=1.
        mean: [f32; 3],
        /// Standard deviation of each channel, positive.
        std: [f32; 3],
    },
}

/// The options of a [`Detector`]: what `detector.json` lets a person read and change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectorSettings {
    /// The score that the reference holds and batches are scored with.
    pub score: ScoreKind,
    /// The divergence of the distillation score.
    pub loss: Loss,
    /// The temperature of the distillation score, positive.
    pub temperature: f64,
    /// The score above which a single image is flagged, where one was inferred.
    pub threshold: Option<f64>,
    /// What counts as drift of the scores.
    pub alternative: Alternative,
    /// Significance level and the other options of the drift test.
    pub drift: DriftConfig,
    /// The options of the harm-directed test.
    pub harm: HarmConfig,
    /// What happens to images before the networks see them.
    pub preprocessing: Preprocessing,
    /// Height and width of the images in pixels.
    pub input_size: [usize; 2],
    /// The classes' names, in the order of the networks' outputs.
    pub class_names: Vec<String>,
}

impl DetectorSettings {
    /// The default options for images of `[height, width]` and these classes: the published score, temperature 1, a one-sided
    /// test at 0.05.
    #[must_use]
    pub fn new(input_size: [usize; 2], class_names: Vec<String>) -> Self {
        Self {
            score: ScoreKind::default(),
            loss: Loss::default(),
            temperature: 1.0,
            threshold: None,
            alternative: Alternative::Greater,
            drift: DriftConfig {
                data_type: Some("image".into()),
                ..DriftConfig::default()
            },
            harm: HarmConfig::default(),
            preprocessing: Preprocessing::default(),
            input_size,
            class_names,
        }
    }

    /// The score of each instance, as these options have it.
    ///
    /// # Errors
    /// Those of [`Score::score`].
    pub fn score_probabilities(&self, probabilities: &Probabilities) -> Result<Vec<f32>, DetectorError> {
        match self.score {
            ScoreKind::Distillation => DistillationScore {
                loss: self.loss,
                temperature: self.temperature,
            }
            .score(probabilities.into()),
            other => other.score(probabilities.into()),
        }
    }

    fn check(&self) -> Result<(), DetectorError> {
        if self.input_size.contains(&0) {
            return Err(DetectorError::option(
                "input_size",
                format!("{:?}", self.input_size),
                "at least 1 x 1",
            ));
        }
        if self.class_names.is_empty() {
            return Err(DetectorError::Empty {
                what: "the list of class names",
                unit: "name",
            });
        }
        if let Preprocessing::MeanStd { mean, std } = &self.preprocessing
            && !(mean.iter().all(|m| m.is_finite()) && std.iter().all(|s| *s > 0.0 && s.is_finite()))
        {
            return Err(DetectorError::option(
                "preprocessing",
                format!("{:?}", self.preprocessing),
                "finite, std positive",
            ));
        }
        Ok(())
    }
}

/// Writes the two networks of a [`Detector`] into folders of their own.
pub trait SaveNetworks {
    /// Writes the classifier into `dir`, which exists and is empty.
    ///
    /// # Errors
    /// Whatever the network says.
    fn save_classifier(&self, dir: &Path) -> Result<(), BoxError>;

    /// Writes the distilled network into `dir`, which exists and is empty.
    ///
    /// # Errors
    /// Whatever the network says.
    fn save_distilled(&self, dir: &Path) -> Result<(), BoxError>;
}

/// Two closures, the classifier's and the distilled network's.
impl<C, D> SaveNetworks for (C, D)
where
    C: Fn(&Path) -> Result<(), BoxError>,
    D: Fn(&Path) -> Result<(), BoxError>,
{
    fn save_classifier(&self, dir: &Path) -> Result<(), BoxError> {
        (self.0)(dir)
    }

    fn save_distilled(&self, dir: &Path) -> Result<(), BoxError> {
        (self.1)(dir)
    }
}

/// What a saved folder holds beside the networks: the options, the reference's scores and the count of instances seen.
///
/// The folder: `detector.json` (format version, options, SHA-256 of every other file), `x_ref.npy` (scores, f64,
/// (N, 1)), where they are known `x_ref_answers.npy` (classes, f64, (N, 2)), `classifier/` and `distilled/` in the
/// networks' own format.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    settings: DetectorSettings,
    reference: Samples<'static>,
    answers: Option<Answers>,
    n_seen: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    #[serde(flatten)]
    settings: DetectorSettings,
    n_seen: u64,
}

impl Detector {
    /// Takes options and the scores of clean images, one a row.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range, [`DetectorError::Empty`], [`DetectorError::Shape`] for more than one
    /// score a row, [`DetectorError::Stats`] for NaN among the scores.
    pub fn new(settings: DetectorSettings, reference: impl Into<Samples<'static>>) -> Result<Self, DetectorError> {
        let reference = reference.into();
        let n_seen = reference.len() as u64;
        Self::with_n_seen(settings, reference, n_seen)
    }

    fn with_n_seen(
        settings: DetectorSettings,
        reference: Samples<'static>,
        n_seen: u64,
    ) -> Result<Self, DetectorError> {
        settings.check()?;
        if reference.n_features() != 1 {
            return Err(DetectorError::shape(
                "scores of the reference",
                "one a row",
                reference.n_features(),
            ));
        }
        let detector = Self {
            settings,
            reference,
            answers: None,
            n_seen,
        };
        detector.ks_drift()?;
        detector.harm_test()?;
        Ok(detector)
    }

    /// The same detector with what both networks answered to the reference's images.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] unless there is one answer of each a score, and each is a class.
    pub fn with_answers(self, answers: Answers) -> Result<Self, DetectorError> {
        answers.check(self.reference.len(), self.settings.class_names.len())?;
        Ok(Self {
            answers: Some(answers),
            ..self
        })
    }

    /// What both networks answered to the reference's images, where it is known.
    #[must_use]
    pub fn answers(&self) -> Option<&Answers> {
        self.answers.as_ref()
    }

    /// The options.
    #[must_use]
    pub fn settings(&self) -> &DetectorSettings {
        &self.settings
    }

    /// The reference's scores, one a row.
    #[must_use]
    pub fn reference(&self) -> &Samples<'static> {
        &self.reference
    }

    /// Number of instances ever seen, the first reference included.
    #[must_use]
    pub fn n_seen(&self) -> u64 {
        self.n_seen
    }

    /// The drift test with these options, on this reference.
    ///
    /// # Errors
    /// Those of [`build`](crate::drift::UnivariateDriftBuilder::build).
    pub fn ks_drift(&self) -> Result<KsDrift, DetectorError> {
        let builder = KsDrift::builder(self.reference.clone()).alternative(self.settings.alternative);
        builder.config(self.settings.drift.clone()).n_seen(self.n_seen).build()
    }

    /// The harm-directed test with these options, on this reference.
    ///
    /// # Errors
    /// Those of [`build`](crate::harm::HarmTestBuilder::build).
    pub fn harm_test(&self) -> Result<HarmTest, DetectorError> {
        HarmTest::builder(self.reference.values())
            .config(self.settings.harm)
            .build()
    }

    /// The distillation detector with these options, over `networks`.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range, [`DetectorError::Shape`] where the networks tell another number of classes apart
    /// than there are names.
    pub fn model_distillation<N: ScoringNetworks>(&self, networks: N) -> Result<ModelDistillation<N>, DetectorError> {
        let DetectorSettings {
            loss,
            temperature,
            threshold,
            class_names,
            ..
        } = &self.settings;
        if networks.n_classes() != class_names.len() {
            return Err(DetectorError::shape(
                "classes of the networks",
                class_names.len(),
                networks.n_classes(),
            ));
        }
        let builder = ModelDistillation::builder(networks)
            .loss(*loss)
            .temperature(*temperature)
            .data_type("image");
        match *threshold {
            Some(threshold) => builder.threshold(threshold).build(),
            None => builder.build(),
        }
    }

    /// Takes over the reference and the count of instances seen from a drift test that has been running. The answers to
    /// the reference's images are no longer known then.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_state_of(&self, running: &KsDrift) -> Result<Self, DetectorError> {
        Self::with_n_seen(self.settings.clone(), running.reference().clone(), running.n_seen())
    }

    /// Saves the detector and its networks as the folder `dir`, which appears whole or not at all; an existing detector
    /// folder is replaced.
    ///
    /// # Errors
    /// [`DetectorError::Io`], [`DetectorError::NetworkStore`] where a network cannot be saved, and
    /// [`DetectorError::BadFormat`] where `dir` holds something that is no detector.
    pub fn save(&self, dir: impl AsRef<Path>, networks: &impl SaveNetworks) -> Result<(), DetectorError> {
        let content = Content {
            settings: self.settings.clone(),
            n_seen: self.n_seen,
        };
        folder::write(dir.as_ref(), KIND, content, |root| {
            npy::write(&root.join(REFERENCE), &self.reference)?;
            if let Some(answers) = &self.answers {
                answers.write(root)?;
            }
            save_network(&root.join(CLASSIFIER), "classifier", |path| {
                networks.save_classifier(path)
            })?;
            save_network(&root.join(DISTILLED), "distilled network", |path| {
                networks.save_distilled(path)
            })
        })
    }

    /// Loads what [`save`](Self::save) wrote, after checking every file's digest. `load_networks` is given the folders of
    /// the classifier and of the distilled network.
    ///
    /// # Errors
    /// [`DetectorError::Io`], [`DetectorError::BadFormat`], [`DetectorError::UnsupportedVersion`],
    /// [`DetectorError::DigestMismatch`], [`DetectorError::NetworkStore`], and those of [`new`](Self::new).
    pub fn load<N>(
        dir: impl AsRef<Path>,
        load_networks: impl FnOnce(&Path, &Path) -> Result<N, BoxError>,
    ) -> Result<(Self, N), DetectorError> {
        let dir = dir.as_ref();
        let content: Content = folder::read(dir, KIND)?;
        let reference = npy::read(&dir.join(REFERENCE))?;
        let mut detector = Self::with_n_seen(content.settings, reference, content.n_seen)?;
        if let Some(answers) = Answers::read(dir)? {
            detector = detector.with_answers(answers)?;
        }
        let networks = load_networks(&dir.join(CLASSIFIER), &dir.join(DISTILLED)).map_err(|source| {
            DetectorError::NetworkStore {
                action: "load",
                network: "networks",
                path: dir.into(),
                source,
            }
        })?;
        Ok((detector, networks))
    }
}

fn save_network(
    path: &Path,
    network: &'static str,
    save: impl FnOnce(&Path) -> Result<(), BoxError>,
) -> Result<(), DetectorError> {
    std::fs::create_dir(path).map_err(DetectorError::io("create", path))?;
    save(path).map_err(|source| DetectorError::NetworkStore {
        action: "save",
        network,
        path: path.into(),
        source,
    })
}
