//! Scores as a file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
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
    /// Apache Parquet, compressed with Snappy.
    Parquet,
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
            Some("parquet") => Ok(Self::Parquet),
            _ => bail!(
                "--out {}: give a file that ends in .npy, .csv or .parquet",
                path.display()
            ),
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
            Self::Parquet => atomic::write(
                path,
                &parquet(columns, class_names).context("cannot make a Parquet file")?,
            )?,
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

/// One row group of the same columns as the CSV file.
fn parquet(columns: &Columns, class_names: &[String]) -> anyhow::Result<Vec<u8>> {
    let file = match columns.files.is_empty() {
        true => "",
        false => "REQUIRED BINARY file (STRING);",
    };
    let schema = parse_message_type(&format!(
        "message scores {{
            REQUIRED INT64 image; {file} REQUIRED FLOAT score; REQUIRED INT32 prediction (INTEGER(32, false));
            REQUIRED BINARY class (STRING); REQUIRED FLOAT confidence;
        }}"
    ))?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let images: Vec<i64> = (0..columns.scores.len() as i64).collect();
    let predictions: Vec<i32> = columns.predictions.iter().map(|&class| class as i32).collect();
    let class = |&class: &u32| class_names.get(class as usize).map_or("", String::as_str).into();
    let classes: Vec<ByteArray> = columns.predictions.iter().map(class).collect();
    let files: Vec<ByteArray> = columns.files.iter().map(|file| file.as_str().into()).collect();
    write_column::<Int64Type>(&mut group, &images)?;
    if !files.is_empty() {
        write_column::<ByteArrayType>(&mut group, &files)?;
    }
    write_column::<FloatType>(&mut group, &columns.scores)?;
    write_column::<Int32Type>(&mut group, &predictions)?;
    write_column::<ByteArrayType>(&mut group, &classes)?;
    write_column::<FloatType>(&mut group, &columns.confidences)?;
    group.close()?;
    Ok(writer.into_inner()?)
}

/// The next column of the schema, which is of type `T`.
fn write_column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &[T::T]) -> anyhow::Result<()> {
    let mut column = group.next_column()?.context("the schema has no more columns")?;
    column.typed::<T>().write_batch(values, None, None)?;
    Ok(column.close()?)
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
