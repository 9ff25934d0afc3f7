//! Judged windows, the alarms they raise and resolve, and the notices that wait to be sent.
//!
//! A window's findings, its alarm and the notices are written in one transaction: a kill between them loses nothing.

use riptide::files::digest;
use rusqlite::{Connection, OptionalExtension, params};

use super::blobs::of_floats;
use crate::time::Millis;

/// What a window says about an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Harmful,
    Harmless,
    /// Too small, or outside what can be judged: it neither raises nor resolves.
    Unknown,
}

/// A window with what was found out about it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) window: i64,
    pub(crate) revision: i64,
    pub(crate) model: i64,
    pub(crate) n: i64,
    pub(crate) verdict: String,
    /// JSON.
    pub(crate) findings: String,
    /// Sorted.
    pub(crate) scores: Vec<f32>,
    pub(crate) signal: Signal,
    /// Whether the evidence of all windows so far raises an alarm, however many of them were harmful in a row.
    pub(crate) is_proven: bool,
    /// What a person is told if this raises an alarm.
    pub(crate) summary: String,
    /// The state of the sequential test after this window, JSON.
    pub(crate) sequential: Option<String>,
}

/// When an alarm is raised and resolved, and who is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    pub(crate) raise_after: i64,
    pub(crate) resolve_after: i64,
    pub(crate) sinks: Vec<String>,
}

/// What became of a judged window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The window has grown meanwhile and is judged again.
    Outdated,
    Quiet,
    Raised,
    Resolved,
}

/// A notice that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) id: i64,
    pub(crate) attempts: i64,
    /// Whether the alarm lasts; else it is resolved.
    pub(crate) is_firing: bool,
    pub(crate) model: String,
    pub(crate) window: i64,
    pub(crate) fingerprint: String,
    pub(crate) raised_at: Millis,
    pub(crate) resolved_at: Option<Millis>,
    pub(crate) summary: String,
}

/// Never.
const NEVER: Millis = i64::MAX;

