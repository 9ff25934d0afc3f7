//! Images in numpy's `.npy` files: `uint8`, `(N, H, W, 3)`, C order.
//!
//! [`NpyImages`] maps a file and reads any range of it, [`NpyStream`] reads one from anything that can only be read once
//! (standard input), and [`NpyWriter`] and [`write_images`] write one atomically. [`read_numbers`] reads plain numbers,
//! [`write_columns`] writes them as a structured array.

mod columns;
mod images;
mod labels;
mod numbers;
mod stream;
mod write;

pub use columns::{Column, write_columns};
pub use images::{NpyImages, NpySource};
pub use labels::{read_labels, write_labels};
pub use numbers::read_numbers;
pub use stream::NpyStream;
pub use write::{NpyWriter, write_images};

use std::io::Read;
use std::path::Path;

use riptide_files::npy::{Header, NpyError};

use crate::error::{DatasetError, Result};
use crate::image_set::{CHANNELS, image_bytes};

/// The shape of an array of images.
#[derive(Debug, Clone, Copy)]
struct ImageShape {
    len: u64,
    height: usize,
    width: usize,
    image_bytes: usize,
}

/// Reads a header and leaves the reader at the first byte of the data; `path` is for errors.
fn read_header(reader: &mut impl Read, path: &Path) -> Result<Header> {
    Header::read(reader).map_err(|error| match error {
        NpyError::Io(source) => DatasetError::io(path, source),
        other => DatasetError::malformed(path, other.to_string()),
    })
}

/// Checks that `found` bytes are exactly the header and `len` elements of `width` bytes each.
fn check_length(header: &Header, path: &Path, len: u64, width: usize, found: u64) -> Result<()> {
    let exact = u128::from(header.data_offset) + u128::from(len) * width as u128;
    // A length beyond 64 bits cannot be a file's: report the most that can be said.
    let expected = u64::try_from(exact).unwrap_or(u64::MAX);
    let path = || path.to_path_buf();
    match u128::from(found).cmp(&exact) {
        std::cmp::Ordering::Less => Err(DatasetError::Truncated {
            path: path(),
            expected,
            found,
        }),
        std::cmp::Ordering::Greater => Err(DatasetError::Oversized {
            path: path(),
            expected,
            found,
        }),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// Checks that a header is of images: `uint8`, four dimensions, three channels last, C order, a size that can be held.
fn image_shape(header: &Header, path: &Path) -> Result<ImageShape> {
    if !matches!(header.dtype.as_str(), "|u1" | "<u1" | ">u1" | "u1" | "uint8") {
        return Err(DatasetError::WrongDtype {
            path: path.to_path_buf(),
            expected: "|u1 (uint8)".to_owned(),
            found: header.dtype.clone(),
        });
    }
    let wrong = || DatasetError::WrongShape {
        path: path.to_path_buf(),
        expected: "(N, H, W, 3)".to_owned(),
        found: header.shape.clone(),
    };
    let [len, height, width, channels] = *header.shape.as_slice() else {
        return Err(wrong());
    };
    if channels != CHANNELS as u64 || height == 0 || width == 0 || header.elements().is_none() {
        return Err(wrong());
    }
    if header.fortran_order {
        let reason = "the array is in Fortran order, expected C order; write it with numpy.ascontiguousarray";
        return Err(DatasetError::malformed(path, reason));
    }
    let (height, width) = (usize::try_from(height), usize::try_from(width));
    let (Ok(height), Ok(width)) = (height, width) else {
        return Err(wrong());
    };
    let image_bytes = image_bytes(height, width)?;
    Ok(ImageShape {
        len,
        height,
        width,
        image_bytes,
    })
}
