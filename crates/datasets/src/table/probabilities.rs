//! Class probabilities that a classifier answered elsewhere, row for row with the images.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{Reader, StringRecord};

use super::{csv_file, has_extension, split};
use crate::error::{DatasetError, Result};
use crate::npy::{self, Kind};
use crate::regular;

/// The most classes of a row.
const MAX_CLASSES: u64 = 1_000_000;
/// How far a sum of probabilities may be from 1.
const SUM: f64 = 1e-3;

/// Class probabilities, one row per image, read a few rows at a time from
/// - a `.npy` file of `float16`, `float32` or `float64`, (N, classes);
/// - a `.csv` or `.tsv` file of numbers only, with or without a first line of names;
/// - with the feature `parquet`, a `.parquet` file: its only column of lists, or the one named behind a colon.
///
/// Every row is checked: numbers from 0 to 1 that add up to 1, to a thousandth.
#[derive(Debug)]
pub struct ProbabilityRows {
    path: PathBuf,
    kind: Source,
    n_classes: usize,
    next: u64,
}

enum Source {
    Npy {
        reader: BufReader<File>,
        kind: Kind,
        left: u64,
    },
    Csv {
        reader: Reader<csv_file::Rows>,
        /// The first line, if it is a row and no names.
        first: Option<Vec<f64>>,
    },
    #[cfg(feature = "parquet")]
    Parquet {
        rows: Box<super::parquet_table::Rows>,
        first: Option<Vec<f64>>,
    },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Npy { .. } => "Npy",
            Self::Csv { .. } => "Csv",
            #[cfg(feature = "parquet")]
            Self::Parquet { .. } => "Parquet",
        })
    }
}

impl ProbabilityRows {
    /// Opens a file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or is not of rows of numbers.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let (path, column) = split(path.as_ref());
        let (kind, n_classes) = if has_extension(path, &["csv", "tsv"]) {
            of_csv(path)?
        } else if has_extension(path, &["parquet"]) {
            of_parquet(path, column)?
        } else {
            of_npy(path)?
        };
        if n_classes < 2 {
            return Err(DatasetError::malformed(path, "rows of fewer than 2 probabilities"));
        }
        Ok(Self {
            path: path.to_path_buf(),
            kind,
            n_classes,
            next: 0,
        })
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of rows read so far.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Passes over rows up to row `row`, or to the end.
    ///
    /// # Errors
    /// As [`next_rows`](Self::next_rows).
    pub fn skip_to(&mut self, row: u64) -> Result<()> {
        while self.next < row && !self.next_rows(1)?.is_empty() {}
        Ok(())
    }

    /// The next `n` rows, row-major, or as many as are left.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or if a row is not of probabilities; it names the row.
    pub fn next_rows(&mut self, n: usize) -> Result<Vec<f32>> {
        let mut rows = Vec::new();
        for _ in 0..n {
            let Some(row) = self.row()? else { break };
            let bad = |reason: String| DatasetError::malformed(&self.path, format!("row {}: {reason}", self.next));
            if row.len() != self.n_classes {
                return Err(bad(format!(
                    "{} numbers, but {} in the first row",
                    row.len(),
                    self.n_classes
                )));
            }
            if let Some(value) = row.iter().find(|value| !(0.0..=1.0 + SUM).contains(*value)) {
                return Err(bad(format!("{value} is not a probability, which is from 0 to 1")));
            }
            let sum: f64 = row.iter().sum();
            if (sum - 1.0).abs() > SUM {
                return Err(bad(format!("the probabilities add up to {sum}, not to 1")));
            }
            rows.extend(row.iter().map(|&value| value as f32));
            self.next += 1;
        }
        Ok(rows)
    }

    /// The numbers of the next row.
    fn row(&mut self) -> Result<Option<Vec<f64>>> {
        let (path, n) = (&self.path, self.next);
        match &mut self.kind {
            Source::Npy { left: 0, .. } => Ok(None),
            Source::Npy { reader, kind, left } => {
                let mut bytes = vec![0; kind.bytes() * self.n_classes];
                reader
                    .read_exact(&mut bytes)
                    .map_err(|source| DatasetError::io(path, source))?;
                *left -= 1;
                let mut row = Vec::with_capacity(self.n_classes);
                npy::numbers(*kind, &bytes, &mut row);
                Ok(Some(row))
            }
            Source::Csv { reader, first } => match first.take() {
                Some(row) => Ok(Some(row)),
                None => {
                    let mut record = StringRecord::new();
                    if !csv_file::read(path, reader, &mut record, n)? {
                        return Ok(None);
                    }
                    let each = record.iter().map(|text| {
                        let number = text.trim().parse().ok();
                        number
                            .ok_or_else(|| DatasetError::malformed(path, format!("row {n}: {text:?} is not a number")))
                    });
                    each.collect::<Result<_>>().map(Some)
                }
            },
            #[cfg(feature = "parquet")]
            Source::Parquet { rows, first } => match first.take() {
                Some(row) => Ok(Some(row)),
                None => parquet_row(path, rows, n),
            },
        }
    }
}

