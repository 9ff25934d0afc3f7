//! Results as files that other programs read.

use std::path::Path;

use riptide_files::{FileError, atomic, npy};
use riptide_stats::Interval;
use serde::Serialize;

use crate::accuracy::Comparison;
use crate::contamination::Batch;
use crate::error::ExperimentError;
use crate::harmfulness::{CorruptedPass, Pass};
use crate::summary::Summary;

/// Writes pvalues.csv, summary.csv, harm.csv, the tables of the comparison, summary.json, scores.npy and scores.json.
pub(crate) fn write(
    out: &Path,
    summary: &Summary,
    batches: &[Batch],
    clean: &Pass,
    corrupted: &[CorruptedPass],
) -> Result<(), ExperimentError> {
    std::fs::create_dir_all(out).map_err(FileError::on("create", out))?;
    let file = |name: &str, bytes: &[u8]| atomic::write(out.join(name), bytes);
    file("pvalues.csv", &p_values(summary, batches)?)?;
    file("summary.csv", &cells(summary)?)?;
    file("harm.csv", &harm_cells(summary)?)?;
    if let Some(comparison) = &summary.comparison {
        file("decisions.csv", &decisions(comparison)?)?;
        file("natural.csv", &natural(comparison)?)?;
        file("streams.csv", &streams(comparison)?)?;
        file("estimates.csv", &estimates(comparison)?)?;
    }
    file("summary.json", &json(summary)?)?;
    let (scores, index) = scores(summary, clean, corrupted);
    file("scores.npy", &scores)?;
    Ok(file("scores.json", &json(&index)?)?)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ExperimentError> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A table in the making. Numbers are written as they are, as short as they read back the same.
struct Csv(csv::Writer<Vec<u8>>);

impl Csv {
    fn new(header: &[&str]) -> Result<Self, ExperimentError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(header)?;
        Ok(Self(writer))
    }

    fn row(&mut self, cells: &[&dyn ToString]) -> Result<(), ExperimentError> {
        Ok(self.0.write_record(cells.iter().map(|cell| cell.to_string()))?)
    }

    fn finish(self) -> Result<Vec<u8>, ExperimentError> {
        self.0
            .into_inner()
            .map_err(|error| csv::Error::from(error.into_error()).into())
    }
}

fn p_values(summary: &Summary, batches: &[Batch]) -> Result<Vec<u8>, ExperimentError> {
    // The column of p-values has the name that the published example gives it.
    let mut csv = Csv::new(&["score", "severity", "kind", "fraction", "repeat", "distance", "p_val"])?;
    for (column, score) in summary.protocol.scores.iter().enumerate() {
        for batch in batches {
            if let Some((distance, p_value)) = batch.tests.get(column) {
                let (kind, fraction) = (batch.kind.name(), batch.fraction);
                csv.row(&[
                    score,
                    &batch.severity,
                    &kind,
                    &fraction,
                    &batch.repeat,
                    distance,
                    p_value,
                ])?;
            }
        }
    }
    csv.finish()
}

fn cells(summary: &Summary) -> Result<Vec<u8>, ExperimentError> {
    let mut csv = Csv::new(&[
        "score",
        "severity",
        "kind",
        "fraction",
        "mean",
        "std",
        "min",
        "max",
        "alarms",
        "alarms_lower",
        "alarms_upper",
    ])?;
    for cell in &summary.sweep {
        let Interval { estimate, lower, upper } = cell.alarms;
        csv.row(&[
            &cell.score,
            &cell.severity,
            &cell.kind.name(),
            &cell.fraction,
            &cell.mean,
            &cell.std,
            &cell.min,
            &cell.max,
            &estimate,
            &lower,
            &upper,
        ])?;
    }
    csv.finish()
}

fn harm_cells(summary: &Summary) -> Result<Vec<u8>, ExperimentError> {
    let mut csv = Csv::new(&[
        "score",
        "severity",
        "kind",
        "fraction",
        "truth",
        "excess",
        "excess_lower",
        "excess_upper",
        "coverage",
        "coverage_lower",
        "coverage_upper",
        "lower_holds",
        "lower_holds_lower",
        "lower_holds_upper",
        "alarms",
        "alarms_lower",
        "alarms_upper",
    ])?;
    for cell in &summary.harm {
        let kind = cell.kind.name();
        let found = [cell.excess, cell.coverage, cell.lower_holds, cell.alarms];
        let found: Vec<f64> = found
            .iter()
            .flat_map(|rate| [rate.estimate, rate.lower, rate.upper])
            .collect();
        let mut row: Vec<&dyn ToString> = vec![&cell.score, &cell.severity, &kind, &cell.fraction, &cell.truth];
        row.extend(found.iter().map(|value| value as &dyn ToString));
        csv.row(&row)?;
    }
    csv.finish()
}

