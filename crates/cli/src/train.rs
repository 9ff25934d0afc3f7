//! `riptide train`: trains a classifier on labels, or a distilled network on a classifier's outputs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use indicatif::HumanDuration;
use riptide::files::{folder, memory};
use riptide::models::train::{Augmentation, Recipe};
use riptide::models::{Network, NetworkConfig, ResNetConfig};
use riptide::prelude::*;
use riptide::training::{Epoch, Lesson, Resume, Training, has_checkpoint};
use riptide::{Classifier, Dataset};
use serde::Serialize;

use crate::args::Common;
use crate::exit::Ending;
use crate::output::Output;
use crate::progress::Bar;

/// Which network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The ResNet, on labels
    Classifier,
    /// The small network, on the classifier's outputs
    Distilled,
}

/// Which recipe is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RecipeName {
    /// One cycle of the learning rate: few epochs
    OneCycle,
    /// The published one: 182 epochs for the classifier, 50 for the distilled network
    Published,
}

/// How images are varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Augment {
    /// As they are
    None,
    /// Half of them mirrored
    Flip,
    /// Half of them mirrored, all shifted by -4, 0 or 4 pixels each way
    ShiftFlip,
    /// Half of them mirrored, all shifted by up to 4 pixels each way; a classifier is asked about unshifted images only
    JitterFlip,
    /// Half of them mirrored, all shifted by up to 4 pixels each way, with zeros coming in; for classifiers only
    CropFlip,
}

impl From<Augment> for Augmentation {
    fn from(augment: Augment) -> Self {
        match augment {
            Augment::None => Self::None,
            Augment::Flip => Self::Flip,
            Augment::ShiftFlip => Self::ShiftFlip,
            Augment::JitterFlip => Self::JitterFlip,
            Augment::CropFlip => Self::CropFlip,
        }
    }
}

/// Options of `riptide train`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide train classifier --images shapes --epochs 8 --out out/classifier\n  riptide train distilled --images shapes --classifier out/classifier/best --epochs 20 --out out/distilled"
)]
pub struct TrainArgs {
    /// Which network to train
    what: What,

    /// Images with labels: shapes (generated), cifar10 (fetched before), or what other commands take as --images
    #[arg(long, alias = "dataset", value_name = "X", default_value = "shapes")]
    images: Dataset,

    /// The trained classifier, which the distilled network learns from
    #[arg(long, value_name = "W", required_if_eq("what", "distilled"))]
    classifier: Option<PathBuf>,

    /// A trained network to go on from with another recipe, instead of random weights
    #[arg(long, value_name = "W", conflicts_with_all = ["depth", "filters", "conv_layers", "dense"])]
    from: Option<PathBuf>,

    /// The recipe that the options below change
    #[arg(long, value_enum, default_value = "one-cycle")]
    recipe: RecipeName,

    /// Passes over the images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: Option<u32>,

    /// Stop after so many epochs without a lower validation loss
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,

    /// Images of a training step
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: Option<u32>,

    /// The largest learning rate
    #[arg(long, alias = "lr", value_name = "RATE", allow_negative_numbers = true)]
    learning_rate: Option<f64>,

    /// How images are varied
    #[arg(long, value_enum, value_name = "HOW")]
    augment: Option<Augment>,

    /// Factor of the squared weights in the loss
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    l2: Option<f64>,

    /// Factor of the weights' magnitudes in the loss
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    l1: Option<f64>,

    /// Decides initial weights, order and variations
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Images that are kept apart to choose the best epoch
    #[arg(long, value_name = "N", default_value_t = 1000)]
    validation: usize,

    /// Shapes to generate, validation included
    #[arg(long, value_name = "N", default_value_t = 41_000)]
    n_shapes: usize,

    /// Layers of the classifier: 8, 14, 20, 26, 32, ...
    #[arg(long, value_name = "N", default_value_t = 32)]
    depth: usize,

    /// Filters of the distilled network's first convolution; the next have half and a quarter of them
    #[arg(long, value_name = "N", default_value_t = 256)]
    filters: usize,

