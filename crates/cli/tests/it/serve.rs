//! `riptide serve` and `riptide history`: the binary, from start to SIGTERM.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{document, output, refused, riptide, shared};

/// Sends a request, and gives the status and the body.
fn ask(address: &str, method: &str, path: &str, key: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn a_service_runs_until_it_is_told_to_end_and_its_history_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (state, config) = (folder.path().join("state"), folder.path().join("riptide.toml"));
    // The file is overlaid by the environment, and that by the command line.
    std::fs::write(
        &config,
        "window = { images = 7, min_images = 5 }\ninput = { answers = \"own\" }",
    )
    .unwrap();
    let mut service = Command::new(assert_cmd::cargo::cargo_bin("riptide"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--window-images",
            "60",
            "--log-format",
            "json",
            "--config",
        ])
        .arg(&config)
        .arg("--state")
        .arg(&state)
        .env("RIPTIDE_MONITOR", format!("shapes={}", shared().monitor.display()))
        .env("RIPTIDE_WINDOW_IMAGES", "50")
        .env("RIPTIDE_KEY", "a-key-of-some-length")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(service.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line
        .trim()
        .strip_prefix("http://")
        .unwrap()
        .trim_end_matches('/')
        .to_owned();
    let images = std::fs::read(&shared().noisy).unwrap();
    assert_eq!(
        ask(&address, "POST", "/v1/monitors/shapes/images", "wrong", &images).0,
        401
    );
    assert_eq!(
        ask(
            &address,
            "POST",
            "/v1/monitors/shapes/images",
            "a-key-of-some-length",
            &images
        )
        .0,
        202
    );
    for _ in 0..600 {
        let (_, windows) = ask(
            &address,
            "GET",
            "/v1/monitors/shapes/windows",
            "a-key-of-some-length",
            &[],
        );
        if windows.matches("\"judged\"").count() == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Read while the service runs.
    let text = output(&format!("history --state {}", state.display()));
    assert!(text.lines().count() == 3 && text.contains("harmful"), "{text}");
    let pid = service.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let done = service.wait_with_output().unwrap();
    let log = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{log}");
    assert!(
        log.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{log}"
    );
    assert!(log.contains("stopped"), "{log}");
    // And after its end.
    let windows = document(&format!("history --state {}", state.display()));
    let windows = windows.as_array().unwrap();
    assert_eq!(
        (
            windows.len(),
            windows[0]["images"].as_i64(),
            windows[1]["verdict"].as_str()
        ),
        (2, Some(60), Some("harmful"))
    );
    let csv = folder.path().join("windows.csv");
    output(&format!("history --state {} --out {}", state.display(), csv.display()));
    assert!(
        std::fs::read_to_string(csv)
            .unwrap()
            .starts_with("monitor,digest,window,")
    );
    let parquet = folder.path().join("windows.parquet");
    output(&format!(
        "history --state {} --out {}",
        state.display(),
        parquet.display()
    ));
    assert!(std::fs::read(parquet).unwrap().starts_with(b"PAR1"));
    assert!(
        output(&format!("history --state {} --last 1", state.display()))
            .lines()
            .count()
            == 2
    );
}

#[test]
fn what_is_wrong_with_the_settings_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("riptide.toml");
    std::fs::write(&config, "windows = 3").unwrap();
    let told = refused(1, &format!("serve --config {}", config.display()));
    assert!(told.contains("line 1: unknown field `windows`"), "{told}");
    assert!(refused(1, "serve --state x").contains("monitors is empty"));
    assert!(refused(1, &format!("history --state {}", folder.path().display())).contains("riptide.db"));
    riptide("serve --sink smoke=signals").assert().code(2);
    riptide("serve --monitor m --tls-cert c").assert().code(2);
}
