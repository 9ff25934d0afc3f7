//! Nothing that was acknowledged is lost, and nothing is counted twice, whenever the process is killed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use riptide::corruptions::Corruption;
use riptide::prelude::ImageSet;
use riptide_server::{AnswerSource, MonitorConfig, Service};
use serde_json::Value;

use crate::support::{Client, Running, clean, corrupted, log, monitors, settings, v2, wait};

const STATE: &str = "RIPTIDE_TEST_STATE";
const MONITOR: &str = "RIPTIDE_TEST_MONITOR";
const PORT: &str = "RIPTIDE_TEST_PORT";
/// Kills: few in an ordinary run, as many as asked for otherwise.
const KILLS: &str = "RIPTIDE_TEST_KILLS";

/// The process that is killed: this same program, told by its environment to be one. Without it, this test does nothing.
#[test]
#[ignore = "run by the tests that kill it"]
fn process() {
    let (Ok(state), Ok(monitor), Ok(port)) = (std::env::var(STATE), std::env::var(MONITOR), std::env::var(PORT)) else {
        return;
    };
    let mut config = riptide_server::Config::default();
    config.listen = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    config.state = state.into();
    config.monitors = vec![MonitorConfig::new(monitor).name("shapes")];
    config.input.answers = AnswerSource::Own;
    config.window.images = 100;
    config.alarm.raise_after = 1;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _service = runtime.block_on(Service::start(config)).unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

fn spawn(state: &Path, port: u16) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::process", "--ignored", "--nocapture"]);
    command
        .env(STATE, state)
        .env(MONITOR, &monitors().plain)
        .env(PORT, port.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Judged windows without what depends on the clock.
fn timeless(windows: Vec<Value>) -> Vec<String> {
    let kept = |window: &Value| format!("{} {} {}", window["images"], window["verdict"], window["findings"]);
    windows.iter().map(kept).collect()
}

fn traffic() -> Vec<ImageSet> {
    let mut all = clean(300, 900);
    all.append(&corrupted(&clean(1200, 300), Corruption::GaussianNoise))
        .unwrap();
    (0..1200)
        .step_by(6)
        .map(|first| all.slice(first..first + 6).unwrap())
        .collect()
}

#[test]
fn kills_lose_nothing_and_count_nothing_twice() {
    let kills: u32 = std::env::var(KILLS)
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(3);
    let traffic = traffic();
    let undisturbed = {
        let state = tempfile::tempdir().unwrap();
        let mut config = settings(state.path());
        config.input.answers = AnswerSource::Own;
        config.alarm.raise_after = 1;
        let running = Running::start(config);
        let mut client = running.client();
        for (place, images) in traffic.iter().enumerate() {
            assert_eq!(
                log(&mut client, "request", &place.to_string(), &[], &v2(images, None)).status,
                202
            );
        }
        timeless(running.windows("shapes", 12))
    };
    let state = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut child = spawn(state.path(), port);
    let mut client = Client::new(address);
    let (mut done, mut seed) = (0, 9_u64);
    let (mut next_kill, mut killed) = (Instant::now() + Duration::from_millis(1500), 0);
    for (place, images) in traffic.iter().enumerate() {
        let body = v2(images, None);
        // Everything but an acknowledgement is tried again, as a broker does.
        wait(|| {
            // All kills happen while there is traffic: the rest of it waits for the last one.
            let rest = (traffic.len() - place) as u32;
            let due = Instant::now() >= next_kill || rest <= kills - killed;
            if killed < kills && due && place > 0 {
                child.kill().unwrap();
                child.wait().unwrap();
                child = spawn(state.path(), port);
                client = Client::new(address);
                killed += 1;
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                next_kill = Instant::now() + Duration::from_millis(300 + (seed >> 33) % 1200);
            }
            let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let headers = headers(place);
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                client.send("POST", "/", &headers, &body)
            }));
            match sent {
                Ok(Ok(answer)) if answer.status == 202 => Some(()),
                _ => {
                    client = Client::new(address);
                    None
                }
            }
        });
        done += 1;
    }
    assert_eq!((done, killed), (200, kills));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut config = settings(state.path());
    config.input.answers = AnswerSource::Own;
    config.alarm.raise_after = 1;
    let running = Running::start(config);
    let windows = running.windows("shapes", 12);
    assert_eq!(timeless(windows), undisturbed);
    let alarms = running.client().get("/v1/alarms").json();
    assert_eq!(alarms["alarms"].as_array().unwrap().len(), 1, "{alarms}");
}

