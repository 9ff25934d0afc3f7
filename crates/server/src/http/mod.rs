//! What is taken over HTTP: routes, and what every request goes through before its handler.

mod body;
mod direct;
mod events;
mod guard;
mod infer;
mod labels;
mod listen;
mod openapi;
mod operations;
mod pages;
mod reply;
mod submit;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::shared::Shared;

pub(crate) use listen::{Listening, listen};

/// What handlers share.
type Use = axum::extract::State<Arc<Shared>>;

/// All routes.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let v2 = Router::new()
        .route("/", get(infer::server))
        .route("/health/live", get(operations::live))
        .route("/health/ready", get(operations::ready_v2))
        .route("/models/{name}", get(infer::model))
        .route("/models/{name}/ready", get(infer::model_ready))
        .route("/models/{name}/infer", post(infer::infer))
        .route("/models/{name}/versions/{version}", get(infer::model))
        .route("/models/{name}/versions/{version}/ready", get(infer::model_ready))
        .route("/models/{name}/versions/{version}/infer", post(infer::infer));
    let guarded = Router::new()
        .route("/", get(pages::overview).post(events::event))
        .route("/monitors/{name}", get(pages::monitor))
        .route("/monitors/{name}/windows/{id}", get(pages::window))
        .route("/alarms", get(pages::alarms))
        .route("/settings", get(pages::settings))
        .route("/static/page.css", get(pages::style))
        .route("/static/page.js", get(pages::script))
        .route("/v1/monitors", get(operations::monitors))
        .route("/v1/monitors/{name}/windows", get(operations::windows))
        .route("/v1/monitors/{name}/windows/{id}", get(operations::window))
        .route("/v1/monitors/{name}/images", post(direct::images))
        .route("/v1/monitors/{name}/probabilities", post(direct::probabilities))
        .route("/v1/alarms", get(operations::alarms))
        .route("/labels", post(labels::labels))
        .route("/openapi.json", get(openapi::document))
        .nest("/v2", v2);
    let guarded = match shared.config.metrics_listen {
        Some(_) => guarded,
        None => guarded.route("/metrics", get(operations::metrics)),
    };
    guarded
        .fallback(reply::not_found)
        .method_not_allowed_fallback(reply::not_allowed)
        .layer(from_fn_with_state(Arc::clone(shared), guard::limit))
        .layer(from_fn_with_state(Arc::clone(shared), guard::authorise))
        // Outside the key and the limits: an orchestrator must hear that the service lives even if it is busy.
        .merge(health())
        .layer(from_fn_with_state(Arc::clone(shared), guard::observe))
        .layer(from_fn(guard::headers))
        .layer(CatchPanicLayer::custom(reply::panicked))
        .with_state(Arc::clone(shared))
}

fn health() -> Router<Arc<Shared>> {
    Router::new()
        .route("/livez", get(operations::live))
        .route("/readyz", get(operations::ready))
        .route("/healthz", get(operations::ready))
}

/// The routes of the second address: metrics and health.
pub(crate) fn metrics_router(shared: &Arc<Shared>) -> Router {
    health()
        .route("/metrics", get(operations::metrics))
        .fallback(reply::not_found)
        .layer(from_fn(guard::headers))
        .with_state(Arc::clone(shared))
}
