//! `riptide score`: score, prediction and confidence of each image.

use std::path::PathBuf;

use riptide::files::shown;
use riptide::prelude::*;
use riptide::stats::summary;
use riptide::{FileName, ProbabilitiesFile, Row, ScoresFormat};
use serde::Serialize;

use crate::args::{Common, ImagesArgs, MonitorArgs, check_different, check_output, hint, with_logged};
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

    /// The class probabilities that the classifier gave the images, row for row, if the monitor was fitted to such
    #[arg(long, value_name = "FILE")]
    logged_probabilities: Option<PathBuf>,

    /// Write the scores to a file instead, as its extension says: .npy (a structured array), .csv or .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Also write the classifier's class probabilities to this file, a .npy of float32 (N, classes)
    #[arg(long, value_name = "FILE")]
    probabilities: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

/// The line of one image.
#[derive(Debug, Serialize)]
struct Line<'a> {
    index: usize,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    file: Option<FileName>,
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
    args.check_outputs()?;
    let monitor = args.monitor.load()?;
    let images = args.images.open(&monitor)?;
    let logged = args.logged_probabilities.as_deref();
    let images = with_logged(images, &monitor, logged, "--logged-probabilities")?;
    let mut out = Output::new(args.common.json);
    let mut probabilities = match &args.probabilities {
        Some(path) => Some(ProbabilitiesFile::create(path, monitor.n_classes())?),
        None => None,
    };
    let Some(path) = args.out else {
        to_stdout(&monitor, images, &mut out, probabilities.as_mut())?;
        probabilities.map_or(Ok(()), ProbabilitiesFile::commit)?;
        return Ok(Ending::Fine);
    };
    let mut bar = Bar::scoring(images.remaining());
    let scores = hint(monitor.score_and(images, &mut bar, |chunk| {
        probabilities.as_mut().map_or(Ok(()), |file| file.add(chunk))
    }))?;
    scores.write(&path)?;
    probabilities.map_or(Ok(()), ProbabilitiesFile::commit)?;
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

impl ScoreArgs {
    /// Errors if a file that is to be written cannot be, or is read too.
    fn check_outputs(&self) -> anyhow::Result<()> {
        let read = [
            Some(self.monitor.monitor.as_path()),
            self.logged_probabilities.as_deref(),
        ];
        for (option, out) in [("--out", &self.out), ("--probabilities", &self.probabilities)] {
            if let Some(out) = out {
                check_output(option, out, Some(&self.images.images), &read)?;
            }
        }
        match (&self.out, &self.probabilities) {
            (Some(out), Some(other)) => check_different(("--out", out), ("--probabilities", other)),
            _ => Ok(()),
        }
    }
}

/// Tells each image as soon as its chunk is scored.
fn to_stdout(
    monitor: &Monitor,
    images: Images<'_>,
    out: &mut Output,
    mut probabilities: Option<&mut ProbabilitiesFile>,
) -> anyhow::Result<()> {
    let mut bar = match Output::is_terminal() {
        true => Bar::hidden(),
        false => Bar::scoring(images.remaining()),
    };
    for chunk in monitor.score_stream(images) {
        let chunk = hint(chunk)?;
        bar.advance(chunk.scores.len() as u64);
        if let Some(file) = &mut probabilities {
            file.add(&chunk)?;
        }
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
                        row.file
                            .map_or_else(|| line.index.to_string(), |file| shown(file).to_string()),
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
    Ok(())
}

impl<'a> Line<'a> {
    fn of(row: &Row<'_>, monitor: &'a Monitor) -> Self {
        Self {
            index: row.index,
            file: row.file.map(|file| FileName::of(file)),
            score: row.score,
            prediction: row.prediction,
            class: monitor.class_name(row.prediction),
            confidence: row.confidence,
            error_probability: row.error_probability,
        }
    }
}
