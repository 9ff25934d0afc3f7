//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::error::{DatasetError, Result};

/// Writes `bytes` to a temporary file beside `path`, then renames it; on an error nothing is left.
///
/// # Errors
/// A folder that does not exist or cannot be written, a full disk.
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    let mut file = temporary(path)?;
    file.write_all(bytes).map_err(|source| DatasetError::io(path, source))?;
    persist(file, path)
}

/// A temporary file in the folder where `path` is going to be; it goes away unless it is persisted.
pub(crate) fn temporary(path: &Path) -> Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = Builder::new();
    // The usual mode of a new file, subject to the umask, instead of a temporary file's owner-only one.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
        .prefix(".riptide-")
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(|source| DatasetError::io(folder, source))
}

/// Flushes the file to disk and renames it to `path`.
pub(crate) fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    file.as_file()
        .sync_all()
        .map_err(|source| DatasetError::io(path, source))?;
    file.persist(path)
        .map(drop)
        .map_err(|error| DatasetError::io(path, error.error))
}
