//! Images and class probabilities by themselves, for people who speak neither CloudEvents nor the inference protocol.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Query, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::submit::{self, Identity, Submission};
use super::{Use, body};
use crate::payload::{Images, Numbers, Rejection, Taken, inflate};
use crate::shared::Shared;
use crate::store::Pairing;
use crate::time;

/// How images are sent.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct About {
    /// The event's id: labels and probabilities name it, and the same images with the same id are counted once.
    id: Option<String>,
    /// When the images were taken, as RFC 3339 writes it; now, if it is not given.
    time: Option<String>,
    /// `logged` if the classifier's probabilities follow; they may come along as the part `probabilities` instead.
    #[serde(default)]
    answers: Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Answers {
    #[default]
    Own,
    Logged,
}

/// Says who sent something by these addresses.
const SOURCE: &str = "/v1";
/// What images and probabilities are, for telling events apart.
const IMAGES: &str = "images";
const PROBABILITIES: &str = "probabilities";

/// Takes images: a `.npy` array, one picture, or a form with any number of either.
#[utoipa::path(
    post, path = "/v1/monitors/{name}/images", tag = "ingest", params(("name" = String, Path, description = "the monitor"), About),
    request_body(content_type = "application/octet-stream", description = "a .npy array (N, H, W, 3), a PNG, JPEG or other picture, or multipart/form-data of them"),
    responses((status = 202, description = "on disk"), (status = 422, description = "does not fit the monitor"), (status = 429, description = "the queue is full"))
)]
pub(super) async fn images(
    State(shared): Use,
    Path(name): Path<String>,
    Query(about): Query<About>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match take_images(&shared, &name, about, headers, body).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(rejection) => rejection.into_response(),
    }
}

async fn take_images(shared: &Arc<Shared>, name: &str, about: About, headers: HeaderMap, request: Body) -> Taken<()> {
    let model = shared.served(name)?.id;
    let (bytes, _share) = body::read(shared, &headers, request).await?;
    let id = id(about.id)?;
    let identity = Identity::new(name, SOURCE, IMAGES, &id, &bytes);
    let time = match about.time {
        Some(text) => {
            Some(time::parse(&text).ok_or_else(|| Rejection::malformed("the time is not as RFC 3339 writes it"))?)
        }
        None => None,
    };
    let parts = parts(&headers, bytes).await?;
    let size = parts
        .iter()
        .map(|part| body::cost(&part.bytes))
        .fold(0_usize, usize::saturating_add);
    let (sharing, name, given) = (Arc::clone(shared), name.to_owned(), name.to_owned());
    let (images, answers) = body::parse(shared, size, move || parse(&sharing, &name, &parts)).await?;
    let pairing = match about.answers {
        Answers::Own => Pairing::Own,
        Answers::Logged => shared.pairing(shared.served(&given)?),
    };
    let submission = Submission {
        identity,
        time,
        images,
        answers,
        pairing,
    };
    submit::images(shared, model, submission).await?;
    Ok(())
}

/// One file of a request.
struct Part {
    is_answers: bool,
    bytes: Vec<u8>,
}

/// The files of a request: those of a form, or its body.
async fn parts(headers: &HeaderMap, bytes: Vec<u8>) -> Taken<Vec<Part>> {
    let content = crate::payload::header(headers, header::CONTENT_TYPE.as_str())?.unwrap_or_default();
    if !content.to_ascii_lowercase().starts_with("multipart/form-data") {
        let is_answers = false;
        return Ok(vec![Part { is_answers, bytes }]);
    }
    let broken = |error: &dyn std::fmt::Display| Rejection::malformed(format!("not a form of files: {error}"));
    let request = Request::builder()
        .header(header::CONTENT_TYPE, content)
        .body(Body::from(bytes));
    let mut request = request.map_err(|error| broken(&error))?;
    // The body was read within our own bound.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| broken(&error))?;
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        let is_answers = field.name() == Some(PROBABILITIES);
        let bytes = field.bytes().await.map_err(|error| broken(&error))?;
        parts.push(Part {
            is_answers,
            bytes: bytes.to_vec(),
        });
    }
    Ok(parts)
}

