//! `POST /`: the payload log of KServe and Seldon, as CloudEvents.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::submit::{self, Identity, Submission};
use super::{Use, body};
use crate::payload::{Document, Event, Half, Images, Rejection, Taken, inflate};
use crate::shared::{Served, Shared};
use crate::store::Pairing;

/// What an event was found to be.
enum Parsed {
    Request(i64, Option<i64>, Images, Identity),
    /// The answers, or why they are of no use.
    Response(i64, Taken<Vec<f32>>, usize, Identity),
}

/// How an event is taken.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// `own` if responses are not logged, so that requests wait for none; by default as the settings say.
    #[serde(default)]
    answers: Option<Answers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Answers {
    Own,
    Logged,
}

/// Takes one CloudEvent: an inference request or response that the classifier's server logged.
///
/// Answered 202 with an empty body once the event is on disk; an event that came before is answered so too, and not counted again.
#[utoipa::path(
    post, path = "/", tag = "ingest", params(How),
    request_body(content_type = "application/json", description = "The logged V1 or V2 request or response, with ce-* headers; or application/cloudevents+json"),
    responses((status = 202, description = "on disk"), (status = 400, description = "malformed"), (status = 413, description = "too large"),
        (status = 422, description = "does not fit the monitor"), (status = 429, description = "the queue is full"), (status = 507, description = "the disk is full"))
)]
pub(super) async fn event(State(shared): Use, Query(how): Query<How>, headers: HeaderMap, body: Body) -> Response {
    match take(&shared, &how, headers, body).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(rejection) => rejection.into_response(),
    }
}

async fn take(shared: &Arc<Shared>, how: &How, headers: HeaderMap, request: Body) -> Taken<()> {
    let (bytes, _share) = body::read(shared, &headers, request).await?;
    let size = body::cost(&bytes);
    let sharing = Arc::clone(shared);
    match body::parse(shared, size, move || parse(&sharing, &headers, &bytes)).await? {
        Parsed::Request(model, time, images, identity) => {
            let pairing = match how.answers {
                Some(Answers::Own) => Pairing::Own,
                Some(Answers::Logged) | None => shared.pairing(by_id(shared, model)?),
            };
            let submission = Submission {
                identity,
                time,
                images,
                answers: None,
                pairing,
            };
            submit::images(shared, model, submission).await?;
        }
        Parsed::Response(model, Ok(rows), n, identity) => {
            submit::answers(shared, by_id(shared, model)?, identity, n, Some(rows)).await?;
        }
        Parsed::Response(model, Err(rejection), _, identity) => {
            // Its request need not wait for another.
            submit::answers(shared, by_id(shared, model)?, identity, 0, None).await?;
            return Err(rejection);
        }
    }
    Ok(())
}

/// A monitor that was found before.
fn by_id(shared: &Shared, model: i64) -> Taken<&Served> {
    shared
        .served_by_id(model)
        .ok_or_else(|| Rejection::new(404, "unknown_model", "the monitor is gone"))
}

fn parse(shared: &Shared, headers: &HeaderMap, bytes: &[u8]) -> Taken<Parsed> {
    let most = shared.config.limits.body_bytes;
    let bytes = inflate(bytes, most)?;
    let event = Event::read(headers, &bytes)?;
    let served = shared.served_for(event.service.as_deref())?;
    let logged = inflate(&event.body, most)?;
    let identity = Identity::new(&served.name, &event.source, &event.kind, &event.id, &logged);
    let length = crate::payload::header(headers, INFERENCE_HEADER)?;
    let length = length.map(|length| {
        length
            .parse()
            .map_err(|_| Rejection::malformed("Inference-Header-Content-Length is no number"))
    });
    let document = Document::read(&logged, length.transpose()?)?;
    match event.half {
        Half::Request => Ok(Parsed::Request(
            served.id,
            event.time,
            document.images(&served.expected)?,
            identity,
        )),
        Half::Response => {
            let answers = document.answers(&served.expected);
            let n = answers
                .as_ref()
                .map_or(0, |rows| rows.len() / served.expected.n_classes.max(1));
            Ok(Parsed::Response(served.id, answers, n, identity))
        }
    }
}

/// The header that tells where the JSON ends and the binary tensors begin.
pub(super) const INFERENCE_HEADER: &str = "inference-header-content-length";
