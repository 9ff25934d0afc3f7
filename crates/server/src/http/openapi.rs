//! The description of all addresses.

use axum::Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(title = "Riptide", description = "Watches image classifiers for harmful drift."),
    paths(
        super::events::event,
        super::direct::images,
        super::direct::probabilities,
        super::labels::labels,
        super::infer::server,
        super::infer::model,
        super::infer::model_ready,
        super::infer::infer,
        super::operations::live,
        super::operations::ready,
        super::operations::metrics,
        super::operations::monitors,
        super::operations::windows,
        super::operations::window,
        super::operations::alarms,
    )
)]
struct Document;

/// The description of all addresses, as OpenAPI 3.1.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
