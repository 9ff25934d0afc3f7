//! The thread that scores what waits, in the order in which it came.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use riptide::datasets::ImageSet;
use riptide::detectors::accuracy::WindowValue;
use riptide::detectors::{DetectorError, Probabilities};
use tokio::sync::oneshot;

use crate::appearance;
use crate::metrics::OfModel;
use crate::shared::{Served, Shared};
use crate::store::{Contents, Pending, Scored, ScoredEvent, Tally, WriteError, floats, next_pending, place};

/// Images that are scored together at most, and bytes of their pixels: enough to keep every core busy, little beside the
/// networks themselves.
const MOST_IMAGES: usize = 1024;
const MOST_BYTES: usize = 12 << 20;

/// What was scored and is being written.
struct Writing {
    heard: oneshot::Receiver<Result<Tally, WriteError>>,
    batch: Arc<Vec<ScoredEvent>>,
    keys: HashMap<i64, Vec<u8>>,
    images: usize,
    bytes: usize,
}

/// Scores until the service stops.
pub(crate) fn run(shared: &Shared) {
    let mut after = 0;
    // One batch is written while the next is scored.
    let mut writing: Option<Writing> = None;
    loop {
        let pending = shared.reader.read(|c| next_pending(c, after, MOST_IMAGES, MOST_BYTES));
        let pending = pending.unwrap_or_else(|error| {
            tracing::error!("cannot read what waits to be scored: {error}");
            Vec::new()
        });
        let Some(last) = pending.last().map(|last| last.seq) else {
            if let Some(writing) = writing.take() {
                finish(shared, writing);
            } else if shared.is_stopping() {
                return;
            } else {
                shared.scorer.sleep(Duration::from_millis(500));
            }
            continue;
        };
        if shared.is_stopping() {
            // What waits is in the database, and is scored after the next start.
            if let Some(writing) = writing.take() {
                finish(shared, writing);
            }
            return;
        }
        let (images, bytes) = pending
            .iter()
            .fold((0, 0), |(n, bytes), p| (n + p.n, bytes + p.images.len()));
        let keys = pending.iter().filter_map(|p| Some((p.event, p.key.clone()?))).collect();
        let started = Instant::now();
        let batch = Arc::new(score_all(shared, pending));
        shared.metrics.scoring.observe(started.elapsed().as_secs_f64());
        if let Some(writing) = writing.take() {
            finish(shared, writing);
        }
        after = last;
        writing = Some(Writing {
            heard: write(shared, &batch),
            batch,
            keys,
            images,
            bytes,
        });
    }
}

fn write(shared: &Shared, batch: &Arc<Vec<ScoredEvent>>) -> oneshot::Receiver<Result<Tally, WriteError>> {
    let (batch, rules, now) = (Arc::clone(batch), shared.closing(), shared.clock.now());
    shared.writer.write_later(move |c| place(c, &batch, &rules, now))
}

/// Waits until a batch is written, and tries again for as long as the disk has no room.
fn finish(shared: &Shared, writing: Writing) {
    let Writing {
        mut heard,
        batch,
        keys,
        images,
        bytes,
    } = writing;
    let tally = loop {
        match heard.blocking_recv().unwrap_or(Err(WriteError::Closed)) {
            Ok(tally) => break tally,
            Err(WriteError::Closed) => return,
            Err(error) => {
                tracing::error!("scores are not written yet: {error}");
                if shared.is_stopping() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(500));
                heard = write(shared, &batch);
            }
        }
    };
    shared.queue.release(images, bytes);
    shared.metrics.late.inc_by(tally.revised + tally.too_late);
    if tally.closed + tally.revised > 0 {
        shared.judge.call();
    }
    for event in batch.iter() {
        let waiter = keys.get(&event.event).and_then(|key| shared.waiters.take(key));
        match &event.scored {
            Ok(scored) => {
                if let Some(served) = shared.served_by_id(event.model) {
                    let of = OfModel {
                        model: served.name.clone(),
                    };
                    shared.metrics.images.get_or_create(&of).inc_by(event.n as u64);
                    let histogram = shared.metrics.scores.get_or_create(&of);
                    scored.scores.iter().for_each(|&score| histogram.observe(score.into()));
                    drop(histogram);
                    if !scored.errors.is_empty() {
                        let histogram = shared.metrics.errors.get_or_create(&of);
                        scored.errors.iter().for_each(|&error| histogram.observe(error.into()));
                    }
                }
                if let Some(waiter) = waiter {
                    let _ = waiter.send(Ok(Arc::new(contents(scored))));
                }
            }
            Err(reason) => {
                shared.metrics.failed.inc();
                tracing::warn!("an event could not be scored: {reason}");
                if let Some(waiter) = waiter {
                    let _ = waiter.send(Err(reason.clone()));
                }
            }
        }
    }
}

