//! `cargo xtask train`.

mod metrics;
mod teacher;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use riptide_datasets::ImageSet;
use riptide_datasets::cifar10::Split;
use riptide_datasets::shapes::{Shapes, TRAIN_FIRST_INDEX};
use riptide_models::train::{Augmentation, Recipe, Targets, Trainer, TrainingSet, untrained_distilled};
use riptide_models::{DistilledCnnConfig, Network, NetworkConfig, ResNetConfig};

use self::metrics::{Metrics, Row};
use self::teacher::{Kept, Lessons, validate};
use crate::dataset::{Dataset, cifar10_split};

const CHECKPOINT: &str = "checkpoint.safetensors";
const TEACHING: &str = "teaching.safetensors";

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Augment {
    None,
    Flip,
    ShiftFlip,
    CropFlip,
}

/// Options of `cargo xtask train`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask train classifier --dataset shapes --epochs 8 --out out/classifier\n  cargo xtask train distilled --dataset shapes --classifier out/classifier/best --epochs 20 --out out/distilled"
)]
pub struct TrainArgs {
    /// Which network to train
    what: What,
    /// shapes, cifar10 or folder:DIR
    #[arg(long, default_value = "shapes")]
    dataset: Dataset,
    /// Where CIFAR-10 lies (a folder or the archive), instead of the cache
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The trained classifier, which the distilled network learns from
    #[arg(long, required_if_eq("what", "distilled"))]
    classifier: Option<PathBuf>,
    /// A trained network to go on from with another recipe, instead of random weights
    #[arg(long, value_name = "NETWORK", conflicts_with_all = ["depth", "filters", "conv_layers", "dense"])]
    from: Option<PathBuf>,
    /// The recipe that the options below change
    #[arg(long, value_enum, default_value = "one-cycle")]
    recipe: RecipeName,
    /// Passes over the images
    #[arg(long)]
    epochs: Option<u32>,
    /// Images of a step
    #[arg(long)]
    batch_size: Option<usize>,
    /// The largest learning rate
    #[arg(long, allow_negative_numbers = true)]
    lr: Option<f64>,
    /// How images are varied
    #[arg(long, value_enum)]
    augment: Option<Augment>,
    /// Factor of the squared weights in the loss
    #[arg(long, allow_negative_numbers = true)]
    l2: Option<f64>,
    /// Factor of the weights' magnitudes in the loss
    #[arg(long, allow_negative_numbers = true)]
    l1: Option<f64>,
    /// Decides initial weights, order and variations
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Training images kept apart to choose the best epoch
    #[arg(long, default_value_t = 1000)]
    validation: usize,
    /// Images to generate for `--dataset shapes`, validation included
    #[arg(long, default_value_t = 41_000)]
    images: usize,
    /// Layers of the classifier: 8, 14, 20, 26, 32, ...
    #[arg(long, default_value_t = 32)]
    depth: usize,
    /// Filters of the distilled network's first convolution; the next have half and a quarter of them
    #[arg(long, default_value_t = 256)]
    filters: usize,
    /// Convolutions of the distilled network: 1 to 3
    #[arg(long, default_value_t = 3)]
    conv_layers: usize,
    /// Units of the distilled network's first dense layer
    #[arg(long, default_value_t = 40)]
    dense: usize,
    /// Temperature of the classifier's outputs, which the distilled network learns from
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Where best/, last/, metrics.csv, the curve, the checkpoint and the classifier's outputs go
    #[arg(long)]
    out: PathBuf,
    /// Go on from the checkpoint in --out
    #[arg(long)]
    resume: bool,
    /// Threads; all cores by default
    #[arg(long)]
    threads: Option<usize>,
}

