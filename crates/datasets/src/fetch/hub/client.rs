//! The Hub's client under a watchdog, because it has no timeouts, and with errors that say what to do.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use riptide_files::{Progress, Unit, digest};

use super::address::HubAddress;
use crate::fetch::error::{FetchError, redact};
use crate::fetch::remote::{Network, Patience, Remote, TransferError};

/// How long a download may go without a byte.
const SILENCE: Duration = Duration::from_secs(60);
/// The public server.
const ENDPOINT: &str = "https://huggingface.co";

/// An environment variable that says something.
fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The Hub's own cache: `$HF_HUB_CACHE`, else `hub` in `$HF_HOME`, else in `~/.cache/huggingface`.
pub(super) fn cache(address: &HubAddress) -> Result<Cache, FetchError> {
    if let Some(folder) = set("HF_HUB_CACHE") {
        return Ok(Cache::new(folder.into()));
    }
    home().map(|home| Cache::new(home.join("hub"))).ok_or_else(|| {
        failed(
            address,
            "the home folder is not known; set HF_HOME to a folder for its cache",
        )
    })
}

fn home() -> Option<PathBuf> {
    match set("HF_HOME") {
        Some(home) => Some(home.into()),
        None => std::env::home_dir().map(|home| home.join(".cache").join("huggingface")),
    }
}

/// `$HF_TOKEN`, else the one that the Hub's login has left.
fn token() -> Option<String> {
    let stored = || Cache::new(home()?.join("hub")).token();
    set("HF_TOKEN").map(|token| token.trim().to_owned()).or_else(stored)
}

fn repo(address: &HubAddress) -> Repo {
    Repo::with_revision(
        address.repo().to_owned(),
        RepoType::Model,
        address.revision().to_owned(),
    )
}

/// The folder of the address's revision in the cache, if anything of it is there.
pub(super) fn snapshot(cache: &Cache, address: &HubAddress) -> Option<PathBuf> {
    let cached = cache.repo(repo(address));
    let folder = cache.path().join(repo(address).folder_name());
    // A branch or tag is a file that names its commit; a commit is a folder itself.
    let commit = std::fs::read_to_string(folder.join("refs").join(address.revision()));
    let commit = commit.map_or_else(|_| address.revision().to_owned(), |commit| commit.trim().to_owned());
    Some(cached.pointer_path(&commit)).filter(|snapshot| snapshot.is_dir())
}

/// A connection to the server for one address.
pub(super) struct Client<'a> {
    address: &'a HubAddress,
    cache: &'a Cache,
    api: Api,
}

/// What the thread of the Hub's client tells its watch.
enum News<T> {
    /// A file of so many bytes is being transferred, from its start or once more.
    Begun(u64),
    /// So many bytes more.
    Bytes(u64),
    Done(Result<T, ApiError>),
}

impl<'a> Client<'a> {
    /// Makes sure that something answers, within seconds.
    pub(super) fn connect(address: &'a HubAddress, cache: &'a Cache) -> Result<Self, FetchError> {
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let endpoint = endpoint.trim().trim_end_matches('/').to_owned();
        let patience = Patience {
            retries: 1,
            response: Duration::from_secs(10),
            ..Patience::default()
        };
        // Any answer will do, even that there is no such page.
        if let Err(TransferError::Unreachable(reason)) =
            Remote::open(&Network::new(patience), &endpoint, 0, None, None, &mut |_, _| {})
        {
            let reason = format!(
                "{} cannot be reached: {reason}; {}",
                redact(&endpoint),
                advice(address, cache)
            );
            return Err(failed(address, reason));
        }
        let mut builder = ApiBuilder::from_cache(cache.clone())
            .with_endpoint(endpoint)
            .with_progress(false)
            .with_retries(2);
        if let Some(token) = token() {
            builder = builder.with_token(Some(token));
        }
        let api = builder.build().map_err(|error| explain(&error, address, cache))?;
        Ok(Self { address, cache, api })
    }

    /// The paths of all files of the repository.
    pub(super) fn list(&self, progress: &mut dyn Progress) -> Result<Vec<String>, FetchError> {
        let info = self.watched("", progress, |api, _| api.info())?;
        Ok(info.siblings.into_iter().map(|file| file.rfilename).collect())
    }

    /// Downloads a file into the cache and checks it.
    pub(super) fn download(&self, file: &str, progress: &mut dyn Progress) -> Result<PathBuf, FetchError> {
        let name = file.to_owned();
        let path = self.watched(file, progress, move |api, beat| api.download_with_progress(&name, beat))?;
        self.verify(file, &path)?;
        progress.end();
        Ok(path)
    }

