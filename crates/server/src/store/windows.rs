//! From scored events to windows.

use riptide::detectors::accuracy::WindowValue;
use riptide::draw::data_uri;
use rusqlite::{Connection, OptionalExtension, params};

use super::blobs::{of_classes, of_floats};
use crate::appearance::PROPERTIES;
use crate::time::Millis;

/// When windows end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing {
    /// Images of a window; none for no bound.
    pub(crate) images: Option<i64>,
    /// Length of a window in event time.
    pub(crate) every: Option<Millis>,
    pub(crate) lateness: Millis,
    /// Closes windows by number that got nothing for so long.
    pub(crate) idle: Option<Millis>,
    /// Worst pictures kept of a window.
    pub(crate) exemplars: usize,
    /// Windows that began longer ago take no late events: their images may be gone.
    pub(crate) oldest: Millis,
}

/// An event whose images were scored, or could not be.
#[derive(Debug)]
pub(crate) struct ScoredEvent {
    pub(crate) seq: i64,
    pub(crate) event: i64,
    pub(crate) model: i64,
    pub(crate) event_time: Millis,
    pub(crate) n: usize,
    pub(crate) scored: Result<Scored, String>,
}

/// One entry an image.
#[derive(Debug, Default)]
pub(crate) struct Scored {
    pub(crate) scores: Vec<f32>,
    pub(crate) predictions: Vec<u32>,
    pub(crate) distilled: Vec<u32>,
    pub(crate) confidences: Vec<f32>,
    /// Error probabilities; none if the monitor is not calibrated.
    pub(crate) errors: Vec<f32>,
    /// Sums for the accuracy, of each image by itself, so that an event can be cut anywhere; likewise.
    pub(crate) values: Vec<WindowValue>,
    /// What the images look like, five numbers each; none if nothing is compared with them.
    pub(crate) properties: Vec<f32>,
    /// Row-major (n, H, W, 3).
    pub(crate) pixels: Vec<u8>,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// What happened while events were put into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Images whose window was closed already and gets a revision.
    pub(crate) revised: u64,
    /// Images that came too late for any window.
    pub(crate) too_late: u64,
    /// Windows that were closed.
    pub(crate) closed: u64,
}

/// Stands for the start of windows that go by number alone; no start of a time is one millisecond before 1970.
const NO_BIN: Millis = -1;

struct Window {
    id: i64,
    n: i64,
}

/// Notes the results of events, and puts each image into its window, in the order given.
pub(crate) fn place(c: &Connection, events: &[ScoredEvent], rules: &Closing, now: Millis) -> rusqlite::Result<Tally> {
    let mut tally = Tally::default();
    for event in events {
        // Taken off the line and counted in one transaction: after a kill it is neither lost nor counted twice.
        if c.prepare_cached("DELETE FROM ready WHERE seq = ?1")?
            .execute([event.seq])?
            == 0
        {
            continue;
        }
        c.prepare_cached("DELETE FROM payloads WHERE event = ?1")?
            .execute([event.event])?;
        match &event.scored {
            Ok(scored) => {
                c.prepare_cached("UPDATE events SET state = 2 WHERE id = ?1")?
                    .execute([event.event])?;
                place_one(c, event, scored, rules, now, &mut tally)?;
            }
            Err(reason) => {
                c.prepare_cached("UPDATE events SET state = 3, reason = ?2 WHERE id = ?1")?
                    .execute(params![event.event, reason])?;
            }
        }
    }
    Ok(tally)
}

