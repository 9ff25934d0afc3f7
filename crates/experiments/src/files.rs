//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::ExperimentError;

/// Writes `bytes` to a temporary file beside `path`, then renames it, so that a reader never sees half of it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ExperimentError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(ExperimentError::io(folder))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".riptide-").suffix(".partial");
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        // As an ordinary new file: the umask takes away what it should.
        builder.permissions(std::fs::Permissions::from_mode(0o666))
    };
    let mut file = builder.tempfile_in(folder).map_err(ExperimentError::io(folder))?;
    file.write_all(bytes).map_err(ExperimentError::io(path))?;
    file.as_file().sync_all().map_err(ExperimentError::io(path))?;
    file.persist(path).map_err(|error| ExperimentError::Io {
        path: path.into(),
        source: error.error,
    })?;
    Ok(())
}