fn parse(shared: &Shared, name: &str, parts: &[Part]) -> Taken<(Images, Option<Vec<f32>>)> {
    let served = shared.served(name)?;
    let expected = &served.expected;
    let (mut all, mut answers) = (
        Images {
            n: 0,
            pixels: Vec::new(),
        },
        None,
    );
    for part in parts {
        let bytes = inflate(&part.bytes, shared.config.limits.body_bytes)?;
        if part.is_answers {
            if answers.is_some() {
                return Err(Rejection::malformed("the part `probabilities` comes twice"));
            }
            answers = Some(expected.answers_npy(&bytes)?);
            continue;
        }
        let images = match bytes.starts_with(b"\x93NUMPY") {
            true => expected.read_npy(&bytes)?,
            false => expected.read_pictures(&[&bytes])?,
        };
        all.n += images.n;
        if all.n > expected.most_images {
            return Err(Rejection::too_large(format!(
                "more than {} images in a request",
                expected.most_images
            )));
        }
        all.pixels.extend_from_slice(&images.pixels);
    }
    if all.n == 0 {
        return Err(Rejection::unfit("no images"));
    }
    if answers
        .as_ref()
        .is_some_and(|rows| rows.len() != all.n * expected.n_classes)
    {
        return Err(Rejection::unfit(format!(
            "not one row of probabilities for each of {} images",
            all.n
        )));
    }
    Ok((all, answers))
}

/// Takes the classifier's probabilities for images that were sent with the same id and `answers=logged`: a `.npy` array (N,
/// n_classes) of f4 or f8, or JSON `[[…], …]`.
#[utoipa::path(
    post, path = "/v1/monitors/{name}/probabilities", tag = "ingest", params(("name" = String, Path, description = "the monitor"), ("id" = String, Query, description = "the images' id")),
    request_body(content_type = "application/octet-stream"),
    responses((status = 202, description = "on disk"), (status = 422, description = "no probabilities, or of other classes"))
)]
pub(super) async fn probabilities(
    State(shared): Use,
    Path(name): Path<String>,
    Query(about): Query<About>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match take_probabilities(&shared, &name, about, headers, body).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(rejection) => rejection.into_response(),
    }
}

async fn take_probabilities(
    shared: &Arc<Shared>,
    name: &str,
    about: About,
    headers: HeaderMap,
    request: Body,
) -> Taken<()> {
    let served = shared.served(name)?;
    let Some(given) = about.id else {
        return Err(Rejection::malformed("the id of the images is needed: ?id=…"));
    };
    let given = id(Some(given))?;
    let (bytes, _share) = body::read(shared, &headers, request).await?;
    let identity = Identity::new(name, SOURCE, PROBABILITIES, &given, &bytes);
    let (sharing, name) = (Arc::clone(shared), name.to_owned());
    let (rows, n) = body::parse(shared, body::cost(&bytes), move || {
        let expected = &sharing.served(&name)?.expected;
        let bytes = inflate(&bytes, sharing.config.limits.body_bytes)?;
        let rows = match bytes.starts_with(b"\x93NUMPY") {
            true => expected.answers_npy(&bytes)?,
            false => {
                let rows: Numbers =
                    serde_json::from_slice(&bytes).map_err(|error| Rejection::malformed(error.to_string()))?;
                expected.answers(rows.values, &rows.shape)?
            }
        };
        let n = rows.len() / expected.n_classes.max(1);
        Ok((rows, n))
    })
    .await?;
    submit::answers(shared, served, identity, n, Some(rows)).await?;
    Ok(())
}

/// An id that was given, or one that nothing else has.
pub(super) fn id(given: Option<String>) -> Taken<String> {
    use std::hash::{BuildHasher, RandomState};
    match given {
        Some(id) if id.is_empty() || id.chars().count() > 512 || id.chars().any(char::is_control) => Err(
            Rejection::malformed("an id has 1 to 512 characters, none of them a control character"),
        ),
        Some(id) => Ok(id),
        // Two keyed hashes with fresh random keys: 128 bits that nobody else draws.
        None => Ok(format!(
            "{:016x}{:016x}",
            RandomState::new().hash_one(0),
            RandomState::new().hash_one(1)
        )),
    }
}
