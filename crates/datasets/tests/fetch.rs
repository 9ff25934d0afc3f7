//! Fetching from a server that cuts, lies, stalls and refuses.

// Helpers outside of #[test] functions fail a test by unwrapping, too.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod server;
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use riptide_datasets::fetch::{Artifact, FetchError, Fetcher, Outcome};
use riptide_files::{Progress, Silent, Unit};
use server::{Answer, Server, ranged, status, whole};
use support::{body, fetcher, files, known, only, sha256, unknown};

#[test]
fn a_good_server_is_asked_once_and_then_not_again() {
    let cache = tempfile::tempdir().unwrap();
    let data = body();
    let server = Server::start({
        let data = data.clone();
        move |request, _| ranged(request, &data, "\"a\"")
    });
    let artifact = known(&server, &data);
    let fetched = fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap();
    assert_eq!(only(&fetched), (Outcome::Downloaded, true));
    assert_eq!(fetched.files[0].sha256, sha256(&data));
    assert_eq!(fs::read(cache.path().join("things/file.bin")).unwrap(), data);
    let again = fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap();
    assert_eq!(only(&again), (Outcome::Present, true));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].headers["accept-encoding"], "identity");
    assert_eq!(files(cache.path()), ["things/file.bin"]);

    // A file that has been damaged since is fetched again.
    fs::write(cache.path().join("things/file.bin"), b"damaged").unwrap();
    assert_eq!(
        only(&fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap()),
        (Outcome::Downloaded, true)
    );
    assert_eq!(fs::read(cache.path().join("things/file.bin")).unwrap(), data);
}

#[test]
fn cut_connections_are_taken_up_by_range() {
    let cache = tempfile::tempdir().unwrap();
    let data = body();
    let server = Server::start({
        let data = data.clone();
        move |request, number| {
            let cut_after = (number < 12).then_some(60_000);
            Answer {
                cut_after,
                ..ranged(request, &data, "\"a\"")
            }
        }
    });
    fetcher(cache.path())
        .fetch(&known(&server, &data), &mut Silent)
        .unwrap();
    assert_eq!(fs::read(cache.path().join("things/file.bin")).unwrap(), data);
    let starts: Vec<_> = server.requests().iter().map(|request| request.start()).collect();
    assert_eq!(starts[..3], [None, Some(60_000), Some(120_000)]);
    assert_eq!(starts.len(), 13);
    assert_eq!(server.requests()[1].headers["if-range"], "\"a\"");
}