/// Runs the task.
pub fn run(args: TrainArgs) -> anyhow::Result<()> {
    check(&args)?;
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let recipe = recipe(&args);
    recipe.validate()?;
    let teacher = args.classifier.as_ref().map(Network::load).transpose()?;
    let images = training_images(&args)?;
    ensure!(
        args.validation > 0 && args.validation < images.len(),
        "--validation is {}, but must be between 1 and {}, the training images less one",
        args.validation,
        images.len().saturating_sub(1)
    );
    let n = images.len() - args.validation;
    let (training, validation) = (images.slice(0..n)?, images.slice(n..images.len())?);
    let network = initial(&args, &images, teacher.as_ref())?;
    let asked = described(&images, n, teacher.as_ref());
    let mut data = asked.clone();
    if args.temperature != 1.0 {
        data += &format!(" temperature {}", args.temperature);
    }
    if args.from.is_some() {
        data += &format!(" from {}", network.digest());
    }
    let mut trainer = Trainer::new(&network, recipe)?;
    let checkpoint = args.out.join(CHECKPOINT);
    let mut metrics = Metrics::new(&args.out, title(&args));
    if args.resume {
        trainer
            .resume(&checkpoint, &data)
            .context("--resume goes on from a checkpoint in --out")?;
        metrics.resume(trainer.history().len())?;
        eprintln!("going on after epoch {}", trainer.history().len());
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create {}", args.out.display()))?;
    let labels = training.labels();
    let lessons = match &teacher {
        None => None,
        Some(teacher) => {
            let recipe = trainer.recipe();
            let kept = Kept {
                path: args.out.join(TEACHING),
                asked,
            };
            Some(Lessons::new(
                teacher,
                &training,
                &validation,
                recipe,
                args.temperature,
                &kept,
            )?)
        }
    };
    let targets = match &lessons {
        None => Targets::Labels(labels.context("these images have no labels to learn from")?),
        Some(lessons) => lessons.teaching.targets(),
    };
    let set = TrainingSet {
        pixels: training.pixels(),
        targets,
    };
    while !trainer.is_finished() {
        let start = Instant::now();
        let done = trainer.history().len();
        let summary = epoch(&mut trainer, set, n).with_context(|| match done {
            0 => "no epoch was finished".to_owned(),
            _ => format!("{} stays as it was after epoch {done}", args.out.display()),
        })?;
        let network = trainer.network()?;
        let validation_targets = lessons.as_ref().map(|lessons| lessons.validation.as_slice());
        let (validation_loss, validation_accuracy) = validate(&network, &validation, validation_targets)?;
        let row = Row {
            epoch: summary.epoch,
            learning_rate: summary.learning_rate,
            loss: summary.loss,
            accuracy: summary.accuracy,
            validation_loss,
            validation_accuracy,
            seconds: start.elapsed().as_secs_f64(),
        };
        say(&row, trainer.recipe().epochs, n);
        let best = metrics.best().map_or(f64::INFINITY, |best| best.validation_loss);
        if row.validation_loss < best {
            network.save(args.out.join("best"))?;
        }
        metrics.rows.push(row);
        network.save(args.out.join("last"))?;
        metrics.write()?;
        trainer.save(&checkpoint, &data)?;
    }
    if let Some(best) = metrics.best() {
        println!(
            "best epoch {}: validation loss {:.4}, accuracy {:.4}; {} and {}",
            best.epoch,
            best.validation_loss,
            best.validation_accuracy,
            args.out.join("best").display(),
            args.out.join("last").display()
        );
    }
    Ok(())
}

/// Refuses what can be seen to be wrong before any work is done.
fn check(args: &TrainArgs) -> anyhow::Result<()> {
    ensure!(args.threads != Some(0), "--threads: 0 is too small; give at least 1");
    ensure!(args.images > 0, "--images: 0 is too small; give at least 2");
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
        args.temperature > 0.0 && args.temperature.is_finite(),
        "--temperature is {}, but must be above 0 and finite",
        args.temperature
    );
    ensure!(
        is_distilled || args.temperature == 1.0,
        "--temperature is for the classifier's outputs; a classifier learns from labels"
    );
    ensure!(
        args.resume || !args.out.join(CHECKPOINT).exists(),
        "{} holds a training; go on with --resume, or name another folder",
        args.out.display()
    );
    ensure!(
        !args.out.exists() || args.out.is_dir(),
        "--out: {} is a file; name a folder",
        args.out.display()
    );
    Ok(())
}

/// Which images are learnt from, and whose answers, so that neither a checkpoint nor kept answers are taken up with others.
fn described(images: &ImageSet, n: usize, teacher: Option<&Network>) -> String {
    let teacher = teacher.map(Network::digest).unwrap_or_default();
    format!("{} {n} {teacher}", images.digest())
}

