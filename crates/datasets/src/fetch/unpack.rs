//! A streamed archive: wanted members are written as they pass by, and are accepted once the whole archive has been verified.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use riptide_files::digest::Hasher;
use tempfile::TempDir;

use super::artifact::Artifact;
use super::error::{FetchError, redact};
use super::pins::Pin;
use super::progress::Event;
use super::transfer::{Origin, check_length, fetch_file, open_whole};
use super::{FetchedFile, Outcome, Session};
use crate::archive::{ArchiveError, Bounds, for_each_member};

/// The start of the names of temporary folders.
const PREFIX: &str = ".unpacking-";
/// The most members that an archive may have.
const MAX_MEMBERS: usize = 10_000;

/// Fetches the members that are not in the cache yet.
pub(super) fn fetch_members(session: &Session<'_>, artifact: &Artifact) -> Result<Vec<FetchedFile>, FetchError> {
    let folder = artifact.path_in(&session.fetcher.cache);
    let (there, missing): (Vec<_>, Vec<_>) = artifact
        .members
        .iter()
        .cloned()
        .partition(|member| folder.join(member).is_file());
    let mut files = Vec::new();
    for member in there {
        // A file that is there is checked against its pin; nothing is fetched for it.
        let file = Artifact::file(artifact.folder.clone(), member, artifact.url.clone());
        files.push(fetch_file(session, &file)?);
    }
    if missing.is_empty() {
        return Ok(files);
    }
    std::fs::create_dir_all(&folder).map_err(|source| FetchError::io(&folder, source))?;
    remove_leftovers(&folder);
    files.extend(stream(session, artifact, &folder, &missing)?);
    files.sort_by_key(|file| {
        let name = file.path.file_name().unwrap_or_default();
        artifact.members.iter().position(|member| name == member.as_str())
    });
    Ok(files)
}

fn stream(
    session: &Session<'_>,
    artifact: &Artifact,
    folder: &Path,
    missing: &[String],
) -> Result<Vec<FetchedFile>, FetchError> {
    let origin = open_whole(session, artifact)?;
    let (url, total) = (origin.url(), origin.total());
    check_length(artifact, &url, total)?;
    session.notify(
        artifact,
        Event::Started {
            total: total.or(artifact.size),
            resumed_at: 0,
        },
    );
    let temporary = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder);
    let temporary = temporary.map_err(|source| FetchError::io(folder, source))?;
    let error = RefCell::new(None);
    let mut reader = Hashed {
        session,
        artifact,
        origin,
        hasher: Hasher::default(),
        bytes: 0,
        error: &error,
    };
    let members = take_members(&mut reader, artifact, &temporary, missing);
    // The digest is of the whole archive, so what comes behind the last member counts too.
    let members = members.and_then(|members| {
        io::copy(&mut reader, &mut io::sink()).map_err(ArchiveError::Broken)?;
        Ok(members)
    });
    let (bytes, sha256) = (reader.bytes, reader.hasher.finish());
    let archive = |reason: String| FetchError::Archive {
        url: redact(&url),
        reason,
    };
    let members = match (members, error.into_inner()) {
        (_, Some(error)) => return Err(error),
        (Ok(members), None) => members,
        (Err(ArchiveError::Caller(error)), None) => return Err(error),
        (Err(ArchiveError::Broken(error)), None) => return Err(archive(format!("not a readable archive: {error}"))),
        (Err(ArchiveError::Unsafe { member, reason }), None) => {
            return Err(archive(format!("the archive is hostile: {member}: {reason}")));
        }
        (
            Err(ArchiveError::TooLong {
                member,
                limit,
                declared,
            }),
            None,
        ) => {
            return Err(archive(format!(
                "{member} makes it larger than allowed: {declared}, at most {limit}"
            )));
        }
    };
    check_length(artifact, &url, Some(bytes))?;
    if let Some(published) = artifact.sha256.as_ref().filter(|published| **published != sha256) {
        return Err(FetchError::DigestMismatch {
            url,
            expected: published.clone(),
            found: sha256,
        });
    }
    if let Some(lacking) = missing
        .iter()
        .find(|name| !members.iter().any(|member| member.name == **name))
    {
        return Err(archive(format!("the archive does not hold {lacking}")));
    }
    let mut files = Vec::new();
    for member in members {
        let pin = Pin {
            sha256: member.sha256.clone(),
            bytes: member.bytes,
            origin: redact(&url),
        };
        session
            .pins
            .check(&format!("{}/{}", artifact.folder, member.name), pin)?;
        let path = folder.join(&member.name);
        std::fs::rename(temporary.path().join(&member.name), &path).map_err(|source| FetchError::io(&path, source))?;
        files.push(FetchedFile {
            path,
            bytes: member.bytes,
            sha256: member.sha256,
            outcome: Outcome::Downloaded,
            published_digest: artifact.sha256.is_some(),
        });
    }
    Ok(files)
}

