//! `cargo xtask train`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use riptide_datasets::ImageSet;
use riptide_datasets::cifar10::Split;
use riptide_datasets::shapes::{Shapes, TRAIN_FIRST_INDEX};
use riptide_models::train::{Augmentation, Recipe, Targets, Teaching, Trainer, TrainingSet, untrained_student};
use riptide_models::{Network, ResNet, ResNetConfig};
use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, cifar10_split};

const CHECKPOINT: &str = "checkpoint.safetensors";
const METRICS: &str = "metrics.json";

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
    #[arg(long)]
    lr: Option<f64>,
    /// How images are varied
    #[arg(long, value_enum)]
    augment: Option<Augment>,
    /// Factor of the squared weights in the loss
    #[arg(long)]
    l2: Option<f64>,
    /// Factor of the weights' magnitudes in the loss
    #[arg(long)]
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
    /// Filters of the distilled network's first convolution
    #[arg(long, default_value_t = 256)]
    filters: usize,
    /// Where best/, last/, metrics.csv and the checkpoint go
    #[arg(long)]
    out: PathBuf,
    /// Go on from the checkpoint in --out
    #[arg(long)]
    resume: bool,
    /// Threads; all cores by default
    #[arg(long)]
    threads: Option<usize>,
}

/// One row of metrics.csv.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    epoch: u32,
    learning_rate: f64,
    loss: f64,
    accuracy: f64,
    validation_loss: f64,
    validation_accuracy: f64,
    seconds: f64,
}

/// Runs the task.
pub fn run(args: TrainArgs) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let images = training_images(&args)?;
    ensure!(
        args.validation > 0 && args.validation < images.len(),
        "--validation is {}, but must be between 1 and {}, the training images less one",
        args.validation,
        images.len() - 1
    );
    let n = images.len() - args.validation;
    let (training, validation) = (images.slice(0..n)?, images.slice(n..images.len())?);
    let recipe = recipe(&args);
    let teacher = args.classifier.as_ref().map(Network::load).transpose()?;
    let network = initial(&args, &images, teacher.as_ref())?;
    let teacher = match args.what {
        What::Classifier => None,
        What::Distilled => Some(teacher.context("a distilled network needs --classifier")?),
    };
    let data = format!(
        "{} {n} {}",
        images.digest(),
        teacher.as_ref().map(Network::digest).unwrap_or_default()
    );
    let taught = match &teacher {
        None => None,
        Some(teacher) => {
            let bar = counter(training.len(), "the classifier's outputs");
            let teaching = Teaching::new(teacher, training.pixels(), &recipe, |n| bar.inc(n as u64))?;
            bar.finish_and_clear();
            Some((teaching, probabilities(teacher, &validation, "those for validation")?))
        }
    };
    let labels = training.labels().context("these images have no labels to learn from")?;
    let set = TrainingSet {
        pixels: training.pixels(),
        targets: match &taught {
            None => Targets::Labels(labels),
            Some((teaching, _)) => teaching.targets(),
        },
    };
    let mut trainer = Trainer::new(&network, recipe)?;
    let mut rows: Vec<Row> = Vec::new();
    let checkpoint = args.out.join(CHECKPOINT);
    if args.resume {
        trainer.resume(&checkpoint, &data)?;
        let json = std::fs::read(args.out.join(METRICS)).context("the checkpoint's metrics.json cannot be read")?;
        rows = serde_json::from_slice(&json).context("metrics.json is damaged")?;
        rows.truncate(trainer.history().len());
        eprintln!("going on after epoch {}", trainer.history().len());
    } else if checkpoint.exists() {
        bail!(
            "{} holds a training; go on with --resume, or name another folder",
            args.out.display()
        );
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create {}", args.out.display()))?;
    while !trainer.is_finished() {
        let start = Instant::now();
        let summary = epoch(&mut trainer, set, training.len())?;
        let network = trainer.network()?;
        let (validation_loss, validation_accuracy) =
            validate(&network, &validation, taught.as_ref().map(|taught| taught.1.as_slice()))?;
        let row = Row {
            epoch: summary.epoch,
            learning_rate: summary.learning_rate,
            loss: summary.loss,
            accuracy: summary.accuracy,
            validation_loss,
            validation_accuracy,
            seconds: start.elapsed().as_secs_f64(),
        };
        eprintln!(
            "epoch {}/{}: loss {:.4}, accuracy {:.4}; validation loss {:.4}, accuracy {:.4}; {:.0} images/s",
            row.epoch,
            trainer.recipe().epochs,
            row.loss,
            row.accuracy,
            row.validation_loss,
            row.validation_accuracy,
            training.len() as f64 / row.seconds
        );
        if rows.iter().all(|other| other.validation_loss > row.validation_loss) {
            network.save(args.out.join("best"))?;
        }
        rows.push(row);
        network.save(args.out.join("last"))?;
        write(&args.out.join(METRICS), &serde_json::to_vec_pretty(&rows)?)?;
        write(&args.out.join("metrics.csv"), csv(&rows).as_bytes())?;
        trainer.save(&checkpoint, &data)?;
    }
    let best = rows
        .iter()
        .min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss));
    if let Some(best) = best {
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
        Some(Augment::CropFlip) => Augmentation::CropFlip,
    };
    recipe
}

