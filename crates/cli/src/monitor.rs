//! A saved detector with its networks, and the one pass of images through both.

use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::ProgressBar;
use riptide_datasets::ImageSet;
use riptide_detectors::saving::Preprocessing as SavedPreprocessing;
use riptide_detectors::{Detector, DetectorSettings, Probabilities};
use riptide_models::preprocess::Preprocessing;
use riptide_models::{Network, NetworkPair};

use crate::args::Images;

/// Everything that scoring takes.
pub struct Monitor {
    /// The options, the reference and its answers.
    pub detector: Detector,
    /// The classifier and its distilled network.
    pub networks: NetworkPair,
}

/// A chunk of images with what both networks make of it.
pub struct Scored {
    /// The place of the first image among all images.
    pub first: usize,
    pub images: ImageSet,
    pub probabilities: Probabilities,
    /// One score an image.
    pub scores: Vec<f32>,
}

impl Monitor {
    /// Loads what `riptide fit` or `riptide import` saved.
    pub fn load(folder: &Path) -> anyhow::Result<Self> {
        if !folder.join(riptide_detectors::saving::MANIFEST).is_file() {
            anyhow::bail!(
                "{}: no detector; make one with `riptide fit` or `riptide import`",
                folder.display()
            );
        }
        let (detector, (classifier, distilled)) = Detector::load(folder, |classifier, distilled| {
            Ok((Network::load(classifier)?, Network::load(distilled)?))
        })?;
        // detector.json is what a person may change, so its word holds.
        let preprocessing = to_network(&detector.settings().preprocessing);
        let networks = networks(
            preprocessed(classifier, preprocessing)?,
            preprocessed(distilled, preprocessing)?,
        )?;
        Ok(Self { detector, networks })
    }

    /// Height and width of the images.
    pub fn size(&self) -> (usize, usize) {
        self.networks.input_size()
    }

    /// The name of a class.
    pub fn class(&self, class: usize) -> &str {
        self.detector
            .settings()
            .class_names
            .get(class)
            .map_or("?", String::as_str)
    }

    /// Scores images a chunk at a time. Errors where there are none.
    pub fn pass(
        &self,
        images: &mut Images,
        bar: &ProgressBar,
        each: impl FnMut(Scored, &Images) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        pass(&self.networks, self.detector.settings(), images, bar, each)
    }
}

/// Scores images a chunk at a time, as `settings` say. Gives their number; errors where there are none.
pub fn pass(
    networks: &NetworkPair,
    settings: &DetectorSettings,
    images: &mut Images,
    bar: &ProgressBar,
    mut each: impl FnMut(Scored, &Images) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut n = 0;
    while let Some((first, chunk)) = images.next_chunk()? {
        let probabilities =
            networks.probabilities(chunk.pixels(), [chunk.len(), chunk.height(), chunk.width()], |done| {
                bar.inc(done as u64)
            })?;
        let scores = settings.score_probabilities(&probabilities)?;
        n += chunk.len();
        let scored = Scored {
            first,
            images: chunk,
            probabilities,
            scores,
        };
        each(scored, images)?;
    }
    bar.finish_and_clear();
    if n == 0 {
        return Err(images.none());
    }
    Ok(n)
}

/// Puts two networks side by side.
pub fn networks(classifier: Network, distilled: Network) -> anyhow::Result<NetworkPair> {
    NetworkPair::new(classifier, distilled).context("the two networks do not belong together")
}

fn preprocessed(network: Network, preprocessing: Preprocessing) -> anyhow::Result<Network> {
    if network.preprocessing() == preprocessing {
        return Ok(network);
    }
    Ok(network.with_preprocessing(preprocessing)?)
}

/// A network's preprocessing as a detector saves it.
pub fn to_saved(preprocessing: Preprocessing) -> SavedPreprocessing {
    match preprocessing {
        Preprocessing::None => SavedPreprocessing::None,
        Preprocessing::ScaleByInstance => SavedPreprocessing::ScaleByInstance,
        Preprocessing::MeanStd { mean, std } => SavedPreprocessing::MeanStd { mean, std },
    }
}

fn to_network(preprocessing: &SavedPreprocessing) -> Preprocessing {
    match *preprocessing {
        SavedPreprocessing::None => Preprocessing::None,
        SavedPreprocessing::ScaleByInstance => Preprocessing::ScaleByInstance,
        SavedPreprocessing::MeanStd { mean, std } => Preprocessing::MeanStd { mean, std },
    }
}

/// The option that names a saved detector.
#[derive(Debug, Clone, clap::Args)]
pub struct DetectorArgs {
    /// A detector's folder, as `riptide fit` or `riptide import` wrote it
    #[arg(long, value_name = "D")]
    pub detector: PathBuf,
}
