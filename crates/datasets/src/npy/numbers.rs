//! Plain numbers from a `.npy` file.

use std::io::{BufReader, Read};
use std::path::Path;

use super::labels::{decode, integer};
use super::{check_length, read_header};
use crate::error::{DatasetError, Result};
use crate::regular;

/// How one number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float { big_endian: bool },
    Integer { signed: bool, big_endian: bool },
}

/// A number's place in a record.
#[derive(Debug, Clone, Copy)]
struct Field {
    offset: usize,
    width: usize,
    kind: Kind,
}

/// Reads numbers of any of numpy's integer types, booleans, `float32` and `float64`, of either byte order, as `f64`. The
/// array has one dimension, or is a column or a row, `(N, 1)` or `(1, N)`. Of a structured array the field `field` is read.
///
/// # Errors
/// Returns an error if the file cannot be read or is not `.npy`, if it has another dtype or shape, if a structured array lacks
/// the field, or if the file is shorter or longer than its header says.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("labels.npy");
/// riptide_datasets::npy::write_labels(&path, &[3, 1, 2])?;
/// assert_eq!(riptide_datasets::npy::read_numbers(&path, None)?, [3.0, 1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
pub fn read_numbers(path: impl AsRef<Path>, field: Option<&str>) -> Result<Vec<f64>> {
    let path = path.as_ref();
    let io = |source| DatasetError::io(path, source);
    let (file, found) = regular::open(path)?;
    let mut reader = BufReader::new(file);
    let header = read_header(&mut reader, path)?;
    let (record, field) = place(&header.dtype, field).map_err(|expected| DatasetError::WrongDtype {
        path: path.to_path_buf(),
        expected,
        found: header.dtype.clone(),
    })?;
    let (&[len] | &[len, 1] | &[1, len]) = header.shape.as_slice() else {
        return Err(DatasetError::WrongShape {
            path: path.to_path_buf(),
            expected: "(N,)".to_owned(),
            found: header.shape,
        });
    };
    check_length(&header, path, len, record, found)?;
    // The file is as long as the header says, so `len` records do exist.
    let mut numbers = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    let mut bytes = vec![0u8; record];
    for _ in 0..len {
        reader.read_exact(&mut bytes).map_err(io)?;
        numbers.push(field.read(&bytes));
    }
    Ok(numbers)
}

impl Field {
    fn read(&self, record: &[u8]) -> f64 {
        let bytes = record.get(self.offset..self.offset + self.width).unwrap_or_default();
        match self.kind {
            Kind::Integer { signed, big_endian } => decode(bytes, signed, big_endian) as f64,
            Kind::Float { big_endian } => {
                // The bits, as an unsigned integer, whatever the byte order.
                let bits = decode(bytes, false, big_endian);
                match self.width {
                    4 => f64::from(f32::from_bits(bits as u32)),
                    _ => f64::from_bits(bits as u64),
                }
            }
        }
    }
}

/// Bytes and kind of a plain number's dtype.
fn number(dtype: &str) -> Option<(usize, Kind)> {
    if matches!(dtype, "|b1" | "?" | "bool") {
        let kind = Kind::Integer {
            signed: false,
            big_endian: false,
        };
        return Some((1, kind));
    }
    let float = |width, big_endian| Some((width, Kind::Float { big_endian }));
    match dtype {
        "<f4" => float(4, false),
        ">f4" => float(4, true),
        "<f8" => float(8, false),
        ">f8" => float(8, true),
        _ => integer(dtype).map(|(width, signed, big_endian)| (width, Kind::Integer { signed, big_endian })),
    }
}

