//! numpy's `.npy` arrays (format versions 1.0 to 3.0).
//!
//! [`Header`] reads what precedes the data of any array; [`encode`] and [`decode`] turn whole arrays of plain numbers, in
//! C order (row-major), into bytes and back.

mod header;

pub use header::{Header, encode_header};

/// An array of numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// The length of each dimension.
    pub shape: Vec<usize>,
    /// The numbers, as many as the product of the shape.
    pub values: Vec<T>,
}

/// The bytes are not an array of the kind that is wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The header or the length of the data is wrong.
    #[error("{0}")]
    Malformed(String),
    /// The numbers are of another type.
    #[error("the array holds {found}, expected {expected}")]
    Dtype {
        /// The type wanted, in numpy's notation.
        expected: &'static str,
        /// The type found, in numpy's notation.
        found: String,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(std::io::Error),
}

impl NpyError {
    fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed(reason.into())
    }
}

/// A number that an array can hold.
pub trait Element: Copy {
    /// The type in numpy's notation, such as `<f4`.
    const DTYPE: &'static str;
    /// Bytes of one number.
    const BYTES: usize;
    /// Appends the number, little-endian.
    fn write(self, bytes: &mut Vec<u8>);
    /// The number of [`BYTES`](Self::BYTES) little-endian bytes; `None` if there are fewer or more.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! elements {
    ($($type:ty, $dtype:literal);*) => {$(
        impl Element for $type {
            const DTYPE: &'static str = $dtype;
            const BYTES: usize = size_of::<$type>();
            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}
elements!(f32, "<f4"; f64, "<f8"; u8, "|u1"; u16, "<u2"; u32, "<u4"; i64, "<i8");

/// The bytes of a `.npy` file, version 1.0, C order. `values` should be as many as the product of `shape`.
pub fn encode<T: Element>(shape: &[usize], values: impl IntoIterator<Item = T>) -> Vec<u8> {
    let extents: Vec<u64> = shape.iter().map(|&extent| extent as u64).collect();
    let mut bytes = encode_header(T::DTYPE, &extents);
    bytes.reserve(shape.iter().product::<usize>().saturating_mul(T::BYTES));
    for value in values {
        value.write(&mut bytes);
    }
    bytes
}

/// The array in the bytes of a `.npy` file: exactly one, in C order, of exactly this type.
///
/// # Errors
/// Returns an error if the header is malformed, the type is another, the order is Fortran's, or the data are shorter or longer
/// than the shape says.
pub fn decode<T: Element>(bytes: &[u8]) -> Result<Array<T>, NpyError> {
    let mut data = bytes;
    let header = Header::read(&mut data)?;
    if header.dtype != T::DTYPE {
        return Err(NpyError::Dtype {
            expected: T::DTYPE,
            found: header.dtype,
        });
    }
    if header.fortran_order {
        return Err(NpyError::malformed(
            "the array is in Fortran order, expected C order; write it with numpy.ascontiguousarray",
        ));
    }
    let size = header.elements().and_then(|n| n.checked_mul(T::BYTES as u64));
    if size != Some(data.len() as u64) {
        return Err(NpyError::malformed(format!(
            "{} bytes of data, but the shape {:?} of {} needs {}",
            data.len(),
            header.shape,
            T::DTYPE,
            size.map_or("more than 64 bits can count".to_owned(), |size| size.to_string())
        )));
    }
    let extents = header.shape.iter().map(|&extent| usize::try_from(extent).ok());
    Ok(Array {
        // A dimension beyond usize can only stand beside one of 0; the array is empty then.
        shape: extents.map(|extent| extent.unwrap_or(usize::MAX)).collect(),
        values: data.chunks_exact(T::BYTES).filter_map(T::read).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_known_value_lies_where_it_should() {
        let bytes = encode(&[2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, -0.0_f64]);
        assert_eq!(&bytes[bytes.len() - 24..bytes.len() - 16], 4.0_f64.to_le_bytes());
        let array = decode::<f64>(&bytes).unwrap();
        assert_eq!((array.shape, array.values[3]), (vec![2, 3], 4.0));
        assert!(array.values[5].is_sign_negative());
    }

    #[test]
    fn other_types_orders_and_lengths_are_refused() {
        let good = encode(&[2, 2], [1.0_f32; 4]);
        assert!(decode::<f32>(&good).is_ok());
        let other = decode::<f64>(&good).unwrap_err().to_string();
        assert_eq!(other, "the array holds <f4, expected <f8");
        assert!(decode::<f32>(&good[..good.len() - 1]).is_err());
        assert!(decode::<f32>(&[good.as_slice(), &[0]].concat()).is_err());
        let fortran = String::from_utf8_lossy(&good[10..128]).replace("False", "True ");
        let fortran = [&good[..10], fortran.as_bytes(), &good[128..]].concat();
        assert!(decode::<f32>(&fortran).unwrap_err().to_string().contains("Fortran"));
        let huge = encode_header("<f4", &[1 << 32, 1 << 32]);
        assert!(
            decode::<f32>(&huge)
                .unwrap_err()
                .to_string()
                .contains("more than 64 bits")
        );
    }

    proptest! {
        #[test]
        fn arrays_come_back(values in proptest::collection::vec(any::<u32>(), 0..40)) {
            let array = decode::<u32>(&encode(&[values.len(), 1], values.iter().copied())).unwrap();
            prop_assert_eq!(array.shape, [values.len(), 1]);
            prop_assert_eq!(array.values, values);
        }
    }
}
