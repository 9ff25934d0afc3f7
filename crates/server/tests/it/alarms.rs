//! Alarms: raised once, told at least once, resolved; whoever is told may stall or fail without holding up anybody.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use riptide::corruptions::Corruption;
use riptide::prelude::ImageSet;
use riptide_server::{AnswerSource, Config, SinkConfig, SinkKind};
use serde_json::Value;

use crate::support::{Client, Running, clean, corrupted, log, settings, v2, wait};

/// Somebody who is told of alarms: refuses the first few notices, then takes them.
struct Sink {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Sink {
    fn new(mut refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Ok(request) = read_request(&mut stream) else {
                    continue;
                };
                let refused = refusals > 0;
                refusals = refusals.saturating_sub(1);
                if !refused {
                    sink.lock().unwrap().push(serde_json::from_slice(&request).unwrap());
                }
                let status = if refused { "503 Not now" } else { "200 OK" };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
            }
        });
        Self { address, taken }
    }

    fn url(&self) -> String {
        format!("http://{}/api/v2/alerts", self.address)
    }

    fn taken(&self) -> Vec<Value> {
        self.taken.lock().unwrap().clone()
    }
}

/// The body of a request.
fn read_request(stream: &mut std::net::TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn with_sinks(state: &std::path::Path, sinks: Vec<SinkConfig>) -> Config {
    let mut config = settings(state);
    config.input.answers = AnswerSource::Own;
    config.window.images = 50;
    config.alarm.raise_after = 1;
    config.alarm.resolve_after = 2;
    config.alarm.page_url = Some("http://drift.example".into());
    config.sinks = sinks;
    config
}

fn send(client: &mut Client, images: &ImageSet) {
    let id = images.digest();
    assert_eq!(log(client, "request", &id, &[], &v2(images, None)).status, 202);
}

#[test]
fn an_alarm_is_told_in_every_shape_and_resolved() {
    let state = tempfile::tempdir().unwrap();
    let sinks = [Sink::new(0), Sink::new(1), Sink::new(0)];
    let kinds = [SinkKind::Webhook, SinkKind::Alertmanager, SinkKind::Slack];
    let config = with_sinks(
        state.path(),
        kinds
            .into_iter()
            .zip(&sinks)
            .map(|(kind, sink)| SinkConfig::new(kind, sink.url()))
            .collect(),
    );
    let running = Running::start(config);
    let mut client = running.client();
    send(&mut client, &clean(300, 50));
    send(&mut client, &corrupted(&clean(400, 100), Corruption::GaussianNoise));
    let fired = wait(|| {
        sinks
            .iter()
            .map(|sink| sink.taken().first().cloned())
            .collect::<Option<Vec<Value>>>()
    });
    assert_eq!(fired[0]["status"], "firing");
    let fingerprint = fired[0]["alerts"][0]["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(fired[1][0]["labels"]["alarm"], fingerprint[..16]);
    assert_eq!(
        fired[1][0]["generatorURL"],
        "http://drift.example/monitors/shapes/windows/2"
    );
    assert!(fired[2]["text"].as_str().unwrap().contains("shapes: harmful drift"));
    assert_eq!(running.metric("riptide_alarm{model=\"shapes\"}"), 1.0);
    assert_eq!(
        running.metric("riptide_notices_total{sink=\"alertmanager\",outcome=\"failed\"}"),
        1.0
    );
    // A second harmful window raised no second alarm.
    send(&mut client, &clean(600, 150));
    let resolved = wait(|| sinks[0].taken().get(1).cloned());
    assert_eq!(
        (
            resolved["status"].as_str(),
            resolved["alerts"][0]["fingerprint"].as_str()
        ),
        (Some("resolved"), Some(fingerprint.as_str()))
    );
    assert_ne!(resolved["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    wait(|| sinks[2].taken().get(1).map(|_| ()));
    assert_eq!(running.metric("riptide_alarm{model=\"shapes\"}"), 0.0);
    let alarms = running.client().get("/v1/alarms").json();
    assert_eq!(alarms["alarms"].as_array().unwrap().len(), 1);
    assert_eq!(alarms["alarms"][0]["fingerprint"], fingerprint);
}

/// A receiver that takes connections and never answers.
#[test]
fn a_receiver_that_stalls_holds_up_nobody() {
    let state = tempfile::tempdir().unwrap();
    let stalled = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = Sink::new(0);
    let mut stalling = SinkConfig::new(SinkKind::Webhook, format!("http://{}/", stalled.local_addr().unwrap()));
    stalling.name = Some("stalled".into());
    let running = Running::start(with_sinks(
        state.path(),
        vec![stalling, SinkConfig::new(SinkKind::Slack, sink.url())],
    ));
    let mut client = running.client();
    send(&mut client, &corrupted(&clean(400, 50), Corruption::GaussianNoise));
    wait(|| sink.taken().first().cloned());
    let started = Instant::now();
    send(&mut client, &clean(900, 100));
    assert!(started.elapsed() < Duration::from_secs(5));
    running.windows("shapes", 3);
    // That the alarm was raised, and by now perhaps that it was resolved.
    let alarms = running.client().get("/v1/alarms").json();
    assert!(alarms["alarms"][0]["unsent_notices"].as_i64().unwrap() >= 1, "{alarms}");
}
