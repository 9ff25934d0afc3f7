//! `riptide detect`: one outcome a batch.

use clap::ValueEnum;
use riptide_detectors::drift::KsDrift;
use riptide_detectors::harm::{ExcessFraction, HarmTest};
use riptide_detectors::{Detector, DetectorSettings};
use riptide_stats::ks::Alternative;
use serde::Serialize;

use crate::args::{Common, ImagesArgs, alternative, inside_unit};
use crate::exit::Ending;
use crate::monitor::{DetectorArgs, Monitor};
use crate::output::{Output, p_value, percent, table};
use crate::progress;

/// Options of `riptide detect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide detect --detector detector --images today/ --batch-size 100 --exit-code\n  \
    riptide detect --detector detector --images today.npy --alternative greater --json"
)]
pub struct DetectArgs {
    #[command(flatten)]
    detector: DetectorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Images of a batch; the last one may be smaller [default: all images are one batch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,

    /// Level of the tests, instead of the detector's
    #[arg(long, value_name = "P", value_parser = inside_unit)]
    p_val: Option<f64>,

    /// What counts as drift of the scores, instead of the detector's; greater: they are larger, the harmful direction
    #[arg(long, value_parser = alternative())]
    alternative: Option<Alternative>,

    /// End with exit code 3 where a batch has drifted, or with --exit-code=harm where one is harmful
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

/// The outcome of one batch.
#[derive(Debug, Serialize)]
struct Outcome {
    batch: usize,
    first_image: usize,
    n_images: usize,
    is_drift: bool,
    p_val: f64,
    distance: f64,
    threshold: f64,
    alternative: Alternative,
    is_harmful: bool,
    harm_p_val: f64,
    harmful_fraction: ExcessFraction,
}

struct Tests {
    drift: KsDrift,
    harm: HarmTest,
    threshold: f64,
    batch: usize,
    first: usize,
}

/// Tests batches of images.
pub fn run(args: DetectArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let monitor = Monitor::load(&args.detector.detector)?;
    let mut tests = Tests::new(&monitor.detector, &args)?;
    let mut images = args.images.open(monitor.size())?;
    let mut out = Output::new(args.common.json);
    let bar = progress::images(images.remaining(), "scoring");
    let batch_size = args.batch_size.map_or(usize::MAX, |size| size as usize);
    let mut waiting: Vec<f64> = Vec::new();
    let mut outcomes = Vec::new();
    monitor.pass(&mut images, &bar, |scored, _| {
        waiting.extend(scored.scores.iter().copied().map(f64::from));
        while waiting.len() >= batch_size {
            let rest = waiting.split_off(batch_size);
            let batch = std::mem::replace(&mut waiting, rest);
            outcomes.push(tests.outcome(&batch, &mut out)?);
        }
        Ok(())
    })?;
    if !waiting.is_empty() {
        outcomes.push(tests.outcome(&waiting, &mut out)?);
    }
    if !out.is_json() {
        for line in text(&outcomes, tests.drift.alternative()) {
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

impl Tests {
    /// The saved tests, with the levels and the alternative of the command line.
    fn new(detector: &Detector, args: &DetectArgs) -> anyhow::Result<Self> {
        let mut settings: DetectorSettings = detector.settings().clone();
        settings.alternative = args.alternative.unwrap_or(settings.alternative);
        if let Some(p_val) = args.p_val {
            settings.drift.p_val = p_val;
            settings.harm.p_val = p_val;
        }
        let threshold = settings.drift.p_val;
        let detector = Detector::new(settings, detector.reference().clone())?;
        Ok(Self {
            drift: detector.ks_drift()?,
            harm: detector.harm_test()?,
            threshold,
            batch: 0,
            first: 0,
        })
    }

    /// Tests one batch; as JSON it is told at once.
    fn outcome(&mut self, batch: &[f64], out: &mut Output) -> anyhow::Result<Outcome> {
        let drift = self.drift.predict(batch)?;
        let harm = self.harm.test(batch)?.data;
        let outcome = Outcome {
            batch: self.batch,
            first_image: self.first,
            n_images: batch.len(),
            is_drift: drift.is_drift(),
            p_val: drift.p_val(),
            distance: drift.distance(),
            threshold: self.threshold,
            alternative: self.drift.alternative(),
            is_harmful: harm.is_harmful,
            harm_p_val: harm.p_val,
            harmful_fraction: harm.excess_fraction,
        };
        self.batch += 1;
        self.first += batch.len();
        if out.is_json() {
            out.record(&outcome)?;
            out.flush()?;
        }
        Ok(outcome)
    }
}

fn text(outcomes: &[Outcome], alternative: Alternative) -> Vec<String> {
    let header = [
        "batch",
        "images",
        "drift",
        "p-value",
        "distance",
        "harmful",
        "harmful fraction",
    ];
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|outcome| {
            let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
            let fraction = outcome.harmful_fraction;
            vec![
                outcome.batch.to_string(),
                outcome.n_images.to_string(),
                yes(outcome.is_drift),
                p_value(outcome.p_val),
                format!("{:.3}", outcome.distance),
                yes(outcome.is_harmful),
                format!(
                    "{} ({} to {})",
                    percent(fraction.estimate),
                    percent(fraction.lower),
                    percent(fraction.upper)
                ),
            ]
        })
        .collect();
    let mut lines = vec![table(&header, &rows, &[true, true, false, true, true, false, false])];
    if let Some(first) = outcomes.first() {
        let drifted = outcomes.iter().filter(|outcome| outcome.is_drift).count();
        let harmful = outcomes.iter().filter(|outcome| outcome.is_harmful).count();
        let n = outcomes.len();
        lines.push(String::new());
        lines.push(format!(
            "{drifted} of {n} drifted ({alternative} test at {}), {harmful} harmful",
            first.threshold
        ));
        if n > 1 {
            lines.push(format!(
                "Without any drift, about {:.1} of {n} would be called drifted at this level.",
                first.threshold * n as f64
            ));
        }
    }
    lines
}
