//! One file, from its address or a mirror, through `NAME.part` into its place.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use riptide_files::atomic;
use riptide_files::digest::Hasher;
use serde::{Deserialize, Serialize};

use super::artifact::Artifact;
use super::error::FetchError;
use super::mirror::Mirror;
use super::pins::{Pin, Pins};
use super::progress::Event;
use super::remote::{Remote, TransferError};
use super::{FetchedFile, Outcome, Session};

const BUFFER: usize = 1 << 17;

/// Where the bytes of an artifact come from, positioned at some offset.
pub(super) enum Origin<'s> {
    Remote { url: String, remote: Box<Remote<'s>> },
    Local { path: PathBuf, file: File, total: u64 },
}

/// What is kept beside a part, to know later what it is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PartState {
    url: String,
    validator: Option<String>,
}

/// Fetches a file unless the right one is there already.
pub(super) fn fetch_file(session: &Session<'_>, artifact: &Artifact) -> Result<FetchedFile, FetchError> {
    let path = artifact.path_in(&session.fetcher.cache);
    if let Some(found) = present(session, artifact, &path)? {
        return Ok(found);
    }
    let folder = path.parent().unwrap_or(&session.fetcher.cache);
    std::fs::create_dir_all(folder).map_err(|source| FetchError::io(folder, source))?;
    match download(session, artifact, &path, true) {
        // What an earlier run had left may have been of another version: once more from the start.
        Ok(None) => {}
        Ok(Some(file)) => return Ok(file),
        Err(error) => return Err(error),
    }
    match download(session, artifact, &path, false)? {
        Some(file) => Ok(file),
        None => Err(FetchError::io(
            &path,
            std::io::Error::other("the file could not be fetched from its start"),
        )),
    }
}

/// The file, if it is in the cache and has the published or the pinned digest. A file that should have a published digest and
/// has another is fetched again.
fn present(session: &Session<'_>, artifact: &Artifact, path: &Path) -> Result<Option<FetchedFile>, FetchError> {
    if !path.is_file() {
        return Ok(None);
    }
    session.notify(artifact, Event::Verifying);
    let io = |source| FetchError::io(path, source);
    let mut hasher = Hasher::default();
    let bytes = hash(&mut File::open(path).map_err(io)?, &mut hasher, u64::MAX).map_err(io)?;
    let sha256 = hasher.finish();
    if let Some(published) = &artifact.sha256 {
        if *published != sha256 {
            tracing::warn!(path = %path.display(), "the file in the cache is not the published one; fetching it again");
            return Ok(None);
        }
    } else {
        let origin = path.display().to_string();
        if !session.pins.has(&artifact.key()) {
            Pins::check_format(&artifact.name, path, &origin)?;
        }
        session.pins.check(
            &artifact.key(),
            Pin {
                sha256: sha256.clone(),
                bytes,
                origin,
            },
        )?;
    }
    let published_digest = artifact.sha256.is_some();
    let path = path.to_path_buf();
    Ok(Some(FetchedFile {
        path,
        bytes,
        sha256,
        outcome: Outcome::Present,
        published_digest,
    }))
}