/// Writes what was found out about a window, and raises or resolves an alarm. Revisions do neither.
pub(crate) fn judged(c: &Connection, judged: &Judged, rules: &Rules, now: Millis) -> rusqlite::Result<Change> {
    let is_current = c
        .prepare_cached("UPDATE windows SET state = 2 WHERE id = ?1 AND state = 1 AND revision = ?2 AND n = ?3")?
        .execute([judged.window, judged.revision, judged.n])?;
    if is_current == 0 {
        return Ok(Change::Outdated);
    }
    c.prepare_cached(
        "INSERT OR REPLACE INTO findings(window, revision, judged_at, n, verdict, findings, scores) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        judged.window,
        judged.revision,
        now,
        judged.n,
        judged.verdict,
        judged.findings,
        of_floats(&judged.scores)
    ])?;
    if judged.revision > 0 {
        return Ok(Change::Quiet);
    }
    if let Some(state) = &judged.sequential {
        c.prepare_cached("UPDATE models SET sequential = ?2 WHERE id = ?1")?
            .execute(params![judged.model, state])?;
    }
    let (harmful, harmless) = match judged.signal {
        Signal::Unknown if !judged.is_proven => return Ok(Change::Quiet),
        Signal::Unknown => ("harmful_run", "harmless_run"),
        Signal::Harmful => ("harmful_run + 1", "0"),
        Signal::Harmless => ("0", "harmless_run + 1"),
    };
    let sql = format!(
        "UPDATE models SET harmful_run = {harmful}, harmless_run = {harmless} WHERE id = ?1 RETURNING harmful_run, harmless_run, name, digest"
    );
    let (harmful, harmless, name, monitor): (i64, i64, String, String) =
        c.prepare_cached(&sql)?.query_row([judged.model], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let firing: Option<i64> = c
        .prepare_cached("SELECT id FROM alarms WHERE model = ?1 AND resolved_at IS NULL")?
        .query_row([judged.model], |row| row.get(0))
        .optional()?;
    match firing {
        None if judged.is_proven || harmful >= rules.raise_after => {
            let window = judged.window.to_string();
            let fingerprint = digest::of_parts(&[name.as_bytes(), monitor.as_bytes(), window.as_bytes()]);
            c.prepare_cached(
                "INSERT INTO alarms(model, fingerprint, window, raised_at, summary) VALUES(?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![judged.model, fingerprint, judged.window, now, judged.summary])?;
            notify(c, c.last_insert_rowid(), "firing", &rules.sinks, now)?;
            Ok(Change::Raised)
        }
        Some(alarm) if harmless >= rules.resolve_after => {
            c.prepare_cached("UPDATE alarms SET resolved_at = ?2 WHERE id = ?1")?
                .execute([alarm, now])?;
            // The next alarm needs fresh evidence.
            c.prepare_cached("UPDATE models SET sequential = NULL WHERE id = ?1")?
                .execute([judged.model])?;
            notify(c, alarm, "resolved", &rules.sinks, now)?;
            Ok(Change::Resolved)
        }
        _ => Ok(Change::Quiet),
    }
}

fn notify(c: &Connection, alarm: i64, status: &str, sinks: &[String], now: Millis) -> rusqlite::Result<()> {
    for sink in sinks {
        c.prepare_cached("INSERT INTO outbox(alarm, sink, status, next_at) VALUES(?1, ?2, ?3, ?4)")?
            .execute(params![alarm, sink, status, now])?;
    }
    Ok(())
}

/// The next notice for a sink. That an alarm is resolved is told after it was told that it was raised.
pub(crate) fn due(c: &Connection, sink: &str, now: Millis) -> rusqlite::Result<Option<Notice>> {
    c.prepare_cached(
        "SELECT o.id, o.attempts, o.status = 'firing', m.name, a.window, a.fingerprint, a.raised_at,
                CASE WHEN o.status = 'resolved' THEN a.resolved_at END, a.summary
         FROM outbox o JOIN alarms a ON a.id = o.alarm JOIN models m ON m.id = a.model
         WHERE o.sink = ?1 AND o.next_at <= ?2
           AND NOT (o.status = 'firing' AND o.sent_at IS NOT NULL AND a.resolved_at IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.alarm = o.alarm AND p.sink = o.sink AND p.id < o.id AND p.sent_at IS NULL)
         ORDER BY o.next_at, o.id LIMIT 1",
    )?
    .query_row(params![sink, now], |row| {
        Ok(Notice {
            id: row.get(0)?,
            attempts: row.get(1)?,
            is_firing: row.get(2)?,
            model: row.get(3)?,
            window: row.get(4)?,
            fingerprint: row.get(5)?,
            raised_at: row.get(6)?,
            resolved_at: row.get(7)?,
            summary: row.get(8)?,
        })
    })
    .optional()
}

/// Notes that a notice was sent; `again` is when it is sent once more, if the alarm lasts.
pub(crate) fn sent(c: &Connection, notice: i64, now: Millis, again: Option<Millis>) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE outbox SET sent_at = ?2, next_at = ?3, attempts = 0, error = NULL WHERE id = ?1")?
        .execute(params![notice, now, again.unwrap_or(NEVER)])?;
    Ok(())
}

