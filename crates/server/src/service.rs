//! The service: starts everything, and ends it so that nothing is lost.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use riptide::files::FileError;
use riptide::files::lock::FolderLock;
use riptide::prelude::{Images, Monitor};
use tokio::sync::Semaphore;

use crate::appearance::Appearance;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::{Listening, listen, metrics_router, router};
use crate::metrics::{Metrics, OfModel};
use crate::shared::{Budget, Queue, Served, Shared, Waiters, Wake, monitor_digest};
use crate::store::{self, Kept, Reader, Writer};
use crate::time::{Clock, Millis, seconds};
use crate::{judge, outbox, scoring};

/// The database's file in the state folder.
pub(crate) const DATABASE: &str = "riptide.db";

/// How often windows are closed and halves released, and how often what is old is removed.
const TICK: Duration = Duration::from_secs(1);
const PRUNE: Duration = Duration::from_secs(60);

/// A service that runs; made by [`Service::start`], ended by [`Service::stop`].
///
/// ```no_run
/// use riptide_server::{Config, MonitorConfig, Service};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::default();
/// config.monitors = vec![MonitorConfig::new("monitor")];
/// let runtime = tokio::runtime::Runtime::new()?;
/// let service = runtime.block_on(Service::start(config))?;
/// println!("http://{}/", service.address());
/// runtime.block_on(service.stop());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    listening: Vec<Listening>,
    threads: Vec<JoinHandle<()>>,
    writer: JoinHandle<()>,
    address: SocketAddr,
    _lock: FolderLock,
}

impl Service {
    /// Checks the settings, loads the monitors, opens the state and listens. Must be called inside a tokio runtime with several
    /// threads.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting out of range, [`Error::Monitor`] if a monitor cannot be loaded, [`Error::File`] or
    /// [`Error::Store`] if the state folder cannot be used (or another service uses it), [`Error::NewerState`] if a newer
    /// program wrote it, [`Error::Listen`] if an address is taken.
    pub async fn start(config: Config) -> Result<Self> {
        Self::start_with(config, Clock::default()).await
    }