fn contents(scored: &Scored) -> Contents {
    Contents {
        scores: scored.scores.clone(),
        predictions: scored.predictions.clone(),
        distilled: scored.distilled.clone(),
        confidences: scored.confidences.clone(),
        errors: scored.errors.clone(),
        value: None,
        properties: Vec::new(),
    }
}

/// Scores events together; if that fails, one by one, so that one bad event is the only one to fail.
fn score_all(shared: &Shared, pending: Vec<Pending>) -> Vec<ScoredEvent> {
    let Some(served) = pending.first().and_then(|first| shared.served_by_id(first.model)) else {
        let reason = || Err("its monitor is no longer served".to_owned());
        return pending.into_iter().map(|event| told(None, event, reason())).collect();
    };
    match score(served, &pending) {
        Ok(scored) => pending
            .into_iter()
            .zip(scored)
            .map(|(event, scored)| told(Some(served), event, Ok(scored)))
            .collect(),
        Err(reason) if pending.len() == 1 => pending
            .into_iter()
            .map(|event| told(None, event, Err(reason.clone())))
            .collect(),
        Err(_) => pending
            .into_iter()
            .map(|event| {
                let scored = score(served, std::slice::from_ref(&event));
                let scored = scored.and_then(|mut one| one.pop().ok_or_else(|| "no result".to_owned()));
                told(Some(served), event, scored)
            })
            .collect(),
    }
}

/// An event with its results, to which its pixels go on: the worst of them are kept.
fn told(served: Option<&Served>, pending: Pending, scored: Result<Scored, String>) -> ScoredEvent {
    let looked_at = served.filter(|served| served.appearance.is_some());
    let scored = scored.map(|scored| Scored {
        properties: looked_at.map_or_else(Vec::new, |_| {
            appearance::of_images(&pending.images, scored.height, scored.width)
        }),
        pixels: pending.images,
        ..scored
    });
    ScoredEvent {
        seq: pending.seq,
        event: pending.event,
        model: pending.model,
        event_time: pending.event_time,
        n: pending.n,
        scored,
    }
}

/// The results of each event.
fn score(served: &Served, pending: &[Pending]) -> Result<Vec<Scored>, String> {
    // A fault in a network must not end the thread that everything waits for.
    let scored = catch_unwind(AssertUnwindSafe(|| scored(served, pending)));
    let (all, values) = scored.unwrap_or_else(|_| Err("the networks failed".to_owned()))?;
    if !values.is_empty() && values.len() != all.scores.len() {
        return Err("the calibration gave too few results".to_owned());
    }
    let (height, width) = served.monitor.input_size();
    let mut first = 0;
    let slices = pending.iter().map(|event| {
        let range = first..first + event.n;
        first = range.end;
        let uneven = || "the networks gave too few results".to_owned();
        Ok(Scored {
            scores: all.scores.get(range.clone()).ok_or_else(uneven)?.to_vec(),
            predictions: all.predictions.get(range.clone()).ok_or_else(uneven)?.to_vec(),
            distilled: all.distilled.get(range.clone()).ok_or_else(uneven)?.to_vec(),
            confidences: all.confidences.get(range.clone()).ok_or_else(uneven)?.to_vec(),
            errors: all.errors.get(range.clone()).unwrap_or_default().to_vec(),
            values: values.get(range).unwrap_or_default().to_vec(),
            properties: Vec::new(),
            pixels: Vec::new(),
            height,
            width,
        })
    });
    slices.collect()
}

