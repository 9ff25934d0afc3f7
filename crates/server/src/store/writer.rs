//! The one thread that writes. Tasks that come while it works are committed together, and each is answered after the commit:
//! whoever is told that something was written can rely on it.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::schema;
use crate::error::{Error, Result};

/// Tasks of one commit, and for how long they are collected.
const MOST_TASKS: usize = 1000;
const LONGEST: Duration = Duration::from_millis(10);
/// Tasks that may wait for the writer.
const WAITING: usize = 4096;

/// Why something was not written. Nothing of the task is then in the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("the disk of the state folder is full; nothing was written, try again when there is room")]
    Full,
    #[error("too much waits to be written; try again")]
    Busy,
    #[error("the service is shutting down")]
    Closed,
    #[error("the database refused: {0}")]
    Database(String),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Database(error.to_string()),
        }
    }
}

/// Tells whoever waits how it ended.
type Tell = Box<dyn FnOnce(Result<(), WriteError>) + Send>;
/// Does its writing if there is a transaction to do it in, and gives what to tell after the commit.
type Task = Box<dyn FnOnce(Result<&Connection, WriteError>) -> (Result<(), WriteError>, Tell) + Send>;

/// A handle of the writer; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    tasks: SyncSender<Message>,
}

enum Message {
    Task(Task),
    Stop,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

impl Writer {
    /// Opens the database and starts the thread.
    pub(crate) fn start(path: &Path) -> Result<(Self, JoinHandle<()>)> {
        let connection = schema::open(path)?;
        let (tasks, received) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("riptide-writer".into())
            .spawn(move || run(connection, &received));
        let thread = thread.map_err(|source| Error::Start {
            what: "the writer",
            source,
        })?;
        Ok((Self { tasks }, thread))
    }

    /// Hands a task on, at once or not at all; the receiver hears of it after the commit.
    pub(crate) fn try_write<T, F>(&self, task: F) -> Result<oneshot::Receiver<Result<T, WriteError>>, WriteError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (message, heard) = wrap(task);
        match self.tasks.try_send(message) {
            Ok(()) => Ok(heard),
            Err(TrySendError::Full(_)) => Err(WriteError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(WriteError::Closed),
        }
    }

    /// Hands a task on, waiting for room; for threads, which are few.
    pub(crate) fn write_later<T, F>(&self, task: F) -> oneshot::Receiver<Result<T, WriteError>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (message, heard) = wrap(task);
        // If nobody takes it any more, the receiver is told by the sender being gone.
        let _ = self.tasks.send(message);
        heard
    }

    /// Writes and waits for the commit; for threads.
    pub(crate) fn write<T, F>(&self, task: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.write_later(task)
            .blocking_recv()
            .unwrap_or(Err(WriteError::Closed))
    }

    /// Ends the thread after what is handed on already.
    pub(crate) fn stop(&self) {
        let _ = self.tasks.send(Message::Stop);
    }
}

