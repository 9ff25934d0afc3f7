//! Fetches in a process of their own. One that is killed in the middle leaves no file that looks whole, and the next one ends
//! with the right bytes; another has a strict umask.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod server;

use std::process::Command;
use std::time::{Duration, Instant};

use riptide_datasets::fetch::{Artifact, Fetcher, Outcome};
use riptide_files::Silent;
use server::{Answer, Server, ranged};

const CACHE: &str = "RIPTIDE_TEST_KILLED_CACHE";
const BASE: &str = "RIPTIDE_TEST_KILLED_BASE";

fn artifact(base: &str) -> Artifact {
    Artifact::file("things", "file.bin", format!("{base}/file.bin"))
}

/// The program that is run: this test binary, started again with the two variables set.
#[test]
fn a_fetch_of_its_own() {
    let (Ok(cache), Ok(base)) = (std::env::var(CACHE), std::env::var(BASE)) else {
        return;
    };
    Fetcher::new(cache).fetch(&artifact(&base), &mut Silent).unwrap();
}

#[test]
fn a_killed_fetch_leaves_no_file_that_looks_whole() {
    let data: Vec<u8> = (0..500_000u32).map(|i| (i % 251) as u8).collect();
    let server = Server::start({
        let data = data.clone();
        move |request, number| {
            let slowly = (number == 0).then_some(Duration::from_secs(5));
            Answer {
                slowly,
                ..ranged(request, &data, "\"a\"")
            }
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["a_fetch_of_its_own", "--exact"])
        .env(CACHE, cache.path())
        .env(BASE, &server.base)
        .spawn()
        .unwrap();
    let part = cache.path().join("things/file.bin.part");
    let start = Instant::now();
    while std::fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 100_000 {
        assert!(start.elapsed() < Duration::from_secs(30), "nothing arrives");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let place = cache.path().join("things/file.bin");
    assert!(!place.exists());
    let left = std::fs::metadata(&part).unwrap().len();
    assert!((100_000..500_000).contains(&left), "{left}");

    let fetched = Fetcher::new(cache.path())
        .fetch(&artifact(&server.base), &mut Silent)
        .unwrap();
    assert_eq!(fetched.files[0].outcome, Outcome::Resumed);
    assert_eq!(std::fs::read(&place).unwrap(), data);
    assert_eq!(server.requests().last().unwrap().start(), usize::try_from(left).ok());
}

#[cfg(unix)]
#[test]
fn what_is_fetched_has_the_permissions_that_the_umask_leaves() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(|request, _| ranged(request, b"content", "\"a\""));
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().join("cache");
    let status = Command::new("sh")
        .args(["-c", "umask 077 && exec \"$0\" a_fetch_of_its_own --exact"])
        .arg(std::env::current_exe().unwrap())
        .env(CACHE, &cache)
        .env(BASE, &server.base)
        .status()
        .unwrap();
    assert!(status.success());
    let mode = |path: &str| std::fs::metadata(cache.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        ["", "things", "things/file.bin", "pins.json"].map(mode),
        [0o700, 0o700, 0o600, 0o600]
    );
}