/// Notes that a notice could not be sent, and when it is tried again.
pub(crate) fn failed(c: &Connection, notice: i64, error: &str, again: Millis) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE outbox SET attempts = attempts + 1, next_at = ?3, error = ?2 WHERE id = ?1")?
        .execute(params![notice, error, again])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    fn database() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let c = schema::open(&folder.path().join("a.db")).unwrap();
        c.execute(
            "INSERT INTO models(id, name, digest, created_at) VALUES(1, 'm', 'd', 0)",
            (),
        )
        .unwrap();
        (folder, c)
    }

    fn judge(c: &Connection, signal: Signal, now: Millis) -> Change {
        c.execute("INSERT INTO windows(model, part, state, n, last_arrival) VALUES(1, (SELECT count(*) FROM windows), 1, 5, 0)", ()).unwrap();
        let window = c.last_insert_rowid();
        again(c, window, 0, signal, now)
    }

    fn again(c: &Connection, window: i64, revision: i64, signal: Signal, now: Millis) -> Change {
        let new = Judged {
            window,
            revision,
            model: 1,
            n: 5,
            verdict: "v".into(),
            findings: "{}".into(),
            scores: vec![1.0],
            signal,
            is_proven: false,
            summary: "s".into(),
            sequential: None,
        };
        let rules = Rules {
            raise_after: 2,
            resolve_after: 2,
            sinks: vec!["x".into(), "y".into()],
        };
        judged(c, &new, &rules, now).unwrap()
    }

    #[test]
    fn alarms_wait_for_several_windows_and_revisions_raise_none() {
        use Signal::{Harmful, Harmless, Unknown};
        let (_folder, c) = database();
        let signals = [
            Harmful, Harmless, Harmful, Unknown, Harmful, Harmful, Harmless, Harmful, Harmless, Unknown, Harmless,
            Harmless,
        ];
        let changes: Vec<Change> = signals
            .into_iter()
            .zip(0..)
            .map(|(signal, now)| judge(&c, signal, now))
            .collect();
        let at = |change| changes.iter().positions(change);
        assert_eq!((at(Change::Raised), at(Change::Resolved)), (vec![4], vec![10]));
        // The same window twice, and a late revision of a harmless one.
        assert_eq!(again(&c, 1, 0, Harmful, 20), Change::Outdated);
        for window in [2, 3] {
            c.execute("UPDATE windows SET state = 1, revision = 1 WHERE id = ?1", [window])
                .unwrap();
            assert_eq!(again(&c, window, 1, Harmful, 21), Change::Quiet);
        }
        let alarms: i64 = c
            .query_row("SELECT count(*) FROM alarms", (), |row| row.get(0))
            .unwrap();
        assert_eq!(alarms, 1);
    }

    trait Positions {
        fn positions(self, wanted: Change) -> Vec<usize>;
    }

    impl<'a, I: Iterator<Item = &'a Change>> Positions for I {
        fn positions(self, wanted: Change) -> Vec<usize> {
            self.enumerate()
                .filter(|(_, change)| **change == wanted)
                .map(|(place, _)| place)
                .collect()
        }
    }

    #[test]
    fn notices_come_in_order_and_until_they_are_sent() {
        let (_folder, c) = database();
        judge(&c, Signal::Harmful, 10);
        judge(&c, Signal::Harmful, 10);
        let first = due(&c, "x", 10).unwrap().unwrap();
        assert!(first.is_firing && first.fingerprint.len() == 64 && first.resolved_at.is_none());
        assert_eq!(due(&c, "x", 9).unwrap(), None);
        failed(&c, first.id, "refused", 50).unwrap();
        assert_eq!(due(&c, "x", 20).unwrap(), None);
        assert!(due(&c, "y", 20).unwrap().is_some(), "one sink does not hold up another");
        judge(&c, Signal::Harmless, 20);
        judge(&c, Signal::Harmless, 20);
        // Resolved meanwhile, but that it was raised is told first.
        assert_eq!(due(&c, "x", 40).unwrap(), None);
        let retried = due(&c, "x", 50).unwrap().unwrap();
        assert_eq!(
            (retried.id, retried.attempts, &retried.fingerprint),
            (first.id, 1, &first.fingerprint)
        );
        sent(&c, retried.id, 51, Some(60)).unwrap();
        let resolved = due(&c, "x", 100).unwrap().unwrap();
        assert_eq!(
            (resolved.is_firing, resolved.resolved_at, &resolved.fingerprint),
            (false, Some(20), &first.fingerprint)
        );
        sent(&c, resolved.id, 101, None).unwrap();
        assert_eq!(due(&c, "x", 1000).unwrap(), None, "a resolved alarm is not repeated");
    }
}
