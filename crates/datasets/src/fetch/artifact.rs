//! What can be fetched: addresses, digests, and where each file belongs in the cache.

use std::path::{Path, PathBuf};

use super::error::redact;

/// A file that can be fetched, or an archive of which some members can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub(crate) name: String,
    pub(crate) folder: String,
    pub(crate) url: String,
    pub(crate) sha256: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) max_size: u64,
    pub(crate) members: Vec<String>,
}

/// The most that a file of unknown length may have.
const DEFAULT_MAX_SIZE: u64 = 1 << 30;

impl Artifact {
    /// A file: `folder/name` in the cache (`folder` relative, with `/`), `name` in a mirror, `url` elsewhere.
    pub fn file(folder: impl Into<String>, name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            folder: folder.into(),
            url: url.into(),
            sha256: None,
            size: None,
            max_size: DEFAULT_MAX_SIZE,
            members: Vec::new(),
        }
    }

    /// A tar archive that is streamed: of its files, those named in `members` end up in `folder`, nothing else is kept.
    pub fn archive(
        folder: impl Into<String>,
        name: impl Into<String>,
        url: impl Into<String>,
        members: Vec<String>,
    ) -> Self {
        Self {
            members,
            ..Self::file(folder, name, url)
        }
    }

    /// With a published SHA-256, in hexadecimal. Without one the file is pinned on first use.
    pub fn with_sha256(mut self, sha256: impl Into<String>) -> Self {
        self.sha256 = Some(sha256.into().to_lowercase());
        self
    }

    /// With a published length in bytes.
    pub fn with_size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self.max_size = size;
        self
    }

    /// With the most bytes that are accepted, if the length is not published.
    pub fn with_max_size(mut self, max_size: u64) -> Self {
        self.max_size = max_size;
        self
    }

    /// The file's name in the cache and in a mirror.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The published address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The published SHA-256, if there is one.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// The members to keep, for an archive; empty for a file.
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// The folder in the cache, relative, with `/`.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// Where the file (or the archive's folder) is in a cache.
    pub fn path_in(&self, cache: &Path) -> PathBuf {
        let folder = self
            .folder
            .split('/')
            .fold(cache.to_path_buf(), |path, part| path.join(part));
        if self.members.is_empty() {
            folder.join(&self.name)
        } else {
            folder
        }
    }

    /// What to do if it cannot be fetched.
    pub(crate) fn advice(&self, cache: &Path) -> String {
        let (name, url, path) = (&self.name, redact(&self.url), self.path_in(cache));
        let put = if self.members.is_empty() {
            "put it at"
        } else {
            "put the files that it holds into"
        };
        format!(
            "to go on without it: use a mirror (a folder or base address that holds {name}), or download {url} elsewhere \
             and {put} {}",
            path.display()
        )
    }

    /// `folder/name`: its name in the list of pins, and its place in a mirror that is a copy of a cache.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }
}
