//! `riptide score`: score, prediction and confidence of each image.

use std::path::PathBuf;

use riptide::prelude::*;
use riptide::stats::summary;
use riptide::{Row, ScoresFormat};
use serde::Serialize;

use crate::args::{Common, ImagesArgs, MonitorArgs, hint};
use crate::exit::Ending;
use crate::output::{Column, Output, table};
use crate::progress::Bar;

/// Options of `riptide score`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide score --monitor monitor --images today/ --out scores.csv\n  \
    cat images.npy | riptide score --monitor monitor --images - --json | head -1"
)]
pub struct ScoreArgs {
    #[command(flatten)]
    monitor: MonitorArgs,

    #[command(flatten)]
    images: ImagesArgs,

    /// Write the scores to a file instead, as its extension says: .npy (a structured array), .csv or .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

/// The line of one image.
#[derive(Debug, Serialize)]
struct Line<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    score: f32,
    prediction: usize,
    class: &'a str,
    confidence: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_probability: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    images: usize,
    out: PathBuf,
    mean: f64,
    median: f64,
    max: f64,
}

/// Scores images.
pub fn run(args: ScoreArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    if let Some(path) = &args.out {
        ScoresFormat::of(path)?;
    }
    let monitor = args.monitor.load()?;
    let images = args.images.open(monitor.input_size())?;
    let mut out = Output::new(args.common.json);
    let Some(path) = args.out else {
        return to_stdout(&monitor, images, &mut out);
    };
    let mut bar = Bar::scoring(images.remaining());
    let scores = hint(monitor.score_with(images, &mut bar))?;
    scores.write(&path)?;
    let values: Vec<f64> = scores.scores.iter().copied().map(f64::from).collect();
    let report = Report {
        images: scores.len(),
        out: path,
        mean: summary::mean(&values)?,
        median: summary::percentile(&values, 50.0)?,
        max: summary::min_max(&values)?.1,
    };
    if out.is_json() {
        out.document(&report)?;
    } else {
        out.line(format_args!(
            "{} images: score mean {:.4}, median {:.4}, largest {:.4}; {}",
            report.images,
            report.mean,
            report.median,
            report.max,
            report.out.display()
        ))?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}

/// Tells each image as soon as its chunk is scored.
fn to_stdout(monitor: &Monitor, images: Images<'_>, out: &mut Output) -> anyhow::Result<Ending> {
    let mut bar = match Output::is_terminal() {
        true => Bar::hidden(),
        false => Bar::scoring(images.remaining()),
    };
    for chunk in monitor.score_stream(images) {
        let chunk = hint(chunk)?;
        bar.advance(chunk.scores.len() as u64);
        if out.is_json() {
            for row in chunk.rows() {
                out.record(&Line::of(&row, monitor))?;
            }
        } else {
            let mut columns = vec![
                Column::left("image"),
                Column::right("score"),
                Column::left("prediction"),
                Column::right("confidence"),
            ];
            if monitor.calibration().is_some() {
                columns.push(Column::right("error probability"));
            }
            let rows: Vec<Vec<String>> = chunk
                .rows()
                .map(|row| {
                    let line = Line::of(&row, monitor);
                    vec![
                        line.file.unwrap_or_else(|| line.index.to_string()),
                        format!("{:.4}", line.score),
                        line.class.to_owned(),
                        format!("{:.4}", line.confidence),
                        line.error_probability
                            .map_or_else(String::new, |error| format!("{error:.4}")),
                    ]
                })
                .collect();
            let text = table(&columns, &rows);
            let skip = if chunk.first == 0 { 0 } else { 1 };
            for line in text.lines().skip(skip) {
                out.line(line)?;
            }
        }
        out.flush()?;
    }
    bar.end();
    Ok(Ending::Fine)
}

impl<'a> Line<'a> {
    fn of(row: &Row<'_>, monitor: &'a Monitor) -> Self {
        Self {
            index: row.index,
            file: row.file.map(|file| file.display().to_string()),
            score: row.score,
            prediction: row.prediction,
            class: monitor.class_name(row.prediction),
            confidence: row.confidence,
            error_probability: row.error_probability,
        }
    }
}
