//! Tells whether the images that a classifier sees have drifted in a way that hurts it, without labels.
//!
//! A small network is distilled from the classifier on clean images. Where the two disagree, the classifier is likely to be
//! wrong: the divergence of their answers is each image's score. A [`Monitor`] compares the scores of new images with those
//! of a clean reference.
//!
//! # The whole loop
//!
//! ```
//! use riptide::prelude::*;
//!
//! # fn main() -> Result<(), riptide::Error> {
//! # let folder = tempfile::tempdir().map_err(riptide::files::FileError::on("create a folder in", "/tmp"))?;
//! # let dir = folder.path().join("monitor");
//! # let classifier = Classifier::from(Network::random(ResNetConfig { depth: 8, n_filters1: 4, ..Default::default() }, 0)?);
//! # let images = riptide::datasets::shapes::Shapes::new(0).generate(0, 40);
//! # let today = images.clone();
//! # let fit = Fit::default().epochs(1).filters(8).force(true);
//! # let fit_as_usual = || Fit::default();
//! # let _ = fit_as_usual;
//! // let classifier = Classifier::open("classifier.onnx")?;   let images = Images::open("training/")?;
//! let monitor = fit.run(classifier, images)?; // Fit::default() trains for 20 epochs
//! monitor.save(&dir)?;
//!
//! let outcome = Monitor::load(&dir)?.detect(&today)?;
//! println!("drift: {}, p = {:.3}; harmful: {}", outcome.is_drift, outcome.p_value, outcome.is_harmful);
//! # Ok(())
//! # }
//! ```
//!
//! | I want to | Use |
//! | --- | --- |
//! | watch a classifier | [`Fit`], from a [`Classifier`]: a network's file, a function, a candle module |
//! | watch a classifier whose distilled network exists | [`Import`] |
//! | judge a batch, or batch after batch of a stream | [`Monitor::detect`], [`Monitor::detect_batches`] |
//! | judge images by camera, by hour | [`Monitor::detect_windows`] |
//! | watch a classifier of which only the answers are at hand | [`Classifier::logged`], [`Images::with_probabilities`] |
//! | score images, and write the scores | [`Monitor::score`], [`Monitor::score_stream`], [`Scores::write`] |
//! | flag single images | [`Monitor::predict`] |
//! | know how accurate the classifier is on a batch | [`Calibrate`], [`Monitor::calibrate`]; then [`Outcome::accuracy`] |
//! | know which drops of accuracy a monitor finds | [`Monitor::certify`], [`certificate_page`], [`Requirement`] |
//! | check with a few labels | [`Monitor::audit`] |
//! | see where the harm sits | [`Monitor::explain`] |
//! | read images from anywhere | [`Images`] |
//! | say what images go through before the classifier | [`pipeline`], [`Classifier::open_with`] |
//! | compare the classifier's answers with your own program's | [`check()`] |
//! | see which harm a monitor would find, before it is relied on | [`SelfTest`] |
//! | judge otherwise | [`Options`], [`Monitor::with_options`] |
//! | train a classifier, or a distilled network by itself | [`training`] |
//!
//! # What is under it
//!
//! The focused crates, each of use by itself: [`stats`] (two-sample tests), [`detectors`] (scores and drift tests in
//! alibi-detect's shapes), [`corruptions`] (those of CIFAR-10-C for any images), [`datasets`], [`models`] (networks, training),
//! [`kernels`], [`draw`] (figures), [`files`], [`pretrained`] (the networks that ship with Riptide).
//!
//! # Features
//!
//! `keras` (on by default) reads classifiers from `.h5` files, `onnx` from `.onnx` files, `fetch` takes `hf://` addresses,
//! `parquet` writes scores as Parquet.

#![forbid(unsafe_code)]

mod answer;
mod audit;
mod batch;
mod calibration;
mod certify;
mod check;
mod classifier;
mod dataset;
mod encoding;
mod error;
mod explain;
mod export;
mod facts;
mod fit;
mod images;
mod labelled;
mod locate;
mod monitor;
mod options;
mod outcome;
mod outcomes;
mod pair;
pub mod pipeline;
mod probabilities;
mod probe;
mod recalibrate;
mod saved;
mod score;
mod selftest;
#[cfg(test)]
mod testing;
pub mod training;
mod tried;
mod window;
mod windows;

pub use audit::{Audit, AuditPick};
pub use calibration::{Calibrate, Calibration};
pub use certify::{Requirement, certificate_page};
pub use check::{Agreement, Expected, check, check_candidates};
pub use classifier::{Classifier, ModuleOutput, open_network};
pub use dataset::{Dataset, shipped_networks};
pub use error::{BoxError, Error, Result};
pub use explain::{ClassFinding, Explain, Explanation, HarmfulImage, PairFinding};
pub use export::ScoresFormat;
pub use facts::{CalibrationFacts, ClassifierFacts, Facts, ReferenceFacts, TrainingFacts};
pub use fit::{FewImages, Fit, Fitted, HeldOut, Import};
pub use images::Images;
pub use locate::locate;
pub use monitor::Monitor;
pub use options::Options;
pub use outcome::{Accuracy, Decision, Outcome, Sequential};
pub use outcomes::Outcomes;
pub use probabilities::ProbabilitiesFile;
pub use score::{FileName, Row, ScoreStream, Scored, Scores};
pub use selftest::{Found, SelfTest, SelfTestRow, SelfTested};
pub use window::Window;
pub use windows::Windows;

pub use riptide_corruptions as corruptions;
pub use riptide_datasets as datasets;
pub use riptide_detectors as detectors;
pub use riptide_draw as draw;
pub use riptide_files as files;
pub use riptide_kernels as kernels;
pub use riptide_models as models;
pub use riptide_pretrained as pretrained;
pub use riptide_stats as stats;

/// What most programs need.
pub mod prelude {
    pub use crate::pipeline::{ClassifierOptions, Preset};
    pub use crate::{
        Calibrate, Classifier, Decision, Explain, Explanation, Fit, Images, Import, Monitor, Options, Outcome, Scores,
        Windows,
    };
    pub use riptide_datasets::OpenOptions;
    pub use riptide_datasets::{ImageSet, ImageSource};
    pub use riptide_files::{Progress, Silent};
    pub use riptide_models::preprocess::Preprocessing;
    pub use riptide_models::{Network, ResNetConfig};
    pub use riptide_stats::ks::Alternative;
}
