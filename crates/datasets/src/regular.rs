//! Regular files, and bytes at a place in them.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use riptide_files::regular::kind;

use crate::error::{DatasetError, Result};

/// Opens a regular file, with its length. Devices, pipes and sockets are refused by name before they are opened: opening one
/// can wait for ever, and reading one may never end.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let io = |source| DatasetError::io(path, source);
    let metadata = std::fs::metadata(path).map_err(io)?;
    refuse(path, &metadata)?;
    let file = File::open(path).map_err(io)?;
    // Something else may have been put there meanwhile.
    let metadata = file.metadata().map_err(io)?;
    refuse(path, &metadata)?;
    Ok((file, metadata.len()))
}

fn refuse(path: &Path, metadata: &Metadata) -> Result<()> {
    match kind(metadata) {
        None => Ok(()),
        Some(kind) => {
            let reason = format!("{kind}; only regular files and standard input are read");
            Err(DatasetError::malformed(path, reason))
        }
    }
}

/// Fills `bytes` from a place in a file, without its cursor.
#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Fills `bytes` from a place in a file; its cursor moves.
#[cfg(windows)]
pub(crate) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = bytes.get_mut(read..).unwrap_or_default();
                offset += read as u64;
            }
        }
    }
    Ok(())
}
