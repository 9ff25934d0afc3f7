//! Files of the Hugging Face Hub, from a server on this machine that answers as the Hub does.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod server;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use riptide_datasets::fetch::hub::locate;
use riptide_files::{Progress, Unit, digest};
use server::{Answer, Request, Server, status};

const ADDRESS: &str = "RIPTIDE_TEST_HUB_ADDRESS";
const TOKEN: &str = "hf_very_secret";

/// Counts what it is told.
#[derive(Default)]
struct Bytes {
    total: u64,
    done: u64,
}

impl Progress for Bytes {
    fn begin(&mut self, _task: &str, total: Option<u64>, unit: Unit) {
        assert_eq!(unit, Unit::Bytes);
        self.total += total.unwrap();
    }
    fn advance(&mut self, units: u64) {
        self.done += units;
    }
}

/// Environment variables are a whole process's, so each case runs in one of its own: this test binary, started again.
#[test]
fn one_fetch() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let mut bytes = Bytes::default();
    match locate(&address, &mut bytes) {
        Ok(path) if path.is_dir() => println!("fetched {} [{}]", path.display(), names(&path)),
        Ok(path) => println!("fetched {} {}", path.display(), std::fs::read_to_string(&path).unwrap()),
        Err(error) => println!("failed {error} {error:?}"),
    }
    println!("{} of {} bytes", bytes.done, bytes.total);
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names.join(" ")
}

/// What a fetch prints, all of it.
fn fetch(address: &str, endpoint: &str, home: &Path) -> String {
    fetch_with(
        address,
        endpoint,
        &[("HF_HOME", home.to_str().unwrap()), ("HF_TOKEN", TOKEN)],
    )
}

/// The same with only these variables of the Hub's.
fn fetch_with(address: &str, endpoint: &str, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["one_fetch", "--exact", "--nocapture"])
        .env_remove("HF_TOKEN")
        .env_remove("HF_HUB_CACHE")
        .env(ADDRESS, address)
        .env("HF_ENDPOINT", endpoint)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains(TOKEN), "the token is shown: {text}");
    text
}

