//! What can go wrong with a file.

use std::path::{Path, PathBuf};

/// A file or folder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried, as a verb: `read`, `write`, `create a file in`.
    pub action: &'static str,
    /// Which file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

impl FileError {
    /// For `map_err`: the error of `action` on `path`.
    pub fn on(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self { action, path, source }
    }
}
