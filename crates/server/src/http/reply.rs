//! Answers that say what was wrong, in one line.

use std::any::Any;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::payload::Rejection;
use crate::store::WriteError;

/// The reason of a rejection, for the metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reason(pub(crate) &'static str);

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(json!({ "error": self.message }))).into_response();
        if matches!(self.status, 429 | 503 | 507) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // A body that was not read to its end makes the connection useless for another request.
        if matches!(self.status, 401 | 408 | 413 | 429) {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(Reason(self.reason));
        response
    }
}

impl From<WriteError> for Rejection {
    fn from(error: WriteError) -> Self {
        let (status, reason) = match error {
            WriteError::Full => (507, "disk_full"),
            WriteError::Busy => (429, "queue_full"),
            WriteError::Closed => (503, "stopping"),
            WriteError::Database(_) => (503, "database"),
        };
        Self::new(status, reason, error.to_string())
    }
}

impl From<crate::Error> for Rejection {
    fn from(error: crate::Error) -> Self {
        tracing::error!("{error}");
        Self::new(503, "database", "the database cannot be read now; try again")
    }
}

pub(super) async fn not_found() -> Rejection {
    Rejection::new(404, "not_found", "there is nothing at this address")
}

pub(super) async fn not_allowed() -> Rejection {
    Rejection::new(405, "not_found", "this address takes another method")
}

/// A fault of ours: the request is answered, and the service goes on.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Rejection::new(500, "fault", "the service has a fault; its log says more").into_response()
}
