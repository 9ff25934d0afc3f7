//! `riptide audit`: the accuracy of a batch from the labels of a few of its images.

use std::path::PathBuf;

use clap::Subcommand;
use riptide::AuditPick;
use riptide::detectors::audit::{AuditConfig, AuditOutcome};
use serde::Serialize;

use crate::args::{Common, ImagesArgs, MonitorArgs, check_output, hint, inside_unit};
use crate::exit::Ending;
use crate::output::{Output, interval, percent};

/// Options of `riptide audit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide audit pick --monitor monitor --images today/ -m 50 --out pick.csv\n  \
    riptide audit update --monitor monitor --images today/ --labels pick.csv"
)]
pub struct AuditArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Pick images of a batch at random, for somebody to label
    Pick(PickArgs),
    /// Estimate the accuracy of the batch from the labels
    Update(UpdateArgs),
}

/// Options of `riptide audit pick`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide audit pick --monitor monitor --images today/ -m 50 --out pick.csv")]
struct PickArgs {
    #[command(flatten)]
    monitor: MonitorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Number of images to label
    #[arg(short = 'm', long, value_name = "N")]
    number: usize,

    /// Where the list goes, comma-separated values; fill in the column `label`
    #[arg(long, value_name = "PICK.csv")]
    out: PathBuf,

    /// Decides which images are picked
    #[arg(long, default_value_t = 0)]
    seed: u64,

    #[command(flatten)]
    common: Common,
}

/// Options of `riptide audit update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide audit update --monitor monitor --images today/ --labels pick.csv")]
struct UpdateArgs {
    #[command(flatten)]
    monitor: MonitorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// The list that was picked, with labels from its first line on; the rest may be empty
    #[arg(long, value_name = "PICK.csv")]
    labels: PathBuf,

    /// The accuracy below which there is an alarm [default: the reference's less the tolerated drop]
    #[arg(long, value_name = "ACCURACY", value_parser = inside_unit)]
    accepted: Option<f64>,

    /// End with exit code 3 if there is an alarm
    #[arg(long)]
    exit_code: bool,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Picked<'a> {
    images: usize,
    out: &'a PathBuf,
    picks: &'a [AuditPick],
}

/// Picks images, or takes their labels.
pub fn run(args: AuditArgs) -> anyhow::Result<Ending> {
    match args.what {
        What::Pick(args) => pick(&args),
        What::Update(args) => update(&args),
    }
}

fn pick(args: &PickArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let read = [Some(args.monitor.monitor.as_path())];
    check_output("--out", &args.out, Some(&args.images.images), &read)?;
    let monitor = args.monitor.load()?;
    let audit = hint(monitor.audit(args.images.open(&monitor)?))?;
    let picks = audit.pick(args.number, &AuditConfig::default().seed(args.seed))?;
    AuditPick::write(&picks, &args.out)?;
    let mut out = Output::new(args.common.json);
    if out.is_json() {
        out.document(&Picked {
            images: audit.len(),
            out: &args.out,
            picks: &picks,
        })?;
    } else {
        out.line(format_args!(
            "{} of {} images: {}",
            picks.len(),
            audit.len(),
            args.out.display()
        ))?;
        out.line(
            "Fill in the column `label` from the first line on: the class, or other if it is none of the classifier's.",
        )?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}

fn update(args: &UpdateArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let picks = AuditPick::read(&args.labels)?;
    let monitor = args.monitor.load()?;
    let audit = hint(monitor.audit(args.images.open(&monitor)?))?;
    let found: AuditOutcome = audit.update(&picks, args.accepted)?;
    let mut out = Output::new(args.common.json).outlives_reader(args.exit_code);
    if out.is_json() {
        out.document(&found)?;
    } else {
        out.line(format_args!(
            "accuracy {}, from {} labels of {} images, under any drift",
            interval(found.accuracy),
            found.n_labelled,
            found.n
        ))?;
        out.line(format_args!(
            "without the labels it would be taken for {}",
            percent(found.predicted)
        ))?;
        out.line(format_args!(
            "{}: evidence {:.3} that it is below what is accepted",
            if found.alarm { "alarm" } else { "no alarm" },
            found.e_value
        ))?;
    }
    out.flush()?;
    Ok(if found.alarm && args.exit_code {
        Ending::Drift
    } else {
        Ending::Fine
    })
}
