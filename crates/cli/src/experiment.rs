//! `riptide experiment`: the harmful-drift experiment, from images to report.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use riptide::corruptions::{Corruption, Corruptor, Extended, Family, Severity};
use riptide::datasets::cache_dir;
use riptide::datasets::cifar10_c::Cifar10C;
use riptide::detectors::ScoreKind;
use riptide::detectors::accuracy::AccuracyOptions;
use riptide::files::shown;
use riptide::models::NetworkPair;
use riptide::prelude::*;
use riptide::stats::ks::Alternative;
use riptide::{Dataset, open_network, shipped_networks};
use riptide_experiments::{
    ComparisonParams, ProtocolParams, Sampling, TestImages, Timings, run as run_experiment, table,
};

use crate::args::{Common, alternative, inside_unit};
use crate::exit::{Ending, say};
use crate::output::Output;
use crate::progress::Bar;

/// Options of `riptide experiment`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide experiment\n  riptide experiment --images cifar10 --scores all --out out/cifar10"
)]
pub struct ExperimentArgs {
    /// Test images with labels: auto (CIFAR-10 if it has been fetched, else shapes), shapes (generated), cifar10 (fetched
    /// before), or what other commands take as --images
    #[arg(long, alias = "dataset", value_name = "X", default_value = "auto")]
    images: Dataset,

    /// Folder of the published CIFAR-10-C files [default: the cache; without it Riptide corrupts the images itself]
    #[arg(long, value_name = "DIR")]
    cifar10c_dir: Option<PathBuf>,

    /// Classifier: a folder with config.json and model.safetensors, a Keras .h5, or an hf:// address [default: the one that
    /// ships with Riptide for these images]
    #[arg(long, value_name = "W", requires = "distilled")]
    classifier: Option<PathBuf>,

    /// Distilled network, likewise
    #[arg(long, value_name = "W", requires = "classifier")]
    distilled: Option<PathBuf>,

    /// A saved monitor, whose two networks are used
    #[arg(long, alias = "detector", value_name = "DIR", conflicts_with_all = ["classifier", "distilled"])]
    monitor: Option<PathBuf>,

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
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batches: u32,

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

    /// Significance level of the test
    #[arg(long, alias = "p-val", value_name = "P", value_parser = inside_unit, default_value = "0.05")]
    level: f64,

    /// What counts as drift of the scores; greater: they are larger, the harmful direction
    #[arg(long, value_parser = alternative(), default_value_t = Alternative::default())]
    alternative: Alternative,

    /// Draw reference and batches with replacement from all clean images, as the published example does
    #[arg(long)]
    with_replacement: bool,

    /// How many times the images are split anew to compare the accuracy test with the published decision; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=1000))]
    references: u32,

    /// 2: the accuracy test sees the mirrored images too, which takes another pass
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    views: u8,

    /// Kinds of damage of our own that the accuracy test's models are fitted on too, as a calibrated monitor's are: none, extended
    /// or names separated by commas. Each costs a pass at every severity; intervals are of 95 % with two or more
    #[arg(long, value_name = "NAMES", default_value = "none")]
    declared: String,

    /// Where the results go
    #[arg(long, value_name = "DIR", default_value = "out/experiment")]
    out: PathBuf,

    /// Score everything again instead of resuming an earlier run
    #[arg(long)]
    fresh: bool,

    #[command(flatten)]
    common: Common,
}

