//! Connections that read, shared by whoever wants to.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::schema;
use crate::error::{Error, Result};

/// Reads the database; connections are opened as they are needed and kept.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// Connections that are kept.
const KEPT: usize = 8;

impl Reader {
    /// Of a database that exists.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Reads, as of one moment.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => schema::open_to_read(&self.path)?,
        };
        let fail = Error::store(&self.path);
        let found = {
            let transaction = connection.unchecked_transaction().map_err(&fail)?;
            let found = work(&transaction);
            drop(transaction);
            found
        };
        let mut idle = idle();
        if idle.len() < KEPT {
            idle.push(connection);
        }
        found.map_err(fail)
    }
}
