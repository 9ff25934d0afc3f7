//! Getting the public files: verified, resumed, from their addresses or a mirror, into a cache.
//!
//! A [`Fetcher`] takes [`Artifact`]s ([`catalogue`] has the ones that the experiment uses) and puts each in its place in the
//! cache, whole and checked, or not at all:
//! - SHA-256 is computed while the bytes stream in. A file without a published digest is pinned in `pins.json` the first
//!   time, and a later change is an error.
//! - A file grows as `NAME.part` and is renamed when it is complete and right. A cut connection is taken up again by range,
//!   within a run and by the next run.
//! - Failures that may pass are tried again after 0.5, 1, 2, … seconds. Where nothing answers at all, the fetch ends within
//!   15 seconds and says what else can be done.
//! - Of an archive only the wanted members are written, under names that are not taken from the archive, and within bounds.
//!
//! ```
//! use riptide_datasets::fetch::{Artifact, Fetcher};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A folder stands in for a mirror here.
//! let (mirror, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
//! std::fs::write(mirror.path().join("labels.bin"), b"cat dog")?;
//!
//! let fetcher = Fetcher::builder(cache.path()).mirror(mirror.path().display().to_string().parse()?).build();
//! let labels = Artifact::file("example", "labels.bin", "https://example.org/labels.bin");
//! let fetched = fetcher.fetch(&labels)?;
//! assert_eq!(std::fs::read(&fetched.files[0].path)?, b"cat dog");
//!
//! // It had no published digest, so it is pinned now: a mirror with other bytes is refused.
//! std::fs::remove_file(&fetched.files[0].path)?;
//! std::fs::write(mirror.path().join("labels.bin"), b"dog cat")?;
//! assert!(fetcher.fetch(&labels).is_err());
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
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use artifact::Artifact;
pub use catalogue::Layout;
pub use error::FetchError;
pub use mirror::Mirror;
pub use progress::{Event, Observer};
pub use remote::Patience;

use pins::Pins;
use remote::Network;

/// The cache: `explicit` where it is given, else `$RIPTIDE_CACHE`, else `$XDG_CACHE_HOME/riptide`, else `~/.cache/riptide`,
/// and where even the home folder is not known, `.riptide-cache` in the current folder.
pub fn cache_dir(explicit: Option<PathBuf>) -> PathBuf {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    explicit
        .or_else(|| set("RIPTIDE_CACHE"))
        .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("riptide")))
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache").join("riptide")))
        .unwrap_or_else(|| PathBuf::from(".riptide-cache"))
}

/// How a file came to be in its place.
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
    /// How it came there.
    pub outcome: Outcome,
    /// Whether its digest was checked against a published one (its own, or its archive's), and not only against the pin.
    pub published_digest: bool,
}

/// What came of one [`Artifact`]: one file, or the members that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The artifact's name.
    pub name: String,
    /// Its files.
    pub files: Vec<FetchedFile>,
}

/// Fetches artifacts into a cache. See the [module](self) for what it does.
pub struct Fetcher {
    cache: PathBuf,
    mirror: Option<Mirror>,
    jobs: usize,
    patience: Patience,
    observer: Arc<dyn Observer>,
}

/// Options of a [`Fetcher`].
pub struct FetcherBuilder {
    fetcher: Fetcher,
}

impl FetcherBuilder {
    /// Fetches from a mirror instead of the published addresses.
    pub fn mirror(mut self, mirror: Mirror) -> Self {
        self.fetcher.mirror = Some(mirror);
        self
    }

    /// How many files are fetched at once; 4 without this, and at least 1.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.fetcher.jobs = jobs.max(1);
        self
    }

    /// How long to wait, and how often to try.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.fetcher.patience = patience;
        self
    }

    /// Somebody who wants to know how it goes.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.fetcher.observer = observer;
        self
    }

    /// The fetcher.
    pub fn build(self) -> Fetcher {
        self.fetcher
    }
}

/// What the transfers of one call share.
struct Session<'f> {
    fetcher: &'f Fetcher,
    network: Network,
    pins: Pins,
}

impl Fetcher {
    /// A fetcher into `cache` (made when something is fetched), from the published addresses.
    pub fn builder(cache: impl Into<PathBuf>) -> FetcherBuilder {
        let fetcher = Fetcher {
            cache: cache.into(),
            mirror: None,
            jobs: 4,
            patience: Patience::default(),
            observer: Arc::new(()),
        };
        FetcherBuilder { fetcher }
    }

    /// The cache.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Fetches one artifact.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch(&self, artifact: &Artifact) -> Result<Fetched, FetchError> {
        match self.fetch_all(std::slice::from_ref(artifact))?.pop() {
            Some(outcome) => outcome,
            None => Ok(Fetched {
                name: artifact.name.clone(),
                files: Vec::new(),
            }),
        }
    }

    /// Fetches artifacts, several at once; one that fails does not keep the others from arriving. The outcomes are in the
    /// order of the artifacts.
    ///
    /// # Errors
    /// A cache that cannot be used, or is being used by another fetch. What concerns one artifact is in its outcome.
    pub fn fetch_all(&self, artifacts: &[Artifact]) -> Result<Vec<Result<Fetched, FetchError>>, FetchError> {
        for artifact in artifacts {
            check_names(artifact)?;
        }
        std::fs::create_dir_all(&self.cache).map_err(|source| FetchError::io(&self.cache, source))?;
        let _lock = self.lock()?;
        let session = Session {
            fetcher: self,
            network: Network::new(self.patience.clone()),
            pins: Pins::open(&self.cache)?,
        };
        let next = AtomicUsize::new(0);
        let outcomes: Vec<_> = artifacts.iter().map(|_| Mutex::new(None)).collect();
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.min(artifacts.len()) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let (Some(artifact), Some(slot)) = (artifacts.get(index), outcomes.get(index)) else {
                            break;
                        };
                        let outcome = session.fetch(artifact);
                        self.observer.notify(&artifact.name, Event::Ended);
                        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                    }
                });
            }
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

    /// Holds the cache for this process until the file is closed.
    fn lock(&self) -> Result<std::fs::File, FetchError> {
        let path = self.cache.join(".lock");
        let file = std::fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = file.map_err(|source| FetchError::io(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => Err(FetchError::Busy {
                path: self.cache.clone(),
            }),
            // A file system without locks: go on without.
            Err(std::fs::TryLockError::Error(error)) => {
                tracing::debug!(path = %path.display(), %error, "the cache cannot be locked");
                Ok(file)
            }
        }
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
        self.fetcher.observer.notify(&artifact.name, event);
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
