//! What is read from the database.

use riptide::detectors::accuracy::WindowValue;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::blobs::{classes, floats};
use crate::time::Millis;

/// A monitor that was or is served.
#[derive(Debug, Clone)]
pub(crate) struct ModelRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) digest: String,
    pub(crate) sequential: Option<String>,
}

/// A window with its newest findings, if it was judged.
#[derive(Debug, Clone)]
pub(crate) struct WindowRow {
    pub(crate) id: i64,
    pub(crate) model: i64,
    pub(crate) bin: Option<Millis>,
    /// 0 open, 1 closed, 2 judged.
    pub(crate) state: i64,
    pub(crate) revision: i64,
    pub(crate) n: i64,
    pub(crate) first_time: Option<Millis>,
    pub(crate) last_time: Option<Millis>,
    pub(crate) closed_at: Option<Millis>,
    pub(crate) closed_by: Option<String>,
    pub(crate) labelled: i64,
    pub(crate) correct: i64,
    pub(crate) verdict: Option<String>,
    /// JSON.
    pub(crate) findings: Option<String>,
}

/// An alarm.
#[derive(Debug, Clone)]
pub(crate) struct AlarmRow {
    pub(crate) model: String,
    pub(crate) window: i64,
    pub(crate) fingerprint: String,
    pub(crate) raised_at: Millis,
    pub(crate) resolved_at: Option<Millis>,
    pub(crate) summary: String,
    /// Notices that wait to be sent, and the last error of one.
    pub(crate) unsent: i64,
    pub(crate) error: Option<String>,
}

/// One of the worst pictures of a window.
#[derive(Debug, Clone)]
pub(crate) struct ExemplarRow {
    pub(crate) event_id: String,
    pub(crate) place: i64,
    pub(crate) score: f64,
    pub(crate) prediction: u32,
    pub(crate) distilled: u32,
    /// A data URI.
    pub(crate) picture: String,
}

/// The images of a window, one entry each, in the order in which they were scored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    pub(crate) scores: Vec<f32>,
    pub(crate) predictions: Vec<u32>,
    pub(crate) distilled: Vec<u32>,
    pub(crate) confidences: Vec<f32>,
    /// Error probabilities; none if the monitor is not calibrated.
    pub(crate) errors: Vec<f32>,
    /// Sums for the accuracy, if the monitor is calibrated.
    pub(crate) value: Option<WindowValue>,
    /// What they look like, five numbers each; none if nothing is compared with them.
    pub(crate) properties: Vec<f32>,
}

pub(crate) fn model_rows(c: &Connection) -> rusqlite::Result<Vec<ModelRow>> {
    let mut statement = c.prepare_cached("SELECT id, name, digest, sequential FROM models ORDER BY id")?;
    let rows = statement.query_map((), |row| {
        Ok(ModelRow {
            id: row.get(0)?,
            name: row.get(1)?,
            digest: row.get(2)?,
            sequential: row.get(3)?,
        })
    })?;
    rows.collect()
}

const WINDOW: &str =
    "SELECT w.id, w.model, w.bin, w.state, w.revision, w.n, w.first_time, w.last_time, w.closed_at, w.closed_by,
    w.labelled, w.correct, f.verdict, f.findings FROM windows w
    LEFT JOIN findings f ON f.window = w.id AND f.revision = (SELECT max(revision) FROM findings WHERE window = w.id)";

fn window(row: &Row<'_>) -> rusqlite::Result<WindowRow> {
    Ok(WindowRow {
        id: row.get(0)?,
        model: row.get(1)?,
        bin: row.get(2)?,
        state: row.get(3)?,
        revision: row.get(4)?,
        n: row.get(5)?,
        first_time: row.get(6)?,
        last_time: row.get(7)?,
        closed_at: row.get(8)?,
        closed_by: row.get(9)?,
        labelled: row.get(10)?,
        correct: row.get(11)?,
        verdict: row.get(12)?,
        findings: row.get(13)?,
    })
}

/// The newest windows of a model, oldest first, at most `most`.
pub(crate) fn window_rows(c: &Connection, model: i64, most: i64) -> rusqlite::Result<Vec<WindowRow>> {
    let mut statement = c.prepare_cached(&format!("{WINDOW} WHERE w.model = ?1 ORDER BY w.id DESC LIMIT ?2"))?;
    let mut rows: Vec<WindowRow> = statement
        .query_map([model, most], window)?
        .collect::<rusqlite::Result<_>>()?;
    rows.reverse();
    Ok(rows)
}