fn place_one(
    c: &Connection,
    event: &ScoredEvent,
    scored: &Scored,
    rules: &Closing,
    now: Millis,
    tally: &mut Tally,
) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE models SET watermark = max(watermark, ?2) WHERE id = ?1")?
        .execute([event.model, event.event_time])?;
    let bin = rules.every.map(|every| event.event_time.div_euclid(every) * every);
    let mut first = 0;
    while first < event.n {
        let rest = event.n - first;
        let (window, room) = match window_for(c, event, bin, rules, now, tally)? {
            Some(Window { id, n }) => {
                let room = rules.images.map_or(i64::MAX, |images| images - n);
                // A late event goes into a window that is full already.
                (
                    Some(id),
                    if room <= 0 {
                        rest
                    } else {
                        usize::try_from(room).unwrap_or(rest).min(rest)
                    },
                )
            }
            None => {
                tally.too_late += rest as u64;
                (None, rest)
            }
        };
        let range = first..first + room;
        add_result(c, window, event, scored, range.clone())?;
        if let Some(window) = window {
            c.prepare_cached(
                "UPDATE windows SET n = n + ?2, last_arrival = ?3, first_time = min(ifnull(first_time, ?4), ?4),
                 last_time = max(ifnull(last_time, ?4), ?4) WHERE id = ?1",
            )?
            .execute([window, room as i64, now, event.event_time])?;
            keep_worst(c, window, event, scored, range, rules.exemplars)?;
            if let Some(images) = rules.images {
                let closed = c
                    .prepare_cached("UPDATE windows SET state = 1, closed_at = ?3, closed_by = 'number' WHERE id = ?1 AND state = 0 AND n >= ?2")?
                    .execute([window, images, now])?;
                tally.closed += closed as u64;
            }
        }
        first += room;
    }
    Ok(())
}

/// The window that an event's next images go into; none if it is too late for any.
fn window_for(
    c: &Connection,
    event: &ScoredEvent,
    bin: Option<Millis>,
    rules: &Closing,
    now: Millis,
    tally: &mut Tally,
) -> rusqlite::Result<Option<Window>> {
    let last = c
        .prepare_cached("SELECT id, n, part, state, closed_by FROM windows WHERE model = ?1 AND ifnull(bin, -1) = ?2 ORDER BY part DESC LIMIT 1")?
        .query_row([event.model, bin.unwrap_or(NO_BIN)], |row| {
            let window = Window {
                id: row.get(0)?,
                n: row.get(1)?,
            };
            Ok((window, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?, row.get::<_, Option<String>>(4)?))
        })
        .optional()?;
    let part = match last {
        Some((window, _, 0, _)) => return Ok(Some(window)),
        Some((window, _, state, closed_by)) if bin.is_some() && closed_by.as_deref() == Some("time") => {
            if bin.is_some_and(|bin| bin < now.saturating_sub(rules.oldest)) {
                return Ok(None);
            }
            // What is late comes as a whole event, because no window before it took a part of it.
            tally.revised += event.n as u64;
            if state == 2 {
                c.prepare_cached("UPDATE windows SET state = 1, revision = revision + 1 WHERE id = ?1")?
                    .execute([window.id])?;
            }
            return Ok(Some(Window { n: i64::MAX, ..window }));
        }
        Some((_, part, ..)) => part + 1,
        None if bin.is_some_and(|bin| bin < now.saturating_sub(rules.oldest)) => return Ok(None),
        None => 0,
    };
    c.prepare_cached("INSERT INTO windows(model, bin, part, state, last_arrival) VALUES(?1, ?2, ?3, 0, ?4)")?
        .execute(params![event.model, bin, part, now])?;
    Ok(Some(Window {
        id: c.last_insert_rowid(),
        n: 0,
    }))
}

fn add_result(
    c: &Connection,
    window: Option<i64>,
    event: &ScoredEvent,
    scored: &Scored,
    range: std::ops::Range<usize>,
) -> rusqlite::Result<()> {
    fn part<'a, T>(values: &'a [T], range: &std::ops::Range<usize>) -> &'a [T] {
        values.get(range.clone()).unwrap_or_default()
    }
    let errors = part(&scored.errors, &range);
    let each = PROPERTIES.len();
    let properties = part(&scored.properties, &(range.start * each..range.end * each));
    let mut value: Option<WindowValue> = None;
    for one in part(&scored.values, &range) {
        // Sums of fewer than 2^32 images do not overflow, and all have the monitor's classes.
        let merged = value.get_or_insert_default().merge(one);
        merged.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    }
    let value = value.map(|value| serde_json::to_string(&value)).transpose();
    let value = value.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    c.prepare_cached(
        "INSERT INTO results(window, event, first, n, scores, predictions, distilled, confidences, errors, value, properties)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        window,
        event.event,
        range.start as i64,
        range.len() as i64,
        of_floats(part(&scored.scores, &range)),
        of_classes(part(&scored.predictions, &range)),
        of_classes(part(&scored.distilled, &range)),
        of_floats(part(&scored.confidences, &range)),
        (!errors.is_empty()).then(|| of_floats(errors)),
        value,
        (!properties.is_empty()).then(|| of_floats(properties)),
    ])?;
    Ok(())
}