/// Bytes of a record and where in it the number stands; the error is what was expected.
fn place(dtype: &str, wanted: Option<&str>) -> std::result::Result<(usize, Field), String> {
    if !dtype.starts_with('[') {
        let (width, kind) = number(dtype).ok_or("integers, float32 or float64")?;
        return Ok((width, Field { offset: 0, width, kind }));
    }
    let wanted = wanted.ok_or("plain numbers, not a structured array")?;
    let plain = || "a structured array of plain numbers".to_owned();
    let inside = dtype.strip_prefix("[(").and_then(|text| text.strip_suffix(")]"));
    let (mut offset, mut found) = (0, None);
    for part in inside.ok_or_else(plain)?.split("), (") {
        let (name, dtype) = part.split_once(", ").ok_or_else(plain)?;
        let strip = |text: &str| Some(text.strip_prefix('\'')?.strip_suffix('\'')?.to_owned());
        let (name, dtype) = strip(name).zip(strip(dtype)).ok_or_else(plain)?;
        let (width, kind) = number(&dtype).ok_or_else(plain)?;
        if name == wanted {
            found = Some(Field { offset, width, kind });
        }
        offset += width;
    }
    Ok((offset, found.ok_or_else(|| format!("a field {wanted}"))?))
}

#[cfg(test)]
mod tests {
    use riptide_files::npy::encode_header;

    use super::*;

    fn with(dtype: &str, shape: &[u64], data: &[u8], field: Option<&str>) -> Result<Vec<f64>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        std::fs::write(&path, [encode_header(dtype, shape), data.to_vec()].concat()).unwrap();
        read_numbers(&path, field)
    }

    #[test]
    fn every_plain_type_and_shape_is_read() {
        let f = |x: f64| [x.to_le_bytes(), (-x).to_le_bytes()].concat();
        for (dtype, shape, data) in [
            ("<f8", vec![2], f(2.5)),
            (
                ">f8",
                vec![2, 1],
                [2.5f64.to_be_bytes(), (-2.5f64).to_be_bytes()].concat(),
            ),
            (
                "<f4",
                vec![1, 2],
                [2.5f32.to_le_bytes(), (-2.5f32).to_le_bytes()].concat(),
            ),
            (">f4", vec![2], [2.5f32.to_be_bytes(), (-2.5f32).to_be_bytes()].concat()),
        ] {
            assert_eq!(with(dtype, &shape, &data, None).unwrap(), [2.5, -2.5], "{dtype}");
        }
        assert_eq!(with("<i2", &[2], &[255, 255, 1, 0], None).unwrap(), [-1.0, 1.0]);
        assert_eq!(with("|b1", &[2], &[0, 1], None).unwrap(), [0.0, 1.0]);
        assert!(with("<f8", &[1], &f64::NAN.to_le_bytes(), None).unwrap()[0].is_nan());
    }

    #[test]
    fn a_field_of_a_structured_array_is_read() {
        let dtype = "[('a', '|u1'), ('score', '<f4')]";
        let data = [&[9][..], &0.5f32.to_le_bytes(), &[9], &4f32.to_le_bytes()].concat();
        assert_eq!(with(dtype, &[2], &data, Some("score")).unwrap(), [0.5, 4.0]);
        assert_eq!(with(dtype, &[2], &data, Some("a")).unwrap(), [9.0, 9.0]);
        let error = with(dtype, &[2], &data, Some("b")).unwrap_err().to_string();
        assert!(error.contains("a field b"), "{error}");
        for odd in [
            "[]",
            "[('a', '<f4', (2,))]",
            "[('score', [('x', '<f4')])]",
            "[('score')]",
        ] {
            assert!(with(odd, &[0], &[], Some("score")).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_is_not_plain_numbers_is_refused() {
        for (dtype, shape, data) in [
            ("<f2", vec![1], vec![0; 2]),
            ("<U1", vec![1], vec![0; 4]),
            ("<f8", vec![2, 2], vec![0; 32]),
            ("<f8", vec![], vec![0; 8]),
            ("<f8", vec![2], vec![0; 15]),
            ("<f8", vec![2], vec![0; 17]),
            ("<f8", vec![u64::MAX], vec![0; 8]),
        ] {
            assert!(with(dtype, &shape, &data, None).is_err(), "{dtype} {shape:?}");
        }
    }
}
