//! `riptide detect`: the outcome of each batch.

use std::path::PathBuf;

use clap::ValueEnum;
use riptide::detectors::SequentialTest;
use riptide::prelude::*;

use crate::args::{Common, ImagesArgs, JudgeArgs, MonitorArgs, check_output, hint, with_logged};
use crate::exit::Ending;
use crate::judgement;
use crate::output::Output;
use crate::progress::Bar;
use crate::state;

/// Options of `riptide detect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide detect --monitor monitor --images today/ --batch-size 100 --exit-code\n  \
    riptide detect --monitor monitor --images today.npy --alternative greater --json\n  \
    riptide detect --monitor monitor --images today.csv --group-by camera --time taken_at --every 1h\n  \
    camera | riptide detect --monitor monitor --images - --batch-size 100 --json"
)]
pub struct DetectArgs {
    #[command(flatten)]
    monitor: MonitorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Images of a batch; the last one may be smaller [default: all images are one batch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,

    /// One batch for each value of this column of a table, such as the camera
    #[arg(long, value_name = "COLUMN", conflicts_with = "batch_size")]
    group_by: Option<String>,

    /// One batch for each span of time, of the times in this column of a table
    #[arg(long, value_name = "COLUMN", requires = "every", conflicts_with = "batch_size")]
    time: Option<String>,

    /// The spans of --time: 15m, 1h, 1d
    #[arg(long, value_name = "SPAN", requires = "time")]
    every: Option<String>,

    /// The class probabilities that the classifier gave the images, row for row, if the monitor was fitted to such
    #[arg(long, value_name = "FILE")]
    probabilities: Option<PathBuf>,

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
    if let Some(state) = &args.state {
        let read = [Some(args.monitor.monitor.as_path()), args.probabilities.as_deref()];
        check_output("--state", state, Some(&args.images.images), &read)?;
    }
    let monitor = args.monitor.load()?;
    let options = args.judge.apply(monitor.options().clone());
    let monitor = monitor.with_options(options)?;
    let windows = args.windows()?;
    let columns = windows.as_ref().map(Windows::columns).unwrap_or_default();
    let images = args.images.open_with_columns(&monitor, columns)?;
    let images = with_logged(images, &monitor, args.probabilities.as_deref(), "--probabilities")?;
    let mut told = Told {
        out: Output::new(args.common.json).outlives_reader(args.exit_code.is_some()),
        bar: Bar::scoring(images.remaining()),
        monitor: &monitor,
        in_rows: windows.is_some() || args.batch_size.is_some(),
        outcomes: Vec::new(),
    };
    match windows {
        Some(windows) => {
            for outcome in hint(monitor.detect_windows_with(images, &windows, &mut told.bar))? {
                told.tell(outcome)?;
            }
            told.end(None)?;
        }
        None => args.batches(images, &mut told)?,
    }
    let outcomes = told.outcomes;
    let alarms = outcomes.iter().any(|outcome| match args.exit_code {
        Some(Alarm::Drift) => outcome.is_drift,
        Some(Alarm::Harm) => outcome.is_alarming(),
        None => false,
    });
    Ok(if alarms { Ending::Drift } else { Ending::Fine })
}

/// What is printed of the batches.
struct Told<'a> {
    out: Output,
    bar: Bar,
    monitor: &'a Monitor,
    /// Whether each batch is a row of a table.
    in_rows: bool,
    outcomes: Vec<Outcome>,
}

impl Told<'_> {
    /// Tells a batch as soon as its outcome is known.
    fn tell(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        if self.out.is_json() {
            self.out.record(&outcome)?;
            self.out.flush()?;
        } else {
            let lines = match self.in_rows {
                true => vec![judgement::row(&outcome, self.monitor)],
                false => judgement::batch(&outcome, self.monitor),
            };
            self.bar.suspended(|| {
                lines.iter().try_for_each(|line| self.out.line(line))?;
                self.out.flush()
            })?;
        }
        self.outcomes.push(outcome);
        Ok(())
    }

    fn end(&mut self, sequential: Option<&SequentialTest>) -> anyhow::Result<()> {
        self.bar.end();
        if !self.out.is_json() {
            for line in judgement::ending(&self.outcomes, self.monitor, sequential) {
                self.out.line(line)?;
            }
        }
        self.out.flush()
    }
}

impl DetectArgs {
    fn windows(&self) -> anyhow::Result<Option<Windows>> {
        let windows = match (&self.time, &self.every) {
            (Some(time), Some(every)) => Some(Windows::by_time(time, every)?),
            _ => None,
        };
        Ok(match (windows, &self.group_by) {
            (Some(windows), Some(column)) => Some(windows.group_by(column)),
            (None, Some(column)) => Some(Windows::by_group(column)),
            (windows, None) => windows,
        })
    }

    /// Tells batch after batch; the alarm over those before an error is kept, too.
    fn batches(&self, images: Images<'_>, told: &mut Told<'_>) -> anyhow::Result<()> {
        let batch_size = self.batch_size.map_or(usize::MAX, |size| size as usize);
        let monitor = told.monitor;
        let mut batches = monitor.detect_batches(images, batch_size);
        if let Some(path) = &self.state
            && let Some(test) = state::read(path, monitor)?
        {
            batches = batches.continue_from(test);
        }
        let mut scored = 0;
        let mut failure = Ok(());
        while let Some(outcome) = batches.next() {
            match outcome {
                Ok(outcome) => {
                    told.bar.advance((batches.scored() - scored) as u64);
                    scored = batches.scored();
                    told.tell(outcome)?;
                }
                Err(error) => failure = Err(error),
            }
        }
        if let (Some(path), Some(test)) = (&self.state, batches.sequential()) {
            state::write(path, monitor, test)?;
        }
        hint(failure)?;
        told.end(batches.sequential())
    }
}
