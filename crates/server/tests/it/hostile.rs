//! Requests that nobody honest sends: each is answered by one line or by a closed connection, and the service goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use riptide::files::npy;
use serde_json::json;

use crate::bodies::{bodies, gzip, huge_png};
use crate::support::{Client, Running, clean, log, read, settings, v2};

fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<usize>()
            .ok()
    });
    line.unwrap_or(0) >> 10
}

/// Checks that a refusal is what it should be.
fn assert_refused(what: &str, answer: &crate::support::Answer) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    let text = answer.text();
    assert!(
        text.len() < 700 && !text.contains('\n') && !text.contains("panicked"),
        "{what}: {text}"
    );
    let error = serde_json::from_str::<serde_json::Value>(&text).unwrap();
    assert!(error["error"].is_string(), "{what}: {text}");
}

#[test]
fn bodies_that_lie_are_refused_in_one_line() {
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.limits.body_bytes = 8 << 20;
    config.limits.total_body_bytes = 64 << 20;
    let running = Running::start(config);
    let bodies = bodies();
    let before = resident();
    let mut tried = 0;
    for (what, body) in &bodies {
        let mut client = running.client();
        assert_refused(what, &client.post("/v2/models/shapes/infer", &[], body));
        let mut client = running.client();
        assert_refused(what, &log(&mut client, "request", "x", &[], body));
        tried += 2;
    }
    // Arrays by themselves.
    let image = clean(300, 1);
    let good = npy::encode(&image.shape(), image.pixels().iter().copied());
    let edit = |from: &str, to: &str| {
        let text: Vec<u8> = good.clone();
        let place = text
            .windows(from.len())
            .position(|some| some == from.as_bytes())
            .unwrap();
        [&text[..place], to.as_bytes(), &text[place + from.len()..]].concat()
    };
    let mut arrays = vec![
        good[..20].to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        huge_png(60_000, 60_000),
    ];
    for shape in [
        "(9, 32, 32, 3)",
        "(1, 32, 32, 4)",
        "(1,)",
        "()",
        "(-1, 3, 3, 3)",
        "(99999999999999, 1)",
    ] {
        arrays.push(edit("(1, 32, 32, 3)", shape));
    }
    for kind in ["<f4", "|O8", "|S9", ">u2", "<c8", "|b1"] {
        arrays.push(edit("|u1", kind));
    }
    for (place, array) in arrays.iter().enumerate() {
        let mut client = running.client();
        assert_refused(
            &format!("array {place}"),
            &client.post("/v1/monitors/shapes/images", &[], array),
        );
        tried += 1;
    }
    // Headers and addresses.
    let body = v2(&image, None);
    let long = "x".repeat(2000);
    for (name, value) in [
        ("ce-id", ""),
        ("ce-id", &long),
        ("ce-id", "\u{e9}"),
        ("ce-specversion", "9"),
        ("ce-type", "a.b.c"),
        ("ce-type", ""),
        ("ce-source", ""),
        ("ce-time", "noon"),
        ("ce-time", "99999999999"),
        ("inference-header-content-length", "-1"),
        ("inference-header-content-length", "999999999999999999999"),
        ("inference-header-content-length", "ten"),
        ("inference-header-content-length", "7"),
    ] {
        let kind = "org.kubeflow.serving.inference.request";
        let mut headers = vec![
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "s"),
            ("ce-type", kind),
        ];
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value));
        let mut client = running.client();
        assert_refused(&format!("{name}: {value}"), &client.post("/", &headers, &body));
        tried += 1;
    }
    for path in [
        "/v2/models/..%2f..%2fetc%2fpasswd/infer",
        "/v2/models/%00/infer",
        "/v2/models/%ff/infer",
        "/v2/models/shapes/versions/99/infer",
        "/v1/monitors/%3Cscript%3E/images",
        "/v1/monitors/../../etc/passwd",
        "/v1/monitors/shapes/windows/abc",
        "/v1/monitors/shapes/windows/99999999999999999999",
        "/v1/monitors/shapes/windows?most=-1",
        "/v1/alarms?most=x",
        "//",
        "/static/../Cargo.toml",
    ] {
        for method in ["GET", "POST", "DELETE", "PUT", "TRACE"] {
            let mut client = running.client();
            let answer = client.send(method, path, &[], &body).unwrap();
            assert!((400..500).contains(&answer.status), "{method} {path}: {answer:?}");
            assert!(!answer.text().contains("<script>"), "{path}");
            tried += 1;
        }
    }
    assert!(tried >= 200, "{tried}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 400, "{grown} MiB more");
    assert!(running.metric("riptide_rejected_total{reason=\"malformed\"}") > 50.0);
    assert_eq!(running.metric("riptide_images_total{model=\"shapes\"}"), 0.0);
    // And still it takes what is right.
    assert_eq!(
        log(&mut running.client(), "request", "right", &[], &gzip(&body)).status,
        202
    );
}

