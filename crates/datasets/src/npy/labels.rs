//! Labels in a `.npy` file of one dimension.

use std::io::{BufReader, Read};
use std::path::Path;

use riptide_files::npy::Header;
use riptide_files::{atomic, npy};

use super::{check_length, read_header};
use crate::error::{DatasetError, Result};
use crate::regular;

/// Reads labels of any of numpy's integer types, signed or not, of either byte order.
///
/// # Errors
/// Returns an error if the file cannot be read or is not `.npy`, if it has another dtype or more than one dimension, if it is
/// shorter or longer than its header says, or if a label is negative or does not fit into 32 bits.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<u32>> {
    let path = path.as_ref();
    let (file, found) = regular::open(path)?;
    let mut reader = BufReader::new(file);
    let header = read_header(&mut reader, path)?;
    let [len] = *header.shape.as_slice() else {
        return Err(DatasetError::WrongShape {
            path: path.to_path_buf(),
            expected: "(N,)".to_owned(),
            found: header.shape,
        });
    };
    let Some((width, ..)) = integer(&header.dtype) else {
        return Err(DatasetError::WrongDtype {
            path: path.to_path_buf(),
            expected: "an integer type".to_owned(),
            found: header.dtype,
        });
    };
    check_length(&header, path, len, width, found)?;
    Ok(labels_from(&mut reader, &header, len, path)?.unwrap_or_default())
}

/// Reads `len` labels behind a header; `None` if they are not whole numbers. Memory grows as they come.
pub(crate) fn labels_from(reader: &mut impl Read, header: &Header, len: u64, path: &Path) -> Result<Option<Vec<u32>>> {
    let Some((width, signed, big_endian)) = integer(&header.dtype) else {
        return Ok(None);
    };
    let mut labels = Vec::new();
    let mut element = [0u8; 8];
    for index in 0..len {
        let bytes = element.get_mut(..width).unwrap_or_default();
        reader
            .read_exact(bytes)
            .map_err(|source| DatasetError::io(path, source))?;
        let value = decode(bytes, signed, big_endian);
        labels.push(u32::try_from(value).map_err(|_| {
            DatasetError::malformed(path, format!("image {index} has label {value}, expected 0 or more"))
        })?);
    }
    Ok(Some(labels))
}

/// Writes labels as numpy's default integers (`<i8`, shape `(N,)`), first to a temporary file that is then renamed.
///
/// # Errors
/// Returns an error if the folder does not exist or cannot be written.
pub fn write_labels(path: impl AsRef<Path>, labels: &[u32]) -> Result<()> {
    let bytes = npy::encode(&[labels.len()], labels.iter().map(|&label| i64::from(label)));
    Ok(atomic::write(path, &bytes)?)
}

/// Bytes, signedness and byte order of an integer dtype.
pub(super) fn integer(dtype: &str) -> Option<(usize, bool, bool)> {
    let (order, kind) = match dtype.as_bytes() {
        [order @ (b'<' | b'>' | b'|' | b'='), kind @ ..] => (*order, kind),
        kind => (b'|', kind),
    };
    let (signed, width) = match kind {
        [b'i', width] => (true, *width),
        [b'u', width] => (false, *width),
        _ => return None,
    };
    let width = match width {
        b'1' => 1,
        b'2' => 2,
        b'4' => 4,
        b'8' => 8,
        _ => return None,
    };
    // "|" (no order) is only meant for single bytes, "=" is the writer's order and cannot be known.
    (width == 1 || matches!(order, b'<' | b'>')).then_some((width, signed, order == b'>'))
}

/// The value of one element of at most eight bytes.
pub(super) fn decode(bytes: &[u8], signed: bool, big_endian: bool) -> i128 {
    let value = |so_far: i128, byte: &u8| (so_far << 8) | i128::from(*byte);
    let unsigned = match big_endian {
        true => bytes.iter().fold(0, value),
        false => bytes.iter().rev().fold(0, value),
    };
    let bits = 8 * bytes.len();
    if signed && bits > 0 && unsigned >> (bits - 1) != 0 {
        unsigned - (1 << bits)
    } else {
        unsigned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(dtype: &str, shape: &[u64], data: &[u8]) -> Result<Vec<u32>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.npy");
        std::fs::write(&path, [npy::encode_header(dtype, shape), data.to_vec()].concat()).unwrap();
        read_labels(&path)
    }

    #[test]
    fn every_integer_type_is_read() {
        for (dtype, data) in [
            ("|u1", &[3u8, 9][..]),
            ("|i1", &[3, 9]),
            ("<u2", &[3, 0, 9, 0]),
            (">i2", &[0, 3, 0, 9]),
            ("<i4", &[3, 0, 0, 0, 9, 0, 0, 0]),
            ("<i8", &[3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]),
            (">u8", &[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9]),
        ] {
            assert_eq!(with(dtype, &[2], data).unwrap(), [3, 9], "{dtype}");
        }
    }

    #[test]
    fn what_is_not_labels_is_refused() {
        assert!(matches!(
            with("<f4", &[1], &[0; 4]),
            Err(DatasetError::WrongDtype { .. })
        ));
        assert!(matches!(
            with("=i4", &[1], &[0; 4]),
            Err(DatasetError::WrongDtype { .. })
        ));
        assert!(matches!(
            with("|u1", &[1, 1], &[0]),
            Err(DatasetError::WrongShape { .. })
        ));
        assert!(matches!(
            with("|u1", &[3], &[0; 2]),
            Err(DatasetError::Truncated { .. })
        ));
        assert!(matches!(
            with("|u1", &[1], &[0; 2]),
            Err(DatasetError::Oversized { .. })
        ));
        assert!(matches!(
            with("<i8", &[u64::MAX], &[0; 8]),
            Err(DatasetError::Truncated { .. })
        ));
        let negative = with("|i1", &[2], &[0, 0xff]).unwrap_err().to_string();
        assert!(negative.contains("image 1 has label -1"), "{negative}");
        assert!(with("<u8", &[1], &[0xff; 8]).is_err());
    }

    #[test]
    fn written_labels_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.npy");
        write_labels(&path, &[0, 7, u32::MAX]).unwrap();
        assert_eq!(read_labels(&path).unwrap(), [0, 7, u32::MAX]);
    }
}
