//! Results as files that other programs read.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::ExperimentError;
use crate::contamination::Batch;
use crate::files::write_atomically;
use crate::harmfulness::{CorruptedPass, Pass};
use crate::store::npy;
use crate::summary::Summary;

/// Writes pvalues.csv, summary.csv, harm.csv, summary.json, scores.npy and scores.json.
pub(crate) fn write(
    out: &Path,
    summary: &Summary,
    batches: &[Batch],
    clean: &Pass,
    corrupted: &[CorruptedPass],
) -> Result<(), ExperimentError> {
    write_atomically(&out.join("pvalues.csv"), pvalues(summary, batches).as_bytes())?;
    write_atomically(&out.join("summary.csv"), cells(summary).as_bytes())?;
    write_atomically(&out.join("harm.csv"), harm_cells(summary).as_bytes())?;
    write_atomically(&out.join("summary.json"), &json(summary)?)?;
    scores(out, summary, clean, corrupted)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ExperimentError> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn pvalues(summary: &Summary, batches: &[Batch]) -> String {
    let mut csv = String::from("score,severity,kind,fraction,repeat,distance,p_val\n");
    for (column, score) in summary.protocol.scores.iter().enumerate() {
        for batch in batches {
            let Batch {
                severity,
                kind,
                fraction,
                repeat,
                tests,
                ..
            } = batch;
            if let Some((distance, p_val)) = tests.get(column) {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    csv,
                    "{score},{severity},{},{fraction},{repeat},{distance},{p_val}",
                    kind.name()
                );
            }
        }
    }
    csv
}

fn cells(summary: &Summary) -> String {
    let mut csv = String::from("score,severity,kind,fraction,mean,std,min,max,alarms,alarms_low,alarms_high\n");
    for cell in &summary.sweep {
        let _ = writeln!(
            csv,
            "{},{},{},{},{},{},{},{},{},{},{}",
            cell.score,
            cell.severity,
            cell.kind.name(),
            cell.fraction,
            cell.mean,
            cell.std,
            cell.min,
            cell.max,
            cell.alarms.estimate,
            cell.alarms.low,
            cell.alarms.high
        );
    }
    csv
}

fn harm_cells(summary: &Summary) -> String {
    let mut csv = String::from("score,severity,kind,fraction,truth,excess,excess_low,excess_high");
    for rate in ["coverage", "lower_holds", "alarms"] {
        let _ = write!(csv, ",{rate},{rate}_low,{rate}_high");
    }
    csv.push('\n');
    for cell in &summary.harm {
        let (kind, place) = (cell.kind.name(), cell.fraction);
        let _ = write!(csv, "{},{},{kind},{place},{}", cell.score, cell.severity, cell.truth);
        for found in [cell.excess, cell.coverage, cell.lower_holds, cell.alarms] {
            let _ = write!(csv, ",{},{},{}", found.estimate, found.low, found.high);
        }
        csv.push('\n');
    }
    csv
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

fn scores(out: &Path, summary: &Summary, clean: &Pass, corrupted: &[CorruptedPass]) -> Result<(), ExperimentError> {
    let passes = || std::iter::once(clean).chain(corrupted.iter().map(|twin| &twin.pass));
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
    let names: Vec<String> = summary.protocol.scores.iter().map(ToString::to_string).collect();
    let shape = [sets.len(), summary.n_images, names.len()];
    let values = passes().flat_map(|pass| {
        (0..summary.n_images)
            .flat_map(move |image| pass.scores.iter().filter_map(move |column| column.get(image).copied()))
    });
    let path = out.join("scores.npy");
    write_atomically(&path, &npy(&shape, values, &path)?)?;
    write_atomically(
        &out.join("scores.json"),
        &json(&Index {
            shape,
            sets,
            scores: names,
        })?,
    )
}
