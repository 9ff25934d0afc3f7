//! Files of the Hugging Face Hub, `hf://OWNER/REPO/FILE`.
//!
//! They are kept in the Hub's own cache (`$HF_HOME`, else `~/.cache/huggingface`), where other tools find them too. The
//! server is `$HF_ENDPOINT`, else the public one. For private files the token is `$HF_TOKEN`, else the one that the Hub's
//! login has left in `HF_HOME`; it is never shown.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc;
use std::time::Duration;

use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use sha2::{Digest, Sha256};

use super::error::{FetchError, redact};
use super::remote::{Network, Patience, Remote, TransferError};

/// How long a download may go without a byte.
const SILENCE: Duration = Duration::from_secs(60);

/// A file of a model repository on the Hub: `hf://OWNER/REPO/PATH`, or `hf://OWNER/REPO@REVISION/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFile {
    repo: String,
    revision: String,
    file: String,
}

impl FromStr for HubFile {
    type Err = FetchError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let invalid = || FetchError::Invalid {
            value: value.to_owned(),
            reason: "expected hf://OWNER/REPO/FILE or hf://OWNER/REPO@REVISION/FILE".to_owned(),
        };
        let rest = value.strip_prefix("hf://").ok_or_else(invalid)?;
        let mut parts = rest.splitn(3, '/');
        let (Some(owner), Some(repo), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(invalid());
        };
        let (repo, revision) = repo.split_once('@').unwrap_or((repo, "main"));
        let plain = |part: &str| {
            !part.is_empty()
                && !part.chars().all(|c| c == '.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'))
        };
        if ![owner, repo, revision].into_iter().chain(file.split('/')).all(plain) {
            return Err(invalid());
        }
        Ok(Self {
            repo: format!("{owner}/{repo}"),
            revision: revision.to_owned(),
            file: file.to_owned(),
        })
    }
}

impl fmt::Display for HubFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            "main" => write!(f, "hf://{}/{}", self.repo, self.file),
            revision => write!(f, "hf://{}@{revision}/{}", self.repo, self.file),
        }
    }
}

/// Takes a path as it is, and fetches what starts with `hf://`.
///
/// # Errors
/// As [`HubFile::from_str`] and [`HubFile::fetch`].
pub fn resolve(path_or_address: &str) -> Result<PathBuf, FetchError> {
    if path_or_address.starts_with("hf://") {
        return path_or_address.parse::<HubFile>()?.fetch();
    }
    Ok(PathBuf::from(path_or_address))
}

impl HubFile {
    /// The file in the Hub's cache, downloaded first if it is not there.
    ///
    /// # Errors
    /// A server that does not answer (within 15 seconds), a file that does not exist or may not be read, a transfer that
    /// breaks off or stands still for a minute.
    pub fn fetch(&self) -> Result<PathBuf, FetchError> {
        let cache = Cache::from_env();
        let repo = Repo::with_revision(self.repo.clone(), RepoType::Model, self.revision.clone());
        if let Some(path) = cache.repo(repo.clone()).get(&self.file) {
            return Ok(path);
        }
        let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        self.reach(&endpoint, &cache)?;
        let token = set("HF_TOKEN")
            .map(|token| token.trim().to_owned())
            .or_else(|| cache.token());
        let mut builder = ApiBuilder::from_cache(cache.clone())
            .with_endpoint(endpoint)
            .with_progress(false);
        if token.is_some() {
            builder = builder.with_token(token);
        }
        let api = builder
            .with_retries(2)
            .build()
            .map_err(|error| self.failed(&error, &cache))?;

        // The Hub's client knows no timeouts, so it works in a thread of its own that is watched.
        let (news, watch) = mpsc::channel();
        let (api, file, beat) = (
            api.repo(repo),
            self.file.clone(),
            Beat {
                news: news.clone(),
                told: None,
            },
        );
        std::thread::spawn(move || {
            let outcome = api.download_with_progress(&file, beat);
            // Nobody listens any more when the watch has given up.
            let _ = news.send(News::Done(Box::new(outcome)));
        });
        loop {
            match watch.recv_timeout(SILENCE) {
                Ok(News::Beat) => {}
                Ok(News::Done(outcome)) => {
                    let path = outcome.map_err(|error| self.failed(&error, &cache))?;
                    return self.verified(path);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let reason = format!("nothing came for {} seconds; try again", SILENCE.as_secs());
                    return Err(FetchError::Hub {
                        location: self.to_string(),
                        reason,
                    });
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let reason = "the server's answer could not be understood".to_owned();
                    return Err(FetchError::Hub {
                        location: self.to_string(),
                        reason,
                    });
                }
            }
        }
    }

