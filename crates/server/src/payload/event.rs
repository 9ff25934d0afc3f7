//! CloudEvents 1.0 over HTTP, in binary mode (headers) and structured mode (one JSON document).

use std::borrow::Cow;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::rejection::{Rejection, Taken};
use crate::time::{self, Millis};

/// Half of an exchange with the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Request,
    Response,
}

/// An event of a payload log.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) kind: String,
    pub(crate) half: Half,
    pub(crate) time: Option<Millis>,
    /// The InferenceService, which is the monitor's name.
    pub(crate) service: Option<String>,
    /// The inference request or response as it was logged.
    pub(crate) body: Cow<'a, [u8]>,
}

#[derive(Deserialize)]
struct Structured<'a> {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    inferenceservicename: Option<String>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    data_base64: Option<String>,
}

/// The most characters of an id or a source.
const LONGEST: usize = 512;

impl<'a> Event<'a> {
    /// Reads an event from the headers and the body of a request.
    pub(crate) fn read(headers: &HeaderMap, body: &'a [u8]) -> Taken<Self> {
        let content = header(headers, CONTENT_TYPE.as_str())?.unwrap_or_default();
        let content = content
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match content.as_str() {
            "application/cloudevents+json" => Self::structured(body),
            "application/cloudevents-batch+json" => Err(Rejection::new(
                415,
                "unsupported",
                "batches of events are not taken; send one event a request",
            )),
            _ => Self::binary(headers, body),
        }
    }

    fn binary(headers: &HeaderMap, body: &'a [u8]) -> Taken<Self> {
        let needed = |name: &'static str| {
            header(headers, name)?
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Rejection::malformed(format!("no CloudEvent: the header {name} is missing")))
        };
        check_version(&needed("ce-specversion")?)?;
        let kind = needed("ce-type")?;
        Self {
            half: half(&kind)?,
            kind,
            id: needed("ce-id")?,
            source: needed("ce-source")?,
            time: header(headers, "ce-time")?.map(|time| parse_time(&time)).transpose()?,
            service: header(headers, "ce-inferenceservicename")?,
            body: Cow::Borrowed(body),
        }
        .checked()
    }

    fn structured(body: &'a [u8]) -> Taken<Self> {
        let event: Structured<'a> = serde_json::from_slice(body)
            .map_err(|error| Rejection::malformed(format!("no CloudEvent in JSON: {error}")))?;
        check_version(&event.specversion)?;
        let body = match (event.data, event.data_base64) {
            (Some(data), None) => Cow::Borrowed(data.get().as_bytes()),
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text);
                Cow::Owned(bytes.map_err(|_| Rejection::malformed("data_base64 is not base64"))?)
            }
            _ => return Err(Rejection::malformed("an event needs either data or data_base64")),
        };
        Self {
            half: half(&event.kind)?,
            kind: event.kind,
            id: event.id,
            source: event.source,
            time: event.time.as_deref().map(parse_time).transpose()?,
            service: event.inferenceservicename,
            body,
        }
        .checked()
    }

    fn checked(self) -> Taken<Self> {
        for (what, text) in [("id", &self.id), ("source", &self.source)] {
            if text.is_empty() || text.chars().count() > LONGEST || text.chars().any(char::is_control) {
                let message =
                    format!("the event's {what} must have 1 to {LONGEST} characters, none of them a control character");
                return Err(Rejection::malformed(message));
            }
        }
        Ok(self)
    }
}

fn parse_time(text: &str) -> Taken<Millis> {
    time::parse(text).ok_or_else(|| Rejection::malformed("the event's time is not as RFC 3339 writes it"))
}

fn check_version(version: &str) -> Taken<()> {
    match version {
        "1.0" | "0.3" => Ok(()),
        _ => Err(Rejection::malformed("the event's specversion is not 1.0")),
    }
}

fn half(kind: &str) -> Taken<Half> {
    match kind {
        "org.kubeflow.serving.inference.request" | "io.seldon.serving.inference.request" => Ok(Half::Request),
        "org.kubeflow.serving.inference.response" | "io.seldon.serving.inference.response" => Ok(Half::Response),
        _ => Err(Rejection::new(
            422,
            "event_type",
            "the event's type is none of KServe's and Seldon's inference.request and inference.response",
        )),
    }
}