/// The results of all images, with the sums of each that the accuracy is estimated from.
fn scored(served: &Served, pending: &[Pending]) -> Result<(Contents, Vec<WindowValue>), String> {
    let monitor = &served.monitor;
    let mut pixels = Vec::with_capacity(pending.iter().map(|event| event.images.len()).sum());
    pending.iter().for_each(|event| pixels.extend_from_slice(&event.images));
    let (mut all, mut values) = (Contents::default(), Vec::new());
    let has_answers = pending.first().is_some_and(|first| first.answers.is_some());
    if has_answers {
        let answers = pending
            .iter()
            .flat_map(|event| floats(event.answers.as_deref().unwrap_or_default()))
            .collect();
        let distilled = monitor
            .distilled()
            .predict_proba(&pixels, |_| ())
            .map_err(|error| error.to_string())?;
        let probabilities =
            Probabilities::new(answers, distilled, monitor.n_classes()).map_err(|error| error.to_string())?;
        let scores = monitor
            .facts()
            .score_probabilities(&probabilities)
            .map_err(|error| error.to_string())?;
        add(&mut all, &probabilities, &scores);
        calibrated(served, &probabilities, None, &mut all, &mut values).map_err(|error| error.to_string())?;
        return Ok((all, values));
    }
    let (height, width) = monitor.input_size();
    let images = ImageSet::unlabelled(pixels, height, width).map_err(|error| error.to_string())?;
    for chunk in monitor.score_stream(&images) {
        let chunk = chunk.map_err(|error| error.to_string())?;
        add(&mut all, &chunk.probabilities, &chunk.scores);
        let mirrored = chunk.mirrored.as_deref();
        calibrated(served, &chunk.probabilities, mirrored, &mut all, &mut values).map_err(|error| error.to_string())?;
    }
    Ok((all, values))
}

/// What a calibrated monitor says of each image besides.
fn calibrated(
    served: &Served,
    probabilities: &Probabilities,
    mirrored: Option<&[f32]>,
    all: &mut Contents,
    values: &mut Vec<WindowValue>,
) -> Result<(), DetectorError> {
    let Some(calibration) = served.monitor.calibration() else {
        return Ok(());
    };
    let (model, n_classes) = (calibration.model(), probabilities.n_classes.max(1));
    let errors = model.error_probabilities(probabilities, mirrored)?;
    all.errors.extend(errors.into_iter().map(|error| error as f32));
    let rows = probabilities
        .classifier
        .chunks_exact(n_classes)
        .zip(probabilities.distilled.chunks_exact(n_classes));
    let mut mirrored = mirrored.map(|rows| rows.chunks_exact(n_classes));
    for (classifier, distilled) in rows {
        let one = Probabilities {
            classifier: classifier.to_vec(),
            distilled: distilled.to_vec(),
            n_classes: probabilities.n_classes,
        };
        let mirrored = mirrored.as_mut().and_then(Iterator::next);
        values.push(model.window(&one, mirrored)?);
    }
    Ok(())
}

fn add(all: &mut Contents, probabilities: &Probabilities, scores: &[f32]) {
    let class = |class: usize| u32::try_from(class).unwrap_or(u32::MAX);
    all.scores.extend_from_slice(scores);
    let predictions = probabilities.predicted_classes();
    let rows = probabilities.classifier.chunks_exact(probabilities.n_classes.max(1));
    let confidences = rows
        .zip(&predictions)
        .map(|(row, &class)| row.get(class).copied().unwrap_or_default());
    all.confidences.extend(confidences);
    all.predictions.extend(predictions.into_iter().map(class));
    all.distilled
        .extend(probabilities.distilled_classes().into_iter().map(class));
}