    /// As [`start`](Self::start), by another clock: for tests.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(config: Config, clock: Clock) -> Result<Self> {
        config.check()?;
        let mut monitors = Vec::new();
        for monitor in &config.monitors {
            let loaded = Monitor::load(&monitor.path)?;
            tracing::info!(name = monitor.served_as(), path = %monitor.path.display(), "monitor loaded");
            let appearance = match &monitor.reference {
                Some(path) => Some(Appearance::of(&loaded, Images::open(path)?)?),
                None => None,
            };
            monitors.push((monitor.served_as(), loaded, appearance));
        }
        std::fs::create_dir_all(&config.state).map_err(FileError::on("create", &config.state))?;
        let lock = FolderLock::acquire(&config.state)?;
        let path = database(&config);
        let (writer, writing) = Writer::start(&path)?;
        let reader = Reader::new(&path);
        let now = clock.now();
        let mut models = Vec::new();
        for (name, monitor, appearance) in monitors {
            let (for_task, digest) = (name.clone(), monitor_digest(&monitor));
            let id = writer
                .write_later(move |c| store::adopt(c, &for_task, &digest, now))
                .await;
            let id = id
                .unwrap_or(Err(store::WriteError::Closed))
                .map_err(|error| refused(&path, &error))?;
            models.push(Served::new(id, name, monitor, appearance, &config));
        }
        let queue = Queue::new(&config, reader.read(store::queued)?);
        let shared = Arc::new(Shared {
            clock,
            metrics: Metrics::new(),
            writer,
            reader,
            models,
            queue,
            waiters: Waiters::default(),
            bodies: Budget::new(config.limits.total_body_bytes),
            requests: Arc::new(Semaphore::new(config.limits.requests)),
            parsing: Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)),
            scorer: Wake::default(),
            judge: Wake::default(),
            outbox: Wake::default(),
            is_ready: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            config,
        });
        restore(&shared)?;
        let mut threads = Vec::new();
        let mut thread = |name: &'static str, work: Box<dyn FnOnce(&Shared) + Send>| -> Result<()> {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("riptide-{name}"))
                .spawn(move || work(&shared));
            threads.push(thread.map_err(|source| Error::Start { what: name, source })?);
            Ok(())
        };
        thread("scorer", Box::new(scoring::run))?;
        thread("judge", Box::new(judge::run))?;
        thread("housekeeper", Box::new(keep_house))?;
        for sink in shared.config.sinks.clone() {
            thread("sink", Box::new(move |shared| outbox::run(shared, &sink)))?;
        }
        let mut listening = vec![listen(shared.config.listen, router(&shared), &shared.config, true).await?];
        if let Some(address) = shared.config.metrics_listen {
            listening.push(listen(address, metrics_router(&shared), &shared.config, false).await?);
        }
        let address = listening.first().map_or(shared.config.listen, |first| first.address);
        shared.is_ready.store(true, Ordering::Release);
        Ok(Self {
            shared,
            listening,
            threads,
            writer: writing,
            address,
            _lock: lock,
        })
    }

    /// Where requests are taken; the port that the system chose if the settings say 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/metrics` is served, if it has an address of its own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.listening.get(1).map(|listening| listening.address)
    }

    /// Takes no more requests, finishes those in work and what is being scored, and writes everything. What waits stays in the
    /// database for the next start. Takes [`Config::shutdown_seconds`] at most, and as long as one batch takes to be scored.
    pub async fn stop(self) {
        let longest = Duration::from_secs(self.shared.config.shutdown_seconds);
        let started = Instant::now();
        self.shared.is_ready.store(false, Ordering::Release);
        for listening in self.listening {
            listening.stop(longest.saturating_sub(started.elapsed())).await;
        }
        self.shared.is_stopping.store(true, Ordering::Release);
        let shared = Arc::clone(&self.shared);
        let (threads, writer) = (self.threads, self.writer);
        let joined = tokio::task::spawn_blocking(move || {
            for wake in [&shared.scorer, &shared.judge, &shared.outbox] {
                wake.call();
            }
            for thread in threads {
                // A receiver that stalls is given up: its notice is sent after the next start.
                while !thread.is_finished() && started.elapsed() < longest {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            shared.writer.stop();
            writer.join().is_ok()
        });
        if !joined.await.unwrap_or(false) {
            tracing::error!("the writer ended by a fault");
        }
        tracing::info!("stopped");
    }
}

/// The database's path.
pub(crate) fn database(config: &Config) -> PathBuf {
    config.state.join(DATABASE)
}

fn refused(path: &std::path::Path, error: &store::WriteError) -> Error {
    Error::ConfigFile {
        path: path.into(),
        reason: error.to_string(),
    }
}

/// Shows what was known before the last end.
fn restore(shared: &Shared) -> Result<()> {
    let (rules, now) = (shared.closing(), shared.clock.now());
    drop(shared.writer.write_later(move |c| store::close_foreign(c, &rules, now)));
    for served in &shared.models {
        let (windows, alarms) = shared.reader.read(|c| {
            let windows = store::window_rows(c, served.id, 50)?;
            Ok((windows, store::alarm_rows(c, Some(&served.name), 1)?))
        })?;
        let newest = windows
            .iter()
            .rev()
            .find_map(|row| Some((row, serde_json::from_str(row.findings.as_deref()?).ok()?)));
        if let Some((row, findings)) = newest {
            judge::show(shared, &served.name, row, &findings);
        }
        let lasts = alarms.first().is_some_and(|alarm| alarm.resolved_at.is_none());
        let of = OfModel {
            model: served.name.clone(),
        };
        shared.metrics.alarm.get_or_create(&of).set(lasts.into());
        drop(shared.metrics.images.get_or_create(&of));
    }
    Ok(())
}

/// Closes windows whose time is over, releases halves that wait in vain, removes what is old.
fn keep_house(shared: &Shared) {
    let pairing = seconds(shared.config.queue.pairing_seconds);
    let kept = kept(&shared.config);
    let mut pruned: Option<Instant> = None;
    while !shared.is_stopping() {
        std::thread::sleep(TICK.min(Duration::from_millis(200)));
        let (rules, now) = (shared.closing(), shared.clock.now());
        let done = shared.writer.write(move |c| {
            let released = store::release_expired(c, now.saturating_sub(pairing))?;
            Ok((released, store::close_due(c, &rules, now)?))
        });
        match done {
            Ok(((requests, answers), closed)) => {
                for (reason, n) in [("expired_request", requests), ("expired_answer", answers)] {
                    if n > 0 {
                        shared
                            .metrics
                            .exchanges
                            .get_or_create(&crate::metrics::OfReason { reason })
                            .inc_by(n);
                    }
                }
                if requests > 0 {
                    shared.scorer.call();
                }
                if closed > 0 {
                    shared.judge.call();
                }
            }
            Err(error) => tracing::error!("windows are not closed: {error}"),
        }
        if pruned.is_none_or(|pruned| pruned.elapsed() > PRUNE) {
            match shared.writer.write(move |c| store::prune(c, &kept, now)) {
                // More of it is removed at the next tick.
                Ok(true) => {}
                Ok(false) => pruned = Some(Instant::now()),
                Err(error) => {
                    tracing::error!("what is old is not removed: {error}");
                    pruned = Some(Instant::now());
                }
            }
            let size = std::fs::metadata(database(&shared.config)).map_or(0, |file| file.len());
            shared
                .metrics
                .database_bytes
                .set(i64::try_from(size).unwrap_or(i64::MAX));
        }
    }
}

fn kept(config: &Config) -> Kept {
    let days = |days: u64| -> Millis { seconds(days.saturating_mul(86_400)) };
    Kept {
        events: days(config.retention.event_days),
        windows: days(config.retention.window_days),
        answers: seconds(config.queue.duplicate_seconds.max(config.queue.pairing_seconds)),
        bytes: i64::try_from(config.retention.bytes).unwrap_or(i64::MAX),
    }
}
