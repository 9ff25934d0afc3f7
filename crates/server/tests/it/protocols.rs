//! What clients send, in every form, and that it comes to the same numbers.

use riptide::corruptions::Corruption;
use riptide::files::npy;
use riptide::prelude::*;
use riptide_server::{AnswerSource, MonitorConfig};
use serde_json::json;

use crate::support::{
    Client, Running, answers, assert_same, clean, corrupted, log, monitors, png, settings, v1, v2, wait,
};

/// KServe's sample for CIFAR-10: V1 JSON of scaled floats, the id "1234" for every call, request and response, two batch sizes.
#[test]
fn kserves_sample_is_told_as_detect_tells_it() {
    let state = tempfile::tempdir().unwrap();
    let running = Running::start(settings(state.path()));
    let mut client = running.client();
    let quiet = clean(300, 300);
    let noisy = corrupted(&clean(600, 300), Corruption::GaussianNoise);
    for images in [&quiet, &noisy] {
        for size in [20, 5] {
            let half = if size == 20 { 0..200 } else { 200..300 };
            let images = images.slice(half).unwrap();
            for first in (0..images.len()).step_by(size) {
                let batch = images.slice(first..first + size).unwrap();
                let answer = log(&mut client, "request", "1234", &[], &v1(&batch));
                assert_eq!((answer.status, answer.body.len()), (202, 0), "{answer:?}");
                assert_eq!(log(&mut client, "response", "1234", &[], &answers(&batch)).status, 202);
            }
        }
    }
    let windows = running.windows("shapes", 6);
    for (place, window) in windows.iter().enumerate() {
        let images = if place < 3 { &quiet } else { &noisy };
        let images = images.slice(place % 3 * 100..(place % 3 + 1) * 100).unwrap();
        assert_same(window, &monitors().plain, &images);
        assert_eq!(window["verdict"] == "harmful", place >= 3, "{window}");
    }
    let alarms = wait(|| {
        let alarms = running.client().get("/v1/alarms").json();
        (!alarms["alarms"].as_array().unwrap().is_empty()).then_some(alarms)
    });
    assert_eq!(alarms["alarms"].as_array().unwrap().len(), 1);
    assert_eq!(
        alarms["alarms"][0]["window"], windows[5]["id"],
        "three harmful windows in a row"
    );
    // The first exchange could be paired; after it the id told nothing any more.
    assert_eq!(running.metric("riptide_exchanges_total{reason=\"paired\"}"), 1.0);
    assert_eq!(running.metric("riptide_images_total{model=\"shapes\"}"), 600.0);
}

/// With ids of their own, requests are paired with the logged answers, and the numbers are the same again.
#[test]
fn logged_answers_give_the_numbers_of_the_classifier_itself() {
    let state = tempfile::tempdir().unwrap();
    let running = Running::start(settings(state.path()));
    let mut client = running.client();
    let images = clean(300, 200);
    for first in (0..200).step_by(8) {
        let (batch, id) = (images.slice(first..first + 8).unwrap(), format!("id-{first}"));
        let (request, response) = (v2(&batch, None), answers(&batch));
        // Either half may come first, and each may come again.
        let halves: [(&str, &[u8]); 4] = [
            ("request", &request),
            ("response", &response),
            ("request", &request),
            ("response", &response),
        ];
        for (half, body) in halves.into_iter().skip(usize::from(first % 16 == 0)).take(3) {
            assert_eq!(log(&mut client, half, &id, &[], body).status, 202);
        }
    }
    for (place, window) in running.windows("shapes", 2).iter().enumerate() {
        assert_same(
            window,
            &monitors().plain,
            &images.slice(place * 100..(place + 1) * 100).unwrap(),
        );
    }
    assert_eq!(running.metric("riptide_exchanges_total{reason=\"paired\"}"), 25.0);
    assert_eq!(running.metric("riptide_duplicate_events_total"), 25.0);
}

#[test]
fn a_calibrated_monitor_gives_verdict_and_accuracy() {
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.monitors = vec![MonitorConfig::new(&monitors().calibrated).name("shapes")];
    let running = Running::start(config);
    let mut client = running.client();
    let all = [clean(300, 100), corrupted(&clean(400, 100), Corruption::GaussianNoise)];
    for images in &all {
        // Cut so that events lie across the ends of windows, some of them paired.
        for (first, end) in [(0, 37), (37, 64), (64, 100)] {
            let batch = images.slice(first..end).unwrap();
            let id = batch.digest().to_string();
            assert_eq!(log(&mut client, "request", &id, &[], &v2(&batch, None)).status, 202);
            if first == 37 {
                assert_eq!(log(&mut client, "response", &id, &[], &answers(&batch)).status, 202);
            } else {
                // An answer that is none lets the request go.
                assert_eq!(
                    log(&mut client, "response", &id, &[], b"{\"predictions\": [1]}").status,
                    422
                );
            }
        }
    }
    let windows = running.windows("shapes", 2);
    for (window, images) in windows.iter().zip(&all) {
        assert_same(window, &monitors().calibrated, images);
        assert!(window["findings"]["sequential"]["log_e"].is_number(), "{window}");
    }
    assert_eq!(windows[1]["verdict"], "harmful");
    assert!(running.metric("riptide_error_probability_count{model=\"shapes\"}") == 200.0);
}

