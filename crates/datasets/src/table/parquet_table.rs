//! The rows of a Parquet file, of which some columns are read, by the row reader of the crate `parquet`, which needs no Arrow.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::{Places, TableOptions};
use crate::error::{DatasetError, Result};
use crate::regular;

/// Rows that the reader decodes at a time; it bounds the pictures in memory.
const BATCH: usize = 32;
/// The key under which the Hugging Face libraries write what the columns are.
const HUGGING_FACE: &str = "huggingface";

/// A Parquet file.
pub(super) struct ParquetTable {
    path: PathBuf,
    reader: SerializedFileReader<std::fs::File>,
    schema: Type,
    names: Vec<String>,
    pub(super) rows: u64,
}

/// A value, and the unit of a time that is kept as a plain number.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) field: Field,
    is_nanoseconds: bool,
}

impl Cell {
    /// The value as text: times as seconds since 1970; `None` if it is missing or has no text.
    pub(super) fn text(&self) -> Option<String> {
        let seconds = |time: i64, per_second: i64, digits: usize| {
            let (whole, rest) = (time.div_euclid(per_second), time.rem_euclid(per_second));
            match rest {
                0 => whole.to_string(),
                // Seconds before 1970 with a fraction are written as a sum, which a decimal number is not.
                _ if whole < 0 => format!("{:.digits$}", time as f64 / per_second as f64),
                _ => format!("{whole}.{rest:0digits$}"),
            }
        };
        match &self.field {
            Field::Null | Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => None,
            Field::Str(text) => Some(text.clone()),
            Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec()).ok(),
            Field::Long(time) if self.is_nanoseconds => Some(seconds(*time, 1_000_000_000, 9)),
            Field::TimestampMillis(time) => Some(seconds(*time, 1000, 3)),
            Field::TimestampMicros(time) => Some(seconds(*time, 1_000_000, 6)),
            other => Some(other.to_string()),
        }
    }

    /// The value as a number.
    pub(super) fn number(&self) -> Option<f64> {
        Some(match &self.field {
            Field::Bool(value) => f64::from(u8::from(*value)),
            Field::Byte(value) => f64::from(*value),
            Field::Short(value) => f64::from(*value),
            Field::Int(value) => f64::from(*value),
            Field::Long(value) => *value as f64,
            Field::UByte(value) => f64::from(*value),
            Field::UShort(value) => f64::from(*value),
            Field::UInt(value) => f64::from(*value),
            Field::ULong(value) => *value as f64,
            Field::Float16(value) => value.to_f64(),
            Field::Float(value) => f64::from(*value),
            Field::Double(value) => *value,
            _ => return None,
        })
    }

    /// The values of a list of numbers.
    pub(super) fn numbers(&self) -> Option<Vec<f64>> {
        let Field::ListInternal(list) = &self.field else {
            return None;
        };
        let each = list.elements().iter().map(|field| {
            let field = field.clone();
            Cell {
                field,
                is_nanoseconds: false,
            }
            .number()
        });
        each.collect()
    }
}

impl ParquetTable {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (file, _) = regular::open(path)?;
        let reader = SerializedFileReader::new(file).map_err(|error| broken(path, &error))?;
        let metadata = reader.metadata().file_metadata();
        let schema = metadata.schema().clone();
        let names = schema
            .get_fields()
            .iter()
            .map(|field| field.name().to_owned())
            .collect();
        let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
        Ok(Self {
            path: path.to_path_buf(),
            reader,
            schema,
            names,
            rows,
        })
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The places of the columns of lists.
    pub(super) fn lists(&self) -> Vec<usize> {
        (0..self.names.len())
            .filter(|&place| self.field(place).is_some_and(|field| is_list(field)))
            .collect()
    }

    fn field(&self, place: usize) -> Option<&Arc<Type>> {
        self.schema.get_fields().get(place)
    }

    pub(super) fn places(&self, table: &TableOptions) -> Result<Places> {
        let places = Places::find(&self.path, &self.names, table, |place| self.may_be_image(place));
        let is_only = |place: &usize| self.is_picture(*place);
        let pictures: Vec<usize> = (0..self.names.len()).filter(is_only).collect();
        match (&table.image, pictures.as_slice()) {
            // One column of pictures is the images, whatever it is called.
            (None, [only]) => {
                let named = table.clone().image(self.names.get(*only).cloned());
                Places::find(&self.path, &self.names, &named, |_| true)
            }
            _ => places,
        }
    }

    /// Whether a column holds pictures: a group with `bytes`, or bytes that are no text.
    fn is_picture(&self, place: usize) -> bool {
        let is_bytes = |field: &Type| {
            field.is_primitive()
                && field.get_physical_type() == Physical::BYTE_ARRAY
                && field.get_basic_info().converted_type() == ConvertedType::NONE
        };
        self.field(place).is_some_and(|field| match field.is_group() {
            true => field
                .get_fields()
                .iter()
                .any(|inner| inner.name() == "bytes" && is_bytes(inner)),
            false => is_bytes(field),
        })
    }