    /// Does `work` in a thread of its own, and gives it up if nothing comes of it for a while.
    fn watched<T: Send + 'static>(
        &self,
        file: &str,
        progress: &mut dyn Progress,
        work: impl FnOnce(&ApiRepo, Beat<T>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, FetchError> {
        let (news, watch) = mpsc::channel();
        let api = self.api.repo(repo(self.address));
        let beat = Beat {
            news: news.clone(),
            told: Instant::now(),
            bytes: 0,
        };
        std::thread::spawn(move || {
            let outcome = work(&api, beat);
            // Nobody listens any more when the watch has given up.
            let _ = news.send(News::Done(outcome));
        });
        // Bytes of this attempt, and those told to `progress`.
        let (mut done, mut told, mut begun) = (0, 0, false);
        loop {
            match watch.recv_timeout(SILENCE) {
                Ok(News::Begun(size)) => {
                    if !begun {
                        progress.begin(file, Some(size), Unit::Bytes);
                    }
                    (done, begun) = (0, true);
                }
                Ok(News::Bytes(bytes)) => {
                    done += bytes;
                    progress.advance(done.saturating_sub(told));
                    told = told.max(done);
                }
                Ok(News::Done(outcome)) => {
                    return outcome.map_err(|error| explain(&error, self.address, self.cache));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let reason = format!("nothing came for {} seconds; try again", SILENCE.as_secs());
                    return Err(failed(self.address, reason));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(failed(self.address, "the server's answer could not be understood"));
                }
            }
        }
    }

    /// The Hub names the blobs of large files by their SHA-256; one that does not fit is removed.
    fn verify(&self, file: &str, path: &Path) -> Result<(), FetchError> {
        let blob = std::fs::canonicalize(path).map_err(|source| FetchError::io(path, source))?;
        let name = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() != 64 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(());
        }
        let found = digest::of_file(&blob)?;
        if found.eq_ignore_ascii_case(name) {
            return Ok(());
        }
        let (url, expected) = (format!("{}: {file}", self.address), name.to_owned());
        for wrong in [path, &blob] {
            std::fs::remove_file(wrong).map_err(|source| FetchError::io(wrong, source))?;
        }
        Err(FetchError::DigestMismatch { url, expected, found })
    }
}

/// What went wrong at the server, and what to do.
fn explain(error: &ApiError, address: &HubAddress, cache: &Cache) -> FetchError {
    let mut cause = error;
    while let ApiError::TooManyRetries(inner) = cause {
        cause = inner;
    }
    let hint = match cause {
        ApiError::RequestError(request) => match **request {
            // The Hub says 401 to strangers for what does not exist, too.
            ureq::Error::StatusCode(401 | 403) => {
                "; it is private or gated, or does not exist: check the address, and set HF_TOKEN if it needs one"
            }
            ureq::Error::StatusCode(404) => "; check owner, repository, revision and file",
            _ => "",
        },
        _ => "",
    };
    failed(address, format!("{cause}{hint}; {}", advice(address, cache)))
}

fn advice(address: &HubAddress, cache: &Cache) -> String {
    let what = match address.path() {
        "" => "the network's files",
        path => path,
    };
    format!(
        "to go on without it: set HF_ENDPOINT to a mirror, copy the Hub's cache of another machine to {}, or download {what} \
         elsewhere and give its path instead",
        cache.path().display(),
    )
}

pub(super) fn failed(address: &HubAddress, reason: impl Into<String>) -> FetchError {
    FetchError::Hub {
        location: address.to_string(),
        reason: reason.into(),
    }
}

/// Tells the watch that bytes are coming.
struct Beat<T> {
    news: mpsc::Sender<News<T>>,
    told: Instant,
    /// Bytes that have not been told yet.
    bytes: u64,
}

impl<T> Beat<T> {
    fn tell(&mut self) {
        self.told = Instant::now();
        // Nobody listens any more when the watch has given up.
        let _ = self.news.send(News::Bytes(std::mem::take(&mut self.bytes)));
    }
}

impl<T> hf_hub::api::Progress for Beat<T> {
    fn init(&mut self, size: usize, _filename: &str) {
        self.bytes = 0;
        let _ = self.news.send(News::Begun(size as u64));
    }

    fn update(&mut self, size: usize) {
        self.bytes += size as u64;
        if self.told.elapsed() > Duration::from_millis(100) {
            self.tell();
        }
    }

    fn finish(&mut self) {
        self.tell();
    }
}
