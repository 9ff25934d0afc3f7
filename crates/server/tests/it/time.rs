//! Windows of time: clocks that jump, events that are late, out of order, and come twice.

use riptide_server::AnswerSource;
use serde_json::Value;

use crate::support::{Client, Running, assert_same, clean, log, monitors, settings, v2, wait};

fn send(client: &mut Client, first: u64, n: usize, time: &str) {
    let images = clean(first, n);
    let answer = log(
        client,
        "request",
        &images.digest(),
        &[("ce-time", time)],
        &v2(&images, None),
    );
    assert_eq!(answer.status, 202, "{answer:?}");
}

fn start(state: &std::path::Path) -> Running {
    let mut config = settings(state);
    config.input.answers = AnswerSource::Own;
    config.window.images = 0;
    config.window.seconds = 3600;
    config.window.min_images = 30;
    Running::start(config)
}

fn at(hour: i64, minute: i64) -> String {
    // Yesterday, whichever day it is.
    let day = (jiff_now() / 86_400 - 1) * 86_400;
    let seconds = day + hour * 3600 + minute * 60;
    rfc3339(seconds)
}

fn jiff_now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}

fn rfc3339(seconds: i64) -> String {
    // Days to a date, by the civil calendar (Hinnant).
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

fn starts(window: &Value) -> String {
    window["from"].as_str().unwrap().to_owned()
}

#[test]
fn late_events_make_a_revision_and_no_second_alarm() {
    let state = tempfile::tempdir().unwrap();
    let running = start(state.path());
    let mut client = running.client();
    send(&mut client, 300, 40, &at(10, 5));
    send(&mut client, 340, 30, &at(11, 0));
    // Out of order, within the ten minutes that are waited.
    send(&mut client, 370, 20, &at(10, 59));
    send(&mut client, 390, 31, &at(11, 9));
    let windows = running.client().get("/v1/monitors/shapes/windows").json();
    assert!(
        windows["windows"]
            .as_array()
            .unwrap()
            .iter()
            .all(|window| window["state"] == "open" || window["state"] == "judged")
    );
    send(&mut client, 421, 30, &at(12, 30));
    let judged = running.windows("shapes", 2);
    assert_eq!(
        (starts(&judged[0]), judged[0]["images"].as_i64()),
        (at(10, 0), Some(60))
    );
    let mut both = clean(300, 40);
    both.append(&clean(370, 20)).unwrap();
    assert_same(&judged[0], &monitors().plain, &both);
    assert_eq!(judged[1]["images"], 61);
    // An hour late.
    send(&mut client, 500, 10, &at(10, 30));
    let revised = wait(|| {
        running
            .windows("shapes", 2)
            .into_iter()
            .find(|window| window["revision"] == 1)
    });
    both.append(&clean(500, 10)).unwrap();
    assert_same(&revised, &monitors().plain, &both);
    assert_eq!(running.metric("riptide_late_images_total"), 10.0);
    // The same event again changes nothing.
    send(&mut client, 500, 10, &at(10, 30));
    assert_eq!(running.metric("riptide_duplicate_events_total"), 1.0);
    // An event of last century is too late for any window.
    send(&mut client, 600, 5, "1999-12-31T23:59:59Z");
    wait(|| (running.metric("riptide_late_images_total") == 15.0).then_some(()));
    assert_eq!(running.windows("shapes", 2).len(), 2);
}

#[test]
fn clocks_that_jump_close_nothing_early_and_lose_nothing() {
    let state = tempfile::tempdir().unwrap();
    let running = start(state.path());
    let mut client = running.client();
    send(&mut client, 300, 40, &rfc3339(jiff_now()));
    // A client whose clock is a year ahead is not believed: its event counts as of now.
    send(&mut client, 340, 40, &rfc3339(jiff_now() + 366 * 86_400));
    wait(|| (running.metric("riptide_images_total{model=\"shapes\"}") == 80.0).then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(600));
    let open = client.get("/v1/monitors/shapes/windows").json();
    let open = open["windows"].as_array().unwrap();
    assert!(open.iter().all(|window| window["state"] == "open"), "{open:?}");
    assert_eq!(
        open.iter()
            .map(|window| window["images"].as_i64().unwrap())
            .sum::<i64>(),
        80
    );
    // Our own clock goes back an hour, and then ahead by a day.
    running.clock.shift(-3_600_000);
    send(&mut client, 380, 10, &rfc3339(jiff_now() - 3600));
    running.clock.shift(90_000_000);
    // Nothing was lost, whichever windows it went into.
    wait(|| {
        let judged = running.windows("shapes", open.len());
        let images = judged.iter().map(|window| window["images"].as_i64().unwrap());
        (images.sum::<i64>() == 90).then_some(())
    });
}