/// Runs the experiment, writes its results and prints its table.
pub fn run(args: ExperimentArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let declared = declared(&args.declared)?;
    let mut comparison = ComparisonParams::default().references(args.references as usize);
    // 19 families at least give an interval of 95 %, and the one that is judged is left out.
    if args.corruptions == "all" && declared.len() > 1 {
        comparison = comparison.options(AccuracyOptions::default());
    }
    let protocol = ProtocolParams {
        n_ref: args.n_ref,
        batch_size: args.batch_size,
        batches: args.batches as usize,
        fractions: args.fractions.clone(),
        seed: args.seed,
        level: args.level,
        alternative: args.alternative,
        sampling: if args.with_replacement {
            Sampling::WithReplacement
        } else {
            Sampling::WithoutReplacement
        },
        corruptions: corruptions(&args.corruptions)?,
        severities: args.severities.clone(),
        scores: scores(&args.scores)?,
        comparison: (args.references > 0).then_some(comparison),
        declared,
        views: args.views,
        ..Default::default()
    }
    .check()?;
    let dataset = args.images.clone().settle();
    say(&format!("images: {}", shown(&dataset.to_string())));
    let networks = networks(&args, &dataset)?;
    let clean = dataset.test_images(args.n_shapes, networks.input_size())?;
    let images = match published(&args, &dataset)? {
        Some(files) => TestImages::published(dataset.title(), clean, files)?,
        None => TestImages::generated(dataset.title(), clean, Corruptor::new(args.seed))?,
    };
    if args.fresh && args.out.join("passes").exists() {
        let passes = args.out.join("passes");
        std::fs::remove_dir_all(&passes).with_context(|| format!("cannot remove {}", passes.display()))?;
    }
    let (summary, timings) = run_experiment(&networks, &images, &protocol, &args.out, &mut Bar::new())?;
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&summary)?;
    } else {
        out.bytes(table(&summary).as_bytes())?;
    }
    out.flush()?;
    report_timings(&timings);
    say(&format!("report: {}", args.out.join("report.html").display()));
    Ok(Ending::Fine)
}

fn corruptions(text: &str) -> anyhow::Result<Vec<Corruption>> {
    if text == "all" {
        return Ok(Corruption::ALL.to_vec());
    }
    text.split(',')
        .map(|name| Ok(name.trim().parse::<Corruption>()?))
        .collect()
}

fn declared(text: &str) -> anyhow::Result<Vec<Extended>> {
    match text {
        "none" => Ok(Vec::new()),
        "extended" => Ok(Extended::ALL.to_vec()),
        _ => text
            .split(',')
            .map(|name| {
                let given = || format!("--declared: {}", name.trim());
                match name.trim().parse::<Family>().with_context(given)? {
                    Family::Extended(kind) => Ok(kind),
                    Family::Published(_) => Err(anyhow::anyhow!("belongs into --corruptions")).with_context(given),
                }
            })
            .collect(),
    }
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

/// The networks that were named, else those that ship with Riptide for these images.
fn networks(args: &ExperimentArgs, dataset: &Dataset) -> anyhow::Result<NetworkPair> {
    let (classifier, distilled) = match (&args.classifier, &args.distilled, &args.monitor) {
        (Some(classifier), Some(distilled), _) => (open_network(classifier)?, open_network(distilled)?),
        (_, _, Some(folder)) => {
            let monitor = Monitor::load(folder)?;
            let classifier = monitor
                .classifier()
                .context("the monitor's classifier is a function, which is not saved")?;
            (classifier.clone(), monitor.distilled().clone())
        }
        _ => shipped_networks(dataset.shipped().context(
            "no networks ship with Riptide for these images; give --classifier and --distilled, or --monitor",
        )?)?,
    };
    Ok(NetworkPair::new(classifier, distilled)?)
}

/// The published files, if they are asked for or the cache holds them beside CIFAR-10 itself.
fn published(args: &ExperimentArgs, dataset: &Dataset) -> anyhow::Result<Option<Cifar10C>> {
    match (&args.cifar10c_dir, dataset) {
        (Some(folder), _) => Ok(Some(Cifar10C::open(folder)?)),
        (None, Dataset::Cifar10) => {
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
    say(&format!(
        "time: images {:.1} s, scoring {:.1} s ({} images, {rate:.0} a second), everything else {:.1} s",
        seconds(timings.images),
        seconds(timings.scoring),
        timings.scored,
        seconds(timings.rest)
    ));
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
