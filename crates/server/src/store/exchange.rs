//! Logged requests and responses: each counted once, paired, and lined up to be scored.
//!
//! A response belongs to the request with its source and id. Clients may give every request the same id; then nothing says
//! which response belongs to which request, and none is used: a wrong pair would give a wrong score without a word.

use rusqlite::{Connection, OptionalExtension, params};

use super::blobs::of_floats;
use crate::time::Millis;

/// Whether a request waits for its logged answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// It waits for so long.
    Wait(Millis),
    /// It does not: our own classifier answers.
    Own,
}

/// A request with images.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub(crate) model: i64,
    pub(crate) key: [u8; 32],
    pub(crate) source: String,
    pub(crate) event_id: String,
    pub(crate) event_time: Millis,
    pub(crate) received_at: Millis,
    pub(crate) n: usize,
    pub(crate) images: Vec<u8>,
    /// The classifier's answers, if they came with the images.
    pub(crate) answers: Option<Vec<f32>>,
    pub(crate) pairing: Pairing,
    /// For how long a duplicate is recognised.
    pub(crate) duplicates: Millis,
}

/// A response: class probabilities, or none if they were of no use.
#[derive(Debug)]
pub(crate) struct NewAnswers {
    pub(crate) model: i64,
    pub(crate) key: [u8; 32],
    pub(crate) source: String,
    pub(crate) event_id: String,
    pub(crate) received_at: Millis,
    pub(crate) n: usize,
    pub(crate) rows: Option<Vec<f32>>,
    pub(crate) pairing: Pairing,
    pub(crate) duplicates: Millis,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It came before; the first one's number.
    Duplicate(i64),
    /// It waits for its other half.
    Waits,
    /// It waits to be scored with the logged answers.
    Paired,
    /// It waits to be scored by our own classifier, as asked for.
    Own,
    /// It waits to be scored by our own classifier, because it cannot be told which answer is its own.
    Ambiguous,
    /// Of an answer: no request needs it.
    Unused,
}

/// An event that waits to be scored.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) seq: i64,
    pub(crate) event: i64,
    pub(crate) model: i64,
    pub(crate) event_time: Millis,
    pub(crate) n: usize,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) images: Vec<u8>,
    pub(crate) answers: Option<Vec<u8>>,
}

const READY: i64 = 1;

/// Events that are scored together: their results are written in one piece, and requests wait for the writer meanwhile.
const MOST_EVENTS: usize = 256;

/// Takes a request, once.
pub(crate) fn add_event(c: &Connection, new: &NewEvent) -> rusqlite::Result<Arrival> {
    let known = c
        .prepare_cached("SELECT id, received_at FROM events WHERE key = ?1")?
        .query_row([new.key.as_slice()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Millis>(1)?))
        })
        .optional()?;
    if let Some((event, before)) = known {
        if new.received_at.saturating_sub(before) <= new.duplicates {
            return Ok(Arrival::Duplicate(event));
        }
        c.prepare_cached("UPDATE events SET key = NULL WHERE id = ?1")?
            .execute([event])?;
    }
    c.prepare_cached(
        "INSERT INTO events(model, key, source, event_id, event_time, received_at, n, state) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
    )?
    .execute(params![
        new.model,
        new.key.as_slice(),
        new.source,
        new.event_id,
        new.event_time,
        new.received_at,
        new.n as i64
    ])?;
    let event = c.last_insert_rowid();
    c.prepare_cached("INSERT INTO payloads(event, images, answers) VALUES(?1, ?2, ?3)")?
        .execute(params![event, new.images, new.answers.as_deref().map(of_floats)])?;
    if new.answers.is_some() {
        line_up(c, event)?;
        return Ok(Arrival::Paired);
    }
    let Pairing::Wait(time) = new.pairing else {
        line_up(c, event)?;
        return Ok(Arrival::Own);
    };
    let since = new.received_at.saturating_sub(time);
    let is_reused = c
        .prepare_cached("SELECT 1 FROM events WHERE event_id = ?1 AND source = ?2 AND model = ?3 AND received_at >= ?4 AND id <> ?5")?
        .exists(params![new.event_id, new.source, new.model, since, event])?;
    if is_reused {
        let mut waiting =
            c.prepare_cached("SELECT id FROM events WHERE event_id = ?1 AND source = ?2 AND model = ?3 AND state = 0")?;
        let waiting: Vec<i64> = waiting
            .query_map(params![new.event_id, new.source, new.model], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for event in waiting {
            line_up(c, event)?;
        }
        drop_answers(c, &new.event_id, &new.source, new.model)?;
        return Ok(Arrival::Ambiguous);
    }
    let mut found = c.prepare_cached(
        "SELECT id, n FROM answers WHERE event_id = ?1 AND source = ?2 AND model = ?3 AND state = 0 AND received_at >= ?4",
    )?;
    let found: Vec<(i64, i64)> = found
        .query_map(params![new.event_id, new.source, new.model, since], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    match *found {
        [] => Ok(Arrival::Waits),
        [(answers, n)] if n == new.n as i64 => {
            c.prepare_cached(
                "UPDATE payloads SET answers = (SELECT rows FROM answers WHERE id = ?2) WHERE event = ?1",
            )?
            .execute([event, answers])?;
            drop_answers(c, &new.event_id, &new.source, new.model)?;
            line_up(c, event)?;
            Ok(Arrival::Paired)
        }
        _ => {
            drop_answers(c, &new.event_id, &new.source, new.model)?;
            line_up(c, event)?;
            Ok(Arrival::Ambiguous)
        }
    }
}

/// Takes a response, once.
pub(crate) fn add_answers(c: &Connection, new: &NewAnswers) -> rusqlite::Result<Arrival> {
    let known = c
        .prepare_cached("SELECT id, received_at FROM answers WHERE key = ?1")?
        .query_row([new.key.as_slice()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Millis>(1)?))
        })
        .optional()?;
    if let Some((id, before)) = known {
        if new.received_at.saturating_sub(before) <= new.duplicates {
            return Ok(Arrival::Duplicate(id));
        }
        c.prepare_cached("DELETE FROM answers WHERE id = ?1")?.execute([id])?;
    }
    let (time, pairs) = match new.pairing {
        Pairing::Wait(time) => (time, true),
        Pairing::Own => (0, false),
    };
    let since = new.received_at.saturating_sub(time);
    let mut requests = c.prepare_cached(
        "SELECT id, n, state FROM events WHERE event_id = ?1 AND source = ?2 AND model = ?3 AND received_at >= ?4 LIMIT 2",
    )?;
    let requests: Vec<(i64, i64, i64)> = requests
        .query_map(params![new.event_id, new.source, new.model, since], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let (arrival, keep) = match (*requests).as_ref() {
        _ if !pairs => (Arrival::Unused, false),
        [] => (Arrival::Waits, true),
        [(event, n, 0)] => {
            let rows = new.rows.as_deref().filter(|_| *n == new.n as i64);
            if let Some(rows) = rows {
                c.prepare_cached("UPDATE payloads SET answers = ?2 WHERE event = ?1")?
                    .execute(params![event, of_floats(rows)])?;
            }
            line_up(c, *event)?;
            (
                if rows.is_some() {
                    Arrival::Paired
                } else {
                    Arrival::Ambiguous
                },
                false,
            )
        }
        [_] => (Arrival::Unused, false),
        _ => (Arrival::Ambiguous, false),
    };
    // What is of no use is kept without its rows, so that it is recognised when it comes again.
    let rows = new.rows.as_deref().filter(|_| keep).map(of_floats);
    c.prepare_cached(
        "INSERT INTO answers(model, key, source, event_id, received_at, n, rows, state) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        new.model,
        new.key.as_slice(),
        new.source,
        new.event_id,
        new.received_at,
        new.n as i64,
        rows,
        i64::from(!keep || new.rows.is_none())
    ])?;
    Ok(arrival)
}

