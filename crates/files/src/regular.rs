//! Regular files, read whole within a limit.
//!
//! Opening a pipe waits for somebody to write into it, reading a device may never end, and a file can claim any length without
//! having a byte. So what stands at a path is asked before it is opened, and its length before memory is taken for it.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use crate::error::FileError;

/// The most bytes of a file of JSON or of names that are read, unless a format says otherwise: 16 MiB.
pub const TEXT: u64 = 16 << 20;
/// The most bytes of a file of numbers that is read whole: 2 GiB, where ONNX files end too.
pub const NUMBERS: u64 = (1 << 31) - 1;

/// What stands at a path if it is not a regular file: `a folder`, `a pipe`, `a socket` or `a device`; `None` if it is one.
#[must_use]
pub fn kind(metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_file() {
        return None;
    }
    if metadata.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}

/// Opens a regular file, with its length in bytes. Anything else is refused before it is opened.
///
/// # Errors
/// Returns an error if nothing is there, if it is no regular file, or if it cannot be opened.
pub fn open(path: impl AsRef<Path>) -> Result<(File, u64), FileError> {
    let path = path.as_ref();
    opened(path).map_err(FileError::on("read", path))
}

/// The bytes of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`]; if the file is longer, if there is no memory for it, or if it cannot be read.
///
/// ```
/// use riptide_files::regular;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a");
/// std::fs::write(&path, b"abc")?;
/// assert_eq!(regular::read(&path, 3)?, b"abc");
/// assert!(regular::read(&path, 2).is_err());
/// assert!(regular::read(folder.path(), 2).unwrap_err().to_string().contains("a folder"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    bytes(path, limit).map_err(FileError::on("read", path))
}

/// The text of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub fn read_text(path: impl AsRef<Path>, limit: u64) -> Result<String, FileError> {
    let path = path.as_ref();
    let text = bytes(path, limit).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
    });
    text.map_err(FileError::on("read", path))
}

fn opened(path: &Path) -> io::Result<(File, u64)> {
    refuse(kind(&std::fs::metadata(path)?))?;
    let file = File::open(path)?;
    // Something else may have been put there meanwhile.
    let metadata = file.metadata()?;
    refuse(kind(&metadata))?;
    Ok((file, metadata.len()))
}

fn refuse(kind: Option<&str>) -> io::Result<()> {
    match kind {
        None => Ok(()),
        Some(kind) => Err(io::Error::other(format!("{kind}; only regular files are read"))),
    }
}

fn bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, length) = opened(path)?;
    let too_long = |length| io::Error::other(format!("{length} bytes long, at most {limit} are read"));
    if length > limit {
        return Err(too_long(length));
    }
    let mut bytes = Vec::new();
    let room = usize::try_from(length).unwrap_or(usize::MAX);
    bytes
        .try_reserve_exact(room)
        .map_err(|_| io::Error::new(io::ErrorKind::OutOfMemory, format!("no memory for its {length} bytes")))?;
    // It may have grown meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        length if length > limit => Err(too_long(length)),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_only_claimed_is_refused_before_it_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        let error = read(file.path(), NUMBERS).unwrap_err().to_string();
        assert!(error.contains("1099511627776 bytes long"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_refused_by_name() {
        for path in ["/dev/zero", "/dev/null"] {
            let error = read(path, TEXT).unwrap_err().to_string();
            assert!(error.contains(path) && error.contains("a device"), "{error}");
        }
        assert!(open("no/such/file").unwrap_err().to_string().contains("no/such/file"));
    }

    #[test]
    fn text_is_utf_8() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"caf\xe9").unwrap();
        assert!(read_text(file.path(), TEXT).unwrap_err().to_string().contains("UTF-8"));
        std::fs::write(file.path(), "café").unwrap();
        assert_eq!(read_text(file.path(), TEXT).unwrap(), "café");
    }
}