#[test]
fn the_inference_protocol_answers_and_counts() {
    let state = tempfile::tempdir().unwrap();
    let running = Running::start(settings(state.path()));
    let mut client = running.client();
    assert_eq!(client.get("/v2").json()["extensions"], json!(["binary_tensor_data"]));
    assert_eq!(client.get("/v2/health/live").status, 200);
    assert_eq!(client.get("/v2/health/ready").status, 200);
    for path in ["/v2/models/shapes", "/v2/models/shapes/versions/1"] {
        assert_eq!(client.get(path).json()["inputs"][0]["shape"], json!([-1, 32, 32, 3]));
        assert_eq!(client.get(&format!("{path}/ready")).status, 200);
    }
    for path in [
        "/v2/models/none",
        "/v2/models/shapes/versions/2",
        "/v2/models/none/ready",
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, 404);
        assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["error"].is_string());
    }
    let images = clean(300, 100);
    let monitor = Monitor::load(&monitors().plain).unwrap();
    let outcome = monitor.detect(&images).unwrap();
    let scores = monitor.score(&images).unwrap();
    let body = v2(&images, Some("a"));
    let head = body.len() - images.pixels().len();
    let answer = client
        .post(
            "/v2/models/shapes/infer",
            &[("inference-header-content-length", &head.to_string())],
            &body,
        )
        .json();
    let output = |name: &str| {
        answer["outputs"]
            .as_array()
            .unwrap()
            .iter()
            .find(|output| output["name"] == name)
            .unwrap()["data"]
            .clone()
    };
    assert_eq!(
        (answer["id"].as_str(), answer["model_name"].as_str()),
        (Some("a"), Some("shapes"))
    );
    assert_eq!(output("p_val"), json!([outcome.p_value]));
    assert_eq!(output("is_drift"), json!([i64::from(outcome.is_drift)]));
    assert_eq!(output("instance_score"), json!(scores.scores));
    assert_eq!(output("prediction"), json!(scores.predictions));
    // Again with the same id: the same answer, counted once; in binary.
    let text = String::from_utf8_lossy(&body[..head])
        .replace("{\"id\"", "{\"parameters\":{\"binary_data_output\":true},\"id\"");
    let again = client.post("/v2/models/shapes/infer", &[], &body).json();
    assert_eq!(again, answer);
    let binary = client.post(
        "/v2/models/shapes/infer",
        &[],
        &[text.as_bytes(), images.pixels()].concat(),
    );
    let length = binary.head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("inference-header-content-length: ")?
            .parse::<usize>()
            .ok()
    });
    assert_eq!(binary.body.len() - length.unwrap(), 8 * 5 + 100 * (4 + 8 + 4));
    assert_same(&running.windows("shapes", 1)[0], &monitors().plain, &images);
}

