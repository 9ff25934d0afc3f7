//! One column of numbers.

use std::path::Path;

use csv::StringRecord;

use super::{csv_file, has_extension, position, split};
use crate::error::{DatasetError, Result};
use crate::npy;

/// Reads a column of numbers: of a `.csv`, `.tsv` or (with the feature `parquet`) `.parquet` file, the column named behind a
/// colon, as in `scores.csv:loss`, or else the column `default`, or else the only one; anything else as
/// [`npy::read_numbers`] does, a field behind a colon likewise.
///
/// # Errors
/// Returns an error if the file cannot be read, if there is no such column, or if a value is missing or not a number.
pub fn read_column(path: impl AsRef<Path>, default: &str) -> Result<Vec<f64>> {
    let (path, column) = split(path.as_ref());
    if has_extension(path, &["csv", "tsv"]) {
        return of_csv(path, column, default);
    }
    if has_extension(path, &["parquet"]) {
        return of_parquet(path, column, default);
    }
    npy::read_numbers(path, Some(column.unwrap_or(default)))
}

/// The place of the column.
fn place(path: &Path, names: &[String], column: Option<&str>, default: &str) -> Result<usize> {
    match column {
        Some(column) => position(path, names, column),
        None if names.len() == 1 => Ok(0),
        None => position(path, names, default).map_err(|_| {
            let reason = format!("say which column, as in FILE:COLUMN, of {}", names.join(", "));
            DatasetError::malformed(path, reason)
        }),
    }
}

fn of_csv(path: &Path, column: Option<&str>, default: &str) -> Result<Vec<f64>> {
    let mut reader = csv_file::open(path)?;
    let names = csv_file::header(path, &mut reader)?;
    let place = place(path, &names, column, default)?;
    let (mut numbers, mut record) = (Vec::new(), StringRecord::new());
    while csv_file::read(path, &mut reader, &mut record, numbers.len() as u64)? {
        let text = record.get(place).unwrap_or_default().trim();
        numbers.push(text.parse().map_err(|_| not_a_number(path, numbers.len(), text))?);
    }
    Ok(numbers)
}

fn not_a_number(path: &Path, row: usize, text: &str) -> DatasetError {
    DatasetError::malformed(path, format!("row {row}: {text:?} is not a number"))
}

#[cfg(feature = "parquet")]
fn of_parquet(path: &Path, column: Option<&str>, default: &str) -> Result<Vec<f64>> {
    let file = super::parquet_table::ParquetTable::open(path)?;
    let place = place(path, file.names(), column, default)?;
    let mut numbers = Vec::new();
    for cells in file.rows(&[place])? {
        let number = cells?.first().and_then(super::parquet_table::Cell::number);
        numbers.push(number.ok_or_else(|| not_a_number(path, numbers.len(), ""))?);
    }
    Ok(numbers)
}

#[cfg(not(feature = "parquet"))]
fn of_parquet(path: &Path, _column: Option<&str>, _default: &str) -> Result<Vec<f64>> {
    Err(DatasetError::FeatureMissing {
        path: path.to_path_buf(),
        feature: "parquet",
    })
}
