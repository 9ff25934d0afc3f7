//! The Open Inference Protocol, version 2, over REST: a monitor looks like a model whose answer is whether its input has drifted.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, body::Bytes};
use serde_json::{Value, json};

use super::direct::id;
use super::events::INFERENCE_HEADER;
use super::submit::{self, Identity, Submission};
use super::{Use, body};
use crate::payload::{Document, Images, Rejection, Taken, header as text_of, inflate};
use crate::shared::{Served, Shared};
use crate::store::{Arrival, Contents, Pairing, event_result};

/// The one version there is.
const VERSION: &str = "1";

/// What this server is.
#[utoipa::path(get, path = "/v2", tag = "inference protocol", responses((status = 200, description = "name, version and extensions")))]
pub(super) async fn server() -> Json<Value> {
    Json(json!({ "name": "riptide", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"] }))
}

/// What a monitor takes and gives.
#[utoipa::path(get, path = "/v2/models/{name}", tag = "inference protocol", params(("name" = String, Path, description = "the monitor")),
    responses((status = 200, description = "inputs and outputs"), (status = 404, description = "no such monitor")))]
pub(super) async fn model(State(shared): Use, Path(path): Path<Vec<String>>) -> Response {
    match served(&shared, &path) {
        Ok(served) => {
            let (height, width) = served.monitor.input_size();
            let one = |name: &str, kind: &str| json!({ "name": name, "datatype": kind, "shape": [1] });
            let each = |name: &str, kind: &str| json!({ "name": name, "datatype": kind, "shape": [-1] });
            Json(json!({
                "name": served.name,
                "versions": [VERSION],
                "platform": "riptide",
                "inputs": [{ "name": "images", "datatype": "UINT8", "shape": [-1, height, width, 3] }],
                "outputs": [
                    one("is_drift", "INT64"), one("p_val", "FP64"), one("distance", "FP64"), one("threshold", "FP64"), one("is_harmful", "INT64"),
                    each("instance_score", "FP32"), each("prediction", "INT64"), each("confidence", "FP32"),
                ],
            }))
            .into_response()
        }
        Err(rejection) => rejection.into_response(),
    }
}

/// Whether a monitor is ready; those that are served are.
#[utoipa::path(get, path = "/v2/models/{name}/ready", tag = "inference protocol", params(("name" = String, Path, description = "the monitor")),
    responses((status = 200, description = "ready"), (status = 404, description = "no such monitor")))]
pub(super) async fn model_ready(State(shared): Use, Path(path): Path<Vec<String>>) -> Response {
    match served(&shared, &path) {
        Ok(served) => Json(json!({ "name": served.name, "ready": true })).into_response(),
        Err(rejection) => rejection.into_response(),
    }
}

/// Scores images, counts them into the monitor's windows, and says of them as one batch whether they have drifted.
///
/// A request without an id is new every time; one with an id is counted once.
#[utoipa::path(post, path = "/v2/models/{name}/infer", tag = "inference protocol", params(("name" = String, Path, description = "the monitor")),
    request_body(content_type = "application/json", description = "an inference request; UINT8, FP32 or FP64 (N, H, W, 3) or (N, 3, H, W), or BYTES of encoded pictures; binary tensors are taken"),
    responses((status = 200, description = "the outputs"), (status = 400, description = "malformed"), (status = 404, description = "no such monitor"), (status = 429, description = "the queue is full")))]
pub(super) async fn infer(
    State(shared): Use,
    Path(path): Path<Vec<String>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match take(&shared, &path, headers, body).await {
        Ok(response) => response,
        Err(rejection) => rejection.into_response(),
    }
}

fn served<'a>(shared: &'a Shared, path: &[String]) -> Taken<&'a Served> {
    match path {
        [name] => shared.served(name),
        [name, version] if version == VERSION => shared.served(name),
        _ => Err(Rejection::new(404, "unknown_model", "there is no such version")),
    }
}

