//! `riptide predict`: which single images are flagged.

use std::path::PathBuf;

use riptide::files::shown;
use riptide::prelude::*;
use serde::Serialize;

use crate::args::{Common, ImagesArgs, MonitorArgs, hint, with_logged};
use crate::exit::Ending;
use crate::output::{Column, Output, table};
use crate::progress::Bar;

/// Options of `riptide predict`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide predict --monitor monitor --images today/\n  \
    riptide predict --monitor monitor --images today/ --json | jq 'select(.flagged)'")]
pub struct PredictArgs {
    #[command(flatten)]
    monitor: MonitorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// The class probabilities that the classifier gave the images, row for row, if the monitor was fitted to such
    #[arg(long, value_name = "FILE")]
    logged_probabilities: Option<PathBuf>,

    /// Score above which an image is flagged, instead of the monitor's
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    threshold: Option<f64>,

    /// Add both networks' class probabilities to each line of --json
    #[arg(long, requires = "json")]
    probabilities: bool,

    #[command(flatten)]
    common: Common,
}

/// The line of one image.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    decision: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    classifier: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distilled: Option<&'a [f32]>,
}

/// Decides on each image.
pub fn run(args: PredictArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let mut monitor = args.monitor.load()?;
    if let Some(threshold) = args.threshold {
        let options = monitor.options().clone().threshold(threshold);
        monitor = monitor.with_options(options)?;
    }
    let images = args.images.open(&monitor)?;
    let logged = args.logged_probabilities.as_deref();
    let images = with_logged(images, &monitor, logged, "--logged-probabilities")?;
    let mut out = Output::new(args.common.json);
    let mut bar = Bar::scoring(images.remaining());
    let mut flagged: Vec<Vec<String>> = Vec::new();
    let mut n = 0;
    for chunk in monitor.score_stream(images) {
        let chunk = hint(chunk)?;
        n += chunk.scores.len();
        bar.advance(chunk.scores.len() as u64);
        for row in chunk.rows() {
            let decision = monitor.decide(&row);
            if out.is_json() {
                out.record(&Line {
                    decision,
                    classifier: args.probabilities.then_some(row.classifier),
                    distilled: args.probabilities.then_some(row.distilled),
                })?;
            } else if decision.flagged {
                flagged.push(vec![
                    decision
                        .file
                        .map_or_else(|| row.index.to_string(), |file| shown(&file).to_string()),
                    format!("{:.4}", decision.score),
                    decision.class,
                ]);
            }
        }
        out.flush()?;
    }
    bar.end();
    if !out.is_json() {
        if !flagged.is_empty() {
            let columns = [
                Column::left("image"),
                Column::right("score"),
                Column::left("prediction"),
            ];
            out.line(table(&columns, &flagged))?;
            out.line("")?;
        }
        out.line(format_args!(
            "{} of {n} images score above {:.4}",
            flagged.len(),
            monitor.threshold()
        ))?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}
