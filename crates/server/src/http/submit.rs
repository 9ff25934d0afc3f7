//! From a request taken apart to an event in the database.

use std::sync::Arc;

use riptide::files::digest::Hasher;

use crate::metrics::OfReason;
use crate::payload::{Images, Taken};
use crate::shared::{Served, Shared};
use crate::store::{Arrival, NewAnswers, NewEvent, Pairing, WriteError, add_answers, add_event};
use crate::time::{Millis, seconds};

/// What tells an event from others: which monitor it is for, who sent it, what it is, its id and its body.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) source: String,
    pub(super) id: String,
    pub(super) key: [u8; 32],
}

impl Identity {
    pub(super) fn new(monitor: &str, source: &str, kind: &str, id: &str, body: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        for part in [monitor, source, kind, id].map(str::as_bytes) {
            // With its length, so that no two lists of parts give the same bytes.
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(body);
        Self {
            source: source.into(),
            id: id.into(),
            key: hasher.finish_bytes(),
        }
    }
}

/// A request that was taken apart.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) identity: Identity,
    pub(super) time: Option<Millis>,
    pub(super) images: Images,
    /// The classifier's answers, if they came along.
    pub(super) answers: Option<Vec<f32>>,
    pub(super) pairing: Pairing,
}

/// Writes a request's images, and waits until they are on disk.
pub(super) async fn images(shared: &Arc<Shared>, model: i64, submission: Submission) -> Taken<Arrival> {
    let Submission {
        identity,
        time,
        images,
        answers,
        pairing,
    } = submission;
    let (n, bytes) = (images.n, images.pixels.len());
    let room = shared.queue.reserve(n, bytes)?;
    let received_at = shared.clock.now();
    let event = NewEvent {
        model,
        key: identity.key,
        source: identity.source,
        event_id: identity.id,
        event_time: shared.event_time(time, received_at),
        received_at,
        n,
        images: images.pixels,
        answers,
        pairing,
        duplicates: seconds(shared.config.queue.duplicate_seconds),
    };
    let heard = shared.writer.try_write(move |c| add_event(c, &event))?;
    room.keep();
    let shared = Arc::clone(shared);
    // A task of its own, because a client that hangs up ends this one, and the event is written all the same.
    let written = tokio::spawn(async move {
        let arrival = heard.await.unwrap_or(Err(WriteError::Closed));
        match &arrival {
            Ok(Arrival::Duplicate(_)) | Err(_) => shared.queue.release(n, bytes),
            Ok(_) => {}
        }
        if let Ok(arrival) = &arrival {
            count(&shared, *arrival);
        }
        arrival
    });
    Ok(written.await.unwrap_or(Err(WriteError::Closed))?)
}

/// Writes a response's answers (or that they were of no use), and waits until they are on disk.
pub(super) async fn answers(
    shared: &Shared,
    served: &Served,
    identity: Identity,
    n: usize,
    rows: Option<Vec<f32>>,
) -> Taken<Arrival> {
    let answers = NewAnswers {
        model: served.id,
        key: identity.key,
        source: identity.source,
        event_id: identity.id,
        received_at: shared.clock.now(),
        n,
        rows,
        pairing: shared.pairing(served),
        duplicates: seconds(shared.config.queue.duplicate_seconds),
    };
    let heard = shared.writer.try_write(move |c| add_answers(c, &answers))?;
    let arrival = heard.await.unwrap_or(Err(WriteError::Closed))?;
    count(shared, arrival);
    Ok(arrival)
}

fn count(shared: &Shared, arrival: Arrival) {
    let reason = match arrival {
        Arrival::Duplicate(_) => {
            shared.metrics.duplicates.inc();
            return;
        }
        Arrival::Waits => "waiting",
        Arrival::Paired => "paired",
        Arrival::Own => "own_classifier",
        Arrival::Ambiguous => "ambiguous",
        Arrival::Unused => "unused",
    };
    shared.metrics.exchanges.get_or_create(&OfReason { reason }).inc();
    if arrival != Arrival::Waits {
        shared.scorer.call();
    }
}
