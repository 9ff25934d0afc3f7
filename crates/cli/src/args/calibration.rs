//! How a monitor is calibrated.

use std::path::{Path, PathBuf};

use riptide::corruptions::{Corruption, CorruptionError, Extended, Family};
use riptide::datasets::npy::read_labels;
use riptide::detectors::accuracy::Target;
use riptide::prelude::*;

use super::Reading;

/// The options of a calibration.
#[derive(Debug, Clone, clap::Args)]
pub struct CalibrationArgs {
    /// Labels of the images that are calibrated on: a .npy of integers, one an image, each the place of the class among the
    /// classifier's outputs, from 0 [default: the folders' names, if each class has a folder; else the calibration does without]
    #[arg(long, value_name = "L.npy")]
    labels: Option<PathBuf>,

    /// Clean images that are corrupted to calibrate on, at most [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(20..))]
    calibration_images: Option<u32>,

    /// Corruptions to calibrate on, separated by commas: names, published (the nineteen of CIFAR-10-C), extended (the sixteen
    /// others) or all [default: all]
    #[arg(long, value_name = "NAMES", value_parser = families)]
    families: Option<Families>,

    /// 2: the classifier also sees each image mirrored, from then on; costs one more pass and tells a little more
    /// [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    views: Option<u8>,
}

/// A list that is one value of the command line.
#[derive(Debug, Clone)]
struct Families(Vec<Family>);

fn families(text: &str) -> Result<Families, CorruptionError> {
    let mut all = Vec::new();
    for name in text.split(',').map(str::trim) {
        match name {
            "all" => all.extend(Family::all()),
            "published" => all.extend(Corruption::ALL.map(Family::from)),
            "extended" => all.extend(Extended::ALL.map(Family::from)),
            name => all.push(name.parse()?),
        }
    }
    Ok(Families(all))
}

impl CalibrationArgs {
    /// The calibration that is asked for; required if any option names it.
    pub fn config(&self, seed: u64) -> Calibrate {
        let standard = Calibrate::default();
        let (n_images, views) = (standard.n_images, standard.views);
        let all = standard.families.clone();
        let is_named = self.is_named();
        standard
            .n_images(self.calibration_images.map_or(n_images, |n| n as usize))
            .families(self.families.clone().map_or(all, |Families(families)| families))
            .views(self.views.unwrap_or(views))
            .target(self.labels.is_some().then_some(Target::Errors))
            .required(is_named)
            .seed(seed)
    }

    /// Whether any of these options was given.
    pub fn is_named(&self) -> bool {
        self.labels.is_some() || self.calibration_images.is_some() || self.families.is_some() || self.views.is_some()
    }

    /// Gives images the labels that were named.
    pub fn label<'a>(&self, images: Images<'a>) -> anyhow::Result<Images<'a>> {
        Ok(match &self.labels {
            Some(path) => images.with_labels(read_labels(path)?)?,
            None => images,
        })
    }
}

/// The options of a new monitor's calibration.
#[derive(Debug, Clone, clap::Args)]
pub struct NewCalibrationArgs {
    /// Clean images to calibrate on that neither network was trained on [default: images that are kept apart]
    #[arg(long, value_name = "X")]
    calibration: Option<PathBuf>,

    #[command(flatten)]
    pub how: CalibrationArgs,

    /// Leave the monitor without a calibration: it cannot tell how accurate the classifier is
    #[arg(long, conflicts_with_all = ["calibration", "labels", "calibration_images", "families", "views"])]
    no_calibration: bool,
}

impl NewCalibrationArgs {
    /// What the monitor is calibrated with while it is made, if it is.
    pub fn while_made(&self, seed: u64, checkpoint: Option<&Path>) -> Option<Calibrate> {
        let wanted = !self.no_calibration && self.calibration.is_none();
        wanted.then(|| self.config(seed, checkpoint))
    }

    /// Gives the images that the monitor is made from the labels that were named, unless other images are calibrated on.
    pub fn label<'a>(&self, images: Images<'a>) -> anyhow::Result<Images<'a>> {
        match self.calibration {
            None => self.how.label(images),
            Some(_) => Ok(images),
        }
    }

    /// Calibrates a monitor that was made on other images, if some were named.
    pub fn afterwards(
        &self,
        monitor: Monitor,
        reading: &Reading,
        seed: u64,
        checkpoint: Option<&Path>,
        progress: &mut dyn Progress,
    ) -> anyhow::Result<Monitor> {
        let Some(path) = &self.calibration else {
            return Ok(monitor);
        };
        let images = self
            .how
            .label(reading.open(path, monitor.input_size(), monitor.facts().framing)?)?;
        super::hint(monitor.calibrate(images, &self.config(seed, checkpoint), progress))
    }

    fn config(&self, seed: u64, checkpoint: Option<&Path>) -> Calibrate {
        let folder = checkpoint.map(|folder| folder.join("calibration"));
        self.how.config(seed).checkpoint(folder)
    }
}
