//! `riptide score`: one score, prediction and confidence an image.

mod file;

use std::path::PathBuf;

use riptide_stats::summary;
use serde::Serialize;

use crate::args::{Common, Images, ImagesArgs};
use crate::exit::Ending;
use crate::monitor::{DetectorArgs, Monitor, Scored};
use crate::output::{Output, table};
use crate::progress;
use file::Format;

/// Options of `riptide score`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide score --detector detector --images today/ --out scores.csv\n  \
    cat images.npy | riptide score --detector detector --images - --json | head -1"
)]
pub struct ScoreArgs {
    #[command(flatten)]
    detector: DetectorArgs,

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
struct Row<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    score: f32,
    prediction: usize,
    class: &'a str,
    confidence: f32,
}

/// All images' results, column by column.
#[derive(Debug, Default)]
struct Columns {
    /// The file of each image; empty where images are not files of their own.
    files: Vec<String>,
    scores: Vec<f32>,
    predictions: Vec<u32>,
    confidences: Vec<f32>,
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
    let format = args.out.as_deref().map(Format::of).transpose()?;
    let monitor = Monitor::load(&args.detector.detector)?;
    let mut images = args.images.open(monitor.size())?;
    let mut out = Output::new(args.common.json);
    let Some((path, format)) = args.out.as_ref().zip(format) else {
        return to_stdout(&monitor, &mut images, &mut out);
    };
    let bar = progress::images(images.remaining(), "scoring");
    let mut columns = Columns::default();
    let n = monitor.pass(&mut images, &bar, |scored, images| {
        for row in rows(&monitor, &scored, images) {
            columns.files.extend(row.file);
            columns.scores.push(row.score);
            columns.predictions.push(u32::try_from(row.prediction)?);
            columns.confidences.push(row.confidence);
        }
        Ok(())
    })?;
    format.write(path, &columns, &monitor.detector.settings().class_names)?;
    let scores: Vec<f64> = columns.scores.iter().copied().map(f64::from).collect();
    let report = Report {
        images: n,
        out: path.clone(),
        mean: summary::mean(&scores)?,
        median: summary::percentile(&scores, 50.0)?,
        max: summary::min_max(&scores)?.1,
    };
    if out.is_json() {
        out.document(&report)?;
    } else {
        out.line(format_args!(
            "{n} images: score mean {:.4}, median {:.4}, largest {:.4}; {}",
            report.mean,
            report.median,
            report.max,
            path.display()
        ))?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}

/// A line an image, as they come.
fn to_stdout(monitor: &Monitor, images: &mut Images, out: &mut Output) -> anyhow::Result<Ending> {
    let bar = match Output::is_terminal() {
        true => progress::hidden(),
        false => progress::images(images.remaining(), "scoring"),
    };
    monitor.pass(images, &bar, |scored, images| {
        let rows = rows(monitor, &scored, images);
        if out.is_json() {
            for row in rows {
                out.record(&row)?;
            }
        } else {
            let header = ["image", "score", "prediction", "confidence"];
            let rows: Vec<Vec<String>> = rows
                .map(|row| {
                    vec![
                        row.file.unwrap_or_else(|| row.index.to_string()),
                        format!("{:.4}", row.score),
                        row.class.to_owned(),
                        format!("{:.4}", row.confidence),
                    ]
                })
                .collect();
            let text = table(&header, &rows, &[false, true, false, true]);
            let skip = if scored.first == 0 { 0 } else { 1 };
            for line in text.lines().skip(skip) {
                out.line(line)?;
            }
        }
        out.flush()
    })?;
    Ok(Ending::Fine)
}

fn rows<'a>(monitor: &'a Monitor, scored: &'a Scored, images: &'a Images) -> impl Iterator<Item = Row<'a>> {
    let n_classes = scored.probabilities.n_classes;
    let answers = scored.probabilities.predicted_classes();
    let each = scored
        .scores
        .iter()
        .zip(answers)
        .zip(scored.probabilities.classifier.chunks_exact(n_classes));
    each.enumerate().map(move |(i, ((&score, prediction), row))| {
        let index = scored.first + i;
        Row {
            index,
            file: images.file(index).map(|file| file.display().to_string()),
            score,
            prediction,
            class: monitor.class(prediction),
            confidence: row.get(prediction).copied().unwrap_or_default(),
        }
    })
}
