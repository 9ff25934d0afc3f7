//! A mirror: another place to get the files from.

use std::path::PathBuf;
use std::str::FromStr;

use super::error::FetchError;

/// A folder or a base address that holds the files by their names, or in the folders of a cache: for `classes.bin` of the
/// cache's folder `things`, `MIRROR/classes.bin` or `MIRROR/things/classes.bin`.
///
/// With a mirror nothing is asked of the published addresses. Digests are checked all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A base address, `http://…` or `https://…`, without a slash at its end.
    Address(String),
}

impl FromStr for Mirror {
    type Err = FetchError;

    /// An address if it starts with `http://` or `https://`, else a folder (`file://` is taken off).
    fn from_str(value: &str) -> Result<Self, Self::Err> {
        if value.starts_with("http://") || value.starts_with("https://") {
            return Ok(Self::Address(value.trim_end_matches('/').to_owned()));
        }
        let folder = value.strip_prefix("file://").unwrap_or(value);
        if folder.is_empty() || folder.contains("://") {
            let reason = "a mirror is a folder, or an address that starts with http:// or https://".to_owned();
            return Err(FetchError::Invalid {
                value: value.to_owned(),
                reason,
            });
        }
        Ok(Self::Folder(PathBuf::from(folder)))
    }
}