    /// The Hub names the blobs of large files by their SHA-256; one that does not fit is removed.
    fn verified(&self, path: PathBuf) -> Result<PathBuf, FetchError> {
        let io = |source| FetchError::io(&path, source);
        let blob = std::fs::canonicalize(&path).map_err(io)?;
        let name = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() != 64 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(path);
        }
        let mut hasher = Sha256::new();
        super::transfer::hash(&mut std::fs::File::open(&blob).map_err(io)?, &mut hasher, u64::MAX).map_err(io)?;
        let found = crate::hex(&hasher.finalize());
        if found.eq_ignore_ascii_case(name) {
            return Ok(path);
        }
        let (url, expected) = (self.to_string(), name.to_owned());
        for wrong in [&path, &blob] {
            std::fs::remove_file(wrong).map_err(|source| FetchError::io(wrong, source))?;
        }
        Err(FetchError::DigestMismatch { url, expected, found })
    }

    /// Makes sure that something answers at the endpoint, within seconds.
    fn reach(&self, endpoint: &str, cache: &Cache) -> Result<(), FetchError> {
        let patience = Patience {
            retries: 1,
            response: Duration::from_secs(10),
            ..Patience::default()
        };
        match Remote::open(&Network::new(patience), endpoint, 0, None, None, &mut |_, _| {}) {
            Err(TransferError::Unreachable(reason)) => {
                let reason = format!(
                    "{} cannot be reached: {reason}\n{}",
                    redact(endpoint),
                    self.advice(cache)
                );
                Err(FetchError::Hub {
                    location: self.to_string(),
                    reason,
                })
            }
            // Any answer will do, be it that there is no such page.
            _ => Ok(()),
        }
    }

    fn failed(&self, error: &ApiError, cache: &Cache) -> FetchError {
        let hint = match error {
            ApiError::RequestError(request) => match **request {
                ureq::Error::StatusCode(401 | 403) => "; set HF_TOKEN if the repository is private or gated",
                ureq::Error::StatusCode(404) => "; check owner, repository, revision and file",
                _ => "",
            },
            _ => "",
        };
        let reason = format!("{error}{hint}\n{}", self.advice(cache));
        FetchError::Hub {
            location: self.to_string(),
            reason,
        }
    }

    fn advice(&self, cache: &Cache) -> String {
        format!(
            "to go on without it: set HF_ENDPOINT to a mirror, copy the Hub's cache of another machine to {}, or download \
             {} elsewhere and give its path instead",
            cache.path().display(),
            self.file
        )
    }
}

enum News {
    Beat,
    Done(Box<Result<PathBuf, ApiError>>),
}

/// Tells the watch that bytes are coming.
struct Beat {
    news: mpsc::Sender<News>,
    told: Option<std::time::Instant>,
}

impl hf_hub::api::Progress for Beat {
    fn init(&mut self, _size: usize, _filename: &str) {}

    fn update(&mut self, _size: usize) {
        if self.told.is_none_or(|told| told.elapsed() > Duration::from_secs(1)) {
            self.told = Some(std::time::Instant::now());
            let _ = self.news.send(News::Beat);
        }
    }

    fn finish(&mut self) {}
}
