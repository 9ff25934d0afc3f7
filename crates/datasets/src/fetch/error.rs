//! What can go wrong while files are fetched.

use std::io;
use std::path::{Path, PathBuf};

use riptide_files::FileError;

/// Why a file could not be fetched. What was in the cache before stays as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No connection could be made, or nothing answered.
    #[error("{}: cannot be reached: {reason}; {}", redact(url), advice)]
    Unreachable {
        /// The address.
        url: String,
        /// What to do instead: a mirror, or a download by hand, and where the file belongs.
        advice: String,
        /// What happened.
        reason: String,
    },

    /// The address answers, but it does not have the file.
    #[error("{}: there is no such file ({reason}); {}", redact(url), advice)]
    NotFound {
        /// The address, or the folder of a mirror.
        url: String,
        /// What to do instead: a mirror, or a download by hand, and where the file belongs.
        advice: String,
        /// The answer.
        reason: String,
    },

    /// The transfer failed in a way that trying again does not mend, or it failed too often. What has arrived is kept, and
    /// the next fetch goes on from there.
    #[error("{}: {reason}; {}", redact(url), advice)]
    Transfer {
        /// The address.
        url: String,
        /// What to do instead: a mirror, or a download by hand, and where the file belongs.
        advice: String,
        /// What happened.
        reason: String,
    },

    /// The file has another length than the published one, or more than is accepted.
    #[error(
        "{}: the file has {found} bytes, expected {expected}; the source is damaged or not what it claims to be",
        redact(url)
    )]
    WrongLength {
        /// The address.
        url: String,
        /// The published length, or the most that is accepted.
        expected: u64,
        /// The length found (at least).
        found: u64,
    },

    /// The file is not the published one. What arrived has been thrown away.
    #[error(
        "{}: SHA-256 is {found}, expected {expected}; the source is damaged or not what it claims to be",
        redact(url)
    )]
    DigestMismatch {
        /// The address.
        url: String,
        /// The published digest.
        expected: String,
        /// The digest of what arrived.
        found: String,
    },

    /// The file has no published digest, and it is not the one that was fetched the first time.
    #[error(
        "{}: SHA-256 is {found}, but {expected} was pinned when it was first fetched. If the change is wanted, remove \
         the entry {key:?} from {}, and the file if it is there",
        redact(origin), pins.display()
    )]
    PinMismatch {
        /// The address, or the file in the cache.
        origin: String,
        /// The pin's name in the list of pins.
        key: String,
        /// The list of pins.
        pins: PathBuf,
        /// The pinned digest.
        expected: String,
        /// The digest found.
        found: String,
    },

    /// An archive is broken, hostile, or lacks a file.
    #[error("{}: {reason}", redact(url))]
    Archive {
        /// The address.
        url: String,
        /// What was wrong with it.
        reason: String,
    },

    /// The list of pins cannot be read.
    #[error("{}: not a list of pins: {reason}; repair or remove it", path.display())]
    Pins {
        /// The list.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },

    /// The file has no published digest, and does not begin as files of its name do.
    #[error(
        "{}: {name} does not begin as {format} does, so it was not pinned; the source is damaged or not what it claims to be",
        redact(origin)
    )]
    WrongFormat {
        /// The address, or the file in the cache.
        origin: String,
        /// The file's name.
        name: String,
        /// What its name says it is.
        format: &'static str,
    },

    /// A file or folder of the cache or of a mirror cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// A mirror, an address or a name is not valid.
    #[error("{value:?}: {reason}")]
    Invalid {
        /// What was given.
        value: String,
        /// What is expected.
        reason: String,
    },

    /// A file of the Hugging Face Hub could not be downloaded.
    #[error("{location}: {reason}")]
    Hub {
        /// The `hf://` address.
        location: String,
        /// What happened, and what to do.
        reason: String,
    },
}

impl FetchError {
    pub(crate) fn io(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_path_buf(),
            source,
        }
    }
}

impl From<FileError> for FetchError {
    fn from(error: FileError) -> Self {
        Self::io(error.path, error.source)
    }
}

/// The address without user name and password.
pub(crate) fn redact(url: &str) -> String {
    if let Some((scheme, rest)) = url.split_once("://") {
        let end = rest.find('/').unwrap_or(rest.len());
        if let Some((authority, path)) = rest.split_at_checked(end)
            && let Some((_, host)) = authority.rsplit_once('@')
        {
            return format!("{scheme}://{host}{path}");
        }
    }
    url.to_owned()
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(redact("https://me:secret@host/a@b"), "https://host/a@b");
        assert_eq!(redact("https://host/a@b"), "https://host/a@b");
        assert_eq!(redact("https://me@host"), "https://host");
        assert_eq!(redact("/a/folder"), "/a/folder");
    }
}
