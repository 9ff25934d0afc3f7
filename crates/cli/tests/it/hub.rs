//! Networks and images by `hf://` addresses, from a server on this machine that answers as the Hub does.

#[allow(dead_code)]
#[path = "../../../datasets/tests/server/mod.rs"]
mod server;

use std::fs;
use std::path::Path;

use riptide::datasets::npy::write_images;
use server::{Answer, Request, Server, status};

use crate::support::{clean_images, repository, riptide};

/// The Hub's answer to a request for a file: a commit, a tag, and the range that was asked for.
fn file(request: &Request, body: &[u8]) -> Answer {
    let range = request
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes="));
    let (start, end) = match range.and_then(|range| range.split_once('-')) {
        None => (0, body.len()),
        Some((start, end)) => (
            start.parse().unwrap(),
            end.parse().map_or(body.len(), |end: usize| (end + 1).min(body.len())),
        ),
    };
    let headers = [
        ("X-Repo-Commit", "0123456789abcdef".to_owned()),
        ("ETag", format!("\"{}\"", request.path.replace('/', "-"))),
        ("Content-Range", format!("bytes {start}-{}/{}", end - 1, body.len())),
    ];
    Answer {
        status: 206,
        headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        body: body[start..end].to_vec(),
        ..Answer::default()
    }
}

/// A repository `owner/networks` with the shipped networks for Shapes and images to score.
fn hub(images: &Path) -> Server {
    let networks = repository("crates/pretrained/networks/shapes");
    let images = fs::read(images).unwrap();
    let names = ["classifier", "distilled"]
        .map(|network| ["config.json", "model.safetensors"].map(|name| format!("{network}/{name}")));
    let files: Vec<(String, Vec<u8>)> = names
        .concat()
        .into_iter()
        .map(|name| (name.clone(), fs::read(networks.join(&name)).unwrap()))
        .chain([("images.npy".to_owned(), images)])
        .collect();
    Server::start(move |request, _| {
        if request.path.starts_with("/api/models/owner/networks") {
            let siblings: Vec<_> = files
                .iter()
                .map(|(name, _)| serde_json::json!({ "rfilename": name }))
                .collect();
            let body = serde_json::json!({ "siblings": siblings, "sha": "0123456789abcdef" }).to_string();
            return Answer {
                headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
                ..server::whole(body.as_bytes())
            };
        }
        let name = request.path.strip_prefix("/owner/networks/resolve/main/");
        let found = files.iter().find(|(known, _)| Some(known.as_str()) == name);
        found.map_or_else(|| status(404), |(_, body)| file(request, body))
    })
}

#[test]
fn networks_and_images_come_from_the_hub_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    write_images(path("reference.npy"), &clean_images(0, 100)).unwrap();
    let server = hub(Path::new(&path("reference.npy")));
    let run = |arguments: &str, endpoint: &str| {
        let mut command = riptide(arguments);
        command.env("HF_HOME", path("hub")).env("HF_ENDPOINT", endpoint);
        command.env_remove("HF_TOKEN").env_remove("HF_HUB_CACHE");
        command.assert()
    };
    let hub = "hf://owner/networks";
    let import = format!(
        "import --classifier {hub}/classifier --distilled {hub}/distilled@main --reference {hub}/images.npy --json --out"
    );
    let there = run(&format!("{import} {}", path("there")), &server.base).success();
    let score = |images: &str| format!("score --monitor {} --images {images} --json", path("there"));
    let by_path = run(&score(&path("reference.npy")), &server.base).success();
    let by_address = run(&score(&format!("{hub}/images.npy")), &server.base).success();
    assert_eq!(by_path.get_output().stdout, by_address.get_output().stdout);

    // What is in the cache needs no server; what is not says so.
    let base = server.base.clone();
    drop(server);
    let again = run(&format!("{import} {}", path("again")), &base).success();
    let text = |assert: &assert_cmd::assert::Assert| String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert_eq!(text(&there).replace("there", "again"), text(&again));
    for (address, words) in [
        (format!("{hub}/other.npy"), "other.npy"),
        ("hf://owner".to_owned(), "hf://OWNER/REPO"),
    ] {
        let failed = run(&score(&address), &base).code(1);
        let text = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
        assert!(text.contains(words) && text.lines().count() == 1, "{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}
