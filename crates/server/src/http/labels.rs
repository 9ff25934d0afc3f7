//! `POST /labels`: what images really were, when it is known.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{Use, body};
use crate::payload::{Rejection, Taken};
use crate::shared::Shared;
use crate::store::{LabelOutcome, NewLabel, add_label};

/// Labels of a request.
const MOST: usize = 10_000;

/// Labels of images that were sent before.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Labels {
    /// The monitor; may be left out if there is one only.
    model: Option<String>,
    labels: Vec<Label>,
}

/// The label of one image.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Label {
    /// The id of the event that the image came with.
    id: String,
    /// The image's place in the event, from 0.
    #[serde(default)]
    index: usize,
    /// The class, by number or name.
    label: Class,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
enum Class {
    Number(u32),
    Name(String),
}

/// What became of the labels.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(super) struct Outcome {
    /// Taken.
    taken: usize,
    /// No event has the id, or it has no image of the index.
    unknown: usize,
    /// Several events have the id.
    ambiguous: usize,
    /// The event is not scored yet; send the label again.
    not_yet: usize,
}

/// Takes labels. A second label for the same image takes the place of the first.
#[utoipa::path(post, path = "/labels", tag = "ingest", request_body = Labels,
    responses((status = 200, description = "how many were taken", body = Outcome), (status = 400, description = "malformed")))]
pub(super) async fn labels(State(shared): Use, headers: HeaderMap, body: Body) -> Response {
    match take(&shared, headers, body).await {
        Ok(outcome) => Json(outcome).into_response(),
        Err(rejection) => rejection.into_response(),
    }
}

async fn take(shared: &Arc<Shared>, headers: HeaderMap, request: Body) -> Taken<Outcome> {
    let (bytes, _share) = body::read(shared, &headers, request).await?;
    let Labels { model, labels } =
        serde_json::from_slice(&bytes).map_err(|error| Rejection::malformed(error.to_string()))?;
    if labels.len() > MOST {
        return Err(Rejection::too_large(format!(
            "{} labels in a request; at most {MOST} are taken",
            labels.len()
        )));
    }
    let served = shared.served_for(model.as_deref())?;
    if model.as_deref().is_some_and(|name| name != served.name) {
        return Err(Rejection::new(
            404,
            "unknown_model",
            "there is no monitor of this name here",
        ));
    }
    let names = &served.monitor.facts().class_names;
    let mut new = Vec::with_capacity(labels.len());
    for label in labels {
        let class = match &label.label {
            Class::Number(number) => Some(*number as usize).filter(|&class| class < names.len()),
            Class::Name(name) => names.iter().position(|known| known == name),
        };
        let class = class.and_then(|class| u32::try_from(class).ok());
        new.push(NewLabel {
            model: served.id,
            event_id: label.id,
            place: label.index,
            label: class.ok_or_else(|| Rejection::unfit("a label that is no class of the monitor"))?,
        });
    }
    let now = shared.clock.now();
    let heard = shared.writer.try_write(move |c| {
        let mut outcome = Outcome::default();
        for label in &new {
            match add_label(c, label, now)? {
                LabelOutcome::Taken => outcome.taken += 1,
                LabelOutcome::Unknown => outcome.unknown += 1,
                LabelOutcome::Ambiguous => outcome.ambiguous += 1,
                LabelOutcome::NotYet => outcome.not_yet += 1,
            }
        }
        Ok(outcome)
    })?;
    Ok(heard.await.unwrap_or(Err(crate::store::WriteError::Closed))?)
}