    fn may_be_image(&self, place: usize) -> bool {
        let is_text = self.field(place).is_some_and(|field| {
            field.is_primitive() && field.get_basic_info().converted_type() == ConvertedType::UTF8
        });
        is_text || self.is_picture(place)
    }

    /// The names of the classes of a column of numbers, as the Hugging Face libraries write them.
    pub(super) fn class_names(&self, place: usize) -> Option<Vec<String>> {
        let metadata = self.reader.metadata().file_metadata().key_value_metadata()?;
        let text = metadata
            .iter()
            .find(|entry| entry.key == HUGGING_FACE)?
            .value
            .as_deref()?;
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        let column = json.get("info")?.get("features")?.get(self.names.get(place)?)?;
        let names = column.get("names")?.as_array()?;
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    }

    /// The rows, of which only some columns are read.
    pub(super) fn rows(self, places: &[usize]) -> Result<Rows> {
        let mut fields: Vec<Arc<Type>> = Vec::new();
        for &place in places {
            let field = self.field(place).filter(|field| is_readable(field)).ok_or_else(|| {
                let name = self.names.get(place).map_or("", String::as_str);
                DatasetError::malformed(&self.path, format!("the column {name} is of a type that is not read"))
            })?;
            if !fields.iter().any(|found| found.name() == field.name()) {
                fields.push(field.clone());
            }
        }
        let order: Vec<usize> = places
            .iter()
            .filter_map(|&place| {
                fields
                    .iter()
                    .position(|field| Some(field.name()) == self.names.get(place).map(String::as_str))
            })
            .collect();
        let nanoseconds = order
            .iter()
            .map(|&place| {
                let unit = fields
                    .get(place)
                    .and_then(|field| field.get_basic_info().logical_type_ref().cloned());
                matches!(unit, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
            })
            .collect();
        let path = self.path;
        let wrong = |error| broken(&path, &error);
        let projection = Type::group_type_builder(self.schema.name())
            .with_fields(fields)
            .build()
            .map_err(wrong)?;
        let iterator = RowIter::from_file_into(Box::new(self.reader)).with_batch_size(BATCH);
        let rows = iterator.project(Some(projection)).map_err(wrong)?;
        Ok(Rows {
            path,
            rows,
            order,
            nanoseconds,
        })
    }
}

fn is_list(field: &Type) -> bool {
    let info = field.get_basic_info();
    field.is_group()
        && (info.converted_type() == ConvertedType::LIST || info.logical_type_ref() == Some(&LogicalType::List))
}

/// Whether the row reader knows a type: it panics on those that it does not know.
fn is_readable(field: &Type) -> bool {
    if field.is_group() {
        return field.get_fields().iter().all(|inner| is_readable(inner));
    }
    use ConvertedType as C;
    let converted = field.get_basic_info().converted_type();
    match field.get_physical_type() {
        Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE | Physical::INT96 => true,
        Physical::INT32 => matches!(
            converted,
            C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::UINT_8 | C::UINT_16 | C::UINT_32 | C::DATE
        ),
        Physical::INT64 => matches!(
            converted,
            C::NONE | C::INT_64 | C::UINT_64 | C::TIMESTAMP_MILLIS | C::TIMESTAMP_MICROS
        ),
        Physical::BYTE_ARRAY => matches!(converted, C::NONE | C::UTF8 | C::ENUM | C::JSON | C::BSON),
        Physical::FIXED_LEN_BYTE_ARRAY => {
            matches!(field.get_basic_info().logical_type_ref(), Some(LogicalType::Float16))
                && field.get_basic_info().repetition() != Repetition::REPEATED
        }
    }
}

/// The rows of a Parquet file, of which some columns are read.
pub(super) struct Rows {
    pub(super) path: PathBuf,
    rows: RowIter<'static>,
    order: Vec<usize>,
    nanoseconds: Vec<bool>,
}

impl Rows {
    /// The only column as text.
    pub(super) fn texts(self) -> impl Iterator<Item = Result<Option<String>>> {
        self.map(|cells| Ok(cells?.first().and_then(Cell::text)))
    }
}

impl Iterator for Rows {
    type Item = Result<Vec<Cell>>;

    fn next(&mut self) -> Option<Self::Item> {
        let row: Row = match self.rows.next()? {
            Ok(row) => row,
            Err(error) => return Some(Err(broken(&self.path, &error))),
        };
        let fields = row.into_columns();
        let each = self.order.iter().zip(&self.nanoseconds);
        let cells = each.map(|(&place, &is_nanoseconds)| Cell {
            field: fields.get(place).map_or(Field::Null, |(_, field)| field.clone()),
            is_nanoseconds,
        });
        Some(Ok(cells.collect()))
    }
}

/// The error of the Parquet reader, in one line that does not repeat the file's bytes.
fn broken(path: &Path, error: &parquet::errors::ParquetError) -> DatasetError {
    let mut reason = error.to_string().replace('\n', " ");
    if let Some((end, _)) = reason.char_indices().nth(200) {
        reason.truncate(end);
        reason.push('…');
    }
    DatasetError::malformed(path, format!("not a Parquet file that can be read: {reason}"))
}
