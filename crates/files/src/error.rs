//! What can go wrong with a file.

use std::path::{Path, PathBuf};

use crate::shown::shown;

/// A file or folder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", shown(path))]
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
        move |source| Self {
            action,
            path,
            source: plain(source),
        }
    }
}

/// The system's error without the path that the crate `tempfile` adds to it: that is a temporary one, which tells nobody anything.
fn plain(error: std::io::Error) -> std::io::Error {
    let is_with_path = error
        .get_ref()
        .is_some_and(|inner| inner.to_string().contains(" at path \""));
    match is_with_path {
        true => error.kind().into(),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_path_is_not_told() {
        let missing = Path::new("no/such/folder");
        let error = tempfile::Builder::new()
            .prefix(".riptide-")
            .tempfile_in(missing)
            .unwrap_err();
        let text = FileError::on("create a file in", missing)(error).to_string();
        assert!(text.contains("no/such/folder") && !text.contains(".riptide-"), "{text}");
    }
}
