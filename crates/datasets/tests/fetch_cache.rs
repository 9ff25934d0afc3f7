//! The cache: pins, mirrors, several files at once, one fetch at a time.

// Helpers outside of #[test] functions fail a test by unwrapping, too.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod server;
#[allow(dead_code)]
mod support;

use std::fs;

use riptide_datasets::fetch::{Artifact, FetchError, Outcome};
use riptide_files::Silent;
use riptide_files::lock::FolderLock;
use server::{Server, ranged, status, whole};
use support::{body, fetcher, files, known, only, sha256, unknown};

#[test]
fn unpublished_files_are_pinned_and_a_change_is_an_error() {
    let data = body();
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start({
        let data = data.clone();
        move |_, number| {
            if number == 0 {
                whole(&data)
            } else {
                whole(b"something else")
            }
        }
    });
    let artifact = unknown(&server);
    let place = cache.path().join("things/file.bin");
    assert_eq!(
        only(&fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap()),
        (Outcome::Downloaded, false)
    );
    let pins = fs::read_to_string(cache.path().join("pins.json")).unwrap();
    assert!(
        pins.contains(&sha256(&data)) && pins.contains("things/file.bin"),
        "{pins}"
    );

    fs::remove_file(&place).unwrap();
    let error = fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap_err();
    assert!(matches!(error, FetchError::PinMismatch { .. }), "{error}");
    assert_eq!(files(cache.path()), ["pins.json"]);

    // A file in the cache that has changed since is an error too, and stays for its owner to look at.
    fs::write(&place, b"tampered").unwrap();
    let error = fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap_err();
    assert!(matches!(error, FetchError::PinMismatch { .. }), "{error}");
    fs::write(&place, &data).unwrap();
    assert_eq!(
        only(&fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap()),
        (Outcome::Present, false)
    );

    fs::write(cache.path().join("pins.json"), b"{ not json").unwrap();
    let error = fetcher(cache.path()).fetch(&artifact, &mut Silent).unwrap_err();
    assert!(matches!(error, FetchError::Pins { .. }), "{error}");
}

#[test]
fn mirrors_hold_files_by_name_or_as_a_cache_does() {
    let data = body();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("things")).unwrap();
    let nowhere = Server::start(|_, _| status(500));
    let artifact = known(&nowhere, &data);
    for place in ["file.bin", "things/file.bin"] {
        fs::write(folder.path().join(place), &data).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let mirror = folder.path().display().to_string().parse().unwrap();
        let fetched = fetcher(cache.path())
            .mirror(mirror)
            .fetch(&artifact, &mut Silent)
            .unwrap();
        assert_eq!(only(&fetched), (Outcome::Downloaded, true));
        fs::remove_file(folder.path().join(place)).unwrap();

        let server = Server::start({
            let (data, path) = (data.clone(), format!("/base/{place}"));
            move |request, _| {
                if request.path == path {
                    ranged(request, &data, "\"a\"")
                } else {
                    status(404)
                }
            }
        });
        let cache = tempfile::tempdir().unwrap();
        let mirror = format!("{}/base/", server.base).parse().unwrap();
        fetcher(cache.path())
            .mirror(mirror)
            .fetch(&artifact, &mut Silent)
            .unwrap();
    }
    let cache = tempfile::tempdir().unwrap();
    let mirror = folder.path().display().to_string().parse().unwrap();
    let error = fetcher(cache.path())
        .mirror(mirror)
        .fetch(&artifact, &mut Silent)
        .unwrap_err();
    assert!(matches!(error, FetchError::NotFound { .. }), "{error}");
    assert!(nowhere.requests().is_empty());
}

#[test]
fn several_files_arrive_though_one_fails() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _| {
        if request.path.contains("3") {
            status(404)
        } else {
            whole(request.path.as_bytes())
        }
    });
    let artifacts: Vec<_> = (0..8)
        .map(|i| Artifact::file("things", format!("{i}.bin"), format!("{}/{i}", server.base)))
        .collect();
    let outcomes = fetcher(cache.path())
        .jobs(3)
        .fetch_all(&artifacts, &mut Silent)
        .unwrap();
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_ok(), index != 3, "{index}");
        if let Ok(fetched) = outcome {
            assert_eq!(fs::read_to_string(&fetched.files[0].path).unwrap(), format!("/{index}"));
        }
    }
    let pins = fs::read_to_string(cache.path().join("pins.json")).unwrap();
    assert_eq!(pins.matches("sha256").count(), 7);
}

#[test]
fn a_cache_is_used_by_one_fetch_at_a_time_and_names_stay_inside() {
    let cache = tempfile::tempdir().unwrap();
    let lock = FolderLock::acquire(cache.path()).unwrap();
    let server = Server::start(|_, _| whole(b"x"));
    let busy = fetcher(cache.path()).fetch(&unknown(&server), &mut Silent).unwrap_err();
    assert!(busy.to_string().contains("another run"), "{busy}");
    drop(lock);
    fetcher(cache.path()).fetch(&unknown(&server), &mut Silent).unwrap();
    for (folder, name) in [
        ("..", "a"),
        ("things", "../a"),
        ("things", ".a"),
        ("/things", "a"),
        ("a//b", "c"),
        ("a", ""),
    ] {
        let outcome = fetcher(cache.path()).fetch(&Artifact::file(folder, name, server.base.clone()), &mut Silent);
        assert!(matches!(outcome, Err(FetchError::Invalid { .. })), "{folder} {name}");
    }
    assert!(
        fetcher(&cache.path().join("pins.json"))
            .fetch(&unknown(&server), &mut Silent)
            .is_err()
    );
}

#[test]
fn what_does_not_begin_as_its_name_says_is_not_pinned() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _| match request.path.as_str() {
        "/page" => whole(b"404 Not Found"),
        _ => whole(b"\x89HDF\r\n\x1a\n and the rest"),
    });
    let network = |page: &str| Artifact::file("models", "model.h5", format!("{}{page}", server.base));
    let error = fetcher(cache.path()).fetch(&network("/page"), &mut Silent).unwrap_err();
    assert!(matches!(error, FetchError::WrongFormat { .. }), "{error}");
    // The real file is taken afterwards.
    fetcher(cache.path()).fetch(&network("/real"), &mut Silent).unwrap();
}
