//! `riptide fit`: distils a small network from a classifier and saves both as a detector.

use std::path::PathBuf;

use anyhow::ensure;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use riptide_datasets::ImageSet;
use riptide_models::train::{EpochSummary, Recipe, Teaching, Trainer, TrainingSet, untrained_distilled};
use riptide_models::{DistilledCnnConfig, Network};
use serde::Serialize;

use crate::args::{Common, Images, ImagesArgs, NetworkArgs, open};
use crate::exit::Ending;
use crate::monitor::networks;
use crate::output::{Output, percent};
use crate::progress;
use crate::reference::{Made, NewArgs};

/// Options of `riptide fit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide fit --classifier model.onnx --preprocessing mean-std --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 \\\n      --images training/ --resize --out detector"
)]
pub struct FitArgs {
    #[command(flatten)]
    classifier: NetworkArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Clean images that are kept as the reference [default: a part of --images, which is then not trained on]
    #[arg(long, value_name = "X2")]
    reference: Option<PathBuf>,

    /// Images that are kept apart for the reference, at most a fifth of all
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "reference", value_parser = clap::value_parser!(u32).range(1..))]
    n_ref: u32,

    /// Passes over the images
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: u32,

    /// Images of a training step
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,

    /// The largest learning rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    learning_rate: f64,

    /// Filters of the distilled network's first convolution
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(4..=4096))]
    filters: u32,

    /// Decides the initial weights, the order of the images and which are kept for the reference
    #[arg(long, default_value_t = 0)]
    seed: u64,

    #[command(flatten)]
    new: NewArgs,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    n_images: usize,
    epochs: Vec<EpochSummary>,
    #[serde(flatten)]
    made: Made,
}

/// Fits a detector.
pub fn run(args: FitArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let classifier = args.classifier.load()?;
    args.new.check(classifier.n_classes())?;
    let size = classifier.input_size();
    let images = args.images.open(size)?.read_all()?;
    let (training, mut reference) = match &args.reference {
        Some(path) => (images, open(path, args.images.reading, Some(size))?),
        None => split(&images, args.n_ref as usize, args.seed)?,
    };
    let (student, epochs) = distil(&args, &classifier, &training)?;
    let networks = networks(classifier, student)?;
    let bar = progress::images(reference.remaining(), "scoring the reference");
    let made = args.new.make(&networks, &mut reference, &bar)?;
    let report = Report {
        n_images: training.len(),
        epochs,
        made,
    };
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&report)?;
    } else {
        if let Some(last) = report.epochs.last() {
            out.line(format_args!(
                "distilled   {} epochs over {} images; last loss {:.4}, agreement {}",
                last.epoch,
                report.n_images,
                last.loss,
                percent(last.accuracy)
            ))?;
        }
        report.made.tell(&mut out)?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}

/// Trains the small network on the classifier's answers.
fn distil(args: &FitArgs, classifier: &Network, images: &ImageSet) -> anyhow::Result<(Network, Vec<EpochSummary>)> {
    let recipe = Recipe {
        batch_size: args.batch_size as usize,
        learning_rate: args.learning_rate,
        seed: args.seed,
        ..Recipe::distilled(args.epochs)
    };
    let sizes = DistilledCnnConfig {
        n_filters1: args.filters as usize,
        ..Default::default()
    };
    let distilled = untrained_distilled(classifier, sizes, args.seed)?;
    let mut trainer = Trainer::new(&distilled, recipe.clone())?;
    let versions = recipe.augmentation.versions().unwrap_or(1);
    let bar = progress::images(Some((versions * images.len()) as u64), "asking the classifier");
    let teaching = Teaching::new(classifier, images.pixels(), &recipe, |n| bar.inc(n as u64))?;
    bar.finish_and_clear();
    let bar = progress::images(Some(images.len() as u64 * u64::from(args.epochs)), "distilling");
    let set = TrainingSet {
        pixels: images.pixels(),
        targets: teaching.targets(),
    };
    while !trainer.is_finished() {
        let before = trainer.history().len() * images.len();
        trainer.epoch(set, |progress| {
            bar.set_position((before + progress.images) as u64);
            bar.set_message(format!(
                "distilling: epoch {}, loss {:.4}",
                progress.epoch, progress.loss
            ));
        })?;
    }
    bar.finish_and_clear();
    Ok((trainer.network()?, trainer.history().to_vec()))
}

/// The training images, and the reference drawn from among them.
fn split(images: &ImageSet, n_ref: usize, seed: u64) -> anyhow::Result<(ImageSet, Images)> {
    let n_ref = n_ref.min(images.len() / 5);
    ensure!(
        n_ref > 0,
        "{} images are too few to keep a reference apart; give more, or --reference",
        images.len()
    );
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let (kept, training) = order.split_at(n_ref);
    Ok((images.select(training)?, Images::of(images.select(kept)?)))
}