#[test]
fn images_come_by_themselves() {
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.window.images = 8;
    config.window.min_images = 1;
    let running = Running::start(config);
    let mut client = running.client();
    let images = clean(300, 8);
    let shape = images.shape();
    let array = npy::encode(&shape, images.pixels().iter().copied());
    let floats = npy::encode(&shape, images.pixels().iter().map(|&byte| f32::from(byte) / 255.0));
    let monitor = Monitor::load(&monitors().plain).unwrap();
    let rows = monitor
        .classifier()
        .unwrap()
        .predict_proba(images.pixels(), |_| ())
        .unwrap();
    let rows = npy::encode(&[8, 10], rows);
    let form = |parts: &[(&str, &[u8])]| -> Vec<u8> {
        let mut body = Vec::new();
        for (name, bytes) in parts {
            body.extend(
                format!("--xyz\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n").bytes(),
            );
            body.extend_from_slice(bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--xyz--\r\n");
        body
    };
    let multipart = [("content-type", "multipart/form-data; boundary=xyz")];
    let pictures: Vec<Vec<u8>> = images.images().map(|image| png(image, 32, 32)).collect();
    let to = "/v1/monitors/shapes/images";
    // Each of these is the same eight images.
    assert_eq!(client.post(to, &[], &array).status, 202);
    assert_eq!(client.post(to, &[], &floats).status, 202);
    for picture in &pictures {
        assert_eq!(client.post(to, &[("content-type", "image/png")], picture).status, 202);
    }
    let parts: Vec<(&str, &[u8])> = pictures.iter().map(|picture| ("images", picture.as_slice())).collect();
    assert_eq!(client.post(to, &multipart, &form(&parts)).status, 202);
    assert_eq!(
        client
            .post(to, &multipart, &form(&[("images", &array), ("probabilities", &rows)]))
            .status,
        202
    );
    assert_eq!(
        client.post(&format!("{to}?id=x&answers=logged"), &[], &array).status,
        202
    );
    assert_eq!(
        client.post("/v1/monitors/shapes/probabilities?id=x", &[], &rows).status,
        202
    );
    let windows = running.windows("shapes", 6);
    assert_eq!(windows.len(), 6);
    for window in &windows {
        assert_same(window, &monitors().plain, &images);
    }
    for (path, body, status) in [
        ("/v1/monitors/none/images", array.clone(), 404),
        (to, array[..array.len() - 1].to_vec(), 400),
        (to, b"no picture".to_vec(), 422),
        (to, Vec::new(), 422),
        ("/v1/monitors/shapes/images?id=", array.clone(), 400),
        ("/v1/monitors/shapes/images?time=noon", array.clone(), 400),
        ("/v1/monitors/shapes/probabilities", rows.clone(), 400),
        ("/v1/monitors/shapes/probabilities?id=y", b"[[0.5, 0.6]]".to_vec(), 422),
    ] {
        let answer = client.post(path, &[], &body);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
}

#[test]
fn labels_come_late() {
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.input.answers = AnswerSource::Own;
    config.window.images = 10;
    config.window.min_images = 10;
    let running = Running::start(config);
    let mut client = running.client();
    let images = clean(300, 10);
    log(&mut client, "request", "e", &[], &v2(&images, None));
    let window = running.windows("shapes", 1).remove(0);
    assert_eq!(window["realised_accuracy"], serde_json::Value::Null);
    let predictions = Monitor::load(&monitors().plain)
        .unwrap()
        .score(&images)
        .unwrap()
        .predictions;
    let label = |index: usize, label: u32| json!({ "id": "e", "index": index, "label": label });
    let mut labels: Vec<_> = predictions
        .iter()
        .enumerate()
        .map(|(index, &class)| label(index, if index < 7 { class } else { (class + 1) % 10 }))
        .collect();
    labels.push(json!({ "id": "e", "index": 10, "label": 0 }));
    labels.push(json!({ "id": "nobody", "label": riptide::datasets::shapes::CLASS_NAMES[0] }));
    let outcome = client
        .post(
            "/labels",
            &[],
            json!({ "model": "shapes", "labels": labels }).to_string().as_bytes(),
        )
        .json();
    assert_eq!(
        outcome,
        json!({ "taken": 10, "unknown": 2, "ambiguous": 0, "not_yet": 0 })
    );
    let path = format!("/v1/monitors/shapes/windows/{}", window["id"]);
    assert_eq!(client.get(&path).json()["realised_accuracy"], 0.7);
    // The second label counts in place of the first.
    let fixed = json!({ "labels": [label(9, predictions[9])] }).to_string();
    assert_eq!(client.post("/labels", &[], fixed.as_bytes()).json()["taken"], 1);
    assert_eq!(client.get(&path).json()["realised_accuracy"], 0.8);
    for wrong in [
        "{}",
        "{\"labels\": [{\"id\": \"e\", \"label\": 10}]}",
        "{\"labels\": [{\"id\": \"e\", \"label\": \"?\"}]}",
        "{\"model\": \"x\", \"labels\": []}",
    ] {
        assert!(client.post("/labels", &[], wrong.as_bytes()).status >= 400, "{wrong}");
    }
    let worst = client.get(&path).json()["worst"].clone();
    assert_eq!(
        (worst.as_array().unwrap().len(), worst[0]["id"].as_str()),
        (10, Some("e"))
    );
}

#[test]
fn the_description_has_every_address() {
    let state = tempfile::tempdir().unwrap();
    let running = Running::start(settings(state.path()));
    let document = running.client().get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/",
        "/v1/monitors/{name}/images",
        "/labels",
        "/v2/models/{name}/infer",
        "/livez",
        "/metrics",
        "/v1/alarms",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let _ = Client::new(running.address);
}