    /// Convolutions of the distilled network: 1 to 3
    #[arg(long, value_name = "N", default_value_t = 3)]
    conv_layers: usize,

    /// Units of the distilled network's first dense layer
    #[arg(long, value_name = "N", default_value_t = 40)]
    dense: usize,

    /// Temperature of the classifier's outputs, which the distilled network learns from
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,

    /// Where best/, last/, metrics.csv, the curve, the checkpoint and the classifier's outputs go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Go on from the checkpoint in --out
    #[arg(long)]
    resume: bool,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    out: &'a PathBuf,
    best_epoch: u32,
    epochs: &'a [Epoch],
}

/// Trains a network.
pub fn run(args: TrainArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    check(&args)?;
    let classifier = args.classifier.as_ref().map(Classifier::open).transpose()?;
    let size = classifier.as_ref().map_or((32, 32), Classifier::input_size);
    memory_for(&args, size)?;
    folder::check(&args.out)?;
    let images = args.images.training_images(args.n_shapes, size)?;
    ensure!(
        args.validation > 0 && args.validation < images.len(),
        "--validation is {}, but must be between 1 and {}, the training images less one",
        args.validation,
        images.len().saturating_sub(1)
    );
    let n = images.len() - args.validation;
    let (set, validation) = (images.slice(0..n)?, images.slice(n..images.len())?);
    let network = initial(&args, &images, classifier.as_ref())?;
    let lesson = classifier.as_ref().map_or(Lesson::Labels, Lesson::Classifier);
    let resume = if args.resume { Resume::Always } else { Resume::Never };
    let training = Training::new(recipe(&args))
        .temperature(args.temperature)
        .patience(args.patience)
        .folder(&args.out, resume)
        .title(title(&args));
    let epochs = training.recipe.epochs;
    let mut bar = Bar::new();
    let told = bar.clone();
    let trained = training.run(&network, &set, Some(&validation), lesson, &mut bar, |epoch| {
        told.say(&line(epoch, epochs, n));
    });
    let trained = match trained {
        Err(error) if has_checkpoint(&args.out) => {
            return Err(error).context(format!("{} keeps the epochs that were finished", args.out.display()));
        }
        other => other?,
    };
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&Report {
            out: &args.out,
            best_epoch: trained.best_epoch,
            epochs: &trained.epochs,
        })?;
    } else if let Some(best) = trained.epochs.iter().find(|epoch| epoch.epoch == trained.best_epoch) {
        out.line(format_args!(
            "best epoch {}: validation loss {:.4}, accuracy {:.4}; {} and {}",
            best.epoch,
            best.validation_loss,
            best.validation_accuracy,
            args.out.join("best").display(),
            args.out.join("last").display()
        ))?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}

/// Errors if the classifier's activations and gradients would take more memory than there is. Measured at depths 8, 20 and 56 with 32
/// and 128 images: 64 KiB an image of 32 x 32 pixels and layer.
fn memory_for(args: &TrainArgs, (height, width): (usize, usize)) -> anyhow::Result<()> {
    if args.what != What::Classifier || args.from.is_some() {
        return Ok(());
    }
    let (depth, batch) = (args.depth as u64, recipe(args).batch_size as u64);
    let pixels = height.saturating_mul(width) as u64;
    let an_image = depth.saturating_mul(64).saturating_mul(pixels);
    // Four numbers a parameter, 16,000 parameters a layer.
    let bytes = batch
        .saturating_mul(an_image)
        .saturating_add(depth.saturating_mul(16_000 * 16));
    let what = format!("training a network of depth {depth} with {batch} images at a time");
    Ok(memory::check(what, bytes)?)
}