/// One way through: `None` when a part of an earlier run turned out not to fit and has been removed.
fn download(
    session: &Session<'_>,
    artifact: &Artifact,
    path: &Path,
    resume: bool,
) -> Result<Option<FetchedFile>, FetchError> {
    let part = with_suffix(path, ".part");
    let state_path = with_suffix(path, ".part.json");
    let io = |source| FetchError::io(&part, source);
    let state = if resume { read_state(&state_path) } else { None };
    let left = std::fs::metadata(&part).map_or(0, |metadata| metadata.len());
    // Without a digest or a validator nothing says that a part belongs to what the address holds today.
    let usable = left > 0
        && left <= artifact.max_size
        && state
            .as_ref()
            .is_some_and(|state| artifact.sha256.is_some() || state.validator.is_some());
    let start = if usable { left } else { 0 };
    let mut origin = open(session, artifact, start, state.filter(|_| usable))?;
    let (url, start) = (origin.url(), origin.offset());
    check_length(artifact, &url, origin.total())?;

    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&part)
        .map_err(io)?;
    let mut hasher = Hasher::default();
    file.set_len(start).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    hash(&mut file, &mut hasher, start).map_err(io)?;
    if let Origin::Remote { url, remote } = &origin {
        let validator = remote.validator().map(str::to_owned);
        write_state(
            &state_path,
            &PartState {
                url: url.clone(),
                validator,
            },
        )?;
    }
    session.notify(
        artifact,
        Event::Started {
            total: origin.total().or(artifact.size),
            resumed_at: start,
        },
    );

    let mut bytes = start;
    let mut buffer = vec![0u8; BUFFER];
    loop {
        let read = origin.read(session, artifact, &mut buffer)?;
        let Some(data) = buffer.get(..read).filter(|data| !data.is_empty()) else {
            break;
        };
        bytes += read as u64;
        if bytes > artifact.max_size {
            remove(&[&part, &state_path]);
            return Err(FetchError::WrongLength {
                url,
                expected: artifact.max_size,
                found: bytes,
            });
        }
        hasher.update(data);
        file.write_all(data).map_err(io)?;
        session.notify(artifact, Event::Progress { done: bytes });
    }
    let sha256 = hasher.finish();
    let wrong = artifact.size.is_some_and(|size| size != bytes)
        || artifact.sha256.as_ref().is_some_and(|published| *published != sha256);
    if wrong {
        remove(&[&part, &state_path]);
        if start > 0 {
            return Ok(None);
        }
        check_length(artifact, &url, Some(bytes))?;
        let expected = artifact.sha256.clone().unwrap_or_default();
        return Err(FetchError::DigestMismatch {
            url,
            expected,
            found: sha256,
        });
    }
    file.sync_all().map_err(io)?;
    if artifact.sha256.is_none() {
        let pin = Pin {
            sha256: sha256.clone(),
            bytes,
            origin: super::error::redact(&url),
        };
        let checked = Pins::check_format(&artifact.name, &part, &url);
        if let Err(error) = checked.and_then(|()| session.pins.check(&artifact.key(), pin)) {
            remove(&[&part, &state_path]);
            return Err(error);
        }
    }
    std::fs::rename(&part, path).map_err(|source| FetchError::io(path, source))?;
    remove(&[&state_path]);
    let outcome = if start > 0 {
        Outcome::Resumed
    } else {
        Outcome::Downloaded
    };
    let published_digest = artifact.sha256.is_some();
    Ok(Some(FetchedFile {
        path: path.to_path_buf(),
        bytes,
        sha256,
        outcome,
        published_digest,
    }))
}

/// Opens the artifact's bytes from `start` on, or from 0 if they cannot be resumed.
fn open<'s>(
    session: &'s Session<'_>,
    artifact: &Artifact,
    start: u64,
    state: Option<PartState>,
) -> Result<Origin<'s>, FetchError> {
    let mut not_found = None;
    for place in places(session.fetcher.mirror.as_ref(), artifact) {
        let outcome = match place {
            Mirror::Folder(path) => open_local(artifact, &path, session),
            Mirror::Address(url) => {
                // A part is only resumed from where it began; its validator means nothing to another server.
                let same = state.as_ref().is_some_and(|state| state.url == url);
                let start = if same { start } else { 0 };
                let validator = state
                    .as_ref()
                    .filter(|_| same)
                    .and_then(|state| state.validator.clone());
                let mut on_retry = |reason: &str, delay| {
                    session.notify(
                        artifact,
                        Event::Retrying {
                            reason: reason.to_owned(),
                            delay,
                        },
                    );
                };
                Remote::open(session.network, &url, start, validator, artifact.size, &mut on_retry)
                    .map_err(|error| failure(session, artifact, &url, error))
                    .map(|remote| Origin::Remote {
                        url,
                        remote: Box::new(remote),
                    })
            }
        };
        match outcome {
            Err(error @ FetchError::NotFound { .. }) => not_found = not_found.or(Some(error)),
            other => return other,
        }
    }
    Err(not_found.unwrap_or_else(|| FetchError::Invalid {
        value: artifact.name.clone(),
        reason: "it has no address to be fetched from".to_owned(),
    }))
}

/// Opens the artifact's bytes from the start.
pub(super) fn open_whole<'s>(session: &'s Session<'_>, artifact: &Artifact) -> Result<Origin<'s>, FetchError> {
    open(session, artifact, 0, None)
}

/// The places to look, in order.
fn places(mirror: Option<&Mirror>, artifact: &Artifact) -> Vec<Mirror> {
    match mirror {
        None => vec![Mirror::Address(artifact.url.clone())],
        Some(Mirror::Folder(base)) => {
            let inside = artifact
                .folder
                .split('/')
                .fold(base.clone(), |path, part| path.join(part));
            vec![
                Mirror::Folder(base.join(&artifact.name)),
                Mirror::Folder(inside.join(&artifact.name)),
            ]
        }
        Some(Mirror::Address(base)) => vec![
            Mirror::Address(format!("{base}/{}", artifact.name)),
            Mirror::Address(format!("{base}/{}", artifact.key())),
        ],
    }
}