/// Puts an event at the end of those that wait to be scored.
pub(super) fn line_up(c: &Connection, event: i64) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT INTO ready(event) VALUES(?1)")?
        .execute([event])?;
    c.prepare_cached("UPDATE events SET state = ?2 WHERE id = ?1")?
        .execute([event, READY])?;
    Ok(())
}

fn drop_answers(c: &Connection, event_id: &str, source: &str, model: i64) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE answers SET rows = NULL, state = 1 WHERE event_id = ?1 AND source = ?2 AND model = ?3 AND state = 0",
    )?
    .execute(params![event_id, source, model])?;
    Ok(())
}

/// The next events to score, behind `after`: at most `images` images and `bytes` bytes of pixels (at least one event), all of
/// one model, and either all or none with answers.
pub(crate) fn next_pending(c: &Connection, after: i64, images: usize, bytes: usize) -> rusqlite::Result<Vec<Pending>> {
    let mut statement = c.prepare_cached(
        "SELECT r.seq, e.id, e.model, e.event_time, e.n, e.key, p.images, p.answers
         FROM ready r JOIN events e ON e.id = r.event JOIN payloads p ON p.event = r.event WHERE r.seq > ?1 ORDER BY r.seq",
    )?;
    let mut rows = statement.query([after])?;
    let (mut found, mut n_images, mut n_bytes) = (Vec::<Pending>::new(), 0, 0);
    while let Some(row) = rows.next()? {
        let (model, n): (i64, i64) = (row.get(2)?, row.get(4)?);
        let n = usize::try_from(n).unwrap_or(0);
        let length = row.get_ref(6)?.as_blob().map_or(0, <[u8]>::len);
        let has_answers = !matches!(row.get_ref(7)?, rusqlite::types::ValueRef::Null);
        if let Some(first) = found.first()
            && (found.len() >= MOST_EVENTS
                || first.model != model
                || first.answers.is_some() != has_answers
                || n_images + n > images
                || n_bytes + length > bytes)
        {
            break;
        }
        n_images += n;
        n_bytes += length;
        found.push(Pending {
            seq: row.get(0)?,
            event: row.get(1)?,
            model,
            event_time: row.get(3)?,
            n,
            key: row.get(5)?,
            images: row.get(6)?,
            answers: row.get(7)?,
        });
    }
    Ok(found)
}

/// Images and bytes of pixels that wait to be scored, or for their answers.
pub(crate) fn queued(c: &Connection) -> rusqlite::Result<(u64, u64)> {
    let sums = c.query_row(
        "SELECT ifnull(sum(e.n), 0), ifnull(sum(length(p.images)), 0) FROM payloads p JOIN events e ON e.id = p.event",
        (),
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
    )?;
    Ok((sums.0.unsigned_abs(), sums.1.unsigned_abs()))
}

#[cfg(test)]
mod tests;
