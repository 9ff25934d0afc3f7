//! Notices of alarms: kept in the database until they were sent, one thread a receiver, so that one that stalls holds up nobody.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{SinkConfig, SinkKind};
use crate::metrics::OfSink;
use crate::shared::Shared;
use crate::store::{self, Notice};
use crate::time::{Millis, SECOND, rfc3339};

/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often Alertmanager is told that an alarm lasts; it forgets alarms that it does not hear of.
const AGAIN: Millis = 60 * SECOND;
/// How long after that it may forget.
const FORGET: Millis = 4 * AGAIN;
/// The longest pause between attempts.
const LONGEST_PAUSE: Millis = 300 * SECOND;

/// Tells one receiver, until the service stops.
pub(crate) fn run(shared: &Shared, sink: &SinkConfig) {
    let name = sink.called();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .build()
        .into();
    while !shared.is_stopping() {
        let now = shared.clock.now();
        let notice = match shared.reader.read(|c| store::due(c, &name, now)) {
            Ok(Some(notice)) => notice,
            Ok(None) => {
                shared.outbox.sleep(Duration::from_secs(1));
                continue;
            }
            Err(error) => {
                tracing::error!("cannot read the notices to be sent: {error}");
                shared.outbox.sleep(Duration::from_secs(5));
                continue;
            }
        };
        let outcome = send(&agent, sink, &notice, shared.config.alarm.page_url.as_deref(), now);
        let count = |outcome| {
            let of = OfSink {
                sink: name.clone(),
                outcome,
            };
            shared.metrics.notices.get_or_create(&of).inc();
        };
        let now = shared.clock.now();
        let written = match outcome {
            Ok(()) => {
                count("sent");
                let again = (sink.kind == SinkKind::Alertmanager && notice.is_firing).then(|| now + AGAIN);
                shared.writer.write(move |c| store::sent(c, notice.id, now, again))
            }
            Err(error) => {
                count("failed");
                tracing::warn!(sink = name, "a notice could not be sent: {error}");
                let again = now + pause(notice.attempts);
                shared.writer.write(move |c| store::failed(c, notice.id, &error, again))
            }
        };
        if let Err(error) = written {
            // It is sent once more: at least once is what is promised.
            tracing::error!("that a notice was sent could not be noted: {error}");
            shared.outbox.sleep(Duration::from_secs(1));
        }
    }
}

/// The pause after so many attempts before: 1 s, 2 s, 4 s, up to five minutes.
fn pause(attempts: i64) -> Millis {
    let doublings = attempts.clamp(0, 20);
    (SECOND << doublings).min(LONGEST_PAUSE)
}