async fn take(shared: &Arc<Shared>, path: &[String], headers: HeaderMap, request: Body) -> Taken<Response> {
    let model = served(shared, path)?.id;
    let (bytes, _share) = body::read(shared, &headers, request).await?;
    let sharing = Arc::clone(shared);
    let parsed = body::parse(shared, body::cost(&bytes), move || {
        parse(&sharing, model, &headers, &bytes)
    })
    .await?;
    let Parsed {
        identity,
        images,
        given_id,
        in_binary,
    } = parsed;
    let key = identity.key;
    // Before it is written: the result may be there before the answer of the write is.
    let waiting = shared.waiters.wait(key);
    let submission = Submission {
        identity,
        time: None,
        images,
        answers: None,
        pairing: Pairing::Own,
    };
    let contents = match submit::images(shared, model, submission).await {
        Ok(Arrival::Duplicate(event)) => {
            shared.waiters.take(&key);
            let known = shared.reader.read(|c| event_result(c, event))?;
            Arc::new(known.ok_or_else(|| {
                Rejection::new(
                    503,
                    "not_yet",
                    "this request was taken before and is not scored yet; ask again",
                )
            })?)
        }
        Ok(_) => match waiting.await {
            Ok(Ok(contents)) => contents,
            Ok(Err(reason)) => return Err(Rejection::new(422, "not_scored", reason)),
            Err(_) => {
                return Err(Rejection::new(
                    503,
                    "stopping",
                    "the service is shutting down; the images were taken",
                ));
            }
        },
        Err(rejection) => {
            shared.waiters.take(&key);
            return Err(rejection);
        }
    };
    let sharing = Arc::clone(shared);
    let size = contents.scores.len().saturating_mul(64);
    body::parse(shared, size, move || {
        let served = sharing
            .served_by_id(model)
            .ok_or_else(|| Rejection::new(404, "unknown_model", "the monitor is gone"))?;
        answer(served, given_id, &contents, in_binary)
    })
    .await
}

struct Parsed {
    identity: Identity,
    images: Images,
    given_id: Option<String>,
    in_binary: bool,
}

fn parse(shared: &Shared, model: i64, headers: &HeaderMap, bytes: &[u8]) -> Taken<Parsed> {
    let served = shared
        .served_by_id(model)
        .ok_or_else(|| Rejection::new(404, "unknown_model", "the monitor is gone"))?;
    let bytes = inflate(bytes, shared.config.limits.body_bytes)?;
    let length = text_of(headers, INFERENCE_HEADER)?;
    let length = length.map(|length| {
        length
            .parse()
            .map_err(|_| Rejection::malformed("Inference-Header-Content-Length is no number"))
    });
    let document = Document::read(&bytes, length.transpose()?)?;
    let given_id = document.id().map(str::to_owned);
    let known_as = id(given_id.clone())?;
    Ok(Parsed {
        identity: Identity::new(&served.name, "/v2", "infer", &known_as, &bytes),
        images: document.images(&served.expected)?,
        given_id,
        in_binary: document.wants_binary(),
    })
}

/// One output: its name, type, values as JSON and as bytes.
struct Output(&'static str, &'static str, Vec<Value>, Vec<u8>);

fn answer(served: &Served, id: Option<String>, contents: &Contents, in_binary: bool) -> Taken<Response> {
    let scores: Vec<f64> = contents.scores.iter().copied().map(f64::from).collect();
    let outcome = served
        .monitor
        .detect_scores(&scores)
        .map_err(|error| Rejection::new(422, "not_scored", error.to_string()))?;
    let whole = |name, value: i64| Output(name, "INT64", vec![value.into()], value.to_le_bytes().to_vec());
    let number = |name, value: f64| Output(name, "FP64", vec![value.into()], value.to_le_bytes().to_vec());
    let floats = |name, values: &[f32]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Output(name, "FP32", values.iter().map(|&value| value.into()).collect(), bytes)
    };
    let predictions = contents.predictions.iter().map(|&class| i64::from(class));
    let outputs = [
        whole("is_drift", outcome.is_drift.into()),
        number("p_val", outcome.p_value),
        number("distance", outcome.distance),
        number("threshold", outcome.level),
        whole("is_harmful", outcome.is_harmful.into()),
        floats("instance_score", &contents.scores),
        Output(
            "prediction",
            "INT64",
            predictions.clone().map(Value::from).collect(),
            predictions.flat_map(i64::to_le_bytes).collect(),
        ),
        floats("confidence", &contents.confidences),
    ];
    let mut binary = Vec::new();
    let outputs: Vec<Value> = outputs
        .into_iter()
        .map(|Output(name, kind, values, bytes)| {
            let mut output = json!({ "name": name, "datatype": kind, "shape": [values.len()] });
            if let Some(output) = output.as_object_mut() {
                if in_binary {
                    output.insert("parameters".into(), json!({ "binary_data_size": bytes.len() }));
                    binary.extend(bytes);
                } else {
                    output.insert("data".into(), Value::Array(values));
                }
            }
            output
        })
        .collect();
    let mut head = json!({ "model_name": served.name, "model_version": VERSION, "outputs": outputs });
    if let (Some(id), Some(head)) = (id, head.as_object_mut()) {
        head.insert("id".into(), id.into());
    }
    if !in_binary {
        return Ok(Json(head).into_response());
    }
    let mut bytes = head.to_string().into_bytes();
    let length = bytes.len();
    bytes.extend(binary);
    let mut response = (StatusCode::OK, Bytes::from(bytes)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(HeaderName::from_static(INFERENCE_HEADER), HeaderValue::from(length));
    Ok(response)
}
