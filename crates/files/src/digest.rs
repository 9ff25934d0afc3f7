//! SHA-256, written as 64 lowercase hexadecimal digits.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::FileError;
use crate::regular;

/// A digest in the making.
///
/// ```
/// let mut hasher = riptide_files::digest::Hasher::default();
/// hasher.update(b"ab");
/// hasher.update(b"c");
/// assert_eq!(hasher.finish(), riptide_files::digest::of_bytes(b"abc"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    #[must_use]
    pub fn finish(self) -> String {
        hex(&self.finish_bytes())
    }

    /// The digest of all that was added, as 32 bytes; for digests of digests.
    #[must_use]
    pub fn finish_bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The digest of bytes in memory.
///
/// ```
/// assert!(riptide_files::digest::of_bytes(b"").starts_with("e3b0c44298fc1c14"));
/// ```
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The digest of several parts, each preceded by its length (64 bits, little-endian), so that no two lists of parts have
/// the same digest.
#[must_use]
pub fn of_parts(parts: &[&[u8]]) -> String {
    let mut hasher = Hasher::default();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finish()
}

/// The digest of a file.
///
/// # Errors
/// Returns an error if the file is missing, is no regular file or cannot be read.
pub fn of_file(path: impl AsRef<Path>) -> Result<String, FileError> {
    let path = path.as_ref();
    let (mut file, _) = regular::open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::on("read", path)(error)),
        }
    }
}

/// Bytes as lowercase hexadecimal digits, two per byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_digests() {
        // FIPS 180-4, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes(b"abc"), abc);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        assert_eq!(of_file(file.path()).unwrap(), abc);
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(of_parts(&[b"ab", b"c"]), of_parts(&[b"a", b"bc"]));
    }

    #[test]
    fn a_missing_file_is_named() {
        assert!(
            of_file("no/such/file")
                .unwrap_err()
                .to_string()
                .contains("no/such/file")
        );
    }
}