/// The Hub's answer: a commit, a tag, and the range that was asked for.
fn hub(request: &Request, body: &[u8], etag: &str) -> Answer {
    let range = request
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes="));
    let (start, end) = match range.and_then(|range| range.split_once('-')) {
        None => (0, body.len()),
        Some((start, end)) => (
            start.parse().unwrap(),
            end.parse().map_or(body.len(), |end: usize| end + 1),
        ),
    };
    let headers = [
        ("X-Repo-Commit", "0123456789abcdef".to_owned()),
        ("ETag", format!("\"{etag}\"")),
        ("Content-Range", format!("bytes {start}-{}/{}", end - 1, body.len())),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Answer {
        status: 206,
        headers,
        body: body[start..end].to_vec(),
        ..Answer::default()
    }
}

/// The list of a repository's files.
fn list(files: &[&str]) -> Answer {
    let siblings: Vec<_> = files
        .iter()
        .map(|file| serde_json::json!({ "rfilename": file }))
        .collect();
    let body = serde_json::json!({ "siblings": siblings, "sha": "0123456789abcdef" }).to_string();
    Answer {
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        ..server::whole(body.as_bytes())
    }
}

/// An address at which nobody listens.
fn refused() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_file_is_fetched_once_into_the_hubs_cache_and_checked() {
    let body = b"weights";
    let digest = digest::of_bytes(body);
    let server = Server::start({
        let digest = digest.clone();
        move |request, _| match request.path.as_str() {
            "/owner/repo/resolve/main/model.bin" => hub(request, body, &digest),
            "/owner/repo/resolve/main/config.json" => hub(request, b"{}", "not-a-digest"),
            "/owner/repo/resolve/main/wrong.bin" => hub(request, b"others!", &digest),
            "/owner/repo/resolve/v2/sub/a.npy" => hub(request, b"tagged", "a-tag"),
            "/owner/repo/resolve/refs%2Fpr%2F1/sub/a.npy" => hub(request, b"proposed", "another-tag"),
            "/owner/repo/resolve/main/private.bin" if !request.headers.contains_key("authorization") => status(401),
            "/owner/repo/resolve/main/private.bin" => hub(request, b"private", "a-third-tag"),
            _ => status(404),
        }
    });
    let home = tempfile::tempdir().unwrap();
    let text = fetch("hf://owner/repo/model.bin", &server.base, home.path());
    for expected in ["fetched", "weights", "models--owner--repo", "7 of 7 bytes"] {
        assert!(text.contains(expected), "{text}");
    }
    let token = Some(format!("Bearer {TOKEN}"));
    assert!(
        server
            .requests()
            .iter()
            .any(|request| request.headers.get("authorization").cloned() == token)
    );
    // What is in the cache needs no server, by its branch or by its commit.
    for address in [
        "hf://owner/repo/model.bin",
        "hf://owner/repo/model.bin@0123456789abcdef",
    ] {
        let again = fetch(address, &refused(), home.path());
        assert!(again.contains("fetched") && again.contains("weights"), "{again}");
    }
    let text = fetch("hf://owner/repo/config.json", &server.base, home.path());
    assert!(text.contains("fetched") && text.contains("{}"), "{text}");
    let text = fetch("hf://owner/repo/missing.bin", &server.base, home.path());
    assert!(text.contains("failed") && text.contains("check owner"), "{text}");
    for (revision, expected) in [("v2", "tagged"), ("refs/pr/1", "proposed")] {
        // Each commit is another one at the real server.
        let home = tempfile::tempdir().unwrap();
        let text = fetch(
            &format!("hf://owner/repo/sub/a.npy@{revision}"),
            &server.base,
            home.path(),
        );
        assert!(text.contains("fetched") && text.contains(expected), "{text}");
    }
    // The tag of a large file is its digest.
    let home = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let text = fetch("hf://owner/repo/wrong.bin", &server.base, home.path());
        assert!(text.contains("failed") && text.contains("SHA-256"), "{text}");
    }

    // A private file needs the token, from the variable or where the login leaves it.
    let home = tempfile::tempdir().unwrap();
    let at_home = [("HF_HOME", home.path().to_str().unwrap())];
    let text = fetch_with("hf://owner/repo/private.bin", &server.base, &at_home);
    assert!(text.contains("failed") && text.contains("set HF_TOKEN"), "{text}");
    std::fs::write(home.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let both = [at_home[0], ("HF_HUB_CACHE", elsewhere.path().to_str().unwrap())];
    let text = fetch_with("hf://owner/repo/private.bin", &server.base, &both);
    assert!(text.contains("fetched") && text.contains("private"), "{text}");
    assert_eq!(names(home.path()), "token");
    assert_eq!(names(elsewhere.path()), "models--owner--repo");
}

#[test]
fn a_network_is_a_folder_of_its_files() {
    let files = [
        "README.md",
        "config.json",
        "model.safetensors",
        "small/config.json",
        "small/model.onnx",
        "small/model.onnx.data",
        "small/other.bin",
        "empty/config.json",
        "LICENSE",
    ];
    let server = Server::start(move |request, _| {
        if request.path == "/api/models/owner/repo/revision/main" {
            return list(&files);
        }
        match request.path.strip_prefix("/owner/repo/resolve/main/") {
            Some(file) if files.contains(&file) => hub(request, file.as_bytes(), &file.replace('/', "-")),
            _ => status(404),
        }
    });
    let home = tempfile::tempdir().unwrap();
    for (address, expected) in [
        ("hf://owner/repo", "[config.json model.safetensors]"),
        ("hf://owner/repo/small", "[config.json model.onnx model.onnx.data]"),
        ("hf://owner/repo/LICENSE", "LICENSE"),
    ] {
        let text = fetch(address, &server.base, home.path());
        assert!(text.contains("fetched") && text.contains(expected), "{text}");
        let again = fetch(address, &refused(), home.path());
        assert!(again.contains("fetched"), "{again}");
    }
    for address in ["hf://owner/repo/empty", "hf://owner/repo/missing"] {
        let text = fetch(address, &server.base, home.path());
        assert!(text.contains("failed") && text.contains("no network"), "{text}");
    }
    // A download that was cut off before its last file is not taken for whole.
    let snapshot = home.path().join("hub/models--owner--repo/snapshots/0123456789abcdef");
    std::fs::remove_file(snapshot.join("small/config.json")).unwrap();
    let text = fetch("hf://owner/repo/small", &refused(), home.path());
    assert!(text.contains("cannot be reached"), "{text}");
    let text = fetch("hf://owner/repo@v9", &server.base, home.path());
    assert!(text.contains("failed") && text.contains("check owner"), "{text}");
}

#[test]
fn without_a_network_the_end_comes_soon() {
    let silent = Server::start(|_, _| Answer {
        silent: true,
        ..Answer::default()
    });
    let refused = refused();
    std::thread::scope(|scope| {
        for endpoint in [silent.base.as_str(), refused.as_str()] {
            scope.spawn(move || {
                let home = tempfile::tempdir().unwrap();
                let start = Instant::now();
                let text = fetch("hf://owner/repo/model.bin", endpoint, home.path());
                assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
                assert!(
                    text.contains("cannot be reached") && text.contains("HF_ENDPOINT"),
                    "{text}"
                );
            });
        }
    });
}