#[test]
fn who_has_no_key_learns_nothing() {
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.key = Some("a-key-of-some-length".into());
    config.metrics_listen = Some(([127, 0, 0, 1], 0).into());
    let running = Running::start(config);
    let body = v2(&clean(300, 1), None);
    let mut answers = Vec::new();
    for path in [
        "/",
        "/metrics",
        "/openapi.json",
        "/monitors/shapes",
        "/monitors/none",
        "/v2/models/shapes",
        "/v2/models/none",
        "/nowhere",
        "/v1/alarms",
        "/static/page.css",
    ] {
        for method in ["GET", "POST"] {
            for key in [
                None,
                Some("Bearer wrong"),
                Some("Bearer a-key-of-some-lengtH"),
                Some("Basic eDp5"),
            ] {
                let headers: Vec<(&str, &str)> = key.iter().map(|key| ("authorization", *key)).collect();
                let answer = running.client().send(method, path, &headers, &body).unwrap();
                answers.push((answer.status, answer.text()));
            }
        }
    }
    answers.dedup();
    assert_eq!(answers, [(401, "{\"error\":\"a key is needed\"}".to_owned())]);
    for path in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(running.client().get(path).status, 200);
    }
    let right = [("authorization", "Bearer a-key-of-some-length")];
    assert_eq!(
        running
            .client()
            .send("GET", "/v2/models/shapes", &right, &[])
            .unwrap()
            .status,
        200
    );
    // A browser that another site makes send something.
    let foreign = [right[0], ("sec-fetch-site", "cross-site")];
    assert_eq!(
        running
            .client()
            .send("POST", "/labels", &foreign, b"{}")
            .unwrap()
            .status,
        403
    );
    let metrics = running.service.as_ref().unwrap().metrics_address().unwrap();
    assert!(
        Client::new(metrics)
            .get("/metrics")
            .text()
            .contains("riptide_build_info")
    );
    assert_eq!(Client::new(metrics).get("/v1/alarms").status, 404);
}

#[test]
fn connections_are_bounded_in_number_head_and_time() {
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.limits.connections = 50;
    config.limits.header_seconds = 1;
    config.limits.request_seconds = 2;
    let running = Running::start(config);
    // A head that never ends, a body that never comes, a head that is too large.
    let started = Instant::now();
    let mut slow = TcpStream::connect(running.address).unwrap();
    slow.write_all(b"POST / HTTP/1.1\r\nhost: x\r\nce-id: ").unwrap();
    let mut waiting = TcpStream::connect(running.address).unwrap();
    waiting
        .write_all(b"POST /labels HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{")
        .unwrap();
    let mut large = TcpStream::connect(running.address).unwrap();
    let _ = large.write_all(format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(200_000)).as_bytes());
    let answer = read(&mut large);
    assert!(answer.map_or(true, |answer| answer.status == 431), "a head of 200 kB");
    assert_eq!(read(&mut waiting).unwrap().status, 408);
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(started.elapsed() < Duration::from_secs(20));
    // Ten thousand connections, or as many as this process may have, in rounds.
    let mut opened = 0;
    for _ in 0..25 {
        let held: Vec<TcpStream> = (0..400)
            .filter_map(|_| TcpStream::connect(running.address).ok())
            .collect();
        opened += held.len();
    }
    assert!(opened > 5000, "{opened}");
    crate::support::wait(|| {
        Client::new(running.address)
            .send("GET", "/livez", &[], &[])
            .ok()
            .filter(|answer| answer.status == 200)
    });
}

#[test]
fn requests_cannot_be_smuggled() {
    let state = tempfile::tempdir().unwrap();
    let running = Running::start(settings(state.path()));
    let hidden = "GET /v1/alarms HTTP/1.1\r\nhost: x\r\n\r\n";
    for head in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: x\r\n",
        "content-length: +5\r\n",
        "content-length: 0x5\r\n",
        "content-length : 5\r\n",
        "content-length: 5,6\r\n",
        "transfer-encoding:\x0bchunked\r\n",
        "x: a\nb\r\n",
        "bad header\r\n",
    ] {
        let text = format!("POST /labels HTTP/1.1\r\nhost: x\r\n{head}\r\n0\r\n\r\n{hidden}");
        let mut stream = TcpStream::connect(running.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let first = read(&mut stream);
        if let Ok(answer) = first {
            assert!((400..502).contains(&answer.status), "{head:?}: {answer:?}");
            // The second request must not be answered as if it were one, unless both sides agree where the first ended.
            if !answer.head.to_ascii_lowercase().contains("connection: close") {
                let mut rest = Vec::new();
                stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
                let _ = stream.read_to_end(&mut rest);
                let agreed =
                    head.starts_with("content-length: 5\r\ntransfer") || head.starts_with("transfer-encoding: chunked");
                assert!(
                    agreed || !String::from_utf8_lossy(&rest).contains("alarms"),
                    "{head:?}: {}",
                    String::from_utf8_lossy(&rest)
                );
            }
        }
    }
    assert_eq!(running.client().get("/livez").status, 200);
}

/// What is written under a full queue is refused at once, and taken again later.
#[test]
fn a_full_queue_says_so_at_once() {
    let state = tempfile::tempdir().unwrap();
    let mut config = settings(state.path());
    config.queue.images = 40;
    let running = Running::start(config);
    let mut client = running.client();
    // They wait for their answers, so the queue stays full.
    let mut statuses = Vec::new();
    for i in 0..6 {
        let started = Instant::now();
        statuses.push(
            log(
                &mut client,
                "request",
                &i.to_string(),
                &[],
                &v2(&clean(300 + i, 10), None),
            )
            .status,
        );
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(statuses, [202, 202, 202, 202, 429, 429]);
    let labels = json!({ "labels": [{ "id": "0", "label": 0 }] }).to_string();
    assert_eq!(client.post("/labels", &[], labels.as_bytes()).json()["not_yet"], 1);
    assert_eq!(
        log(&mut client, "response", "0", &[], b"{\"error\": \"x\"}").status,
        422
    );
    crate::support::wait(|| {
        (log(&mut client, "request", "later", &[], &v2(&clean(400, 10), None)).status == 202).then_some(())
    });
}
