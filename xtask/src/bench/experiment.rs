//! Where the time and the memory of a whole experiment go.

use std::time::Instant;

use anyhow::Context;
use riptide::corruptions::Corruptor;
use riptide::files::Silent;
use riptide::models::NetworkPair;
use riptide::{Dataset, shipped_networks};
use riptide_experiments::{ProtocolParams, TestImages, run as run_experiment};
use serde::Serialize;

use super::measure::{peak_memory, report};
use crate::out::say;

/// Options of `cargo xtask bench experiment`.
#[derive(Debug, clap::Args)]
pub struct ExperimentArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Clean test images of the shapes; all 19 corruptions at 5 severities are made of each
    #[arg(long, default_value_t = 2000)]
    images: usize,
    /// Images in the reference
    #[arg(long, default_value_t = 1000)]
    n_ref: usize,
}

/// Everything that was measured, in seconds.
#[derive(Debug, Serialize)]
struct Outcome {
    threads: usize,
    /// Images that passed through both networks.
    scored: usize,
    /// Making and corrupting images.
    images: f64,
    /// Passing images through both networks.
    scoring: f64,
    /// Loading networks, keeping passes, drawing batches, testing, figures, report.
    rest: f64,
    /// (scoring + rest) / scoring.
    ratio: f64,
    images_per_second: f64,
    /// The most memory resident at any time, in bytes, if the system tells.
    peak_memory: Option<u64>,
}

/// Runs the experiment on the shapes into a temporary folder.
pub fn run(args: ExperimentArgs) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let start = Instant::now();
    let (classifier, distilled) = shipped_networks(&riptide::pretrained::SHAPES)?;
    let networks = NetworkPair::new(classifier, distilled)?;
    let loading = start.elapsed();
    let protocol = ProtocolParams {
        n_ref: args.n_ref,
        ..Default::default()
    };
    let clean = Dataset::Shapes.test_images(args.images, (32, 32))?;
    let making = start.elapsed() - loading;
    let images = TestImages::generated("Shapes", clean, Corruptor::new(protocol.seed))?;
    let (_, timings) = run_experiment(&networks, &images, &protocol.check()?, folder.path(), &mut Silent)?;
    let images = making + timings.images;
    let rest = start.elapsed().saturating_sub(images + timings.scoring).as_secs_f64();
    let scoring = timings.scoring.as_secs_f64();
    let outcome = Outcome {
        threads: rayon::current_num_threads(),
        scored: timings.scored,
        images: images.as_secs_f64(),
        scoring,
        rest,
        ratio: (scoring + rest) / scoring,
        images_per_second: timings.scored as f64 / scoring,
        peak_memory: peak_memory(),
    };
    report(&outcome, args.json, print)
}

fn print(outcome: &Outcome) {
    let Outcome {
        threads,
        scored,
        images,
        scoring,
        rest,
        ratio,
        images_per_second,
        peak_memory,
    } = outcome;
    say!("The experiment on the shapes, 19 corruptions, 5 severities, {threads} threads");
    say!("images   {images:8.2} s   making and corrupting");
    say!("scoring  {scoring:8.2} s   {scored} images, {images_per_second:.0} a second");
    say!("rest     {rest:8.2} s");
    say!("ratio    {ratio:8.3}     scoring and rest to scoring alone");
    if let Some(bytes) = peak_memory {
        say!(
            "memory   {:8.0} MiB resident at most",
            *bytes as f64 / f64::from(1 << 20)
        );
    }
}
