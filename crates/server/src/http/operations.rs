//! Health, metrics, and what the page shows, as JSON.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Use;
use crate::payload::{Rejection, Taken};
use crate::shared::Shared;
use crate::store::{WindowRow, alarm_rows, exemplars, window_row, window_rows};
use crate::time::rfc3339;

/// The process runs.
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, description = "alive")))]
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Requests are taken.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, description = "ready"), (status = 503, description = "starting or shutting down")))]
pub(super) async fn ready(State(shared): Use) -> Response {
    match shared.is_ready.load(Ordering::Acquire) {
        true => "ok\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

pub(super) async fn ready_v2(shared: Use) -> Response {
    ready(shared).await
}

/// All series for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "OpenMetrics text")))]
pub(super) async fn metrics(State(shared): Use) -> Response {
    let (images, bytes) = shared.queue.waiting();
    shared.metrics.queue_images.set(images);
    shared.metrics.queue_bytes.set(bytes);
    match shared.metrics.text() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(_) => Rejection::new(500, "fault", "the metrics cannot be written").into_response(),
    }
}

/// How many are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Most {
    /// The most windows or alarms, newest first; 100 by default, at most 10,000.
    #[serde(default = "hundred")]
    most: u32,
}

fn hundred() -> u32 {
    100
}

impl Most {
    fn rows(&self) -> i64 {
        i64::from(self.most.min(10_000))
    }
}

/// The monitors that are served, with their newest window.
#[utoipa::path(get, path = "/v1/monitors", tag = "history", responses((status = 200, description = "the monitors")))]
pub(super) async fn monitors(State(shared): Use) -> Response {
    answer(shared, |shared| {
        let mut all = Vec::new();
        for served in &shared.models {
            let (newest, alarms) = shared
                .reader
                .read(|c| Ok((window_rows(c, served.id, 1)?, alarm_rows(c, Some(&served.name), 1)?)))?;
            let lasts = alarms.first().is_some_and(|alarm| alarm.resolved_at.is_none());
            all.push(json!({
                "name": served.name,
                "digest": served.digest,
                "classes": served.monitor.facts().class_names,
                "alarm": lasts,
                "newest_window": newest.first().map(window_json),
            }));
        }
        Ok(json!({ "monitors": all }))
    })
    .await
}

/// The newest windows of a monitor, newest first.
#[utoipa::path(get, path = "/v1/monitors/{name}/windows", tag = "history", params(("name" = String, Path, description = "the monitor"), Most),
    responses((status = 200, description = "windows with their findings"), (status = 404, description = "no such monitor")))]
pub(super) async fn windows(State(shared): Use, Path(name): Path<String>, Query(most): Query<Most>) -> Response {
    answer(shared, move |shared| {
        let id = shared.served(&name)?.id;
        let rows = shared.reader.read(|c| window_rows(c, id, most.rows()))?;
        Ok(json!({ "windows": rows.iter().rev().map(window_json).collect::<Vec<_>>() }))
    })
    .await
}

/// One window with its worst images.
#[utoipa::path(get, path = "/v1/monitors/{name}/windows/{id}", tag = "history", params(("name" = String, Path, description = "the monitor"), ("id" = i64, Path, description = "the window")),
    responses((status = 200, description = "the window"), (status = 404, description = "no such window")))]
pub(super) async fn window(State(shared): Use, Path((name, id)): Path<(String, i64)>) -> Response {
    answer(shared, move |shared| {
        let served = shared.served(&name)?;
        let found = shared.reader.read(|c| Ok((window_row(c, id)?, exemplars(c, id)?)))?;
        let (Some(row), worst) = found else {
            return Err(Rejection::new(404, "not_found", "there is no such window"));
        };
        if row.model != served.id {
            return Err(Rejection::new(404, "not_found", "there is no such window"));
        }
        let class = |class: u32| served.monitor.class_name(class as usize).to_owned();
        let worst: Vec<Value> = worst
            .iter()
            .map(|x| json!({ "id": x.event_id, "index": x.place, "score": x.score, "classifier": class(x.prediction), "distilled": class(x.distilled) }))
            .collect();
        let mut all = window_json(&row);
        if let Some(all) = all.as_object_mut() {
            all.insert("worst".into(), worst.into());
        }
        Ok(all)
    })
    .await
}

/// The newest alarms, newest first.
#[utoipa::path(get, path = "/v1/alarms", tag = "history", params(Most), responses((status = 200, description = "alarms")))]
pub(super) async fn alarms(State(shared): Use, Query(most): Query<Most>) -> Response {
    answer(shared, move |shared| {
        let rows = shared.reader.read(|c| alarm_rows(c, None, most.rows()))?;
        let rows: Vec<Value> = rows
            .iter()
            .map(|alarm| {
                json!({
                    "model": alarm.model, "fingerprint": alarm.fingerprint, "window": alarm.window, "raised_at": rfc3339(alarm.raised_at),
                    "resolved_at": alarm.resolved_at.map(rfc3339), "summary": alarm.summary, "unsent_notices": alarm.unsent,
                })
            })
            .collect();
        Ok(json!({ "alarms": rows }))
    })
    .await
}

/// A window as JSON.
fn window_json(row: &WindowRow) -> Value {
    let findings = row
        .findings
        .as_deref()
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "id": row.id,
        "state": match row.state { 0 => "open", 1 => "closed", _ => "judged" },
        "revision": row.revision,
        "images": row.n,
        "from": row.bin.or(row.first_time).map(rfc3339),
        "to": row.last_time.map(rfc3339),
        "closed_at": row.closed_at.map(rfc3339),
        "closed_by": row.closed_by,
        "labelled": row.labelled,
        "realised_accuracy": (row.labelled > 0).then(|| row.correct as f64 / row.labelled as f64),
        "verdict": row.verdict,
        "findings": findings,
    })
}

/// Reads beside the threads that answer.
async fn answer(shared: Arc<Shared>, read: impl FnOnce(&Shared) -> Taken<Value> + Send + 'static) -> Response {
    let done = tokio::task::spawn_blocking(move || read(&shared)).await;
    match done.unwrap_or_else(|_| Err(Rejection::new(500, "fault", "the answer could not be made"))) {
        Ok(value) => Json(value).into_response(),
        Err(rejection) => rejection.into_response(),
    }
}