#[test]
fn cuts_on_a_server_without_ranges_are_read_over() {
    let cache = tempfile::tempdir().unwrap();
    let data = body();
    let server = Server::start({
        let data = data.clone();
        move |_, number| Answer {
            cut_after: (number < 2).then_some(300_000 * (number + 1)),
            ..whole(&data)
        }
    });
    fetcher(cache.path())
        .fetch(&known(&server, &data), &mut Silent)
        .unwrap();
    assert_eq!(fs::read(cache.path().join("things/file.bin")).unwrap(), data);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_server_that_never_gets_further_is_given_up_and_the_next_fetch_goes_on() {
    let cache = tempfile::tempdir().unwrap();
    let data = body();
    let server = Server::start({
        let data = data.clone();
        move |request, number| match number {
            // One part, then nothing but breaks.
            0 => Answer {
                cut_after: Some(400_000),
                ..ranged(request, &data, "\"a\"")
            },
            1..=3 => Answer {
                cut_after: Some(0),
                ..ranged(request, &data, "\"a\"")
            },
            _ => ranged(request, &data, "\"a\""),
        }
    });
    let artifact = known(&server, &data);
    let error = fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap_err();
    assert!(matches!(error, FetchError::Transfer { .. }), "{error}");
    assert!(error.to_string().contains("400000"), "{error}");
    assert_eq!(
        files(cache.path()),
        ["things/file.bin.part", "things/file.bin.part.json"]
    );

    let fetched = fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap();
    assert_eq!(only(&fetched), (Outcome::Resumed, true));
    assert_eq!(server.requests().last().unwrap().start(), Some(400_000));
    assert_eq!(fs::read(cache.path().join("things/file.bin")).unwrap(), data);
    assert_eq!(files(cache.path()), ["things/file.bin"]);
}

/// Leaves a part of `data` as a killed fetch would.
fn leave_part(cache: &Path, url: &str, data: &[u8], validator: Option<&str>) {
    fs::create_dir_all(cache.join("things")).unwrap();
    fs::write(cache.join("things/file.bin.part"), data).unwrap();
    let state = serde_json::json!({ "url": url, "validator": validator });
    fs::write(cache.join("things/file.bin.part.json"), state.to_string()).unwrap();
}

#[test]
fn what_a_killed_fetch_left_is_only_used_where_it_fits() {
    let data = body();
    let serve = |data: Vec<u8>, etag: &'static str| Server::start(move |request, _| ranged(request, &data, etag));
    // (part, tag then, tag now, published digest, resumed)
    let half = &data[..500_000];
    for (part, then, now, published, resumed) in [
        (half, Some("\"a\""), "\"a\"", true, true),
        (half, Some("\"a\""), "\"a\"", false, true),
        // The file has changed: the server sends it whole.
        (half, Some("\"a\""), "\"b\"", true, false),
        (half, Some("\"a\""), "\"b\"", false, false),
        // Nothing to tell whether it has changed: only a published digest can.
        (half, None, "\"a\"", true, true),
        (half, None, "\"a\"", false, false),
        // Weak tags say nothing about bytes.
        (half, None, "W/\"a\"", false, false),
        // Complete, but not renamed (416).
        (&data[..], Some("\"a\""), "\"a\"", true, true),
        // The bytes are others: once more from the start.
        (&[1u8; 500_000][..], Some("\"a\""), "\"a\"", true, false),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let server = serve(data.clone(), now);
        let artifact = if published {
            known(&server, &data)
        } else {
            unknown(&server)
        };
        leave_part(cache.path(), artifact.url(), part, then);
        let fetched = fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap();
        let expected = if resumed { Outcome::Resumed } else { Outcome::Downloaded };
        assert_eq!(
            fetched.files[0].outcome,
            expected,
            "{} {then:?} {now} {published}",
            part.len()
        );
        assert_eq!(fs::read(cache.path().join("things/file.bin")).unwrap(), data);
    }
    // A part that is longer than the file, and one from another address.
    for (url, part) in [
        ("", [&data[..], b"more"].concat()),
        ("http://127.0.0.1:1/x", half.to_vec()),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let server = serve(data.clone(), "\"a\"");
        let artifact = known(&server, &data);
        leave_part(
            cache.path(),
            if url.is_empty() { artifact.url() } else { url },
            &part,
            Some("\"a\""),
        );
        assert_eq!(
            only(&fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap()),
            (Outcome::Downloaded, true)
        );
        assert_eq!(fs::read(cache.path().join("things/file.bin")).unwrap(), data);
    }
}

#[test]
fn wrong_bytes_leave_nothing() {
    let data = body();
    let wrong = [&data[..999_999], b"xxxx"].concat();
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start({
        let wrong = wrong.clone();
        move |request, _| ranged(request, &wrong, "\"a\"")
    });
    let error = fetcher(cache.path())
        .fetch(&known(&server, &data), &mut Silent)
        .unwrap_err();
    assert!(matches!(error, FetchError::DigestMismatch { .. }), "{error}");
    assert!(files(cache.path()).is_empty());
}

#[test]
fn lies_about_the_length_leave_nothing_that_looks_whole() {
    let data = body();
    for (declared, sent) in [
        (data.len() - 1, data.len()),
        (data.len() + 1, data.len()),
        (data.len(), data.len() - 9),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let server = Server::start({
            let data = data.clone();
            move |_, _| Answer {
                declared: Some(declared),
                cut_after: Some(sent),
                ..whole(&data)
            }
        });
        let error = fetcher(cache.path())
            .fetch(&known(&server, &data), &mut Silent)
            .unwrap_err();
        let expected = if declared == data.len() {
            matches!(error, FetchError::Transfer { .. })
        } else {
            matches!(error, FetchError::WrongLength { .. })
        };
        assert!(expected, "{declared} {sent}: {error}");
        assert!(!cache.path().join("things/file.bin").exists());
    }
    // Without a published length there is a bound.
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(move |_, _| whole(&body()));
    let error = fetcher(cache.path())
        .fetch(&unknown(&server).with_max_size(1000), &mut Silent)
        .unwrap_err();
    assert!(
        matches!(error, FetchError::WrongLength { expected: 1000, .. }),
        "{error}"
    );
    assert!(!cache.path().join("things/file.bin").exists());
}

#[test]
fn a_range_of_other_bytes_is_refused() {
    let data = body();
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start({
        let data = data.clone();
        move |request, _| {
            let mut answer = ranged(request, &data, "\"a\"");
            if answer.status == 206 {
                answer.headers = vec![(
                    "Content-Range".to_owned(),
                    format!("bytes 7-{}/{}", data.len() - 1, data.len()),
                )];
            }
            answer
        }
    });
    let artifact = known(&server, &data);
    leave_part(cache.path(), artifact.url(), &data[..5000], Some("\"a\""));
    let error = fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("got others"), "{error}");
    assert!(!cache.path().join("things/file.bin").exists());
}