/// The untrained network.
fn initial(args: &TrainArgs, images: &ImageSet, teacher: Option<&Network>) -> anyhow::Result<Network> {
    let (height, width, n_classes) = (images.height(), images.width(), images.class_names().len());
    Ok(match (args.what, teacher) {
        (What::Distilled, Some(teacher)) => untrained_student(teacher, args.filters, args.seed)?.into(),
        _ => {
            let config = ResNetConfig {
                depth: args.depth,
                n_classes,
                height,
                width,
                ..Default::default()
            };
            ResNet::random(config, args.seed)?.into()
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

/// Class probabilities (n, n_classes) of all images.
fn probabilities(network: &Network, images: &ImageSet, what: &str) -> anyhow::Result<Vec<f32>> {
    let bar = counter(images.len(), what);
    let all = network.predict_proba(images.pixels(), |n| bar.inc(n as u64))?;
    bar.finish_and_clear();
    Ok(all)
}

fn counter(images: usize, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(images as u64).with_message(what.to_owned());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Mean loss, and the share of images whose most probable class is the target's: the label, or the classifier's answer.
fn validate(network: &Network, images: &ImageSet, teacher: Option<&[f32]>) -> anyhow::Result<(f64, f64)> {
    let classes = network.n_classes();
    let p = probabilities(network, images, "validating")?;
    let labels = images.labels().unwrap_or_default();
    let argmax = |row: &[f32]| (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    let (mut loss, mut right) = (0.0, 0);
    for (i, p) in p.chunks_exact(classes).enumerate() {
        match teacher {
            None => {
                let label = labels.get(i).copied().unwrap_or_default() as usize;
                loss -= f64::from(p[label]).max(1e-30).ln();
                right += usize::from(argmax(p) == label);
            }
            Some(teacher) => {
                let y = &teacher[i * classes..(i + 1) * classes];
                for (y, p) in y.iter().zip(p).filter(|(y, _)| **y > 0.0) {
                    loss += f64::from(*y) * (f64::from(*y).ln() - f64::from(*p).max(1e-30).ln());
                }
                right += usize::from(argmax(p) == argmax(y));
            }
        }
    }
    let n = images.len() as f64;
    Ok((loss / n, right as f64 / n))
}

fn csv(rows: &[Row]) -> String {
    let mut text = String::from("epoch,learning_rate,loss,accuracy,validation_loss,validation_accuracy,seconds\n");
    for row in rows {
        text += &format!(
            "{},{},{},{},{},{},{:.2}\n",
            row.epoch,
            row.learning_rate,
            row.loss,
            row.accuracy,
            row.validation_loss,
            row.validation_accuracy,
            row.seconds
        );
    }
    text
}

/// Writes a temporary file beside `path`, then renames it.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("partial");
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
