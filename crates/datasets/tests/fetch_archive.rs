//! Archives that are streamed: what is asked for is kept, and hostile ones leave nothing.

// Helpers outside of #[test] functions fail a test by unwrapping, too.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod server;

use std::fs;
use std::path::Path;
use std::time::Duration;

use riptide_datasets::fetch::{Artifact, FetchError, Fetcher, Outcome, Patience};
use riptide_files::{Silent, digest};
use server::{Answer, Server, ranged, whole};
use tar::EntryType;

fn sha256(bytes: &[u8]) -> String {
    digest::of_bytes(bytes)
}

fn member(path: &str, kind: EntryType, data: &[u8]) -> (tar::Header, Vec<u8>) {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    (header, data.to_vec())
}

fn archive(members: &[(tar::Header, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (header, data) in members {
        builder.append(header, &data[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An archive as the published one is laid out.
fn good() -> Vec<u8> {
    archive(&[
        member("CIFAR-10-C/", EntryType::Directory, b""),
        member("CIFAR-10-C/fog.npy", EntryType::Regular, &[1; 70_000]),
        member("CIFAR-10-C/snow.npy", EntryType::Regular, &[2; 80_000]),
        member("CIFAR-10-C/labels.npy", EntryType::Regular, &[3; 500]),
        member("CIFAR-10-C/frost.npy", EntryType::Regular, &[4; 90_000]),
    ])
}

fn wanted(server: &Server, bytes: &[u8], names: &[&str]) -> Artifact {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    Artifact::archive(
        "cifar10c",
        "CIFAR-10-C.tar",
        format!("{}/CIFAR-10-C.tar", server.base),
        names,
    )
    .with_size(bytes.len() as u64)
    .with_sha256(sha256(bytes))
}

fn fetcher(cache: &Path) -> Fetcher {
    let delay = Duration::from_millis(5);
    Fetcher::new(cache).patience(Patience {
        first_delay: delay,
        max_delay: delay,
        ..Patience::default()
    })
}

/// What is in the cache's folder, hidden names too.
fn kept(cache: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(cache.join("cifar10c")) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn only_what_was_asked_for_is_kept_through_cuts() {
    let bytes = good();
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start({
        let bytes = bytes.clone();
        move |request, number| {
            let cut_after = (number < 5).then_some(40_000);
            Answer {
                cut_after,
                ..ranged(request, &bytes, "\"a\"")
            }
        }
    });
    // What a killed fetch has left goes away.
    fs::create_dir_all(cache.path().join("cifar10c/.unpacking-old")).unwrap();
    fs::write(cache.path().join("cifar10c/.unpacking-old/fog.npy"), b"half").unwrap();

    let fetched = fetcher(cache.path())
        .fetch(&wanted(&server, &bytes, &["snow.npy", "labels.npy"]), &mut Silent)
        .unwrap();
    let names: Vec<_> = fetched
        .files
        .iter()
        .map(|file| file.path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["snow.npy", "labels.npy"]);
    assert!(
        fetched
            .files
            .iter()
            .all(|file| file.published_digest && file.outcome == Outcome::Downloaded)
    );
    assert_eq!(kept(cache.path()), ["labels.npy", "snow.npy"]);
    assert_eq!(fs::read(cache.path().join("cifar10c/snow.npy")).unwrap(), [2; 80_000]);
    assert_eq!(server.requests().len(), 6);

    // What is there is not fetched again; what is not, is.
    let all = wanted(&server, &bytes, &["fog.npy", "snow.npy", "labels.npy"]);
    let fetched = fetcher(cache.path()).fetch(&all, &mut Silent).unwrap();
    let outcomes: Vec<_> = fetched.files.iter().map(|file| file.outcome).collect();
    assert_eq!(outcomes, [Outcome::Downloaded, Outcome::Present, Outcome::Present]);
    fetcher(cache.path()).fetch(&all, &mut Silent).unwrap();
    assert_eq!(server.requests().len(), 7);
    assert_eq!(kept(cache.path()), ["fog.npy", "labels.npy", "snow.npy"]);
}

#[test]
fn an_archive_counts_only_when_the_whole_is_right() {
    let bytes = good();
    let mut flipped = bytes.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for (sent, expected) in [
        (flipped, "SHA-256"),
        (bytes[..bytes.len() - 512].to_vec(), "expected"),
        (
            archive(&[member("CIFAR-10-C/fog.npy", EntryType::Regular, &[1; 10])]),
            "expected",
        ),
        (vec![7; bytes.len()], "not a readable archive"),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let server = Server::start(move |_, _| whole(&sent));
        let error = fetcher(cache.path())
            .fetch(&wanted(&server, &bytes, &["fog.npy"]), &mut Silent)
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(kept(cache.path()).is_empty(), "{:?}", kept(cache.path()));
    }
}

#[test]
fn hostile_archives_leave_nothing_inside_or_outside() {
    let fog = || member("CIFAR-10-C/fog.npy", EntryType::Regular, &[1; 600]);
    let mut link = member("CIFAR-10-C/fog.npy", EntryType::Symlink, b"");
    link.0.set_link_name("/etc/passwd").unwrap();
    link.0.set_cksum();
    let mut lying = member("CIFAR-10-C/fog.npy", EntryType::Regular, &[1; 600]);
    lying.0.set_size(1 << 40);
    lying.0.set_cksum();
    for (members, expected) in [
        (
            vec![member("../../escaped/fog.npy", EntryType::Regular, &[1; 600])],
            "leaves the folder",
        ),
        (
            vec![member("/tmp/escaped/fog.npy", EntryType::Regular, &[1; 600])],
            "leaves the folder",
        ),
        (
            vec![fog(), member("a/../../b", EntryType::Regular, b"x")],
            "leaves the folder",
        ),
        (vec![link], "it is a link"),
        (
            vec![fog(), member("CIFAR-10-C/x", EntryType::Link, b"")],
            "it is a link",
        ),
        (
            vec![fog(), member("CIFAR-10-C/x", EntryType::Fifo, b"")],
            "it is a device",
        ),
        (vec![lying], "larger than allowed"),
        (vec![fog(), fog()], "twice"),
        (
            vec![member("CIFAR-10-C/snow.npy", EntryType::Regular, &[1; 600])],
            "does not hold fog.npy",
        ),
    ] {
        let outside = tempfile::tempdir().unwrap();
        let cache = outside.path().join("cache");
        let bytes = archive(&members);
        let server = Server::start({
            let bytes = bytes.clone();
            move |_, _| whole(&bytes)
        });
        // Even if the digest is right: an archive may be hostile from its start.
        let error = fetcher(&cache)
            .fetch(&wanted(&server, &bytes, &["fog.npy"]), &mut Silent)
            .unwrap_err();
        assert!(matches!(error, FetchError::Archive { .. }), "{error}");
        assert!(
            error.to_string().contains(expected),
            "{error} should contain {expected}"
        );
        assert!(kept(&cache).is_empty(), "{:?}", kept(&cache));
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