/// Keeps those images that are among the worst of their window so far.
fn keep_worst(
    c: &Connection,
    window: i64,
    event: &ScoredEvent,
    scored: &Scored,
    range: std::ops::Range<usize>,
    most: usize,
) -> rusqlite::Result<()> {
    let (kept, mut least) = c
        .prepare_cached("SELECT count(*), min(score) FROM exemplars WHERE window = ?1")?
        .query_row([window], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<f64>>(1)?))
        })?;
    let mut kept = usize::try_from(kept).unwrap_or(usize::MAX);
    let bytes = scored.height * scored.width * 3;
    for place in range {
        let Some(&score) = scored.scores.get(place) else {
            continue;
        };
        let score = f64::from(score);
        if most == 0 || kept >= most && least.is_some_and(|least| score <= least) {
            continue;
        }
        let pixels = scored
            .pixels
            .get(place * bytes..(place + 1) * bytes)
            .unwrap_or_default();
        // A picture that cannot be drawn is none to show.
        let Ok(picture) = data_uri(pixels, scored.height, scored.width) else {
            continue;
        };
        c.prepare_cached(
            "INSERT INTO exemplars(window, event, place, score, prediction, distilled, picture) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            window,
            event.event,
            place as i64,
            score,
            scored.predictions.get(place),
            scored.distilled.get(place),
            picture
        ])?;
        kept += 1;
        if kept > most {
            c.prepare_cached(
                "DELETE FROM exemplars WHERE rowid = (SELECT rowid FROM exemplars WHERE window = ?1 ORDER BY score, rowid DESC LIMIT 1)",
            )?
            .execute([window])?;
            kept -= 1;
            least = c
                .prepare_cached("SELECT min(score) FROM exemplars WHERE window = ?1")?
                .query_row([window], |row| row.get(0))?;
        } else {
            least = Some(least.map_or(score, |least| least.min(score)));
        }
    }
    Ok(())
}

/// Closes windows whose time is over: by the events' own time, or, if nothing waits any more and nothing has come for long, by the
/// clock. (Logs of another day that are sent in one go must not be closed between two of their events.)
pub(crate) fn close_due(c: &Connection, rules: &Closing, now: Millis) -> rusqlite::Result<u64> {
    let mut closed = 0;
    if let Some(every) = rules.every {
        let end = every.saturating_add(rules.lateness);
        closed += c
            .prepare_cached(
                "UPDATE windows SET state = 1, closed_at = ?2, closed_by = 'time' WHERE state = 0 AND bin IS NOT NULL AND (
                   bin + ?1 <= (SELECT watermark FROM models m WHERE m.id = windows.model)
                   OR bin + ?1 <= ?2 AND last_arrival + ?3 <= ?2
                     AND NOT EXISTS (SELECT 1 FROM ready r JOIN events e ON e.id = r.event WHERE e.model = windows.model))",
            )?
            .execute([end, now, rules.lateness])?;
    }
    if let Some(idle) = rules.idle {
        closed += c
            .prepare_cached(
                "UPDATE windows SET state = 1, closed_at = ?2, closed_by = 'idle' WHERE state = 0 AND bin IS NULL AND n > 0
                 AND last_arrival + ?1 <= ?2
                 AND NOT EXISTS (SELECT 1 FROM ready r JOIN events e ON e.id = r.event WHERE e.model = windows.model)",
            )?
            .execute([idle, now])?;
    }
    Ok(closed as u64)
}

/// Closes windows that were begun under other settings and would never end under these.
pub(crate) fn close_foreign(c: &Connection, rules: &Closing, now: Millis) -> rusqlite::Result<usize> {
    let close = "UPDATE windows SET state = 1, closed_at = ?1, closed_by = 'settings' WHERE state = 0";
    let kind = if rules.every.is_some() {
        "bin IS NULL"
    } else {
        "bin IS NOT NULL"
    };
    let other = c.execute(&format!("{close} AND {kind}"), [now])?;
    let full = match rules.images {
        Some(images) => c.execute(&format!("{close} AND n >= ?2"), [now, images])?,
        None => 0,
    };
    Ok(other + full)
}

#[cfg(test)]
mod tests;