fn decisions(comparison: &Comparison) -> Result<Vec<u8>, ExperimentError> {
    let mut csv = Csv::new(&[
        "severity", "kind", "fraction", "decision", "alarms", "lower", "upper", "least", "most",
    ])?;
    for cell in &comparison.cells {
        let decisions = [
            ("published", cell.published),
            ("confidence", cell.confidence),
            ("accuracy", cell.accuracy),
        ];
        for (decision, found) in decisions {
            let Interval { estimate, lower, upper } = found.rate;
            csv.row(&[
                &cell.severity,
                &cell.kind.name(),
                &cell.fraction,
                &decision,
                &estimate,
                &lower,
                &upper,
                &found.least,
                &found.most,
            ])?;
        }
    }
    csv.finish()
}

fn natural(comparison: &Comparison) -> Result<Vec<u8>, ExperimentError> {
    let mut csv = Csv::new(&[
        "family",
        "severity",
        "n",
        "drop",
        "harmful",
        "outside",
        "fit",
        "fallen",
        "published",
    ])?;
    for cell in &comparison.natural {
        let rates = [cell.harmful, cell.outside, cell.fit, cell.fallen, cell.published].map(|rate| rate.rate.estimate);
        let mut row: Vec<&dyn ToString> = vec![&cell.family, &cell.severity, &cell.n, &cell.drop];
        row.extend(rates.iter().map(|rate| rate as &dyn ToString));
        csv.row(&row)?;
    }
    csv.finish()
}

fn streams(comparison: &Comparison) -> Result<Vec<u8>, ExperimentError> {
    let mut csv = Csv::new(&[
        "family",
        "severity",
        "drop",
        "alarms",
        "lower",
        "upper",
        "median_images",
    ])?;
    for cell in &comparison.streams {
        let Interval { estimate, lower, upper } = cell.alarms.rate;
        let median = cell.median_images.map(|images| images.to_string()).unwrap_or_default();
        csv.row(&[
            &cell.family,
            &cell.severity,
            &cell.drop,
            &estimate,
            &lower,
            &upper,
            &median,
        ])?;
    }
    csv.finish()
}

fn estimates(comparison: &Comparison) -> Result<Vec<u8>, ExperimentError> {
    let methods: Vec<&str> = comparison
        .methods
        .iter()
        .skip(1)
        .map(|method| method.method.as_str())
        .collect();
    let mut head = vec!["family", "severity", "truth", "estimate", "lower", "upper", "verdict"];
    head.extend(methods);
    let mut csv = Csv::new(&head)?;
    for of_set in &comparison.estimates {
        let Interval { estimate, lower, upper } = of_set.accuracy;
        let mut row: Vec<&dyn ToString> = vec![
            &of_set.family,
            &of_set.severity,
            &of_set.truth,
            &estimate,
            &lower,
            &upper,
            &of_set.verdict,
        ];
        row.extend(of_set.others.iter().map(|other| other as &dyn ToString));
        csv.row(&row)?;
    }
    csv.finish()
}

/// The index of scores.npy: what each row along its first and its last axis is.
#[derive(Serialize)]
struct Index {
    /// (sets, images, scores)
    shape: [usize; 3],
    sets: Vec<SetName>,
    scores: Vec<String>,
}

#[derive(Serialize)]
struct SetName {
    corruption: Option<String>,
    severity: Option<u8>,
    accuracy: f64,
}

/// scores.npy and its index.
fn scores(summary: &Summary, clean: &Pass, corrupted: &[CorruptedPass]) -> (Vec<u8>, Index) {
    let passes = std::iter::once(clean).chain(corrupted.iter().map(|twin| &twin.pass));
    let mut sets = vec![SetName {
        corruption: None,
        severity: None,
        accuracy: clean.accuracy(),
    }];
    sets.extend(corrupted.iter().map(|twin| SetName {
        corruption: Some(twin.corruption.to_string()),
        severity: Some(twin.severity.get()),
        accuracy: twin.pass.accuracy(),
    }));
    let scores: Vec<String> = summary.protocol.scores.iter().map(ToString::to_string).collect();
    let shape = [sets.len(), summary.n_images, scores.len()];
    let values = passes.flat_map(|pass| {
        (0..summary.n_images)
            .flat_map(move |image| pass.scores.iter().filter_map(move |column| column.get(image).copied()))
    });
    let bytes = npy::encode(&shape, values);
    (bytes, Index { shape, sets, scores })
}