/// A member that has been written to the temporary folder.
struct Member {
    name: String,
    bytes: u64,
    sha256: String,
}

fn take_members(
    reader: &mut Hashed<'_, '_>,
    artifact: &Artifact,
    temporary: &TempDir,
    missing: &[String],
) -> Result<Vec<Member>, ArchiveError<FetchError>> {
    let bounds = Bounds {
        member: artifact.max_size,
        total: artifact.max_size,
        count: MAX_MEMBERS,
    };
    let mut members: Vec<Member> = Vec::new();
    for_each_member(
        reader,
        bounds,
        |name| missing.iter().any(|wanted| wanted == name),
        |name, declared, content| {
            let url = &artifact.url;
            let archive = |reason| FetchError::Archive {
                url: redact(url),
                reason,
            };
            if members.iter().any(|member| member.name == name) {
                return Err(archive(format!("the archive holds {name} twice")));
            }
            let path = temporary.path().join(name);
            let io = |source| FetchError::io(&path, source);
            let mut file = File::create_new(&path).map_err(io)?;
            let mut hasher = Hasher::default();
            let mut bytes = 0u64;
            let mut buffer = vec![0u8; 1 << 17];
            loop {
                let read = content
                    .read(&mut buffer)
                    .map_err(|error| archive(format!("{name}: {error}")))?;
                let Some(data) = buffer.get(..read).filter(|data| !data.is_empty()) else {
                    break;
                };
                hasher.update(data);
                file.write_all(data).map_err(io)?;
                bytes += read as u64;
            }
            if bytes != declared {
                return Err(archive(format!("{name} ends after {bytes} of {declared} bytes")));
            }
            file.sync_all().map_err(io)?;
            members.push(Member {
                name: name.to_owned(),
                bytes,
                sha256: hasher.finish(),
            });
            Ok(())
        },
    )?;
    Ok(members)
}

/// The archive's bytes, hashed and counted on their way; what goes wrong in the transfer is kept aside, because readers of
/// archives only hand on a text.
struct Hashed<'a, 's> {
    session: &'a Session<'s>,
    artifact: &'a Artifact,
    origin: Origin<'a>,
    hasher: Hasher,
    bytes: u64,
    error: &'a RefCell<Option<FetchError>>,
}

impl Read for Hashed<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.origin.read(self.session, self.artifact, buffer) {
            Ok(read) => read,
            Err(error) => {
                *self.error.borrow_mut() = Some(error);
                return Err(io::Error::other("the transfer failed"));
            }
        };
        self.bytes += read as u64;
        if self.bytes > self.artifact.max_size {
            let (url, expected) = (self.origin.url(), self.artifact.max_size);
            *self.error.borrow_mut() = Some(FetchError::WrongLength {
                url,
                expected,
                found: self.bytes,
            });
            return Err(io::Error::other("the archive is too long"));
        }
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        self.session.notify(self.artifact, Event::Progress { done: self.bytes });
        Ok(read)
    }
}

/// Removes what killed fetches have left; the cache is locked, so nobody is using it.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!(path = %entry.path().display(), %error, "a temporary folder could not be removed");
        }
    }
}
