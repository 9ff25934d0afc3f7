//! Named columns of numbers as a structured `.npy` array.

use std::path::Path;

use riptide_files::atomic;
use riptide_files::npy::encode_header;

use crate::error::{DatasetError, Result};

/// One column of a structured array, one value per row.
#[derive(Debug, Clone, Copy)]
pub enum Column<'a> {
    /// 32-bit floats, `<f4`.
    F32(&'a [f32]),
    /// 32-bit unsigned integers, `<u4`.
    U32(&'a [u32]),
}

impl Column<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U32(values) => values.len(),
        }
    }

    fn dtype(&self) -> &'static str {
        match self {
            Self::F32(_) => "<f4",
            Self::U32(_) => "<u4",
        }
    }

    fn bytes(&self, row: usize) -> [u8; 4] {
        match self {
            Self::F32(values) => values.get(row).map_or([0; 4], |value| value.to_le_bytes()),
            Self::U32(values) => values.get(row).map_or([0; 4], |value| value.to_le_bytes()),
        }
    }
}

/// Writes columns as a structured array of shape `(N,)`, which numpy reads as `numpy.load(path)["NAME"]`; first to a
/// temporary file that is then renamed.
///
/// # Errors
/// Returns an error if the columns differ in length, if a name has a quote or a backslash, if the folder does not exist, or if
/// the disk is full.
///
/// ```
/// use riptide_datasets::npy::{Column, read_numbers, write_columns};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("scores.npy");
/// write_columns(&path, &[("score", Column::F32(&[0.5, 2.0])), ("prediction", Column::U32(&[3, 1]))])?;
/// assert_eq!(read_numbers(&path, Some("score"))?, [0.5, 2.0]);
/// # Ok(())
/// # }
/// ```
pub fn write_columns(path: impl AsRef<Path>, columns: &[(&str, Column<'_>)]) -> Result<()> {
    let path = path.as_ref();
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    for (name, column) in columns {
        if column.len() != rows {
            return Err(DatasetError::Mismatch {
                what: "length of columns",
                left: rows.to_string(),
                right: format!("{} in {name}", column.len()),
            });
        }
        if name.contains(['\'', '"', '\\']) {
            let reason = format!("{name:?} has a quote or a backslash, which a header cannot hold");
            return Err(DatasetError::InvalidOption {
                option: "column name",
                reason,
            });
        }
    }
    let fields: Vec<String> = columns
        .iter()
        .map(|(name, column)| format!("('{name}', '{}')", column.dtype()))
        .collect();
    let mut bytes = encode_header(&format!("[{}]", fields.join(", ")), &[rows as u64]);
    bytes.reserve(rows * columns.len() * 4);
    for row in 0..rows {
        for (_, column) in columns {
            bytes.extend(column.bytes(row));
        }
    }
    Ok(atomic::write(path, &bytes)?)
}
