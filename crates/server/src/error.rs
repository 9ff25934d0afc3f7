//! What can go wrong before and while the service runs.

use std::path::{Path, PathBuf};

/// Every error of this crate: what was wrong, where, and what to do, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is missing or out of range.
    #[error("{key} is {value}; it must be {expected}")]
    Setting {
        /// The setting's name in the configuration file.
        key: &'static str,
        /// The value found.
        value: String,
        /// What it must be.
        expected: &'static str,
    },

    /// The configuration file is not one.
    #[error("{}: {reason}", path.display())]
    ConfigFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] riptide::files::FileError),

    /// A monitor could not be loaded, or judging failed.
    #[error(transparent)]
    Monitor(Box<riptide::Error>),

    /// The database in the state folder refused something.
    #[error("{}: {source}", path.display())]
    Store {
        /// The database file.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },

    /// The state folder was written by a newer program.
    #[error("{}: schema version {found}, but this program knows versions up to {known}; update it", path.display())]
    NewerState {
        /// The database file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version that is known.
        known: i64,
    },

    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },

    /// A thread or the asynchronous runtime could not be started.
    #[error("cannot start {what}: {source}")]
    Start {
        /// What was to be started.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<riptide::Error> for Error {
    fn from(error: riptide::Error) -> Self {
        Self::Monitor(Box::new(error))
    }
}

impl Error {
    pub(crate) fn setting(key: &'static str, value: impl ToString, expected: &'static str) -> Self {
        Self::Setting {
            key,
            value: value.to_string(),
            expected,
        }
    }

    pub(crate) fn store(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Store {
            path: path.clone(),
            source,
        }
    }
}
