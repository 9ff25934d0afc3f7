//! The page in a real browser: Chromium, through its WebDriver. Skipped with a message where there is none.
//!
//! `RIPTIDE_SCREENSHOTS=DIR` keeps pictures of every page, `RIPTIDE_AXE=axe.min.js` also runs axe-core (npm) on them.

use std::process::{Child, Command, Stdio};

use base64::Engine;
use riptide::corruptions::Corruption;
use riptide_server::{AnswerSource, MonitorConfig};
use serde_json::{Value, json};

use crate::support::{Client, Running, clean, corrupted, monitors, settings, v2, wait};

struct Browser {
    driver: Child,
    client: Client,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self
            .client
            .send("DELETE", &format!("/session/{}", self.session), &[], &[]);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    fn open() -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .ok()?
            .local_addr()
            .ok()?
            .port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut client = Client::new(([127, 0, 0, 1], port).into());
        wait(|| {
            client
                .send("GET", "/status", &[], &[])
                .ok()
                .filter(|answer| answer.status == 200)
        });
        let options = json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } } } });
        let answer = client
            .post(
                "/session",
                &[("content-type", "application/json")],
                wanted.to_string().as_bytes(),
            )
            .json();
        let session = answer["value"]["sessionId"].as_str().unwrap().to_owned();
        Some(Self {
            driver,
            client,
            session,
        })
    }

    fn ask(&mut self, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        let answer = self.client.post(
            &path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        );
        assert_eq!(answer.status, 200, "{command}: {}", answer.text());
        answer.json()["value"].clone()
    }

    fn devtools(&mut self, command: &str, parameters: Value) -> Value {
        self.ask("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    fn run(&mut self, script: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": [] }))
    }
}

#[test]
fn pages_work_in_a_browser() {
    if Command::new("chromedriver")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("skipped: no chromedriver; install chromium and chromium-driver");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.input.answers = AnswerSource::Own;
    config.window.images = 40;
    config.alarm.resolve_after = 2;
    config.monitors = vec![
        MonitorConfig::new(&monitors().plain).name("a-monitor-with-a-rather-long-name.v2"),
        MonitorConfig::new(&monitors().calibrated).name("calibrated"),
        MonitorConfig::new(&monitors().plain).name("quiet"),
    ];
    let running = Running::start(config);
    // Sixty windows of the first two, some of them harmful, and labels for the last ones.
    for name in ["a-monitor-with-a-rather-long-name.v2", "calibrated", "quiet"] {
        let n = if name == "quiet" { 5 } else { 60 };
        for window in 0..n {
            let images = clean(300 + window * 40, 40);
            let images = if (20..28).contains(&window) || window == 55 {
                corrupted(&images, Corruption::GaussianNoise)
            } else {
                images
            };
            let answer = running.client().post(
                &format!("/v2/models/{name}/infer"),
                &[],
                &v2(&images, Some(&format!("w{window}"))),
            );
            assert_eq!(answer.status, 200);
            if window > 50 {
                let label = |index: usize| json!({ "id": format!("w{window}"), "index": index, "label": index % 10 });
                let labels = json!({ "model": name, "labels": (0..40).map(label).collect::<Vec<_>>() });
                assert_eq!(
                    running
                        .client()
                        .post("/labels", &[], labels.to_string().as_bytes())
                        .json()["taken"],
                    40
                );
            }
        }
        running.windows(name, n as usize);
    }
    let Some(mut browser) = Browser::open() else {
        panic!("chromedriver is there, but does not start");
    };
    let screenshots = std::env::var_os("RIPTIDE_SCREENSHOTS").map(std::path::PathBuf::from);
    let axe = std::env::var_os("RIPTIDE_AXE").map(|path| std::fs::read_to_string(path).unwrap());
    let pages = [
        ("overview", "/"),
        ("monitor", "/monitors/a-monitor-with-a-rather-long-name.v2"),
        ("calibrated", "/monitors/calibrated"),
        ("window", "/monitors/a-monitor-with-a-rather-long-name.v2/windows/24"),
        ("alarms", "/alarms"),
        ("settings", "/settings"),
    ];
    for scheme in ["light", "dark"] {
        for width in [390, 1280] {
            browser.devtools(
                "Emulation.setEmulatedMedia",
                json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
            );
            let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
            browser.devtools("Emulation.setDeviceMetricsOverride", metrics);
            for (name, path) in pages {
                let what = format!("{name} at {width}, {scheme}");
                browser.ask("url", &json!({ "url": format!("http://{}{path}", running.address) }));
                let overflow =
                    browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
                assert_eq!(overflow, 0, "{what} is wider than the screen");
                assert_eq!(
                    browser.run("return document.querySelectorAll('h1').length"),
                    1,
                    "{what}"
                );
                assert_eq!(
                    browser.run(
                        "return [...document.images].filter(image => !image.complete || !image.naturalWidth).length"
                    ),
                    0,
                    "{what}"
                );
                let dark = browser.run("return getComputedStyle(document.body).backgroundColor");
                assert_eq!(dark == "rgb(20, 24, 28)", scheme == "dark", "{what}: {dark}");
                if let Some(folder) = &screenshots {
                    let shot = browser.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
                    let bytes = base64::engine::general_purpose::STANDARD
                        .decode(shot["data"].as_str().unwrap())
                        .unwrap();
                    std::fs::create_dir_all(folder).unwrap();
                    std::fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), bytes).unwrap();
                }
                if let Some(axe) = &axe {
                    browser.run(axe);
                    let script = "const done = arguments[arguments.length - 1]; axe.run().then(r => done(r.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v => v.id + ': ' + v.nodes.map(n => n.html).slice(0, 3).join(' | '))))";
                    let found = browser.ask("execute/async", &json!({ "script": script, "args": [] }));
                    assert_eq!(found, json!([]), "{what}");
                }
            }
        }
    }
    // By the keyboard: the first stop skips to the content, and the refresh can be switched off.
    browser.ask("url", &json!({ "url": format!("http://{}/", running.address) }));
    let tab = json!({ "actions": [{ "type": "key", "id": "k", "actions": [{ "type": "keyDown", "value": "\u{e004}" }, { "type": "keyUp", "value": "\u{e004}" }] }] });
    // A window that is not yet in front takes no key.
    for _ in 0..50 {
        browser.ask("actions", &tab);
        if browser.run("return document.activeElement !== document.body") == json!(true) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(
        browser.run("return document.activeElement.textContent"),
        "Skip to the content"
    );
    for _ in 0..4 {
        browser.ask("actions", &tab);
    }
    assert_eq!(browser.run("return document.activeElement.id"), "auto");
    browser.run("document.getElementById('auto').click()");
    assert_eq!(browser.run("return localStorage.getItem('refresh')"), "off");
    let log = browser.ask("se/log", &json!({ "type": "browser" }));
    assert_eq!(log, json!([]), "the console is empty");
}