fn open_local<'s>(artifact: &Artifact, path: &Path, session: &Session<'_>) -> Result<Origin<'s>, FetchError> {
    match File::open(path).and_then(|file| Ok((file.metadata()?, file))) {
        Ok((metadata, file)) if metadata.is_file() => Ok(Origin::Local {
            path: path.to_path_buf(),
            file,
            total: metadata.len(),
        }),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(FetchError::io(path, error)),
        _ => Err(FetchError::NotFound {
            url: path.display().to_string(),
            advice: artifact.advice(&session.fetcher.cache),
            reason: "the mirror does not hold it".to_owned(),
        }),
    }
}

impl Origin<'_> {
    /// The address, or the path in a mirror.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Remote { url, .. } => url.clone(),
            Self::Local { path, .. } => path.display().to_string(),
        }
    }

    fn offset(&self) -> u64 {
        match self {
            Self::Remote { remote, .. } => remote.offset(),
            Self::Local { .. } => 0,
        }
    }

    pub(super) fn total(&self) -> Option<u64> {
        match self {
            Self::Remote { remote, .. } => remote.total(),
            Self::Local { total, .. } => Some(*total),
        }
    }

    /// Reads on; 0 at the end.
    pub(super) fn read(
        &mut self,
        session: &Session<'_>,
        artifact: &Artifact,
        buffer: &mut [u8],
    ) -> Result<usize, FetchError> {
        match self {
            Self::Local { path, file, .. } => file.read(buffer).map_err(|source| FetchError::io(path, source)),
            Self::Remote { url, remote } => {
                let mut on_retry = |reason: &str, delay| {
                    session.notify(
                        artifact,
                        Event::Retrying {
                            reason: reason.to_owned(),
                            delay,
                        },
                    );
                };
                remote
                    .read(buffer, &mut on_retry)
                    .map_err(|error| failure(session, artifact, url, error))
            }
        }
    }
}

/// A published length that is not met is known before anything is read.
pub(super) fn check_length(artifact: &Artifact, url: &str, found: Option<u64>) -> Result<(), FetchError> {
    let wrong = found.filter(|&found| match artifact.size {
        Some(size) => found != size,
        None => found > artifact.max_size,
    });
    match wrong {
        None => Ok(()),
        Some(found) => {
            let expected = artifact.size.unwrap_or(artifact.max_size);
            Err(FetchError::WrongLength {
                url: url.to_owned(),
                expected,
                found,
            })
        }
    }
}

fn failure(session: &Session<'_>, artifact: &Artifact, url: &str, error: TransferError) -> FetchError {
    let (url, advice) = (url.to_owned(), artifact.advice(&session.fetcher.cache));
    match error {
        TransferError::Unreachable(reason) => FetchError::Unreachable { url, advice, reason },
        TransferError::NotFound(reason) => FetchError::NotFound { url, advice, reason },
        TransferError::Failed(reason) => FetchError::Transfer { url, advice, reason },
    }
}

/// Hashes at most `limit` bytes and leaves the reader behind them.
pub(super) fn hash(reader: &mut impl Read, hasher: &mut Hasher, limit: u64) -> std::io::Result<u64> {
    let mut reader = reader.take(limit);
    let mut buffer = vec![0u8; BUFFER];
    let mut total = 0;
    loop {
        let read = reader.read(&mut buffer)?;
        let Some(data) = buffer.get(..read).filter(|data| !data.is_empty()) else {
            return Ok(total);
        };
        hasher.update(data);
        total += read as u64;
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A state that cannot be read is as good as none: the part is then fetched again.
fn read_state(path: &Path) -> Option<PartState> {
    let mut text = String::new();
    File::open(path).ok()?.take(1 << 16).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_state(path: &Path, state: &PartState) -> Result<(), FetchError> {
    let json = serde_json::to_vec(state).map_err(|error| FetchError::io(path, error.into()))?;
    Ok(atomic::write(path, &json)?)
}

/// Removes what is of no use any more; what cannot be removed is overwritten by the next fetch.
fn remove(paths: &[&Path]) {
    for path in paths {
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::debug!(path = %path.display(), %error, "a temporary file could not be removed");
        }
    }
}
