//! The page.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::Use;
use crate::page;
use crate::payload::{Rejection, Taken};
use crate::shared::Shared;
use crate::store::{alarm_rows, exemplars, window_row, window_rows};

/// Windows that a monitor's page shows, and alarms.
const WINDOWS: i64 = 200;
const ALARMS: i64 = 200;
/// Windows of the small charts.
const FEW: i64 = 60;

pub(super) async fn overview(State(shared): Use) -> Response {
    answer(shared, |shared| {
        let mut monitors = Vec::new();
        for served in &shared.models {
            let (windows, alarms) = shared
                .reader
                .read(|c| Ok((window_rows(c, served.id, FEW)?, alarm_rows(c, Some(&served.name), 1)?)))?;
            monitors.push((served, windows, alarms.into_iter().next()));
        }
        drawn(page::overview(&monitors, shared.queue.waiting().0))
    })
    .await
}

pub(super) async fn monitor(State(shared): Use, Path(name): Path<String>) -> Response {
    answer(shared, move |shared| {
        let served = shared.served(&name)?;
        let (windows, alarms) = shared.reader.read(|c| {
            Ok((
                window_rows(c, served.id, WINDOWS)?,
                alarm_rows(c, Some(&served.name), 10)?,
            ))
        })?;
        drawn(page::monitor(served, &windows, &alarms))
    })
    .await
}

pub(super) async fn window(State(shared): Use, Path((name, id)): Path<(String, i64)>) -> Response {
    answer(shared, move |shared| {
        let served = shared.served(&name)?;
        let (row, worst) = shared.reader.read(|c| Ok((window_row(c, id)?, exemplars(c, id)?)))?;
        let row = row.filter(|row| row.model == served.id);
        let row = row.ok_or_else(|| Rejection::new(404, "not_found", "there is no such window"))?;
        drawn(page::window(served, &row, &worst))
    })
    .await
}

pub(super) async fn alarms(State(shared): Use) -> Response {
    answer(shared, |shared| {
        drawn(page::alarms(&shared.reader.read(|c| alarm_rows(c, None, ALARMS))?))
    })
    .await
}

pub(super) async fn settings(State(shared): Use) -> Response {
    answer(shared, |shared| drawn(page::settings(&shared.config))).await
}

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], page::style()).into_response()
}

pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], page::SCRIPT).into_response()
}

fn drawn(page: Result<String, minijinja::Error>) -> Taken<String> {
    page.map_err(|error| {
        tracing::error!("a page could not be written: {error:#}");
        Rejection::new(
            500,
            "fault",
            "the page could not be written; the service's log says more",
        )
    })
}

/// Reads and draws beside the threads that answer.
async fn answer(shared: Arc<Shared>, draw: impl FnOnce(&Shared) -> Taken<String> + Send + 'static) -> Response {
    let done = tokio::task::spawn_blocking(move || draw(&shared)).await;
    match done.unwrap_or_else(|_| Err(Rejection::new(500, "fault", "the page could not be written"))) {
        Ok(page) => Html(page).into_response(),
        Err(rejection) => rejection.into_response(),
    }
}
