//! What a training has come to so far: one row an epoch, as JSON, CSV and a figure.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use riptide_draw::{CurvePoint, png, training_curve};
use serde::{Deserialize, Serialize};

const JSON: &str = "metrics.json";
const CSV: &str = "metrics.csv";

/// One row of metrics.csv.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub epoch: u32,
    pub learning_rate: f64,
    pub loss: f64,
    pub accuracy: f64,
    pub validation_loss: f64,
    pub validation_accuracy: f64,
    pub seconds: f64,
}

/// The rows of a training and the folder that they are kept in.
#[derive(Debug)]
pub struct Metrics {
    folder: PathBuf,
    title: String,
    pub rows: Vec<Row>,
}

impl Metrics {
    pub fn new(folder: &Path, title: String) -> Self {
        Self {
            folder: folder.into(),
            title,
            rows: Vec::new(),
        }
    }

    /// Reads the rows of the first `epochs` epochs back.
    pub fn resume(&mut self, epochs: usize) -> anyhow::Result<()> {
        let path = self.folder.join(JSON);
        let json = std::fs::read(&path)
            .with_context(|| format!("cannot read {}, which belongs to the checkpoint", path.display()))?;
        self.rows = serde_json::from_slice(&json).with_context(|| format!("{} is damaged", path.display()))?;
        self.rows.truncate(epochs);
        Ok(())
    }

    /// The row with the least validation loss, the earliest of equals.
    pub fn best(&self) -> Option<&Row> {
        let by_loss = |a: &&Row, b: &&Row| a.validation_loss.total_cmp(&b.validation_loss);
        self.rows.iter().min_by(by_loss)
    }

    /// Writes metrics.json, metrics.csv and the curve.
    pub fn write(&self) -> anyhow::Result<()> {
        write(&self.folder.join(JSON), &serde_json::to_vec_pretty(&self.rows)?)?;
        write(&self.folder.join(CSV), csv(&self.rows).as_bytes())?;
        let points: Vec<CurvePoint> = self.rows.iter().map(point).collect();
        let svg = training_curve(&self.title, &points);
        write(&self.folder.join("curve.png"), &png(&svg)?)?;
        write(&self.folder.join("curve.svg"), svg.as_bytes())
    }
}

fn point(row: &Row) -> CurvePoint {
    CurvePoint {
        epoch: row.epoch,
        learning_rate: row.learning_rate,
        loss: row.loss,
        accuracy: row.accuracy,
        validation_loss: row.validation_loss,
        validation_accuracy: row.validation_accuracy,
    }
}

fn csv(rows: &[Row]) -> String {
    let mut text = String::from("epoch,learning_rate,loss,accuracy,validation_loss,validation_accuracy,seconds\n");
    for row in rows {
        text += &format!(
            "{},{},{},{},{},{},{:.2}\n",
            row.epoch,
            row.learning_rate,
            row.loss,
            row.accuracy,
            row.validation_loss,
            row.validation_accuracy,
            row.seconds
        );
    }
    text
}

/// Writes a temporary file beside `path`, then renames it.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("partial");
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
