//! The bytes of a picture's file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use riptide_files::regular;

use super::error::PictureError;
use super::options::PictureOptions;
use super::{Picture, Result, decode, format_of, header};

/// Reads and decodes a picture's file, and frames it as the options say. See [`decode`].
///
/// # Errors
/// As [`decode`], and if the file cannot be read, is too long or is not a regular file: pipes, sockets and devices are refused
/// before they are opened.
pub fn decode_file(path: impl AsRef<Path>, options: &PictureOptions) -> Result<Picture> {
    options.check()?;
    decode(&read(path.as_ref(), options)?, options)
}

/// The bytes of a file that starts as a picture does and is no longer than allowed.
pub(crate) fn read(path: &Path, options: &PictureOptions) -> Result<Vec<u8>> {
    // Opening a pipe waits for a writer, and opening a device may do anything.
    check_kind(&std::fs::metadata(path).map_err(refused)?)?;
    let mut file = File::open(path).map_err(refused)?;
    let metadata = file.metadata().map_err(refused)?;
    check_kind(&metadata)?;
    let limit = options.max_bytes;
    let too_long = |bytes| PictureError::TooLong { bytes, limit };
    if metadata.len() > limit {
        return Err(too_long(metadata.len()));
    }
    // A file may be any length of nothing: the rest is only read if the first bytes are a picture's.
    let mut bytes = Vec::new();
    file.by_ref().take(START).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    format_of(&bytes)?;
    bytes.reserve_exact(
        usize::try_from(metadata.len())
            .unwrap_or_default()
            .saturating_sub(bytes.len()),
    );
    // It may have grown meanwhile.
    file.take(limit).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > limit {
        return Err(too_long(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Rows and columns of a picture's file, as its header has them.
pub(crate) fn size_of_file(path: &Path, options: &PictureOptions) -> Result<(u32, u32)> {
    Ok(header(&read(path, options)?, options)?.size)
}

/// Bytes that tell what a file is.
const START: u64 = 16;

/// The first bytes of a regular file; of anything else, and of what cannot be read, nothing.
pub(crate) fn start(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        && let Ok(file) = File::open(path)
        && file.take(START).read_to_end(&mut bytes).is_err()
    {
        bytes.clear();
    }
    bytes
}

fn refused(error: io::Error) -> PictureError {
    PictureError::Io {
        reason: error.to_string(),
    }
}

fn check_kind(metadata: &Metadata) -> Result<()> {
    match regular::kind(metadata) {
        None => Ok(()),
        Some(kind) => Err(PictureError::NotAFile { kind }),
    }
}
