//! Files of the Hugging Face Hub, from a server on this machine that answers as the Hub does.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod server;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use riptide_datasets::fetch::hub::{HubFile, resolve};
use server::{Answer, Request, Server, status};
use sha2::{Digest, Sha256};

const ADDRESS: &str = "RIPTIDE_TEST_HUB_ADDRESS";
const TOKEN: &str = "hf_very_secret";

/// Environment variables are a whole process's, so each case runs in one of its own: this test binary, started again.
#[test]
fn one_fetch() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    match resolve(&address) {
        Ok(path) => println!("fetched {} {}", path.display(), std::fs::read_to_string(&path).unwrap()),
        Err(error) => println!("failed {error} {error:?}"),
    }
}

/// What a fetch prints, all of it.
fn fetch(address: &str, endpoint: &str, home: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["one_fetch", "--exact", "--nocapture"])
        .env(ADDRESS, address)
        .env("HF_ENDPOINT", endpoint)
        .env("HF_HOME", home)
        .env("HF_TOKEN", TOKEN)
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

#[test]
fn addresses_are_checked() {
    for (text, shown) in [
        ("hf://owner/repo/model.safetensors", "hf://owner/repo/model.safetensors"),
        ("hf://owner/repo@v1.0/sub/model.h5", "hf://owner/repo@v1.0/sub/model.h5"),
        ("hf://owner/repo@main/a", "hf://owner/repo/a"),
    ] {
        assert_eq!(text.parse::<HubFile>().unwrap().to_string(), shown);
    }
    for wrong in [
        "owner/repo/a",
        "hf://owner/repo",
        "hf://owner/repo/",
        "hf://owner//a",
        "hf://owner/repo/../a",
        "hf://owner/repo/a?b",
        "hf://owner/re po/a",
        "hf://../repo/a",
        "hf://owner/repo@/a",
    ] {
        assert!(wrong.parse::<HubFile>().is_err(), "{wrong}");
    }
    assert_eq!(resolve("some/path.h5").unwrap(), Path::new("some/path.h5"));
}

#[test]
fn a_file_is_fetched_once_into_the_hubs_cache_and_checked() {
    let body = b"weights";
    let digest: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    let server = Server::start({
        let digest = digest.clone();
        move |request, _| match request.path.as_str() {
            "/owner/repo/resolve/main/model.bin" => hub(request, body, &digest),
            "/owner/repo/resolve/main/config.json" => hub(request, b"{}", "not-a-digest"),
            "/owner/repo/resolve/main/wrong.bin" => hub(request, b"others!", &digest),
            "/owner/repo/resolve/main/private.bin" => status(401),
            _ => status(404),
        }
    });
    let home = tempfile::tempdir().unwrap();
    let text = fetch("hf://owner/repo/model.bin", &server.base, home.path());
    assert!(
        text.contains("fetched") && text.contains("weights") && text.contains("models--owner--repo"),
        "{text}"
    );
    assert!(
        server
            .requests()
            .iter()
            .any(|r| r.headers.get("authorization") == Some(&format!("Bearer {TOKEN}")))
    );
    let requests = server.requests().len();
    let again = fetch("hf://owner/repo/model.bin", &server.base, home.path());
    assert!(
        again.contains("fetched") && server.requests().len() == requests,
        "{again}"
    );

    let text = fetch("hf://owner/repo/config.json", &server.base, home.path());
    assert!(text.contains("fetched") && text.contains("{}"), "{text}");
    for (file, expected) in [("private.bin", "HF_TOKEN"), ("missing.bin", "check owner")] {
        let text = fetch(&format!("hf://owner/repo/{file}"), &server.base, home.path());
        assert!(text.contains("failed") && text.contains(expected), "{text}");
    }
    // The tag of a large file is its digest.
    let home = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let text = fetch("hf://owner/repo/wrong.bin", &server.base, home.path());
        assert!(text.contains("failed") && text.contains("SHA-256"), "{text}");
    }
}

#[test]
fn without_a_network_the_end_comes_soon() {
    let silent = Server::start(|_, _| Answer {
        silent: true,
        ..Answer::default()
    });
    let refused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
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
