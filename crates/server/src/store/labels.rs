//! Labels that come late: what an image really was.

use rusqlite::{Connection, OptionalExtension, params};

use super::blobs::classes;
use crate::time::Millis;

/// The label of one image of an event.
#[derive(Debug, Clone)]
pub(crate) struct NewLabel {
    pub(crate) model: i64,
    pub(crate) event_id: String,
    /// The image's place in its event.
    pub(crate) place: usize,
    pub(crate) label: u32,
}

/// What became of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LabelOutcome {
    Taken,
    /// No event has this id, or it has no such image.
    Unknown,
    /// Several events have this id.
    Ambiguous,
    /// The event is not scored yet.
    NotYet,
}

/// Takes a label; a second one for the same image takes the place of the first.
pub(crate) fn add_label(c: &Connection, new: &NewLabel, now: Millis) -> rusqlite::Result<LabelOutcome> {
    let mut events = c.prepare_cached("SELECT id, n, state FROM events WHERE event_id = ?1 AND model = ?2 LIMIT 2")?;
    let events: Vec<(i64, i64, i64)> = events
        .query_map(params![new.event_id, new.model], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let event = match *events {
        [] => return Ok(LabelOutcome::Unknown),
        [(event, n, 2)] if (new.place as i64) < n => event,
        [(_, _, 0 | 1)] => return Ok(LabelOutcome::NotYet),
        [_] => return Ok(LabelOutcome::Unknown),
        _ => return Ok(LabelOutcome::Ambiguous),
    };
    let slice: Option<(Option<i64>, i64, Vec<u8>)> = c
        .prepare_cached(
            "SELECT window, first, predictions FROM results WHERE event = ?1 AND first <= ?2 AND first + n > ?2",
        )?
        .query_row(params![event, new.place as i64], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((window, first, predictions)) = slice else {
        return Ok(LabelOutcome::Unknown);
    };
    let inside = new.place.saturating_sub(usize::try_from(first).unwrap_or(0));
    let Some(&prediction) = classes(&predictions).get(inside) else {
        return Ok(LabelOutcome::Unknown);
    };
    let before: Option<u32> = c
        .prepare_cached("SELECT label FROM labels WHERE event = ?1 AND place = ?2")?
        .query_row(params![event, new.place as i64], |row| row.get(0))
        .optional()?;
    c.prepare_cached("INSERT OR REPLACE INTO labels(event, place, label, received_at) VALUES(?1, ?2, ?3, ?4)")?
        .execute(params![event, new.place as i64, new.label, now])?;
    let was_right = i64::from(before == Some(prediction));
    let is_right = i64::from(new.label == prediction);
    c.prepare_cached("UPDATE windows SET labelled = labelled + ?2, correct = correct + ?3 WHERE id = ?1")?
        .execute(params![window, i64::from(before.is_none()), is_right - was_right])?;
    Ok(LabelOutcome::Taken)
}
