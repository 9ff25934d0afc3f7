//! `riptide calibrate`: teaches a monitor to tell how accurate the classifier is.

use std::path::PathBuf;

use riptide::CalibrationFacts;
use riptide::prelude::*;
use serde::Serialize;

use crate::args::{CalibrationArgs, Common, ImagesArgs, MonitorArgs, hint};
use crate::exit::Ending;
use crate::judgement;
use crate::output::Output;
use crate::progress::Bar;

/// Options of `riptide calibrate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide calibrate --monitor monitor --images holdout/\n  \
    riptide calibrate --monitor monitor --images holdout.npy --labels holdout_labels.npy")]
pub struct CalibrateArgs {
    #[command(flatten)]
    monitor: MonitorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    #[command(flatten)]
    how: CalibrationArgs,

    /// Decides which images are corrupted, and the random numbers of the corruptions
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Keep the answers to each corrupted set in this folder; a calibration that was stopped goes on from it
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,

    /// Where the calibrated monitor goes [default: in the place of the other]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    out: PathBuf,
    calibration: Option<&'a CalibrationFacts>,
    note: Option<&'a str>,
}

/// Calibrates a monitor.
pub fn run(args: CalibrateArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let monitor = args.monitor.load()?;
    let path = args.out.unwrap_or_else(|| args.monitor.monitor.clone());
    Monitor::check_destination(&path)?;
    let images = args.how.label(args.images.open(&monitor)?)?;
    let config = args.how.config(args.seed).checkpoint(args.checkpoint);
    let monitor = hint(monitor.calibrate(images, &config, &mut Bar::new()))?;
    monitor.save(&path)?;
    let report = Report {
        out: path,
        calibration: monitor.facts().calibration.as_ref(),
        note: monitor.note(),
    };
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&report)?;
    } else {
        for line in judgement::calibration(report.calibration, monitor.options(), "calibration ") {
            out.line(line)?;
        }
        if let Some(note) = report.note {
            out.line(format_args!("            {note}"))?;
        }
        out.line(format_args!("monitor     {}", report.out.display()))?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}