fn wrap<T, F>(task: F) -> (Message, oneshot::Receiver<Result<T, WriteError>>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
{
    let (sender, heard) = oneshot::channel();
    let task: Task = Box::new(move |connection| {
        let done = connection.and_then(|connection| Ok(task(connection)?));
        let outcome = done.as_ref().map(|_| ()).map_err(Clone::clone);
        let tell: Tell = Box::new(move |committed| {
            // Whoever asked may have gone.
            let _ = sender.send(committed.and(done));
        });
        (outcome, tell)
    });
    (Message::Task(task), heard)
}

fn run(connection: Connection, tasks: &Receiver<Message>) {
    loop {
        let first = match tasks.recv_timeout(Duration::from_secs(60)) {
            Ok(Message::Task(task)) => task,
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => continue,
        };
        if commit_together(&connection, first, tasks) {
            break;
        }
    }
    // So that the next start finds one small file; a failure costs it a moment only.
    let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// Runs the first task and all that wait behind it in one transaction; whether the thread shall end.
fn commit_together(connection: &Connection, first: Task, tasks: &Receiver<Message>) -> bool {
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        // A task outside a transaction would be committed by itself.
        let (_, tell) = first(Err(error.into()));
        tell(Ok(()));
        return false;
    }
    let started = Instant::now();
    let mut told: Vec<(Tell, Option<WriteError>)> = Vec::new();
    let mut next = Some(first);
    let mut stop = false;
    while let Some(task) = next.take() {
        let (outcome, tell) = in_savepoint(connection, task);
        told.push((tell, outcome.err()));
        // A full disk makes SQLite roll everything back by itself.
        if connection.is_autocommit() || told.len() >= MOST_TASKS || started.elapsed() > LONGEST {
            break;
        }
        next = match tasks.try_recv() {
            Ok(Message::Task(task)) => Some(task),
            Ok(Message::Stop) => {
                stop = true;
                None
            }
            Err(_) => None,
        };
    }
    let committed = if connection.is_autocommit() {
        let first = told.iter().rev().find_map(|(_, error)| error.clone());
        Err(first.unwrap_or_else(|| WriteError::Database("the transaction was rolled back".into())))
    } else {
        connection.execute_batch("COMMIT").map_err(|error| {
            let _ = connection.execute_batch("ROLLBACK");
            WriteError::from(error)
        })
    };
    for (tell, error) in told {
        tell(match error {
            Some(error) => Err(error),
            None => committed.clone(),
        });
    }
    stop
}

/// Runs a task so that nothing stays of it if it fails, and nothing is lost of those before it.
fn in_savepoint(connection: &Connection, task: Task) -> (Result<(), WriteError>, Tell) {
    if let Err(error) = connection
        .prepare_cached("SAVEPOINT task")
        .and_then(|mut begin| begin.execute(()))
    {
        return task(Err(error.into()));
    }
    let (mut outcome, tell) = task(Ok(connection));
    let end = match &outcome {
        Ok(()) => "RELEASE task",
        Err(_) => "ROLLBACK TO task; RELEASE task",
    };
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch(end)
        && outcome.is_ok()
    {
        outcome = Err(error.into());
    }
    (outcome, tell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(writer: &Writer) -> i64 {
        let count = |c: &Connection| c.query_row("SELECT count(*) FROM counts", (), |row| row.get(0));
        writer.write(count).unwrap()
    }

    fn put(name: String) -> impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send + 'static {
        move |c| c.execute("INSERT INTO counts VALUES(?1, zeroblob(4000))", [name])
    }

    #[test]
    fn a_failed_task_takes_nothing_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, thread) = Writer::start(&folder.path().join("a.db")).unwrap();
        let mut heard = Vec::new();
        for i in 0..300 {
            // Every third writes the same twice, which the key refuses.
            heard.push(
                writer
                    .try_write(move |c| {
                        put(format!("{i}"))(c)?;
                        put(if i % 3 == 0 {
                            format!("{i}")
                        } else {
                            format!("{i} again")
                        })(c)
                    })
                    .unwrap(),
            );
        }
        let failed = heard
            .into_iter()
            .filter_map(|heard| heard.blocking_recv().unwrap().err())
            .count();
        assert_eq!((failed, count(&writer)), (100, 400));
        writer.stop();
        thread.join().unwrap();
        assert_eq!(
            writer.try_write(put("late".into())).map(|_| ()),
            Err(WriteError::Closed)
        );
    }

    #[test]
    fn a_full_disk_refuses_and_then_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, _thread) = Writer::start(&folder.path().join("a.db")).unwrap();
        let limit = |pages: i64| {
            move |c: &Connection| {
                c.query_row(&format!("PRAGMA max_page_count = {pages}"), (), |row| {
                    row.get::<_, i64>(0)
                })
            }
        };
        let pages = writer.write(limit(1)).unwrap();
        writer.write(limit(pages + 20)).unwrap();
        let mut written = 0;
        let mut refused = 0;
        for i in 0..100 {
            match writer.write(put(format!("{i}"))) {
                Ok(_) => written += 1,
                Err(error) => {
                    assert_eq!(error, WriteError::Full);
                    refused += 1;
                }
            }
        }
        assert!(written > 5 && refused > 5, "{written} {refused}");
        assert_eq!(count(&writer), written);
        writer.write(limit(1_000_000)).unwrap();
        writer.write(put("room again".into())).unwrap();
        assert_eq!(count(&writer), written + 1);
    }
}