fn send(
    agent: &ureq::Agent,
    sink: &SinkConfig,
    notice: &Notice,
    page: Option<&str>,
    now: Millis,
) -> Result<(), String> {
    let body = body(sink.kind, notice, page, now).to_string();
    let request = agent.post(&sink.url).header("content-type", "application/json");
    match request.send(body) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a receiver is sent.
fn body(kind: SinkKind, notice: &Notice, page: Option<&str>, now: Millis) -> Value {
    let status = if notice.is_firing { "firing" } else { "resolved" };
    let link = page.map(|page| {
        format!(
            "{}/monitors/{}/windows/{}",
            page.trim_end_matches('/'),
            notice.model,
            notice.window
        )
    });
    let labels = json!({
        "alertname": "RiptideHarmfulDrift",
        "model": notice.model,
        "severity": "page",
        "alarm": notice.fingerprint.get(..16).unwrap_or(&notice.fingerprint),
    });
    let annotations = json!({ "summary": notice.summary, "window": notice.window.to_string() });
    let starts = rfc3339(notice.raised_at);
    match kind {
        SinkKind::Alertmanager => {
            let ends = notice.resolved_at.unwrap_or(now + FORGET);
            let mut alert =
                json!({ "labels": labels, "annotations": annotations, "startsAt": starts, "endsAt": rfc3339(ends) });
            if let (Some(link), Some(alert)) = (link, alert.as_object_mut()) {
                alert.insert("generatorURL".into(), link.into());
            }
            json!([alert])
        }
        SinkKind::Webhook => {
            // The year 1 stands for "not yet", as in Alertmanager's own notices.
            let ends = notice
                .resolved_at
                .map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339);
            json!({
                "version": "4",
                "groupKey": format!("{{}}:{{alertname=\"RiptideHarmfulDrift\", model=\"{}\"}}", notice.model),
                "truncatedAlerts": 0,
                "status": status,
                "receiver": "riptide",
                "groupLabels": { "alertname": "RiptideHarmfulDrift", "model": notice.model },
                "commonLabels": labels,
                "commonAnnotations": annotations,
                "externalURL": page.unwrap_or_default(),
                "alerts": [{
                    "status": status,
                    "labels": labels,
                    "annotations": annotations,
                    "startsAt": starts,
                    "endsAt": ends,
                    "generatorURL": link.unwrap_or_default(),
                    "fingerprint": notice.fingerprint,
                }],
            })
        }
        SinkKind::Slack => {
            let summary = notice
                .summary
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            let what = if notice.is_firing {
                ":red_circle:"
            } else {
                ":large_green_circle: Resolved."
            };
            let link = link.map(|link| format!(" <{link}|Look at it>")).unwrap_or_default();
            json!({ "text": format!("{what} {summary}{link}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(is_firing: bool) -> Notice {
        Notice {
            id: 1,
            attempts: 0,
            is_firing,
            model: "cifar10".into(),
            window: 7,
            fingerprint: "f".repeat(64),
            raised_at: 1000,
            resolved_at: (!is_firing).then_some(61_000),
            summary: "a <b> & c".into(),
        }
    }

    #[test]
    fn each_receiver_gets_its_own_shape() {
        let page = Some("https://drift.example/");
        let alert = body(SinkKind::Alertmanager, &notice(true), page, 5000);
        assert_eq!(alert.pointer("/0/endsAt").unwrap(), "1970-01-01T00:04:05Z");
        assert_eq!(alert.pointer("/0/labels/model").unwrap(), "cifar10");
        assert_eq!(
            alert.pointer("/0/generatorURL").unwrap(),
            "https://drift.example/monitors/cifar10/windows/7"
        );
        let alert = body(SinkKind::Alertmanager, &notice(false), None, 5000);
        assert_eq!(alert.pointer("/0/endsAt").unwrap(), "1970-01-01T00:01:01Z");
        assert!(alert.pointer("/0/generatorURL").is_none());
        let hook = body(SinkKind::Webhook, &notice(true), page, 5000);
        for (key, value) in [
            ("/version", "4"),
            ("/status", "firing"),
            ("/alerts/0/endsAt", "0001-01-01T00:00:00Z"),
            ("/alerts/0/fingerprint", &"f".repeat(64)),
        ] {
            assert_eq!(hook.pointer(key).unwrap(), value);
        }
        let hook = body(SinkKind::Webhook, &notice(false), page, 5000);
        assert_eq!(
            (
                hook.pointer("/status").unwrap(),
                hook.pointer("/alerts/0/endsAt").unwrap()
            ),
            (&json!("resolved"), &json!("1970-01-01T00:01:01Z"))
        );
        let text = body(SinkKind::Slack, &notice(true), page, 0);
        assert_eq!(
            text.pointer("/text").unwrap(),
            ":red_circle: a &lt;b&gt; &amp; c <https://drift.example/monitors/cifar10/windows/7|Look at it>"
        );
    }

    #[test]
    fn pauses_grow_to_five_minutes() {
        assert_eq!(
            [0, 1, 2, 8, 9, 1000].map(pause),
            [1000, 2000, 4000, 256_000, 300_000, 300_000]
        );
    }
}
