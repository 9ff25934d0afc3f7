//! `cargo xtask experiment`: the harmful-drift experiment, from images to report.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use riptide_corruptions::{Corruption, Corruptor, Severity};
use riptide_datasets::cifar10_c::Cifar10C;
use riptide_datasets::fetch::cache_dir;
use riptide_detectors::ScoreKind;
use riptide_experiments::{ProtocolParams, Sampling, TestImages, Timings, run as run_experiment, table};
use riptide_files::Unit;
use riptide_models::{Network, NetworkPair};
use riptide_stats::ks::Alternative;

use crate::dataset::{Dataset, default_networks};

/// Options of `cargo xtask experiment`.
#[derive(Debug, clap::Args)]
pub struct ExperimentArgs {
    /// Images: auto (CIFAR-10 where it has been fetched, else shapes), shapes, cifar10 or folder:DIR
    #[arg(long, default_value = "auto")]
    dataset: Dataset,

    /// Folder or archive of CIFAR-10 in its binary layout [default: the cache]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Folder of the published CIFAR-10-C files [default: the cache; without it Riptide corrupts the images itself]
    #[arg(long, value_name = "DIR")]
    cifar10c_dir: Option<PathBuf>,

    /// Classifier: a folder with config.json and model.safetensors, or a Keras .h5
    #[arg(long, value_name = "FILE", requires = "distilled")]
    classifier: Option<PathBuf>,

    /// Distilled network, likewise
    #[arg(long, value_name = "FILE", requires = "classifier")]
    distilled: Option<PathBuf>,

    /// A saved detector, whose two networks are used
    #[arg(long, value_name = "DIR", conflicts_with_all = ["classifier", "distilled"])]
    detector: Option<PathBuf>,

    /// Corruptions, separated by commas, or all
    #[arg(long, value_name = "NAMES", default_value = "all")]
    corruptions: String,

    /// Severities 1 to 5, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,2,3,4,5")]
    severities: Vec<Severity>,

    /// Scores to compare, separated by commas; the first leads. Or all: every score that class probabilities are enough for
    #[arg(long, value_name = "NAMES", default_value = "distillation")]
    scores: String,

    /// Test images to generate for the shapes
    #[arg(long, value_name = "N", default_value_t = 2000)]
    n_shapes: usize,

    /// Images in the reference
    #[arg(long, value_name = "N", default_value_t = 1000)]
    n_ref: usize,

    /// Images in a batch
    #[arg(long, value_name = "N", default_value_t = 100)]
    batch_size: usize,

    /// Batches for each severity, kind and fraction
    #[arg(long, value_name = "N", default_value_t = 100)]
    batches: usize,

    /// Fractions of corrupted images in a batch, 0 to 1, separated by commas
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9"
    )]
    fractions: Vec<f64>,

    /// Seed of every draw
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Level of the test
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    p_val: f64,

    /// Alternative of the test: two-sided, less or greater
    #[arg(long, default_value = "two-sided")]
    alternative: Alternative,

    /// Draw reference and batches with replacement from all clean images, as the published example does
    #[arg(long)]
    with_replacement: bool,

    /// Where the results go
    #[arg(long, value_name = "DIR", default_value = "out/experiment")]
    out: PathBuf,

    /// Threads [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// Score everything anew instead of going on where an earlier run stopped
    #[arg(long)]
    fresh: bool,

    /// Print the summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the experiment, writes its results and prints its table.