#[test]
fn a_change_in_the_middle_is_noticed() {
    let data = body();
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start({
        let data = data.clone();
        move |request, number| match number {
            0 => Answer {
                cut_after: Some(1000),
                ..ranged(request, &data, "\"a\"")
            },
            _ => ranged(request, &data[..900_000], "\"b\""),
        }
    });
    let error = fetcher(cache.path()).fetch(&unknown(&server), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("changed while"), "{error}");
    assert!(!cache.path().join("things/file.bin").exists());
}

#[test]
fn a_slow_server_is_waited_for_and_a_stalled_one_is_not() {
    let data = body();
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start({
        let data = data.clone();
        move |request, number| match number {
            // Slower than any single wait, but never silent for long.
            0 => Answer {
                slowly: Some(Duration::from_millis(150)),
                cut_after: Some(500_000),
                ..ranged(request, &data, "\"a\"")
            },
            // Sends a little, then stands still.
            1 => Answer {
                slowly: Some(Duration::from_secs(60)),
                ..ranged(request, &data, "\"a\"")
            },
            _ => ranged(request, &data, "\"a\""),
        }
    });
    let start = Instant::now();
    fetcher(cache.path())
        .fetch(&known(&server, &data), &mut Silent)
        .unwrap();
    assert_eq!(fs::read(cache.path().join("things/file.bin")).unwrap(), data);
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(server.requests().len() >= 3);
}

#[test]
fn passing_failures_are_tried_again_and_others_are_not() {
    #[derive(Default)]
    struct Told {
        total: u64,
        done: u64,
        ends: usize,
        messages: Vec<String>,
    }
    impl Progress for Told {
        fn begin(&mut self, task: &str, total: Option<u64>, unit: Unit) {
            assert_eq!((task, unit), ("file.bin", Unit::Bytes));
            self.total += total.unwrap();
        }
        fn extend(&mut self, units: u64) {
            self.total += units;
        }
        fn advance(&mut self, units: u64) {
            self.done += units;
        }
        fn message(&mut self, text: &str) {
            self.messages.push(text.to_owned());
        }
        fn end(&mut self) {
            self.ends += 1;
        }
    }
    let data = body();
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start({
        let data = data.clone();
        move |request, number| match number {
            0 => status(500),
            1 => status(429),
            _ => ranged(request, &data, "\"a\""),
        }
    });
    let mut told = Told::default();
    fetcher(cache.path()).fetch(&known(&server, &data), &mut told).unwrap();
    let retries: Vec<_> = told
        .messages
        .iter()
        .filter(|text| text.contains("trying again"))
        .collect();
    assert_eq!(retries.len(), 2);
    assert!(retries[0].contains("500") && retries[1].contains("429"), "{retries:?}");
    assert_eq!(
        (told.total, told.done, told.ends),
        (data.len() as u64, data.len() as u64, 1)
    );

    // Without a published length it is added when the server tells it; a file that is there already is passed over.
    for cache in [tempfile::tempdir().unwrap().path(), cache.path()] {
        let mut told = Told::default();
        fetcher(cache).fetch(&unknown(&server), &mut told).unwrap();
        assert_eq!(told.total, told.done);
    }

    for (code, requests) in [(404, 1), (410, 1), (403, 1), (503, 4)] {
        let cache = tempfile::tempdir().unwrap();
        let server = Server::start(move |_, _| status(code));
        let error = fetcher(cache.path())
            .fetch(&known(&server, &data), &mut Silent)
            .unwrap_err();
        assert_eq!(
            matches!(error, FetchError::NotFound { .. }),
            matches!(code, 404 | 410),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.contains(&code.to_string()) && text.contains("use a mirror"),
            "{text}"
        );
        assert_eq!(server.requests().len(), requests, "{code}");
        assert!(!cache.path().join("things/file.bin").exists());
    }
}

#[test]
fn without_a_network_the_end_comes_soon_and_says_what_to_do() {
    // Refused: nobody listens on a port that was free a moment ago. Silent: connections are taken and nothing is said.
    let refused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let silent = Server::start(|_, _| Answer {
        silent: true,
        ..Answer::default()
    });
    // With the waits that users have; side by side, to wait only once.
    std::thread::scope(|scope| {
        for (base, jobs) in [(refused, 4), (silent.base.clone(), 1)] {
            scope.spawn(move || fails_soon(&base, jobs));
        }
    });
}

fn fails_soon(base: &str, jobs: usize) {
    let cache = tempfile::tempdir().unwrap();
    let artifacts: Vec<_> = (0..6)
        .map(|i| Artifact::file("things", format!("{i}.bin"), format!("{base}/{i}.bin")))
        .collect();
    let start = Instant::now();
    let outcomes = Fetcher::new(cache.path())
        .jobs(jobs)
        .fetch_all(&artifacts, &mut Silent)
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("use a mirror") && text.contains("put it at") && text.contains("things"),
            "{text}"
        );
    }
    assert!(!files(cache.path()).iter().any(|name| name.ends_with(".bin")));
}
