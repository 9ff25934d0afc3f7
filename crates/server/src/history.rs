//! The history of windows, read from the state folder of a service that may run or not.

use std::path::Path;

use riptide::files::{FileError, atomic};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::service::DATABASE;
use crate::store::{Reader, WindowRow, model_rows, window_rows};
use crate::time::rfc3339;

/// What was found out about windows.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct History {
    rows: Vec<HistoryRow>,
}

/// A window that was judged. Times are as RFC 3339 writes them, fractions from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistoryRow {
    /// The monitor's name.
    pub monitor: String,
    /// SHA-256 of its facts: tells monitors apart that had the same name one after the other.
    pub digest: String,
    /// The window's number.
    pub window: i64,
    /// How often it was judged again, because images came late.
    pub revision: i64,
    /// The first event, or the beginning of the window's time.
    pub from: Option<String>,
    /// The last event.
    pub to: Option<String>,
    /// Number of images.
    pub images: i64,
    /// `harmful`, `fit`, `undecided`, `outside`, `too few` or `unjudged`.
    pub verdict: String,
    /// Estimated accuracy with its interval, if the monitor is calibrated.
    pub accuracy: Option<f64>,
    /// Its lower end.
    pub accuracy_lower: Option<f64>,
    /// Its upper end.
    pub accuracy_upper: Option<f64>,
    /// Least fraction in excess of the reference.
    pub excess_fraction: Option<f64>,
    /// p-value of the Kolmogorov-Smirnov test of the scores.
    pub p_value: Option<f64>,
    /// Natural logarithm of the sequential test's e-value.
    pub log_e: Option<f64>,
    /// Images that have a label.
    pub labelled: i64,
    /// Accuracy on those.
    pub realised_accuracy: Option<f64>,
}

/// The most windows of a monitor.
const MOST: i64 = 1_000_000;

impl History {
    /// Reads the windows of one monitor, or of all, oldest first.
    ///
    /// # Errors
    /// [`Error::File`] if the folder holds no state, [`Error::Store`] if it cannot be read, [`Error::NewerState`] if a newer
    /// program wrote it.
    pub fn open(state: impl AsRef<Path>, monitor: Option<&str>) -> Result<Self> {
        let path = state.as_ref().join(DATABASE);
        // Opening a database that is not there would say less.
        std::fs::metadata(&path).map_err(FileError::on("read", &path))?;
        let reader = Reader::new(&path);
        let mut rows = Vec::new();
        let models = reader.read(model_rows)?;
        for model in models
            .iter()
            .filter(|model| monitor.is_none_or(|monitor| monitor == model.name))
        {
            let windows = reader.read(|c| window_rows(c, model.id, MOST))?;
            rows.extend(
                windows
                    .iter()
                    .filter_map(|row| HistoryRow::of(&model.name, &model.digest, row)),
            );
        }
        Ok(Self { rows })
    }

    /// The windows.
    pub fn rows(&self) -> &[HistoryRow] {
        &self.rows
    }

    /// Writes the windows as comma-separated values with a header line, or as Apache Parquet (feature `parquet`), as the file's
    /// extension says.
    ///
    /// # Errors
    /// [`Error::ConfigFile`] for another extension or without the feature, [`Error::File`] if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let refused = |reason: String| Error::ConfigFile {
            path: path.into(),
            reason,
        };
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase());
        let bytes = match extension.as_deref() {
            Some("csv") => self.csv().map_err(|error| refused(error.to_string()))?,
            #[cfg(feature = "parquet")]
            Some("parquet") => parquet_file::of(&self.rows).map_err(|error| refused(error.to_string()))?,
            #[cfg(not(feature = "parquet"))]
            Some("parquet") => {
                return Err(refused(
                    "needs the feature `parquet`, which this program was built without".into(),
                ));
            }
            _ => return Err(refused("give a file that ends in .csv or .parquet".into())),
        };
        Ok(atomic::write(path, &bytes)?)
    }

    fn csv(&self) -> csv::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            writer.serialize(row)?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }
}