pub(crate) fn window_row(c: &Connection, id: i64) -> rusqlite::Result<Option<WindowRow>> {
    c.prepare_cached(&format!("{WINDOW} WHERE w.id = ?1"))?
        .query_row([id], window)
        .optional()
}

/// The first closed window that is not judged yet.
pub(crate) fn to_judge(c: &Connection) -> rusqlite::Result<Option<WindowRow>> {
    c.prepare_cached(&format!("{WINDOW} WHERE w.state = 1 ORDER BY w.id LIMIT 1"))?
        .query_row((), window)
        .optional()
}

/// The images of a window.
pub(crate) fn contents(c: &Connection, window: i64) -> rusqlite::Result<Contents> {
    let mut statement = c.prepare_cached("SELECT scores, predictions, distilled, confidences, errors, value, properties FROM results WHERE window = ?1 ORDER BY id")?;
    let mut rows = statement.query([window])?;
    let mut all = Contents::default();
    while let Some(row) = rows.next()? {
        all.extend(row)?;
    }
    Ok(all)
}

impl Contents {
    fn extend(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let blob = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_blob()?);
        self.scores.extend(floats(blob(0)?));
        self.predictions.extend(classes(blob(1)?));
        self.distilled.extend(classes(blob(2)?));
        self.confidences.extend(floats(blob(3)?));
        if let Some(errors) = row.get_ref(4)?.as_blob_or_null()? {
            self.errors.extend(floats(errors));
        }
        if let Some(text) = row.get_ref(5)?.as_str_or_null()? {
            let bad = |error: Box<dyn std::error::Error + Send + Sync>| {
                rusqlite::Error::FromSqlConversionFailure(5, Type::Text, error)
            };
            let value: WindowValue = serde_json::from_str(text).map_err(|error| bad(error.into()))?;
            self.value
                .get_or_insert_default()
                .merge(&value)
                .map_err(|error| bad(error.into()))?;
        }
        if let Some(properties) = row.get_ref(6)?.as_blob_or_null()? {
            self.properties.extend(floats(properties));
        }
        Ok(())
    }
}

/// What the images of an event were found to be; none if it is not scored yet, or could not be.
pub(crate) fn event_result(c: &Connection, event: i64) -> rusqlite::Result<Option<Contents>> {
    let mut statement = c.prepare_cached("SELECT scores, predictions, distilled, confidences, errors, value, properties FROM results WHERE event = ?1 ORDER BY first")?;
    let mut rows = statement.query([event])?;
    let mut all = None;
    while let Some(row) = rows.next()? {
        all.get_or_insert_with(Contents::default).extend(row)?;
    }
    Ok(all)
}

/// The worst pictures of a window, worst first.
pub(crate) fn exemplars(c: &Connection, window: i64) -> rusqlite::Result<Vec<ExemplarRow>> {
    let mut statement = c.prepare_cached(
        "SELECT ifnull(e.event_id, ''), x.place, x.score, x.prediction, x.distilled, x.picture
         FROM exemplars x LEFT JOIN events e ON e.id = x.event WHERE x.window = ?1 ORDER BY x.score DESC, x.rowid",
    )?;
    let rows = statement.query_map([window], |row| {
        Ok(ExemplarRow {
            event_id: row.get(0)?,
            place: row.get(1)?,
            score: row.get(2)?,
            prediction: row.get(3)?,
            distilled: row.get(4)?,
            picture: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// The newest alarms, newest first; of one model's name if that is given.
pub(crate) fn alarm_rows(c: &Connection, model: Option<&str>, most: i64) -> rusqlite::Result<Vec<AlarmRow>> {
    let mut statement = c.prepare_cached(
        "SELECT m.name, a.window, a.fingerprint, a.raised_at, a.resolved_at, a.summary,
            (SELECT count(*) FROM outbox o WHERE o.alarm = a.id AND o.sent_at IS NULL),
            (SELECT o.error FROM outbox o WHERE o.alarm = a.id AND o.error IS NOT NULL ORDER BY o.id DESC LIMIT 1)
         FROM alarms a JOIN models m ON m.id = a.model WHERE ?1 IS NULL OR m.name = ?1 ORDER BY a.id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![model, most], |row| {
        Ok(AlarmRow {
            model: row.get(0)?,
            window: row.get(1)?,
            fingerprint: row.get(2)?,
            raised_at: row.get(3)?,
            resolved_at: row.get(4)?,
            summary: row.get(5)?,
            unsent: row.get(6)?,
            error: row.get(7)?,
        })
    })?;
    rows.collect()
}