fn of_npy(path: &Path) -> Result<(Source, usize)> {
    let (file, length) = regular::open(path)?;
    let mut reader = BufReader::new(file);
    let header = npy::read_header(&mut reader, path)?;
    let kind = Kind::of(&header.dtype).filter(|kind| *kind != Kind::U8);
    let kind = kind.ok_or_else(|| DatasetError::WrongDtype {
        path: path.to_path_buf(),
        expected: "<f4 or <f8".to_owned(),
        found: header.dtype.clone(),
    })?;
    let (&[len, n_classes], false) = (header.shape.as_slice(), header.fortran_order) else {
        return Err(DatasetError::WrongShape {
            path: path.to_path_buf(),
            expected: "(N, classes) in C order".to_owned(),
            found: header.shape,
        });
    };
    let n_classes = usize::try_from(n_classes.min(MAX_CLASSES + 1)).unwrap_or(usize::MAX);
    if n_classes as u64 > MAX_CLASSES {
        return Err(DatasetError::malformed(
            path,
            format!("more than {MAX_CLASSES} classes"),
        ));
    }
    npy::check_length(&header, path, len, kind.bytes() * n_classes, length)?;
    Ok((
        Source::Npy {
            reader,
            kind,
            left: len,
        },
        n_classes,
    ))
}

fn of_csv(path: &Path) -> Result<(Source, usize)> {
    let mut reader = csv_file::open(path)?;
    let names = csv_file::header(path, &mut reader)?;
    // A first line of nothing but numbers is a row: class numbers as names would be refused for their sum.
    let numbers: Option<Vec<f64>> = names.iter().map(|name| name.trim().parse().ok()).collect();
    let n_classes = names.len();
    Ok((Source::Csv { reader, first: numbers }, n_classes))
}

#[cfg(feature = "parquet")]
fn of_parquet(path: &Path, column: Option<&str>) -> Result<(Source, usize)> {
    let file = super::parquet_table::ParquetTable::open(path)?;
    let place = match column {
        Some(column) => super::position(path, file.names(), column)?,
        None => match file.lists().as_slice() {
            &[place] => place,
            places => {
                let reason = format!(
                    "{} columns of lists; name one behind a colon, as in FILE:COLUMN, of {}",
                    places.len(),
                    file.names().join(", ")
                );
                return Err(DatasetError::malformed(path, reason));
            }
        },
    };
    let mut rows = Box::new(file.rows(&[place])?);
    let first = parquet_row(path, &mut rows, 0)?;
    let n_classes = first.as_ref().map_or(0, Vec::len);
    Ok((Source::Parquet { rows, first }, n_classes))
}

#[cfg(feature = "parquet")]
fn parquet_row(path: &Path, rows: &mut super::parquet_table::Rows, row: u64) -> Result<Option<Vec<f64>>> {
    let Some(cells) = rows.next() else {
        return Ok(None);
    };
    let numbers = cells?.first().and_then(super::parquet_table::Cell::numbers);
    let numbers = numbers.ok_or_else(|| DatasetError::malformed(path, format!("row {row} is no list of numbers")))?;
    Ok(Some(numbers))
}

#[cfg(not(feature = "parquet"))]
fn of_parquet(path: &Path, _column: Option<&str>) -> Result<(Source, usize)> {
    Err(DatasetError::FeatureMissing {
        path: path.to_path_buf(),
        feature: "parquet",
    })
}

#[cfg(test)]
mod tests {
    use riptide_files::npy::encode;

    use super::*;

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn all(name: &str, bytes: &[u8]) -> Result<Vec<f32>> {
        let (_folder, path) = file(name, bytes);
        let mut rows = ProbabilityRows::open(path)?;
        let mut all = Vec::new();
        loop {
            let more = rows.next_rows(2)?;
            if more.is_empty() {
                return Ok(all);
            }
            assert_eq!(more.len() % rows.n_classes(), 0);
            all.extend(more);
        }
    }

    #[test]
    fn rows_of_every_kind_are_read() {
        let rows = [0.25_f32, 0.75, 1.0, 0.0, 0.5, 0.5];
        assert_eq!(all("x.npy", &encode(&[3, 2], rows)).unwrap(), rows);
        assert_eq!(all("x.npy", &encode(&[3, 2], rows.map(f64::from))).unwrap(), rows);
        assert_eq!(all("x.csv", b"cat,dog\n0.25,0.75\n1,0\n0.5,.5\n").unwrap(), rows);
        assert_eq!(all("x.tsv", b"0.25\t0.75\n1\t0\n0.5\t0.5\n").unwrap(), rows);
    }

    #[test]
    fn what_is_no_probability_names_its_row() {
        for (bytes, words) in [
            (
                encode(&[2, 2], [0.5_f32, 0.5, 0.5, 0.6]),
                "row 1: the probabilities add up to 1.1",
            ),
            (
                encode(&[2, 2], [0.5_f32, 0.5, -0.5, 1.5]),
                "row 1: -0.5 is not a probability",
            ),
            (encode(&[1, 2], [f32::NAN, 1.0]), "row 0: NaN is not a probability"),
            (encode(&[4], [0.25_f32; 4]), "(N, classes)"),
            (encode(&[4, 1], [1.0_f32; 4]), "fewer than 2"),
            (encode(&[2, 2], [1_u32, 0, 0, 1]), "dtype <u4"),
        ] {
            let error = all("x.npy", &bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        for (text, words) in [
            ("a,b\n0.5,x\n", "row 0: \"x\" is not a number"),
            ("a,b\n0.5,0.5\n0.5\n", "row 1 has 1 values, but there are 2 columns"),
            ("", "the table is empty"),
        ] {
            let error = all("x.csv", text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
