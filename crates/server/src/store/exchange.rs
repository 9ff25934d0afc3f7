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

/// Takes a request, once.
pub(crate) fn add_event(c: &Connection, new: &NewEvent) -> rusqlite::Result<Arrival> {
    let known = c
        .prepare_cached("SELECT id, received_at FROM events WHERE key = ?1")?
        .query_row([new.key.as_slice()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Millis>(1)?)))
        .optional()?;
    if let Some((event, before)) = known {
        if new.received_at.saturating_sub(before) <= new.duplicates {
            return Ok(Arrival::Duplicate(event));
        }
        c.prepare_cached("UPDATE events SET key = NULL WHERE id = ?1")?.execute([event])?;
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
        let mut waiting = c.prepare_cached("SELECT id FROM events WHERE event_id = ?1 AND source = ?2 AND model = ?3 AND state = 0")?;
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
        .query_map(params![new.event_id, new.source, new.model, since], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    match *found {
        [] => Ok(Arrival::Waits),
        [(answers, n)] if n == new.n as i64 => {
            c.prepare_cached("UPDATE payloads SET answers = (SELECT rows FROM answers WHERE id = ?2) WHERE event = ?1")?
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
        .query_row([new.key.as_slice()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Millis>(1)?)))
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
            (if rows.is_some() { Arrival::Paired } else { Arrival::Ambiguous }, false)
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
    c.prepare_cached("INSERT INTO ready(event) VALUES(?1)")?.execute([event])?;
    c.prepare_cached("UPDATE events SET state = ?2 WHERE id = ?1")?.execute([event, READY])?;
    Ok(())
}

fn drop_answers(c: &Connection, event_id: &str, source: &str, model: i64) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE answers SET rows = NULL, state = 1 WHERE event_id = ?1 AND source = ?2 AND model = ?3 AND state = 0")?
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
            && (first.model != model
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
mod tests {
    use super::super::schema;
    use super::*;

    fn database() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let c = schema::open(&folder.path().join("a.db")).unwrap();
        c.execute("INSERT INTO models(id, name, digest, created_at) VALUES(1, 'm', 'd', 0)", ()).unwrap();
        (folder, c)
    }

    fn event(key: u8, id: &str, at: Millis) -> NewEvent {
        NewEvent {
            model: 1,
            key: [key; 32],
            source: "s".into(),
            event_id: id.into(),
            event_time: at,
            received_at: at,
            n: 2,
            images: vec![key; 6],
            answers: None,
            pairing: Pairing::Wait(600_000),
            duplicates: 3_600_000,
        }
    }

    fn answers(key: u8, id: &str, at: Millis) -> NewAnswers {
        NewAnswers {
            model: 1,
            key: [key; 32],
            source: "s".into(),
            event_id: id.into(),
            received_at: at,
            n: 2,
            rows: Some(vec![f32::from(key); 4]),
            pairing: Pairing::Wait(600_000),
            duplicates: 3_600_000,
        }
    }

    /// What waits to be scored, in order: the first byte of the pixels, and the first answer.
    fn line(c: &Connection) -> Vec<(u8, Option<f32>)> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let some = next_pending(c, after, 1000, 1000).unwrap();
            let Some(last) = some.last() else { return all };
            after = last.seq;
            all.extend(some.iter().map(|p| (p.images[0], p.answers.as_deref().map(|a| super::super::floats(a)[0]))));
        }
    }

    #[test]
    fn halves_find_each_other_in_either_order() {
        let (_folder, c) = database();
        assert_eq!(add_event(&c, &event(1, "a", 0)).unwrap(), Arrival::Waits);
        assert_eq!(add_answers(&c, &answers(2, "b", 0)).unwrap(), Arrival::Waits);
        assert!(line(&c).is_empty());
        assert_eq!(add_event(&c, &event(3, "b", 5)).unwrap(), Arrival::Paired);
        assert_eq!(add_answers(&c, &answers(4, "a", 9)).unwrap(), Arrival::Paired);
        assert_eq!(line(&c), [(3, Some(2.0)), (1, Some(4.0))]);
        assert_eq!(queued(&c).unwrap(), (4, 12));
        // All of it once more, as after a lost acknowledgement.
        assert_eq!(add_event(&c, &event(1, "a", 10)).unwrap(), Arrival::Duplicate(1));
        assert!(matches!(add_answers(&c, &answers(2, "b", 10)).unwrap(), Arrival::Duplicate(_)));
        assert!(matches!(add_answers(&c, &answers(4, "a", 10)).unwrap(), Arrival::Duplicate(_)));
        assert_eq!(line(&c).len(), 2);
        // Much later it is no longer taken for the same.
        assert_eq!(add_event(&c, &event(1, "a", 4_000_000)).unwrap(), Arrival::Waits);
    }

    #[test]
    fn an_id_that_is_used_twice_pairs_nothing() {
        let (_folder, c) = database();
        assert_eq!(add_event(&c, &event(1, "1234", 0)).unwrap(), Arrival::Waits);
        assert_eq!(add_event(&c, &event(2, "1234", 1)).unwrap(), Arrival::Ambiguous);
        assert_eq!(add_answers(&c, &answers(3, "1234", 2)).unwrap(), Arrival::Ambiguous);
        assert_eq!(add_event(&c, &event(4, "1234", 3)).unwrap(), Arrival::Ambiguous);
        assert_eq!(line(&c), [(1, None), (2, None), (4, None)]);
        // Two answers for one request, or an answer of another length.
        for (first, key) in [(10, 11), (20, 21)] {
            let id = format!("x{first}");
            let mut other = answers(key, &id, 5);
            other.n = if first == 20 { 3 } else { 2 };
            add_answers(&c, &other).unwrap();
            if first == 10 {
                add_answers(&c, &answers(key + 1, &id, 5)).unwrap();
            }
            assert_eq!(add_event(&c, &event(first, &id, 6)).unwrap(), Arrival::Ambiguous);
        }
        assert_eq!(line(&c).get(3..), Some(&[(10, None), (20, None)][..]));
    }

    #[test]
    fn who_does_not_pair_does_not_wait() {
        let (_folder, c) = database();
        let own = NewEvent { pairing: Pairing::Own, ..event(1, "a", 0) };
        assert_eq!(add_event(&c, &own).unwrap(), Arrival::Own);
        let unused = NewAnswers { pairing: Pairing::Own, ..answers(2, "a", 0) };
        assert_eq!(add_answers(&c, &unused).unwrap(), Arrival::Unused);
        let whole = NewEvent { answers: Some(vec![0.5; 4]), ..event(3, "b", 0) };
        assert_eq!(add_event(&c, &whole).unwrap(), Arrival::Paired);
        // A response that was of no use lets its request go.
        assert_eq!(add_event(&c, &event(4, "c", 0)).unwrap(), Arrival::Waits);
        let useless = NewAnswers { rows: None, ..answers(5, "c", 0) };
        assert_eq!(add_answers(&c, &useless).unwrap(), Arrival::Ambiguous);
        assert_eq!(line(&c), [(1, None), (3, Some(0.5)), (4, None)]);
    }

    #[test]
    fn what_is_scored_together_is_alike_and_bounded() {
        let (_folder, c) = database();
        for key in 0..6 {
            let answers = (key >= 4).then(|| vec![0.5; 4]);
            add_event(&c, &NewEvent { pairing: Pairing::Own, answers, ..event(key, &key.to_string(), 0) }).unwrap();
        }
        let sizes = |images, bytes| {
            let (mut sizes, mut after) = (Vec::new(), 0);
            while let Some(last) = next_pending(&c, after, images, bytes).unwrap().pop() {
                sizes.push(last.seq - after);
                after = last.seq;
            }
            sizes
        };
        assert_eq!(sizes(100, 1000), [4, 2]);
        assert_eq!(sizes(4, 1000), [2, 2, 2]);
        assert_eq!(sizes(100, 13), [2, 2, 2]);
        assert_eq!(sizes(1, 1), [1, 1, 1, 1, 1, 1]);
    }
}
