//! A CSV file that lists image files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::{Reader, ReaderBuilder, StringRecord};

use super::{LabelScan, Labels, Places, TableOptions, has_extension};
use crate::error::{DatasetError, Result};
use crate::gather::{Gatherer, Record};
use crate::image_set::ImageSet;
use crate::picture::{Encoded, PictureOptions};
use crate::regular;
use crate::source::{ImageSource, OnError, Skipped};

/// Image files that a CSV file lists, one a row (`.tsv`: with tabs). The first line names the columns: one of paths, relative to
/// the CSV file, and if wanted one of labels and others, such as the time or the camera.
///
/// The table is read twice, once to check it and to know the labels, and then a chunk at a time.
#[derive(Debug)]
pub struct Manifest {
    path: PathBuf,
    folder: PathBuf,
    reader: Reader<Rows>,
    places: Places,
    labels: Option<Labels>,
    row: u64,
    rows: u64,
    gatherer: Gatherer,
}

impl Manifest {
    /// Opens a table and reads it once; image files are not touched.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, if a column is missing or it is not clear which one holds the paths, if a
    /// row has more or fewer values than the first line has names, or if a path or a label is empty.
    pub fn open(path: impl AsRef<Path>, table: &TableOptions, pictures: PictureOptions) -> Result<Self> {
        let path = path.as_ref();
        let mut reader = open(path)?;
        let names = header(path, &mut reader)?;
        let places = Places::find(path, &names, table, |_| true)?;
        let (mut scan, mut rows, mut record) = (LabelScan::default(), 0, StringRecord::new());
        while read(path, &mut reader, &mut record, rows)? {
            let bad = |reason: String| DatasetError::malformed(path, format!("row {rows}: {reason}"));
            if record.get(places.image).is_none_or(str::is_empty) {
                return Err(bad(format!("the column {} is empty", name(&names, places.image))));
            }
            if let Some(label) = places.label {
                scan.add(record.get(label).unwrap_or_default()).map_err(bad)?;
            }
            rows += 1;
        }
        if rows == 0 {
            return Err(DatasetError::Empty {
                path: path.to_path_buf(),
                hint: "the table has no rows".to_owned(),
            });
        }
        let labels = match places.label {
            Some(_) => Some(scan.finish(path)?),
            None => None,
        };
        let class_names = labels.as_ref().map(Labels::class_names);
        let mut reader = open(path)?;
        header(path, &mut reader)?;
        Ok(Self {
            path: path.to_path_buf(),
            folder: path.parent().unwrap_or(Path::new("")).to_path_buf(),
            reader,
            gatherer: Gatherer::new(pictures, class_names, table.columns.clone())?,
            places,
            labels,
            row: 0,
            rows,
        })
    }

    /// Whether a row of the table at `path` names a file that is sought.
    pub(crate) fn lists(path: &Path, is_sought: impl Fn(&Path) -> bool) -> bool {
        let find = || -> Result<bool> {
            let mut reader = open(path)?;
            let folder = path.parent().unwrap_or(Path::new(""));
            let (mut record, mut row) = (StringRecord::new(), 0);
            while read(path, &mut reader, &mut record, row)? {
                if record
                    .iter()
                    .any(|value| !value.is_empty() && is_sought(&folder.join(value)))
                {
                    return Ok(true);
                }
                row += 1;
            }
            Ok(false)
        };
        find().unwrap_or_default()
    }

    /// Says what to do about pictures that cannot be read: [`OnError::Fail`] by default.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.gatherer.on_error(on_error);
        self
    }
}

fn name(names: &[String], place: usize) -> &str {
    names.get(place).map_or("", String::as_str)
}

/// The longest row of a table, in bytes. A row is kept whole, and a file need not have a line end at all.
const MOST_ROW: usize = 64 << 20;

/// A table's file, in which rows end.
#[derive(Debug)]
pub(super) struct Rows {
    file: File,
    /// Bytes since the last line end.
    length: usize,
}

impl Read for Rows {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        let now = bytes.get(..read).unwrap_or_default();
        self.length = match now.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => read - end - 1,
            None => self.length + read,
        };
        if self.length > MOST_ROW {
            let reason = format!("no line ends within {MOST_ROW} bytes; it is no table of text");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(read)
    }
}

/// Opens a table; tabs separate the values of a `.tsv` file.
pub(super) fn open(path: &Path) -> Result<Reader<Rows>> {
    let (file, _) = regular::open(path)?;
    let delimiter = if has_extension(path, &["tsv"]) { b'\t' } else { b',' };
    Ok(ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(Rows { file, length: 0 }))
}

/// The names of the columns.
pub(super) fn header(path: &Path, reader: &mut Reader<Rows>) -> Result<Vec<String>> {
    let header = reader.headers().map_err(|error| broken(path, error))?;
    // A byte order mark, as spreadsheets write it, is no part of the first name.
    let names: Vec<String> = header
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').to_owned())
        .collect();
    match names.is_empty() {
        true => Err(DatasetError::malformed(
            path,
            "the table is empty; its first line names the columns",
        )),
        false => Ok(names),
    }
}

/// Reads the next row; `false` at the end.
pub(super) fn read(path: &Path, reader: &mut Reader<Rows>, record: &mut StringRecord, row: u64) -> Result<bool> {
    reader.read_record(record).map_err(|error| match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => DatasetError::malformed(
            path,
            format!("row {row} has {len} values, but there are {expected_len} columns"),
        ),
        csv::ErrorKind::Utf8 { .. } => DatasetError::malformed(path, format!("row {row} is not UTF-8")),
        _ => broken(path, error),
    })
}

fn broken(path: &Path, error: csv::Error) -> DatasetError {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => DatasetError::io(path, source),
        csv::ErrorKind::Utf8 { .. } => DatasetError::malformed(path, "the first line is not UTF-8"),
        other => DatasetError::malformed(path, format!("not a CSV table: {other:?}")),
    }
}

impl ImageSource for Manifest {
    fn next_chunk(&mut self, max: usize) -> Result<Option<ImageSet>> {
        let Self {
            path,
            folder,
            reader,
            places,
            labels,
            row,
            gatherer,
            ..
        } = self;
        let mut record = StringRecord::new();
        gatherer.chunk(max, || {
            if !read(path, reader, &mut record, *row)? {
                return Ok(None);
            }
            let bad = |reason: String| DatasetError::malformed(&*path, format!("row {row}: {reason}"));
            let value = |place: usize| record.get(place).unwrap_or_default();
            let file = folder.join(value(places.image));
            let label = match (places.label, &*labels) {
                (Some(place), Some(labels)) => Some(labels.number(value(place)).map_err(bad)?),
                _ => None,
            };
            let values = places.columns.iter().map(|&place| value(place).to_owned()).collect();
            let place = Record::place(path, &format!("row {row}: {}", file.display()));
            *row += 1;
            Ok(Some(Record {
                place,
                file: Some(file.clone()),
                picture: Encoded::File(file),
                label,
                values,
            }))
        })
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.rows.saturating_sub(self.row))
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.gatherer.image_size()
    }

    fn unreadable(&self) -> Option<&Skipped> {
        Some(self.gatherer.unreadable())
    }
}
