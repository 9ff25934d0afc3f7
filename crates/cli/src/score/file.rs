//! Scores as a file.

use std::path::Path;

use anyhow::bail;
use riptide_datasets::atomic;
use riptide_datasets::npy::{Column, write_columns};

use super::Columns;

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A structured array with the fields score, prediction and confidence.
    Npy,
    /// Comma-separated values with a header line.
    Csv,
}

impl Format {
    /// What the extension says.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("npy") => Ok(Self::Npy),
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => bail!(
                "--out {}: parquet is not written; give a file that ends in .npy or .csv",
                path.display()
            ),
            _ => bail!("--out {}: give a file that ends in .npy or .csv", path.display()),
        }
    }

    /// Writes all of it, or nothing.
    pub fn write(self, path: &Path, columns: &Columns, class_names: &[String]) -> anyhow::Result<()> {
        match self {
            Self::Npy => write_columns(
                path,
                &[
                    ("score", Column::F32(&columns.scores)),
                    ("prediction", Column::U32(&columns.predictions)),
                    ("confidence", Column::F32(&columns.confidences)),
                ],
            )?,
            Self::Csv => atomic::write(path, csv(columns, class_names).as_bytes())?,
        }
        Ok(())
    }
}

fn csv(columns: &Columns, class_names: &[String]) -> String {
    let with_files = !columns.files.is_empty();
    let mut text = String::from(if with_files { "image,file," } else { "image," });
    text += "score,prediction,class,confidence\n";
    let values = columns
        .scores
        .iter()
        .zip(&columns.predictions)
        .zip(&columns.confidences);
    for (index, ((score, &prediction), confidence)) in values.enumerate() {
        let class = class_names.get(prediction as usize).map_or("", String::as_str);
        text += &format!("{index},");
        if let Some(file) = columns.files.get(index) {
            text += &format!("{},", quoted(file));
        }
        text += &format!("{score},{prediction},{},{confidence}\n", quoted(class));
    }
    text
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