fn headers(place: usize) -> [(&'static str, String); 5] {
    [
        ("ce-specversion", "1.0".into()),
        ("ce-id", place.to_string()),
        ("ce-source", "http://localhost:9081/".into()),
        ("ce-type", "org.kubeflow.serving.inference.request".into()),
        ("ce-inferenceservicename", "shapes".into()),
    ]
}

#[test]
fn stopping_and_starting_goes_on_where_it_was() {
    let state = tempfile::tempdir().unwrap();
    let images = clean(300, 100);
    for (first, end) in [(0, 30), (30, 65), (65, 100)] {
        let mut config = settings(state.path());
        config.input.answers = AnswerSource::Own;
        let running = Running::start(config.clone());
        let part = images.slice(first..end).unwrap();
        assert_eq!(
            log(
                &mut running.client(),
                "request",
                &first.to_string(),
                &[],
                &v2(&part, None)
            )
            .status,
            202
        );
        // A second service cannot use the state meanwhile.
        let refused = running
            .runtime
            .block_on(Service::start(config))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("another run"), "{refused}");
        running.stop();
    }
    let mut config = settings(state.path());
    config.input.answers = AnswerSource::Own;
    let running = Running::start(config);
    crate::support::assert_same(&running.windows("shapes", 1)[0], &monitors().plain, &images);
}

#[test]
fn a_full_disk_refuses_and_then_goes_on() {
    // Needs the right to mount; where there is none, the writer's own test has to do.
    let folder = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        Command::new("mount")
            .args(arguments)
            .arg(folder.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=6m", "tmpfs"]) {
        eprintln!("skipped: no right to mount a small file system");
        return;
    }
    struct Unmount<'a>(&'a Path);
    impl Drop for Unmount<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(self.0).status();
        }
    }
    let unmount = Unmount(folder.path());
    {
        let mut config = settings(folder.path());
        config.input.answers = AnswerSource::Logged;
        let running = Running::start(config);
        let mut client = running.client();
        let (mut taken, mut refused) = (0, None);
        // Requests that wait for their answers fill the disk.
        for i in 0..200 {
            let images = clean(300, 20);
            let answer = log(&mut client, "request", &format!("{i}"), &[], &v2(&images, None));
            match answer.status {
                202 => taken += 1,
                507 | 503 => {
                    refused = Some(answer);
                    break;
                }
                other => panic!("{other}"),
            }
        }
        let refused = refused.expect("6 MB hold fewer than 200 times 61 kB");
        assert!(
            refused.text().contains("disk") || refused.text().contains("database"),
            "{refused:?}"
        );
        assert_eq!(running.client().get("/livez").status, 200);
        assert!(mount(&["-o", "remount,size=60m"]));
        wait(|| (log(&mut client, "request", "more", &[], &v2(&clean(300, 20), None)).status == 202).then_some(()));
        // All that was acknowledged is there.
        for i in 0..taken {
            let answer = log(&mut client, "response", &format!("{i}"), &[], b"{\"error\": \"x\"}");
            assert_eq!(answer.status, 422);
        }
        wait(|| (running.metric("riptide_images_total{model=\"shapes\"}") == f64::from(20 * taken)).then_some(()));
    }
    drop(unmount);
}
