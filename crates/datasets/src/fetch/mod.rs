//! Downloads the public files into a cache, from their addresses or a mirror, verified and resumable. Files of the Hugging
//! Face Hub are the matter of [`hub`].
//!
//! A [`Fetcher`] takes [`Artifact`]s ([`catalogue`] has the ones that the experiment uses) and puts each in its place in the
//! cache, whole and checked, or not at all:
//! - SHA-256 is computed while the bytes stream in. A file without a published digest is pinned in `pins.json` the first
//!   time, and a later change is an error.
//! - A file grows as `NAME.part` and is renamed when it is complete and right. After a cut connection the download goes on
//!   from where it was, within a run and in the next run.
//! - Failures that may pass are tried again after 0.5, 1, 2, … seconds. If nothing answers at all, the fetch ends within 15
//!   seconds and says what else can be done.
//! - Of an archive only the wanted members are written, under names that are not taken from the archive, and within bounds.
//!
//! ```
//! use riptide_datasets::fetch::{Artifact, Fetcher};
//! use riptide_files::Silent;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A folder stands in for a mirror here.
//! let (mirror, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
//! std::fs::write(mirror.path().join("labels.bin"), b"cat dog")?;
//!
//! let fetcher = Fetcher::new(cache.path()).mirror(mirror.path().display().to_string().parse()?);
//! let labels = Artifact::file("example", "labels.bin", "https://example.org/labels.bin");
//! let fetched = fetcher.fetch(&labels, &mut Silent)?;
//! assert_eq!(std::fs::read(&fetched.files[0].path)?, b"cat dog");
//!
//! // It had no published digest, so it is pinned now: a mirror with other bytes is refused.
//! std::fs::remove_file(&fetched.files[0].path)?;
//! std::fs::write(mirror.path().join("labels.bin"), b"dog cat")?;
//! assert!(fetcher.fetch(&labels, &mut Silent).is_err());
//! # Ok(())
//! # }
//! ```

mod artifact;
pub mod catalogue;
mod error;
pub mod hub;
mod mirror;
mod pins;
mod progress;
mod remote;
mod transfer;
mod unpack;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use riptide_files::Progress;
use riptide_files::lock::FolderLock;
use serde::{Deserialize, Serialize};

pub use artifact::Artifact;
pub use error::FetchError;
pub use mirror::Mirror;
pub use remote::Patience;

use pins::Pins;
use progress::{Event, Teller};
use remote::Network;

/// How a file got to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was there already, and right.
    Present,
    /// It was fetched from its start.
    Downloaded,
    /// An earlier fetch had left a part, which was completed.
    Resumed,
}

/// A file that is in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// How it got there.
    pub outcome: Outcome,
    /// Whether its digest was checked against a published one (its own, or its archive's), and not only against the pin.
    pub published_digest: bool,
}

/// The outcome of one [`Artifact`]: one file, or the members that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The artifact's name.
    pub name: String,
    /// Its files.
    pub files: Vec<FetchedFile>,
}

/// Fetches artifacts into a cache. See the [module](self) for what it does.
#[derive(Debug, Clone)]
pub struct Fetcher {
    cache: PathBuf,
    mirror: Option<Mirror>,
    jobs: usize,
    patience: Patience,
}

/// What the transfers of one thread work with.
struct Session<'f> {
    fetcher: &'f Fetcher,
    network: &'f Network,
    pins: &'f Pins,
    news: mpsc::Sender<(String, Event)>,
}

