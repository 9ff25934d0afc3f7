//! Rows of features as a .npy file: f64, (N, n_features), C order.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use npyz::WriterBuilder;

use crate::drift::Samples;
use crate::error::DetectorError;

pub(crate) fn write(path: &Path, samples: &Samples<'_>) -> Result<(), DetectorError> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&[samples.len() as u64, samples.n_features() as u64])
            .writer(&mut file)
            .begin_nd()?;
        writer.extend(samples.values().iter().copied())?;
        writer.finish()?;
        file.flush()
    };
    write().map_err(DetectorError::io("write", path))
}

pub(crate) fn read(path: &Path) -> Result<Samples<'static>, DetectorError> {
    let bad = |reason: String| DetectorError::BadFormat {
        path: path.into(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(DetectorError::io("read", path))?;
    // A header may promise more numbers than fit in a u64: npyz multiplies without looking.
    let declared = declared_len(&bytes).ok_or_else(|| bad("is no .npy file of version 1 with a sound shape".into()))?;
    if declared.checked_mul(8).is_none_or(|size| size > bytes.len() as u64) {
        return Err(bad(format!(
            "promises {declared} numbers but has {} bytes only",
            bytes.len()
        )));
    }
    let npy = npyz::NpyFile::new(bytes.as_slice()).map_err(DetectorError::io("read", path))?;
    let &[_, columns] = npy.shape() else {
        return Err(bad(format!("has shape {:?}, not (rows, features)", npy.shape())));
    };
    if npy.order() != npyz::Order::C {
        return Err(bad("is in Fortran order; it must be in C order".into()));
    }
    let dtype = npy.dtype().descr();
    let values = npy
        .data::<f64>()
        .map_err(|_| bad(format!("has dtype {dtype}, not <f8")))?;
    let values = values
        .collect::<Result<Vec<f64>, _>>()
        .map_err(DetectorError::io("read", path))?;
    Samples::new(
        values,
        usize::try_from(columns).map_err(|_| bad("has too many columns".into()))?,
    )
}

/// The product of the shape that the header of a version 1 file declares.
fn declared_len(bytes: &[u8]) -> Option<u64> {
    let rest = bytes.strip_prefix(b"\x93NUMPY\x01\x00")?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let header = std::str::from_utf8(rest.get(..usize::from(u16::from_le_bytes(*length)))?).ok()?;
    let (_, shape) = header.split_once("'shape'")?;
    let (shape, _) = shape.split_once('(')?.1.split_once(')')?;
    let mut sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.try_fold(1_u64, |product, size| product.checked_mul(size.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn reread(bytes: &[u8]) -> Result<Samples<'static>, DetectorError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16 + 1).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.push(b'\n');
        bytes.extend(data);
        bytes
    }

    #[test]
    fn one_known_value_lies_where_it_should() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let samples = Samples::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, -0.0], 2).unwrap();
        write(&path, &samples).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(&bytes[bytes.len() - 24..bytes.len() - 16], 4.0_f64.to_le_bytes());
        let found = read(&path).unwrap();
        assert_eq!((found.row(1).unwrap(), found.n_features()), (&[3.0, 4.0][..], 2));
        assert!(found.values()[5].is_sign_negative());
    }

    #[test]
    fn damaged_and_foreign_files_are_refused() {
        let good = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }";
        let data = [0; 16];
        assert!(reread(&with_header(good, &data)).is_ok());
        for header in [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }",
            "{'descr': '<f8', 'fortran_order': True, 'shape': (1, 2), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 0), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99, 99), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (1, 2), }",
            "{'descr': }",
        ] {
            assert!(reread(&with_header(header, &data)).is_err(), "{header}");
        }
        assert!(reread(b"").is_err());
        assert!(reread(b"\x93NUMPY\x01\x00\xff\xff{").is_err());
        assert!(reread(&with_header(good, &data[..15])).is_err());
    }
}