/// A header as text; one that comes twice or is no text is refused, because a proxy may have read it otherwise.
pub(crate) fn header(headers: &HeaderMap, name: &str) -> Taken<Option<String>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Rejection::malformed(format!("the header {name} comes twice")));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(_) => Err(Rejection::malformed(format!("the header {name} is not ASCII"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        map
    }

    const REQUEST: &str = "org.kubeflow.serving.inference.request";

    #[test]
    fn both_modes_say_the_same() {
        let pairs = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1234"),
            ("ce-source", "http://localhost:9081/"),
            ("ce-type", REQUEST),
            ("ce-time", "2026-01-01T00:00:00Z"),
            ("ce-inferenceservicename", "cifar10"),
            ("content-type", "application/json"),
        ];
        let all = headers(&pairs);
        let a = Event::read(&all, b"{\"instances\": [1]}").unwrap();
        let text = format!(
            "{{\"specversion\":\"1.0\",\"id\":\"1234\",\"source\":\"http://localhost:9081/\",\"type\":\"{REQUEST}\",\
             \"time\":\"2026-01-01T00:00:00Z\",\"inferenceservicename\":\"cifar10\",\"data\":{{\"instances\": [1]}}}}"
        );
        let structured = headers(&[("content-type", "application/cloudevents+json; charset=utf-8")]);
        let b = Event::read(&structured, text.as_bytes()).unwrap();
        for event in [&a, &b] {
            assert_eq!(
                (event.id.as_str(), event.half, event.service.as_deref()),
                ("1234", Half::Request, Some("cifar10"))
            );
            assert_eq!(event.time, time::parse("2026-01-01T00:00:00Z"));
            assert_eq!(&*event.body, b"{\"instances\": [1]}");
        }
        let text = text.replace(
            "\"data\":{\"instances\": [1]}",
            "\"data_base64\":\"eyJpbnN0YW5jZXMiOiBbMV19\"",
        );
        assert_eq!(
            &*Event::read(&structured, text.as_bytes()).unwrap().body,
            b"{\"instances\": [1]}"
        );
        for missing in ["ce-specversion", "ce-id", "ce-source", "ce-type"] {
            let some: Vec<_> = pairs.iter().copied().filter(|(name, _)| *name != missing).collect();
            let message = Event::read(&headers(&some), b"").unwrap_err().message;
            assert!(message.contains(missing), "{message}");
        }
        let twice: Vec<_> = pairs.iter().copied().chain([("ce-id", "5")]).collect();
        assert!(
            Event::read(&headers(&twice), b"")
                .unwrap_err()
                .message
                .contains("twice")
        );
    }

    #[test]
    fn hostile_events_are_refused() {
        let structured = headers(&[("content-type", "application/cloudevents+json")]);
        let event = |id: &str, kind: &str, more: &str| {
            format!("{{\"specversion\":\"1.0\",\"id\":{id},\"source\":\"s\",\"type\":\"{kind}\"{more}}}")
        };
        let long = format!("\"{}\"", "x".repeat(600));
        for text in [
            event("\"a\"", REQUEST, ""),
            event("\"a\"", REQUEST, ",\"data\":1,\"data_base64\":\"aGk=\""),
            event("\"a\"", REQUEST, ",\"data_base64\":\"?\""),
            event("\"a\\u0000b\"", REQUEST, ",\"data\":1"),
            event("\"\"", REQUEST, ",\"data\":1"),
            event("3", REQUEST, ",\"data\":1"),
            event(&long, REQUEST, ",\"data\":1"),
            event("\"a\"", "com.example.other", ",\"data\":1"),
            event("\"a\"", REQUEST, ",\"data\":1,\"time\":\"noon\""),
            event("\"a\"", REQUEST, ",\"data\":1").replace("1.0", "2.0"),
        ] {
            assert!(Event::read(&structured, text.as_bytes()).is_err(), "{text}");
        }
        let batch = headers(&[("content-type", "application/cloudevents-batch+json")]);
        assert_eq!(Event::read(&batch, b"[]").unwrap_err().status, 415);
    }
}
