//! `riptide detect`: the outcome of each batch.

use clap::ValueEnum;
use riptide::prelude::*;

use crate::args::{Common, ImagesArgs, JudgeArgs, MonitorArgs, hint};
use crate::exit::Ending;
use crate::output::{Column, Output, interval, p_value, table};
use crate::progress::Bar;

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

    /// End with exit code 3 if a batch has drifted, or with --exit-code=harm if one is harmful
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
    /// The scores of a batch are larger, and enough of it is in excess of the reference
    Harm,
}

/// Tests batches of images.
pub fn run(args: DetectArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let monitor = args.monitor.load()?;
    let options = args.judge.apply(monitor.options().clone());
    let monitor = monitor.with_options(options)?;
    let images = args.images.open(&monitor)?;
    let mut out = Output::new(args.common.json);
    let mut bar = Bar::scoring(images.remaining());
    let batch_size = args.batch_size.map_or(usize::MAX, |size| size as usize);
    let mut batches = monitor.detect_batches(images, batch_size);
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
    if !out.is_json() {
        for line in text(&outcomes, monitor.options()) {
            out.line(line)?;
        }
    }
    out.flush()?;
    let alarms = outcomes.iter().any(|outcome| match args.exit_code {
        Some(Alarm::Drift) => outcome.is_drift,
        Some(Alarm::Harm) => outcome.is_harmful,
        None => false,
    });
    Ok(if alarms { Ending::Drift } else { Ending::Fine })
}

fn text(outcomes: &[Outcome], options: &Options) -> Vec<String> {
    let columns = [
        Column::right("batch"),
        Column::right("images"),
        Column::left("drift"),
        Column::right("p-value"),
        Column::right("distance"),
        Column::left("harmful"),
        Column::left("excess fraction"),
    ];
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|outcome| {
            let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
            vec![
                outcome.batch.to_string(),
                outcome.n_images.to_string(),
                yes(outcome.is_drift),
                p_value(outcome.p_value),
                format!("{:.3}", outcome.distance),
                yes(outcome.is_harmful),
                interval(outcome.excess_fraction),
            ]
        })
        .collect();
    let mut lines = vec![table(&columns, &rows)];
    let drifted = outcomes.iter().filter(|outcome| outcome.is_drift).count();
    let harmful = outcomes.iter().filter(|outcome| outcome.is_harmful).count();
    let n = outcomes.len();
    lines.push(String::new());
    lines.push(format!(
        "{drifted} of {n} drifted ({} test at {}), {harmful} harmful",
        options.alternative, options.level
    ));
    if n > 1 {
        lines.push(format!(
            "Without any drift, about {:.1} of {n} would be called drifted at this level.",
            options.level * n as f64
        ));
    }
    lines
}