/// Refuses what can be seen to be wrong before any work is done.
fn check(args: &TrainArgs) -> anyhow::Result<()> {
    ensure!(args.n_shapes > 0, "--n-shapes: 0 is too small; give at least 2");
    let is_distilled = args.what == What::Distilled;
    ensure!(
        is_distilled || args.classifier.is_none(),
        "--classifier is what a distilled network learns from; a classifier learns from labels"
    );
    ensure!(
        !(is_distilled && args.augment == Some(Augment::CropFlip)),
        "--augment crop-flip: the classifier's outputs for every crop are too many to keep; give shift-flip, flip or none"
    );
    ensure!(
        is_distilled || args.temperature == 1.0,
        "--temperature is for the classifier's outputs; a classifier learns from labels"
    );
    ensure!(
        !args.resume || has_checkpoint(&args.out),
        "--resume: {} holds no checkpoint",
        args.out.display()
    );
    ensure!(
        args.resume || !has_checkpoint(&args.out),
        "{} holds a training; go on with --resume, or name another folder",
        args.out.display()
    );
    Ok(())
}

fn title(args: &TrainArgs) -> String {
    let what = match args.what {
        What::Classifier => "Classifier",
        What::Distilled => "Distilled network",
    };
    format!("{what} on {}, seed {}", args.images, args.seed)
}

/// What is said of a finished epoch.
fn line(epoch: &Epoch, epochs: u32, images: usize) -> String {
    let left = epoch.seconds * f64::from(epochs.saturating_sub(epoch.epoch));
    format!(
        "epoch {}/{epochs}: loss {:.4}, accuracy {:.4}; validation loss {:.4}, accuracy {:.4}; {:.0} images/s, {} left",
        epoch.epoch,
        epoch.loss,
        epoch.accuracy,
        epoch.validation_loss,
        epoch.validation_accuracy,
        images as f64 / epoch.seconds,
        HumanDuration(Duration::from_secs(left.round() as u64))
    )
}

fn recipe(args: &TrainArgs) -> Recipe {
    let mut recipe = match (args.what, args.recipe) {
        (What::Classifier, RecipeName::OneCycle) => Recipe::classifier(args.epochs.unwrap_or(30)),
        (What::Classifier, RecipeName::Published) => Recipe::published_classifier(),
        (What::Distilled, RecipeName::OneCycle) => Recipe::distilled(args.epochs.unwrap_or(50)),
        (What::Distilled, RecipeName::Published) => Recipe::published_distilled(),
    };
    recipe.epochs = args.epochs.unwrap_or(recipe.epochs);
    recipe.batch_size = args.batch_size.map_or(recipe.batch_size, |size| size as usize);
    recipe.learning_rate = args.learning_rate.unwrap_or(recipe.learning_rate);
    recipe.l1 = args.l1.unwrap_or(recipe.l1);
    recipe.l2 = args.l2.unwrap_or(recipe.l2);
    recipe.seed = args.seed;
    recipe.augmentation = args.augment.map_or(recipe.augmentation, Augmentation::from);
    recipe
}

/// The network that the training begins with.
fn initial(args: &TrainArgs, images: &ImageSet, classifier: Option<&Classifier>) -> anyhow::Result<Network> {
    let (height, width, n_classes) = (images.height(), images.width(), images.class_names().len());
    if let Some(from) = &args.from {
        let network = riptide::open_network(from)?;
        ensure!(
            matches!(network.config(), NetworkConfig::DistilledCnn(_)) == (args.what == What::Distilled),
            "--from {}: this is the other kind of network",
            from.display()
        );
        let (size, classes) = (network.input_size(), network.n_classes());
        ensure!(
            (size, classes) == ((height, width), n_classes),
            "--from {}: this network is for images of {} x {} pixels in {classes} classes, not {height} x {width} in {n_classes}",
            from.display(),
            size.0,
            size.1
        );
        return Ok(network);
    }
    Ok(match classifier {
        Some(classifier) => Fit::default()
            .filters(args.filters)
            .conv_layers(args.conv_layers)
            .dense(args.dense)
            .seed(args.seed)
            .untrained(classifier)?,
        None => {
            let config = ResNetConfig {
                depth: args.depth,
                n_classes,
                height,
                width,
                ..Default::default()
            };
            Network::random(config, args.seed)?
        }
    })
}