impl HistoryRow {
    fn of(monitor: &str, digest: &str, row: &WindowRow) -> Option<Self> {
        let verdict = row.verdict.clone()?;
        let findings: Value = serde_json::from_str(row.findings.as_deref()?).ok()?;
        let number = |pointer: &str| findings.pointer(pointer)?.as_f64();
        Some(Self {
            monitor: monitor.into(),
            digest: digest.into(),
            window: row.id,
            revision: row.revision,
            from: row.bin.or(row.first_time).map(rfc3339),
            to: row.last_time.map(rfc3339),
            images: row.n,
            verdict,
            accuracy: number("/outcome/accuracy/estimate"),
            accuracy_lower: number("/outcome/accuracy/lower"),
            accuracy_upper: number("/outcome/accuracy/upper"),
            excess_fraction: number("/outcome/excess_fraction/estimate"),
            p_value: number("/outcome/p_value"),
            log_e: number("/sequential/log_e"),
            labelled: row.labelled,
            realised_accuracy: (row.labelled > 0).then(|| row.correct as f64 / row.labelled as f64),
        })
    }
}

#[cfg(feature = "parquet")]
mod parquet_file {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
    use parquet::errors::{ParquetError, Result};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
    use parquet::schema::parser::parse_message_type;

    use super::HistoryRow;

    /// One row group of the columns of the CSV file.
    pub(super) fn of(rows: &[HistoryRow]) -> Result<Vec<u8>> {
        let schema = parse_message_type(
            "message windows {
                REQUIRED BINARY monitor (STRING); REQUIRED BINARY digest (STRING); REQUIRED INT64 window; REQUIRED INT64 revision;
                OPTIONAL BINARY from (STRING); OPTIONAL BINARY to (STRING); REQUIRED INT64 images; REQUIRED BINARY verdict (STRING);
                OPTIONAL DOUBLE accuracy; OPTIONAL DOUBLE accuracy_lower; OPTIONAL DOUBLE accuracy_upper; OPTIONAL DOUBLE excess_fraction;
                OPTIONAL DOUBLE p_value; OPTIONAL DOUBLE log_e; REQUIRED INT64 labelled; OPTIONAL DOUBLE realised_accuracy;
            }",
        )?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
        let mut group = writer.next_row_group()?;
        let text = |get: &dyn Fn(&HistoryRow) -> Option<&str>| -> Vec<Option<ByteArray>> {
            rows.iter().map(|row| get(row).map(ByteArray::from)).collect()
        };
        let whole =
            |get: &dyn Fn(&HistoryRow) -> i64| -> Vec<Option<i64>> { rows.iter().map(|row| Some(get(row))).collect() };
        let number = |get: &dyn Fn(&HistoryRow) -> Option<f64>| -> Vec<Option<f64>> { rows.iter().map(get).collect() };
        column::<ByteArrayType>(&mut group, text(&|row| Some(&row.monitor)), false)?;
        column::<ByteArrayType>(&mut group, text(&|row| Some(&row.digest)), false)?;
        column::<Int64Type>(&mut group, whole(&|row| row.window), false)?;
        column::<Int64Type>(&mut group, whole(&|row| row.revision), false)?;
        column::<ByteArrayType>(&mut group, text(&|row| row.from.as_deref()), true)?;
        column::<ByteArrayType>(&mut group, text(&|row| row.to.as_deref()), true)?;
        column::<Int64Type>(&mut group, whole(&|row| row.images), false)?;
        column::<ByteArrayType>(&mut group, text(&|row| Some(&row.verdict)), false)?;
        for get in [
            (&|row: &HistoryRow| row.accuracy) as &dyn Fn(&HistoryRow) -> Option<f64>,
            &|row| row.accuracy_lower,
            &|row| row.accuracy_upper,
            &|row| row.excess_fraction,
            &|row| row.p_value,
            &|row| row.log_e,
        ] {
            column::<DoubleType>(&mut group, number(get), true)?;
        }
        column::<Int64Type>(&mut group, whole(&|row| row.labelled), false)?;
        column::<DoubleType>(&mut group, number(&|row| row.realised_accuracy), true)?;
        group.close()?;
        writer.into_inner()
    }

    /// The next column of the schema, which is of type `T`.
    fn column<T: DataType>(
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
        values: Vec<Option<T::T>>,
        is_optional: bool,
    ) -> Result<()> {
        let missing = || ParquetError::General("the schema has no more columns".into());
        let mut column = group.next_column()?.ok_or_else(missing)?;
        let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
        let values: Vec<T::T> = values.into_iter().flatten().collect();
        column
            .typed::<T>()
            .write_batch(&values, is_optional.then_some(levels.as_slice()), None)?;
        column.close()
    }
}
