//! Images in numpy's `.npy` files: `uint8` or floating-point numbers, in colour or grey, channels last or first, C order.
//!
//! [`NpyImages`] reads any range of a file, [`NpyStream`] reads arrays from anything that can only be read once
//! (standard input), and [`NpyWriter`] and [`write_images`] write one atomically. [`read_numbers`] reads plain numbers,
//! [`write_columns`] writes them as a structured array.

mod columns;
mod convert;
mod images;
mod labels;
mod numbers;
mod shape;
mod stream;
mod write;

pub use columns::{Column, write_columns};
pub(crate) use convert::read as numbers;
pub use images::{NpyImages, NpySource};
pub(crate) use labels::labels_from;
pub use labels::{read_labels, write_labels};
pub use numbers::read_numbers;
pub(crate) use shape::Kind;
pub use shape::{ArrayOptions, Layout, ValueRange};
pub use stream::NpyStream;
pub use write::{NpyWriter, write_images};

use std::io::Read;
use std::path::Path;

use riptide_files::npy::{Header, NpyError};

use crate::error::{DatasetError, Result};

/// Reads a header and leaves the reader at the first byte of the data; `path` is for errors.
pub(crate) fn read_header(reader: &mut impl Read, path: &Path) -> Result<Header> {
    Header::read(reader).map_err(|error| match error {
        NpyError::Io(source) => DatasetError::io(path, source),
        other => DatasetError::malformed(path, other.to_string()),
    })
}

/// Checks that `found` bytes are exactly the header and `len` elements of `width` bytes each.
pub(crate) fn check_length(header: &Header, path: &Path, len: u64, width: usize, found: u64) -> Result<()> {
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
