//! A Parquet file of pictures, or of the paths of image files.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use parquet::record::Field;

use super::parquet_table::{Cell, ParquetTable, Rows};
use super::{LabelScan, Labels, TableOptions};
use crate::error::{DatasetError, Result};
use crate::gather::{Gatherer, Record};
use crate::image_set::ImageSet;
use crate::picture::{Encoded, PictureOptions};
use crate::source::{ImageSource, OnError, Skipped};

/// Images from Parquet files, read a few rows at a time. The column of images holds
/// - pictures as the Hugging Face libraries write them, a group of `bytes` and `path`,
/// - pictures as plain bytes, or
/// - paths of image files, relative to the Parquet file.
///
/// Labels are numbers or names; the names of the classes are taken from the Hugging Face metadata if there are any.
pub struct ParquetImages {
    waiting: VecDeque<PathBuf>,
    current: Option<Rows>,
    /// Rows of this file read so far.
    row: u64,
    remaining: u64,
    table: TableOptions,
    labels: Option<Labels>,
    gatherer: Gatherer,
}

impl ParquetImages {
    /// Opens files of the same columns, one behind the other. Their labels are read once.
    ///
    /// # Errors
    /// Returns an error if a file is not Parquet, if a column is missing or of a type that it cannot be, if it is not clear which
    /// column holds the images, or if a label is missing.
    pub fn open(files: Vec<PathBuf>, table: &TableOptions, pictures: PictureOptions) -> Result<Self> {
        let (mut remaining, mut scan, mut names) = (0u64, None, None);
        for (index, path) in files.iter().enumerate() {
            let file = ParquetTable::open(path)?;
            let places = file.places(table)?;
            remaining = remaining.saturating_add(file.rows);
            let Some(label) = places.label else {
                if index > 0 && scan.is_some() {
                    return Err(DatasetError::malformed(
                        path,
                        "has no labels, but the files before it do",
                    ));
                }
                continue;
            };
            if index > 0 && scan.is_none() {
                return Err(DatasetError::malformed(
                    path,
                    "has labels, but the files before it do not",
                ));
            }
            let of_file = file.class_names(label);
            if index > 0 && names != of_file {
                return Err(DatasetError::malformed(
                    path,
                    "names other classes than the files before it",
                ));
            }
            let scan = scan.get_or_insert_with(LabelScan::default);
            if of_file.is_none() {
                for (row, label) in file.rows(&[label])?.texts().enumerate() {
                    let bad = |reason| DatasetError::malformed(path, format!("row {row}: {reason}"));
                    scan.add(&label?.unwrap_or_default()).map_err(bad)?;
                }
            }
            names = of_file;
        }
        let labels = match (scan, names, files.first()) {
            (None, ..) | (_, _, None) => None,
            (_, Some(names), _) => Some(Labels::Numbers(names)),
            (Some(scan), None, Some(path)) => Some(scan.finish(path)?),
        };
        let class_names = labels.as_ref().map(Labels::class_names);
        Ok(Self {
            waiting: files.into(),
            current: None,
            row: 0,
            remaining,
            table: table.clone(),
            labels,
            gatherer: Gatherer::new(pictures, class_names, table.columns.clone())?,
        })
    }

    /// Says what to do about pictures that cannot be read: [`OnError::Fail`] by default.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.gatherer.on_error(on_error);
        self
    }
}

impl std::fmt::Debug for ParquetImages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetImages")
            .field("remaining", &self.remaining)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

impl ImageSource for ParquetImages {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let Self {
            waiting,
            current,
            row,
            remaining,
            table,
            labels,
            gatherer,
        } = self;
        gatherer.chunk(max, || {
            loop {
                let Some(rows) = current else {
                    let Some(path) = waiting.pop_front() else {
                        return Ok(None);
                    };
                    let file = ParquetTable::open(&path)?;
                    let places = file.places(table)?;
                    let wanted: Vec<usize> = [places.image]
                        .into_iter()
                        .chain(places.label)
                        .chain(places.columns)
                        .collect();
                    *current = Some(file.rows(&wanted)?);
                    *row = 0;
                    continue;
                };
                let Some(fields) = rows.next() else {
                    *current = None;
                    continue;
                };
                let record = record(&rows.path, *row, fields?, labels.as_ref())?;
                *row += 1;
                *remaining = remaining.saturating_sub(1);
                return Ok(Some(record));
            }
        })
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.remaining)
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.gatherer.image_size()
    }

    fn unreadable(&self) -> Option<&Skipped> {
        Some(self.gatherer.unreadable())
    }
}

/// A row as a picture with what is known of it; the fields are the image, the label if there are labels, and the columns.
fn record(path: &Path, row: u64, fields: Vec<Cell>, labels: Option<&Labels>) -> Result<Record> {
    let bad = |reason: &str| DatasetError::malformed(path, format!("row {row}: {reason}"));
    let mut fields = fields.into_iter();
    let image = fields.next().map(|cell| cell.field).unwrap_or(Field::Null);
    let (bytes, name) = match image {
        Field::Group(group) => {
            let (mut bytes, mut name) = (None, None);
            for (key, field) in group.into_columns() {
                match (key.as_str(), field) {
                    ("bytes", Field::Bytes(found)) => bytes = Some(found.data().to_vec()),
                    ("path", Field::Str(found)) if !found.is_empty() => name = Some(found),
                    _ => {}
                }
            }
            (bytes, name)
        }
        Field::Bytes(found) => (Some(found.data().to_vec()), None),
        Field::Str(found) if !found.is_empty() => (None, Some(found)),
        _ => (None, None),
    };
    let beside = |name: &String| path.parent().unwrap_or(Path::new("")).join(name);
    let (picture, file) = match (bytes, name) {
        (Some(bytes), name) => {
            let inside = name.map(|name| {
                let mut shown = path.as_os_str().to_owned();
                shown.push("/");
                shown.push(name);
                shown.into()
            });
            (Encoded::Bytes(bytes), inside)
        }
        (None, Some(name)) => (Encoded::File(beside(&name)), Some(beside(&name))),
        (None, None) => return Err(bad("the image is missing")),
    };
    let place = match &picture {
        Encoded::Bytes(_) => Record::place(path, &format!("row {row}")),
        Encoded::File(file) => Record::place(path, &format!("row {row}: {}", file.display())),
    };
    let label = match labels {
        None => None,
        Some(labels) => {
            let label = fields.next().and_then(|cell| cell.text()).unwrap_or_default();
            Some(labels.number(&label).map_err(|reason| bad(&reason))?)
        }
    };
    Ok(Record {
        place,
        file,
        picture,
        label,
        values: fields.map(|cell| cell.text().unwrap_or_default()).collect(),
    })
}
