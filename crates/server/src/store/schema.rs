//! The database: its tables, how it is opened, and how older ones are brought up to date.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};

/// Each step brings the schema from one version to the next; `user_version` says how many were taken.
const STEPS: &[&str] = &["
CREATE TABLE models(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Largest event time that was scored.
    watermark INTEGER NOT NULL DEFAULT 0,
    -- Harmful and harmless windows in a row.
    harmful_run INTEGER NOT NULL DEFAULT 0,
    harmless_run INTEGER NOT NULL DEFAULT 0,
    -- State of the sequential test, JSON.
    sequential TEXT,
    UNIQUE(name, digest)
);
CREATE TABLE events(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model INTEGER NOT NULL REFERENCES models(id),
    -- SHA-256 of source, type, id and body; none once the time has passed in which duplicates are recognised.
    key BLOB UNIQUE,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_time INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    -- 0 waits for its answer, 1 waits to be scored, 2 scored, 3 could not be scored.
    state INTEGER NOT NULL,
    reason TEXT
);
-- With the time, because clients that give every call the same id would make a search of all of them.
CREATE INDEX events_by_id ON events(event_id, source, received_at);
CREATE INDEX events_waiting_by_id ON events(event_id, source) WHERE state = 0;
CREATE INDEX events_by_arrival ON events(received_at);
CREATE INDEX events_waiting ON events(received_at) WHERE state = 0;
-- Pixels that wait to be scored, u8 (n, H, W, 3), and the logged answers, f32 (n, n_classes).
CREATE TABLE payloads(event INTEGER PRIMARY KEY, images BLOB NOT NULL, answers BLOB);
-- The order in which events are scored.
CREATE TABLE ready(seq INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER NOT NULL);
-- Logged answers. 0 waits for its request, 1 used or no longer of use (kept, so that it is recognised when it comes again).
CREATE TABLE answers(
    id INTEGER PRIMARY KEY,
    model INTEGER NOT NULL,
    key BLOB NOT NULL UNIQUE,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    rows BLOB,
    state INTEGER NOT NULL
);
CREATE INDEX answers_waiting_by_id ON answers(event_id, source) WHERE state = 0;
CREATE INDEX answers_by_arrival ON answers(received_at);
CREATE TABLE windows(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model INTEGER NOT NULL REFERENCES models(id),
    -- Start of its time, if windows go by time; which of the windows of that time, or of all.
    bin INTEGER,
    part INTEGER NOT NULL,
    -- 0 open, 1 closed, 2 closed and judged.
    state INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    n INTEGER NOT NULL DEFAULT 0,
    first_time INTEGER,
    last_time INTEGER,
    last_arrival INTEGER NOT NULL,
    closed_at INTEGER,
    closed_by TEXT,
    -- Images with a label, and those of them that the classifier got right.
    labelled INTEGER NOT NULL DEFAULT 0,
    correct INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX windows_by_start ON windows(model, ifnull(bin, -1), part);
CREATE INDEX windows_by_state ON windows(state) WHERE state < 2;
-- What single images were found to be: slices of events, each in one window, one entry an image in every blob.
CREATE TABLE results(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    window INTEGER,
    event INTEGER NOT NULL,
    first INTEGER NOT NULL,
    n INTEGER NOT NULL,
    scores BLOB NOT NULL,
    predictions BLOB NOT NULL,
    distilled BLOB NOT NULL,
    confidences BLOB NOT NULL,
    errors BLOB,
    -- Sums for the accuracy, JSON.
    value TEXT,
    -- What the images look like, f32 (n, 5).
    properties BLOB
);
CREATE INDEX results_by_window ON results(window);
CREATE INDEX results_by_event ON results(event);
CREATE TABLE findings(
    window INTEGER NOT NULL REFERENCES windows(id),
    revision INTEGER NOT NULL,
    judged_at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    findings TEXT NOT NULL,
    -- All scores, f32, sorted.
    scores BLOB NOT NULL,
    PRIMARY KEY(window, revision)
) WITHOUT ROWID;
CREATE TABLE exemplars(
    window INTEGER NOT NULL,
    event INTEGER NOT NULL,
    place INTEGER NOT NULL,
    score REAL NOT NULL,
    prediction INTEGER NOT NULL,
    distilled INTEGER NOT NULL,
    picture TEXT NOT NULL
);
CREATE INDEX exemplars_by_window ON exemplars(window, score);
CREATE TABLE labels(
    event INTEGER NOT NULL,
    place INTEGER NOT NULL,
    label INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY(event, place)
) WITHOUT ROWID;
CREATE TABLE alarms(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model INTEGER NOT NULL,
    fingerprint TEXT NOT NULL UNIQUE,
    window INTEGER NOT NULL,
    raised_at INTEGER NOT NULL,
    resolved_at INTEGER,
    summary TEXT NOT NULL
);
CREATE TABLE outbox(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    alarm INTEGER NOT NULL,
    sink TEXT NOT NULL,
    -- firing or resolved.
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL,
    sent_at INTEGER,
    error TEXT
);
CREATE INDEX outbox_waiting ON outbox(sink, next_at);
-- Counts that must survive a restart.
CREATE TABLE counts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"];

/// Opens the database for writing, and brings it up to date.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let fail = Error::store(path);
    let mut connection = Connection::open(path).map_err(&fail)?;
    let setup = |connection: &Connection| -> rusqlite::Result<()> {
        // Before the first table, or it takes no effect.
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // Every commit reaches the disk before a client is told.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.busy_timeout(std::time::Duration::from_secs(10))
    };
    setup(&connection).map_err(&fail)?;
    let found: i64 = connection
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .map_err(&fail)?;
    let known = STEPS.len() as i64;
    if found > known {
        let path = path.to_owned();
        return Err(Error::NewerState { path, found, known });
    }
    let take_steps = |connection: &mut Connection| -> rusqlite::Result<()> {
        for (version, step) in STEPS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", version as i64 + 1)?;
            transaction.commit()?;
        }
        Ok(())
    };
    take_steps(&mut connection).map_err(&fail)?;
    Ok(connection)
}

/// Opens the database for reading alone.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let fail = Error::store(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&fail)?;
    let found: i64 = connection
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .map_err(&fail)?;
    let known = STEPS.len() as i64;
    if found > known {
        let path = path.to_owned();
        return Err(Error::NewerState { path, found, known });
    }
    let setup = connection.busy_timeout(std::time::Duration::from_secs(10));
    setup.map_err(&fail)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_twice_keeps_what_is_there_and_newer_states_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = open(&path).unwrap();
        connection.execute("INSERT INTO counts VALUES('x', 7)", ()).unwrap();
        drop(connection);
        let connection = open(&path).unwrap();
        let value: i64 = connection
            .query_row("SELECT value FROM counts", (), |row| row.get(0))
            .unwrap();
        assert_eq!(value, 7);
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        for error in [open(&path).unwrap_err(), open_to_read(&path).unwrap_err()] {
            assert!(error.to_string().contains("schema version 99"), "{error}");
        }
    }
}
