//! `riptide fit`: distils a small network from a classifier and saves both as a monitor.

use std::path::{Path, PathBuf};

use riptide::prelude::*;
use riptide::training::Epoch;
use riptide::{Facts, Fitted};
use serde::Serialize;

use crate::args::{ClassifierArgs, Common, ImagesArgs, NewCalibrationArgs, NewMonitorArgs, hint};
use crate::exit::Ending;
use crate::judgement;
use crate::output::{Output, percent};
use crate::progress::Bar;
use crate::train::Augment;

/// Options of `riptide fit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide fit --classifier model.onnx --preprocessing mean-std --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 \\\n      --images training/ --resize --out monitor"
)]
pub struct FitArgs {
    #[command(flatten)]
    classifier: ClassifierArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Clean images that are kept as the reference [default: a part of --images, which is then not trained on]
    #[arg(long, value_name = "X2")]
    reference: Option<PathBuf>,

    /// Images that are kept apart for the reference, at most a fifth of all
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "reference", value_parser = clap::value_parser!(u32).range(1..))]
    n_ref: u32,

    /// Images that are kept apart to choose the best epoch [default: none; the last epoch is taken]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    validation: u32,

    /// Passes over the images
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: u32,

    /// Stop after so many epochs without a lower validation loss
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,

    /// Images of a training step
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,

    /// The largest learning rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-3, allow_negative_numbers = true)]
    learning_rate: f64,

    /// Temperature of the classifier's outputs, which the distilled network learns from
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,

    /// How images are varied [default: flip]
    #[arg(long, value_enum, value_name = "HOW")]
    augment: Option<Augment>,

    /// Filters of the distilled network's first convolution; the next have half and a quarter of them
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(4..=4096))]
    filters: u32,

    /// Convolutions of the distilled network, 1 to 3
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3))]
    conv_layers: u32,

    /// Units of the distilled network's first dense layer
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    dense: u32,

    #[command(flatten)]
    calibration: NewCalibrationArgs,

    /// Decides the initial weights, the order of the images and which are kept apart
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Keep a checkpoint in this folder after each epoch; a fit that was stopped goes on from it
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,

    #[command(flatten)]
    new: NewMonitorArgs,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    n_images: usize,
    epochs: &'a [Epoch],
    #[serde(flatten)]
    made: Made<'a>,
}

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made<'a> {
    out: &'a Path,
    facts: &'a Facts,
    options: &'a Options,
    score_mean: f64,
    threshold: f64,
    /// What there is to say about the calibration.
    note: Option<&'a str>,
}

/// Fits a monitor.
pub fn run(args: FitArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    args.new.check()?;
    let classifier = args.classifier.load()?;
    let size = classifier.input_size();
    let images = args.calibration.label(args.images.open(size)?)?;
    let reference = match &args.reference {
        Some(path) => Some(args.images.reading.open(path, size)?),
        None => None,
    };
    let fit = args.fit();
    let mut bar = Bar::new();
    let Fitted { monitor, epochs, .. } = hint(fit.run_with(classifier, images, reference, &mut bar))?;
    let folder = args.checkpoint.as_deref();
    let monitor = &args
        .calibration
        .afterwards(monitor, args.images.reading, args.seed, folder, &mut bar)?;
    monitor.save(&args.new.out)?;
    let n_images = monitor
        .facts()
        .training
        .as_ref()
        .map_or(0, |training| training.n_images);
    let report = Report {
        n_images,
        epochs: &epochs,
        made: Made::of(monitor, &args.new.out)?,
    };
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&report)?;
    } else {
        if let Some(training) = &monitor.facts().training {
            out.line(format_args!(
                "distilled   {} epochs over {n_images} images; loss {:.4}, agreement {} in epoch {}",
                epochs.len(),
                training.loss,
                percent(training.agreement),
                training.epoch,
            ))?;
        }
        report.made.tell(&mut out)?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}

impl FitArgs {
    fn fit(&self) -> Fit {
        let fit = Fit::default()
            .n_reference(self.n_ref as usize)
            .n_validation(self.validation as usize)
            .epochs(self.epochs)
            .patience(self.patience)
            .batch_size(self.batch_size as usize)
            .learning_rate(self.learning_rate)
            .temperature(self.temperature)
            .filters(self.filters as usize)
            .conv_layers(self.conv_layers as usize)
            .dense(self.dense as usize)
            .seed(self.seed)
            .class_names(self.new.class_names())
            .options(self.new.options())
            .calibration(self.calibration.while_made(self.seed, self.checkpoint.as_deref()))
            .checkpoint(self.checkpoint.clone());
        match self.augment {
            Some(augment) => fit.augmentation(augment.into()),
            None => fit,
        }
    }
}

impl<'a> Made<'a> {
    /// What there is to say of a monitor that was saved.
    pub fn of(monitor: &'a Monitor, out: &'a Path) -> anyhow::Result<Self> {
        Ok(Self {
            out,
            facts: monitor.facts(),
            options: monitor.options(),
            score_mean: riptide::stats::summary::mean(monitor.reference_scores())?,
            threshold: monitor.threshold(),
            note: monitor.note(),
        })
    }

    /// Prints it.
    pub fn tell(&self, out: &mut Output) -> anyhow::Result<()> {
        let reference = &self.facts.reference;
        out.line(format_args!(
            "reference   {} images; both networks agree on {}",
            reference.n_images,
            percent(reference.agreement.unwrap_or_default())
        ))?;
        out.line(format_args!(
            "score       mean {:.4}; threshold of single images {:.4}",
            self.score_mean, self.threshold
        ))?;
        out.line(format_args!(
            "drift test  {} at {}",
            self.options.alternative, self.options.level
        ))?;
        let calibration = self.facts.calibration.as_ref();
        for line in judgement::calibration(calibration, self.options, "calibration ") {
            out.line(line)?;
        }
        if let Some(note) = self.note {
            out.line(format_args!("            {note}"))?;
        }
        out.line(format_args!("monitor     {}", self.out.display()))
    }
}