fn title(args: &TrainArgs) -> String {
    let what = match args.what {
        What::Classifier => "Classifier",
        What::Distilled => "Distilled network",
    };
    format!("{what} on {}, seed {}", args.dataset, args.seed)
}

/// One line for a finished epoch.
fn say(row: &Row, epochs: u32, images: usize) {
    let left = row.seconds * f64::from(epochs.saturating_sub(row.epoch));
    eprintln!(
        "epoch {}/{epochs}: loss {:.4}, accuracy {:.4}; validation loss {:.4}, accuracy {:.4}; {:.0} images/s, {} left",
        row.epoch,
        row.loss,
        row.accuracy,
        row.validation_loss,
        row.validation_accuracy,
        images as f64 / row.seconds,
        HumanDuration(Duration::from_secs(left.round() as u64))
    );
}

fn training_images(args: &TrainArgs) -> anyhow::Result<ImageSet> {
    match &args.dataset {
        Dataset::Auto | Dataset::Shapes => Ok(Shapes::new(0).generate(TRAIN_FIRST_INDEX, args.images)),
        Dataset::Cifar10 => cifar10_split(args.data_dir.as_deref(), Split::Train),
        folder @ Dataset::Folder(_) => {
            let images = folder.test_images(None, 0, (32, 32))?;
            // An image folder is sorted by class; the last images are to be of every class.
            let mut order: Vec<usize> = (0..images.len()).collect();
            order.sort_by_key(|index| (*index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32));
            Ok(images.select(&order)?)
        }
    }
}

fn recipe(args: &TrainArgs) -> Recipe {
    let mut recipe = match (args.what, args.recipe) {
        (What::Classifier, RecipeName::OneCycle) => Recipe::classifier(args.epochs.unwrap_or(30)),
        (What::Classifier, RecipeName::Published) => Recipe::published_classifier(),
        (What::Distilled, RecipeName::OneCycle) => Recipe::distilled(args.epochs.unwrap_or(50)),
        (What::Distilled, RecipeName::Published) => Recipe::published_distilled(),
    };
    recipe.epochs = args.epochs.unwrap_or(recipe.epochs);
    recipe.batch_size = args.batch_size.unwrap_or(recipe.batch_size);
    recipe.learning_rate = args.lr.unwrap_or(recipe.learning_rate);
    recipe.l1 = args.l1.unwrap_or(recipe.l1);
    recipe.l2 = args.l2.unwrap_or(recipe.l2);
    recipe.seed = args.seed;
    recipe.augmentation = match args.augment {
        None => recipe.augmentation,
        Some(Augment::None) => Augmentation::None,
        Some(Augment::Flip) => Augmentation::Flip,
        Some(Augment::ShiftFlip) => Augmentation::ShiftFlip,
        Some(Augment::CropFlip) => Augmentation::CropFlip,
    };
    recipe
}

/// The network that the training begins with.
fn initial(args: &TrainArgs, images: &ImageSet, teacher: Option<&Network>) -> anyhow::Result<Network> {
    let (height, width, n_classes) = (images.height(), images.width(), images.class_names().len());
    if let Some(from) = &args.from {
        let network = Network::load(from)?;
        let is_distilled = matches!(network.config(), NetworkConfig::DistilledCnn(_));
        ensure!(
            is_distilled == (args.what == What::Distilled),
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
    Ok(match (args.what, teacher) {
        (What::Distilled, Some(teacher)) => {
            let sizes = DistilledCnnConfig {
                n_filters1: args.filters,
                n_conv_layers: args.conv_layers,
                n_dense: args.dense,
                ..Default::default()
            };
            untrained_distilled(teacher, sizes, args.seed)?
        }
        _ => {
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

fn epoch(trainer: &mut Trainer, set: TrainingSet<'_>, n: usize) -> anyhow::Result<riptide_models::train::EpochSummary> {
    let epochs = trainer.recipe().epochs;
    let bar = ProgressBar::new(n as u64);
    let style = "{msg} {wide_bar} {human_pos}/{human_len}, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style)?);
    let summary = trainer.epoch(set, |progress| {
        bar.set_message(format!(
            "epoch {}/{epochs}: loss {:.4}, accuracy {:.4}",
            progress.epoch, progress.loss, progress.accuracy
        ));
        bar.set_position(progress.images as u64);
    })?;
    bar.finish_and_clear();
    Ok(summary)
}
