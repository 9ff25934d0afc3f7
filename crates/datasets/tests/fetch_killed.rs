//! A fetch that is killed in the middle leaves no file that looks whole, and the next one ends with the right bytes.

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

/// The program that is killed: this test binary, started again with the two variables set.
#[test]
fn the_fetch_that_is_killed() {
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
        .args(["the_fetch_that_is_killed", "--exact"])
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
