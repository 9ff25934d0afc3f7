//! Scores as files.

use std::path::Path;

use riptide_datasets::npy::{Column, write_columns};
use riptide_files::atomic;

use crate::error::{Error, Result};
use crate::score::Scores;

/// What kind of file [`Scores::write`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoresFormat {
    /// A structured array with the fields score (f32), prediction (u32) and confidence (f32); of a calibrated monitor also
    /// error_probability (f32).
    Npy,
    /// Comma-separated values with a header line: image, file if each image is one, score, prediction, class, confidence; of a
    /// calibrated monitor also error_probability.
    Csv,
    /// Apache Parquet with the same columns as the CSV file, compressed with Snappy; needs the feature `parquet`.
    Parquet,
}

/// The column of a calibrated monitor.
const ERROR_PROBABILITY: &str = "error_probability";

impl ScoresFormat {
    /// The format that a file's extension says: `.npy`, `.csv` or `.parquet`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another extension, [`Error::FeatureMissing`] for `.parquet` without the feature.
    pub fn of(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("npy") => Ok(Self::Npy),
            Some("csv") => Ok(Self::Csv),
            Some("parquet") if cfg!(feature = "parquet") => Ok(Self::Parquet),
            Some("parquet") => Err(Error::FeatureMissing {
                what: path.display().to_string(),
                feature: "parquet",
            }),
            _ => Err(Error::malformed(
                path,
                "give a file that ends in .npy, .csv or .parquet",
            )),
        }
    }
}

impl Scores {
    /// Writes the results as the file's extension says; all of it, or nothing.
    ///
    /// # Errors
    /// Those of [`ScoresFormat::of`], and [`Error::File`] if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        match ScoresFormat::of(path)? {
            ScoresFormat::Npy => {
                let mut columns = vec![
                    ("score", Column::F32(&self.scores)),
                    ("prediction", Column::U32(&self.predictions)),
                    ("confidence", Column::F32(&self.confidences)),
                ];
                let errors = self.error_probabilities.as_deref();
                columns.extend(errors.map(|errors| (ERROR_PROBABILITY, Column::F32(errors))));
                write_columns(path, &columns)?;
            }
            ScoresFormat::Csv => {
                let bytes = self.csv().map_err(|error| Error::malformed(path, error.to_string()))?;
                atomic::write(path, &bytes)?;
            }
            ScoresFormat::Parquet => atomic::write(path, &self.parquet(path)?)?,
        }
        Ok(())
    }

    fn files(&self) -> Option<Vec<String>> {
        let files = self.files.as_ref()?;
        Some(files.iter().map(|file| file.display().to_string()).collect())
    }

    fn csv(&self) -> csv::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let files = self.files();
        let mut header = vec!["image"];
        header.extend(files.is_some().then_some("file"));
        header.extend(["score", "prediction", "class", "confidence"]);
        header.extend(self.error_probabilities.is_some().then_some(ERROR_PROBABILITY));
        writer.write_record(header)?;
        let values = self.scores.iter().zip(&self.predictions).zip(&self.confidences);
        for (index, ((score, prediction), confidence)) in values.enumerate() {
            let mut record = vec![index.to_string()];
            record.extend(files.as_ref().and_then(|files| files.get(index).cloned()));
            record.extend([
                score.to_string(),
                prediction.to_string(),
                self.class_name(index).to_owned(),
                confidence.to_string(),
            ]);
            let error = self.error_probabilities.as_ref().and_then(|errors| errors.get(index));
            record.extend(error.map(ToString::to_string));
            writer.write_record(record)?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(&self, path: &Path) -> Result<Vec<u8>> {
        Err(Error::FeatureMissing {
            what: path.display().to_string(),
            feature: "parquet",
        })
    }

    #[cfg(feature = "parquet")]
    fn parquet(&self, path: &Path) -> Result<Vec<u8>> {
        parquet_file::of(self, self.files()).map_err(|error| Error::malformed(path, error.to_string()))
    }
}

#[cfg(feature = "parquet")]
mod parquet_file {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
    use parquet::errors::{ParquetError, Result};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
    use parquet::schema::parser::parse_message_type;

    use crate::score::Scores;

    /// One row group of the same columns as the CSV file.
    pub(super) fn of(scores: &Scores, files: Option<Vec<String>>) -> Result<Vec<u8>> {
        let file = match files {
            None => "",
            Some(_) => "REQUIRED BINARY file (STRING);",
        };
        let error = match scores.error_probabilities {
            None => "",
            Some(_) => "REQUIRED FLOAT error_probability;",
        };
        let schema = parse_message_type(&format!(
            "message scores {{
                REQUIRED INT64 image; {file} REQUIRED FLOAT score; REQUIRED INT32 prediction (INTEGER(32, false));
                REQUIRED BINARY class (STRING); REQUIRED FLOAT confidence; {error}
            }}"
        ))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
        let mut group = writer.next_row_group()?;
        let images: Vec<i64> = (0..scores.len() as i64).collect();
        // Parquet keeps unsigned numbers in the bits of signed ones.
        let predictions: Vec<i32> = scores.predictions.iter().map(|&class| class as i32).collect();
        let classes: Vec<ByteArray> = (0..scores.len()).map(|index| scores.class_name(index).into()).collect();
        column::<Int64Type>(&mut group, &images)?;
        if let Some(files) = files {
            let files: Vec<ByteArray> = files.iter().map(|file| file.as_str().into()).collect();
            column::<ByteArrayType>(&mut group, &files)?;
        }
        column::<FloatType>(&mut group, &scores.scores)?;
        column::<Int32Type>(&mut group, &predictions)?;
        column::<ByteArrayType>(&mut group, &classes)?;
        column::<FloatType>(&mut group, &scores.confidences)?;
        if let Some(errors) = &scores.error_probabilities {
            column::<FloatType>(&mut group, errors)?;
        }
        group.close()?;
        writer.into_inner()
    }

    /// The next column of the schema, which is of type `T`.
    fn column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &[T::T]) -> Result<()> {
        let missing = || ParquetError::General("the schema has no more columns".into());
        let mut column = group.next_column()?.ok_or_else(missing)?;
        column.typed::<T>().write_batch(values, None, None)?;
        column.close()
    }
}
