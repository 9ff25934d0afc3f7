//! What is done from time to time: monitors that were replaced, halves without their other half, what is old.

use rusqlite::{Connection, params};

use super::exchange::line_up;
use crate::time::Millis;

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) events: Millis,
    pub(crate) windows: Millis,
    /// Answers, for recognising duplicates.
    pub(crate) answers: Millis,
    pub(crate) bytes: i64,
}

/// Events that go in one transaction, so that none of them takes long.
const AT_ONCE: i64 = 2000;

/// The number of the model that a monitor is, new or known. If another monitor had the name before, what waits goes to the new
/// one, and windows of the old one that are not judged never will be: their images were scored by other networks.
pub(crate) fn adopt(c: &Connection, name: &str, digest: &str, now: Millis) -> rusqlite::Result<i64> {
    c.execute(
        "INSERT INTO models(name, digest, created_at) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![name, digest, now],
    )?;
    let model: i64 = c.query_row(
        "SELECT id FROM models WHERE name = ?1 AND digest = ?2",
        [name, digest],
        |row| row.get(0),
    )?;
    let others = "model IN (SELECT id FROM models WHERE name = ?1 AND id <> ?2)";
    c.execute(
        &format!("UPDATE events SET model = ?2 WHERE state < 2 AND {others}"),
        params![name, model],
    )?;
    c.execute(
        &format!("UPDATE answers SET model = ?2 WHERE state = 0 AND {others}"),
        params![name, model],
    )?;
    c.execute(
        &format!(
            "INSERT INTO findings(window, revision, judged_at, n, verdict, findings, scores)
             SELECT id, revision, ?3, n, 'unjudged', '{{}}', x'' FROM windows WHERE state < 2 AND {others}"
        ),
        params![name, model, now],
    )?;
    c.execute(
        &format!("UPDATE windows SET state = 2, closed_at = ifnull(closed_at, ?3), closed_by = ifnull(closed_by, 'replaced') WHERE state < 2 AND {others}"),
        params![name, model, now],
    )?;
    c.execute(
        &format!("UPDATE alarms SET resolved_at = ?3 WHERE resolved_at IS NULL AND {others}"),
        params![name, model, now],
    )?;
    Ok(model)
}

/// Lets go requests that waited too long for their answers, and answers that waited too long for their requests: how many of
/// each.
pub(crate) fn release_expired(c: &Connection, before: Millis) -> rusqlite::Result<(u64, u64)> {
    let mut waiting =
        c.prepare_cached("SELECT id FROM events WHERE state = 0 AND received_at < ?1 ORDER BY id LIMIT ?2")?;
    let waiting: Vec<i64> = waiting
        .query_map([before, AT_ONCE], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for &event in &waiting {
        line_up(c, event)?;
    }
    let answers = c
        .prepare_cached("UPDATE answers SET state = 1, rows = NULL WHERE state = 0 AND received_at < ?1")?
        .execute([before])?;
    Ok((waiting.len() as u64, answers as u64))
}

/// Removes what is old, or too much; whether there may be more of it. Only what was judged goes.
pub(crate) fn prune(c: &Connection, kept: &Kept, now: Millis) -> rusqlite::Result<bool> {
    c.prepare_cached("DELETE FROM answers WHERE received_at < ?1")?
        .execute([now - kept.answers])?;
    let pragma = |name: &str| c.query_row(&format!("PRAGMA {name}"), (), |row| row.get::<_, i64>(0));
    let used = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
    let mut gone = remove_events(c, now - kept.events)?;
    if used > kept.bytes {
        gone += remove_events(c, NEWEST)?;
    }
    let old = now - kept.windows;
    let mut windows = c.prepare_cached("SELECT id FROM windows WHERE state = 2 AND closed_at < ?1 LIMIT ?2")?;
    let windows: Vec<i64> = windows
        .query_map([old, AT_ONCE], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for window in &windows {
        for table in ["findings", "exemplars", "results"] {
            c.prepare_cached(&format!("DELETE FROM {table} WHERE window = ?1"))?
                .execute([window])?;
        }
        c.prepare_cached("DELETE FROM windows WHERE id = ?1")?
            .execute([window])?;
    }
    c.prepare_cached("DELETE FROM outbox WHERE alarm IN (SELECT id FROM alarms WHERE resolved_at < ?1)")?
        .execute([old])?;
    c.prepare_cached("DELETE FROM alarms WHERE resolved_at < ?1")?
        .execute([old])?;
    // Gives a little of the free space back to the system.
    c.prepare("PRAGMA incremental_vacuum(500)")?
        .query_map((), |_| Ok(()))?
        .for_each(drop);
    Ok(gone >= AT_ONCE || windows.len() as i64 >= AT_ONCE)
}

const NEWEST: Millis = i64::MAX;

fn remove_events(c: &Connection, before: Millis) -> rusqlite::Result<i64> {
    let mut old = c.prepare_cached(
        "SELECT id FROM events e WHERE received_at < ?1 AND state >= 2 AND NOT EXISTS
           (SELECT 1 FROM results r JOIN windows w ON w.id = r.window WHERE r.event = e.id AND w.state < 2)
         ORDER BY received_at LIMIT ?2",
    )?;
    let old: Vec<i64> = old
        .query_map([before, AT_ONCE], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for event in &old {
        for (table, column) in [("results", "event"), ("labels", "event"), ("events", "id")] {
            c.prepare_cached(&format!("DELETE FROM {table} WHERE {column} = ?1"))?
                .execute([event])?;
        }
    }
    Ok(old.len() as i64)
}
