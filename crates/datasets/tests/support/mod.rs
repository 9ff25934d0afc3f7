//! What the tests of fetching share.

use std::fs;
use std::path::Path;
use std::time::Duration;

use riptide_datasets::fetch::{Artifact, Fetched, Fetcher, Outcome, Patience};
use riptide_files::digest;

use crate::server::Server;

pub(crate) fn body() -> Vec<u8> {
    (0..300_000u32)
        .flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes())
        .take(1_000_003)
        .collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    digest::of_bytes(bytes)
}

pub(crate) fn quick() -> Patience {
    Patience {
        retries: 3,
        first_delay: Duration::from_millis(5),
        max_delay: Duration::from_millis(20),
        connect: Duration::from_millis(500),
        response: Duration::from_millis(500),
        silence: Duration::from_millis(500),
        no_network: Duration::from_secs(2),
    }
}

pub(crate) fn fetcher(cache: &Path) -> Fetcher {
    Fetcher::new(cache).patience(quick())
}

pub(crate) fn known(server: &Server, body: &[u8]) -> Artifact {
    unknown(server).with_size(body.len() as u64).with_sha256(sha256(body))
}

pub(crate) fn unknown(server: &Server) -> Artifact {
    Artifact::file("things", "file.bin", format!("{}/up/file.bin", server.base))
}

/// Everything below a folder, as relative paths, but for the lock.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.retain(|name| name != ".lock");
    found.sort();
    found
}

pub(crate) fn only(fetched: &Fetched) -> (Outcome, bool) {
    assert_eq!(fetched.files.len(), 1);
    (fetched.files[0].outcome, fetched.files[0].published_digest)
}