pub fn run(args: ExperimentArgs) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        if threads == 0 {
            bail!("--threads: 0 is too small; give at least 1");
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .context("cannot start the threads")?;
    }
    let protocol = ProtocolParams {
        n_ref: args.n_ref,
        batch_size: args.batch_size,
        batches: args.batches,
        fractions: args.fractions.clone(),
        seed: args.seed,
        level: args.p_val,
        alternative: args.alternative,
        sampling: if args.with_replacement {
            Sampling::WithReplacement
        } else {
            Sampling::WithoutReplacement
        },
        corruptions: corruptions(&args.corruptions)?,
        severities: args.severities.clone(),
        scores: scores(&args.scores)?,
        ..Default::default()
    }
    .check()?;
    let dataset = args.dataset.clone().settle(args.data_dir.as_deref());
    eprintln!("dataset: {dataset}");
    let (classifier, distilled) = network_paths(&args, &dataset)?;
    let load =
        |path: &PathBuf| Network::load(path).with_context(|| format!("cannot load the network {}", path.display()));
    let classifier = load(&classifier)?;
    let clean = dataset.test_images(args.data_dir.as_deref(), args.n_shapes, classifier.input_size())?;
    let networks = NetworkPair::new(classifier, load(&distilled)?)?;
    let name = match &dataset {
        Dataset::Cifar10 => "CIFAR-10".to_owned(),
        Dataset::Folder(folder) => folder
            .file_name()
            .map_or_else(|| "folder".to_owned(), |name| name.to_string_lossy().into_owned()),
        Dataset::Auto | Dataset::Shapes => "Shapes".to_owned(),
    };
    let images = match published(&args, &dataset)? {
        Some(files) => TestImages::published(name, clean, files)?,
        None => TestImages::generated(name, clean, Corruptor::new(args.seed))?,
    };
    if args.fresh && args.out.join("passes").exists() {
        let passes = args.out.join("passes");
        std::fs::remove_dir_all(&passes).with_context(|| format!("cannot remove {}", passes.display()))?;
    }
    let mut progress = Progress::default();
    let (summary, timings) = run_experiment(&networks, &images, &protocol, &args.out, &mut progress)?;
    progress.bar.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print!("{}", table(&summary));
    }
    report_timings(&timings);
    eprintln!("report: {}", args.out.join("report.html").display());
    Ok(())
}

fn corruptions(text: &str) -> anyhow::Result<Vec<Corruption>> {
    if text == "all" {
        return Ok(Corruption::ALL.to_vec());
    }
    text.split(',')
        .map(|name| Ok(name.trim().parse::<Corruption>()?))
        .collect()
}

fn scores(text: &str) -> anyhow::Result<Vec<ScoreKind>> {
    if text == "all" {
        return Ok(ScoreKind::FROM_PROBABILITIES.to_vec());
    }
    text.split(',')
        .map(|name| {
            name.trim()
                .parse::<ScoreKind>()
                .with_context(|| format!("--scores: {}", name.trim()))
        })
        .collect()
}

fn network_paths(args: &ExperimentArgs, dataset: &Dataset) -> anyhow::Result<(PathBuf, PathBuf)> {
    match (&args.classifier, &args.distilled, &args.detector) {
        (Some(classifier), Some(distilled), _) => Ok((classifier.clone(), distilled.clone())),
        (_, _, Some(detector)) => Ok((detector.join("classifier"), detector.join("distilled"))),
        _ => default_networks(dataset),
    }
}

/// The published files, where they are asked for or where the cache holds them beside CIFAR-10 itself.
fn published(args: &ExperimentArgs, dataset: &Dataset) -> anyhow::Result<Option<Cifar10C>> {
    match (&args.cifar10c_dir, dataset) {
        (Some(folder), _) => Ok(Some(Cifar10C::open(folder)?)),
        (None, Dataset::Cifar10) if args.data_dir.is_none() => {
            let folder = cache_dir(None).join("cifar10c");
            if folder.join("labels.npy").exists() {
                Ok(Some(Cifar10C::open(folder)?))
            } else {
                Ok(None)
            }
        }
        _ => Ok(None),
    }
}

fn report_timings(timings: &Timings) {
    let seconds = |time: Duration| time.as_secs_f64();
    let rate = timings.scored as f64 / seconds(timings.scoring).max(f64::MIN_POSITIVE);
    eprintln!(
        "time: images {:.1} s, scoring {:.1} s ({} images, {rate:.0} a second), everything else {:.1} s",
        seconds(timings.images),
        seconds(timings.scoring),
        timings.scored,
        seconds(timings.rest)
    );
}

/// A progress bar on standard error, hidden where that is no terminal.
struct Progress {
    bar: ProgressBar,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }
}

impl riptide_files::Progress for Progress {
    fn begin(&mut self, _task: &str, total: Option<u64>, _unit: Unit) {
        self.bar = ProgressBar::new(total.unwrap_or(0));
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {eta} left  {msg}");
        self.bar
            .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }

    fn advance(&mut self, images: u64) {
        self.bar.inc(images);
    }

    fn skip(&mut self, images: u64) {
        self.bar.inc(images);
        self.bar.reset_eta();
    }

    fn message(&mut self, text: &str) {
        self.bar.set_message(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_scores_are_those_that_probabilities_are_enough_for() {
        let all = scores("all").unwrap();
        assert!(all.len() == ScoreKind::ALL.len() - 1 && !all.contains(&ScoreKind::Energy));
        assert_eq!(all.first(), Some(&ScoreKind::Distillation));
        assert_eq!(
            scores("entropy, margin").unwrap(),
            [ScoreKind::Entropy, ScoreKind::Margin]
        );
        assert!(scores("").is_err());
    }
}