impl Fetcher {
    /// A fetcher into `cache` (made when something is fetched), from the published addresses.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            mirror: None,
            jobs: 4,
            patience: Patience::default(),
        }
    }

    /// Fetches from a mirror instead of the published addresses.
    #[must_use]
    pub fn mirror(self, mirror: Mirror) -> Self {
        let mirror = Some(mirror);
        Self { mirror, ..self }
    }

    /// How many files are fetched at once: 4 by default, and at least 1.
    #[must_use]
    pub fn jobs(self, jobs: usize) -> Self {
        let jobs = jobs.max(1);
        Self { jobs, ..self }
    }

    /// How long to wait, and how often to try.
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The cache.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Fetches one artifact.
    ///
    /// # Errors
    /// Returns a [`FetchError`] that says what could not be fetched, and what else can be done.
    pub fn fetch(&self, artifact: &Artifact, progress: &mut dyn Progress) -> Result<Fetched, FetchError> {
        match self.fetch_all(std::slice::from_ref(artifact), progress)?.pop() {
            Some(outcome) => outcome,
            None => Ok(Fetched {
                name: artifact.name.clone(),
                files: Vec::new(),
            }),
        }
    }

    /// Fetches artifacts, several at once; one that fails does not keep the others from arriving. The outcomes are in the
    /// order of the artifacts. All of them are one task of `progress`, counted in bytes.
    ///
    /// # Errors
    /// Returns an error if the cache cannot be used, or is being used by another fetch. What concerns one artifact is in its
    /// outcome.
    pub fn fetch_all(
        &self,
        artifacts: &[Artifact],
        progress: &mut dyn Progress,
    ) -> Result<Vec<Result<Fetched, FetchError>>, FetchError> {
        for artifact in artifacts {
            check_names(artifact)?;
        }
        let _lock = FolderLock::acquire(&self.cache)?;
        let (network, pins) = (Network::new(self.patience.clone()), Pins::open(&self.cache)?);
        let next = AtomicUsize::new(0);
        let outcomes: Vec<_> = artifacts.iter().map(|_| Mutex::new(None)).collect();
        let (news, events) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.min(artifacts.len()) {
                let session = Session {
                    fetcher: self,
                    network: &network,
                    pins: &pins,
                    news: news.clone(),
                };
                let (next, outcomes) = (&next, &outcomes);
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let (Some(artifact), Some(slot)) = (artifacts.get(index), outcomes.get(index)) else {
                            break;
                        };
                        let outcome = session.fetch(artifact);
                        if outcome.is_ok() {
                            session.notify(artifact, Event::Arrived);
                        }
                        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                    }
                });
            }
            // The channel closes, and the loop ends, when the last of the threads has ended.
            drop(news);
            let mut teller = Teller::begin(artifacts, progress);
            for (name, event) in events {
                teller.tell(&name, event);
            }
            teller.end();
        });
        let stopped = || {
            FetchError::io(
                &self.cache,
                std::io::Error::other("the fetch stopped without an outcome"),
            )
        };
        let outcomes = outcomes
            .into_iter()
            .map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(outcomes
            .map(|outcome| outcome.unwrap_or_else(|| Err(stopped())))
            .collect())
    }
}

impl Session<'_> {
    fn fetch(&self, artifact: &Artifact) -> Result<Fetched, FetchError> {
        let files = if artifact.members.is_empty() {
            vec![transfer::fetch_file(self, artifact)?]
        } else {
            unpack::fetch_members(self, artifact)?
        };
        Ok(Fetched {
            name: artifact.name.clone(),
            files,
        })
    }

    fn notify(&self, artifact: &Artifact, event: Event) {
        // The receiver lives as long as the threads that send.
        let _ = self.news.send((artifact.name.clone(), event));
    }
}

/// An artifact's names must stay inside the cache.
fn check_names(artifact: &Artifact) -> Result<(), FetchError> {
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\\', ':', '\0']);
    let names = artifact
        .folder
        .split('/')
        .chain([artifact.name.as_str()])
        .chain(artifact.members.iter().map(|m| &**m));
    for name in names {
        if !plain(name) {
            let reason = "a name in the cache must be plain: no separators, no dot in front".to_owned();
            return Err(FetchError::Invalid {
                value: name.to_owned(),
                reason,
            });
        }
    }
    Ok(())
}
