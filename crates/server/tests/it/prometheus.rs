//! A real Prometheus scrapes the service, and the dashboard's queries return data. Skipped with a message where there is none.

use std::process::{Command, Stdio};

use riptide::corruptions::Corruption;
use riptide_server::MonitorConfig;
use serde_json::Value;

use crate::support::{Client, Running, answers, clean, corrupted, log, monitors, settings, v2};

#[test]
fn the_dashboards_queries_return_data() {
    if Command::new("prometheus")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("skipped: no prometheus; install Debian's package");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.monitors = vec![MonitorConfig::new(&monitors().calibrated).name("shapes")];
    config.metrics_listen = Some(([127, 0, 0, 1], 0).into());
    config.window.images = 40;
    let running = Running::start(config);
    let metrics = running.service.as_ref().unwrap().metrics_address().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs: [{{ job_name: riptide, static_configs: [{{ targets: ['{metrics}'] }}] }}]\n"
    );
    std::fs::write(&file, text).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let dashboard = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<String> = targets
        .map(|target| target["expr"].as_str().unwrap().replace("$model", ".*"))
        .collect();
    assert!(queries.len() >= 15);
    let mut client = running.client();
    let ask = |query: &str| -> Value {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        match Client::new(address).send("GET", &format!("/api/v1/query?query={encoded}"), &[], &[]) {
            Ok(answer) if answer.status == 200 => {
                serde_json::from_slice::<Value>(&answer.body).unwrap()["data"]["result"].clone()
            }
            Ok(answer) if answer.status == 400 => panic!("{query}: {}", answer.text()),
            _ => Value::Null,
        }
    };
    // Traffic of every kind goes on until each query has an answer.
    let mut missing = queries;
    for sent in 0..200 {
        let images = clean(300 + sent, 20);
        let images = if sent > 10 {
            corrupted(&images, Corruption::Fog)
        } else {
            images
        };
        log(&mut client, "request", &format!("p{sent}"), &[], &v2(&images, None));
        log(&mut client, "response", &format!("p{sent}"), &[], &answers(&images));
        log(&mut client, "request", &format!("p{sent}"), &[], b"wrong");
        std::thread::sleep(std::time::Duration::from_millis(300));
        missing.retain(|query| ask(query).as_array().is_none_or(Vec::is_empty));
        if missing.is_empty() {
            break;
        }
    }
    let _ = prometheus.kill();
    let _ = prometheus.wait();
    assert_eq!(missing, Vec::<String>::new());
}
