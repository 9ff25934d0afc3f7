//! `riptide detect`: the outcome of each batch.

use std::path::PathBuf;

use clap::ValueEnum;
use riptide::prelude::*;

use crate::args::{Common, ImagesArgs, JudgeArgs, MonitorArgs, hint};
use crate::exit::Ending;
use crate::judgement;
use crate::output::Output;
use crate::progress::Bar;
use crate::state;

/// Options of `riptide detect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide detect --monitor monitor --images today/ --batch-size 100 --exit-code\n  \
    riptide detect --monitor monitor --images today.npy --alternative greater --json"
)]
pub struct DetectArgs {
    #[command(flatten)]
    monitor: MonitorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Images of a batch; the last one may be smaller [default: all images are one batch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,

    #[command(flatten)]
    judge: JudgeArgs,

    /// Keep the alarm over the batches in this file and go on from it the next time [default: it begins anew]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// End with exit code 3 if a batch has drifted, or with --exit-code=harm if one is harmful or outside what was declared
    #[arg(long, value_enum, value_name = "ON", num_args = 0..=1, require_equals = true, default_missing_value = "drift")]
    exit_code: Option<Alarm>,

    #[command(flatten)]
    common: Common,
}

/// What --exit-code tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Alarm {
    /// The scores of a batch differ from the reference's
    Drift,
    /// The verdict on a batch is harmful or outside; without a calibration, its scores are larger and enough of it is in excess
    /// of the reference, or the classifier is less certain
    Harm,
}

/// Tests batches of images.
pub fn run(args: DetectArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let monitor = args.monitor.load()?;
    let options = args.judge.apply(monitor.options().clone());
    let monitor = monitor.with_options(options)?;
    let images = args.images.open(monitor.input_size())?;
    let mut out = Output::new(args.common.json);
    let mut bar = Bar::scoring(images.remaining());
    let batch_size = args.batch_size.map_or(usize::MAX, |size| size as usize);
    let mut batches = monitor.detect_batches(images, batch_size);
    if let Some(path) = &args.state {
        if let Some(test) = state::read(path, &monitor)? {
            batches = batches.continue_from(test);
        }
    }
    let mut outcomes = Vec::new();
    let mut scored = 0;
    while let Some(outcome) = batches.next() {
        let outcome = hint(outcome)?;
        bar.advance((batches.scored() - scored) as u64);
        scored = batches.scored();
        if out.is_json() {
            out.record(&outcome)?;
            out.flush()?;
        }
        outcomes.push(outcome);
    }
    bar.end();
    if let (Some(path), Some(test)) = (&args.state, batches.sequential()) {
        state::write(path, &monitor, test)?;
    }
    if !out.is_json() {
        for line in judgement::lines(&outcomes, &monitor, batches.sequential()) {
            out.line(line)?;
        }
    }
    out.flush()?;
    let alarms = outcomes.iter().any(|outcome| match args.exit_code {
        Some(Alarm::Drift) => outcome.is_drift,
        Some(Alarm::Harm) => outcome.is_alarming(),
        None => false,
    });
    Ok(if alarms { Ending::Drift } else { Ending::Fine })
}
