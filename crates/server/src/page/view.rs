//! What the overview, a monitor's page and the list of alarms show.

use minijinja::value::Serde;
use minijinja::{Error, Value as Filled, context};
use riptide::draw::{Drawing, Key};
use serde::Serialize;

use super::charts::{self, Point};
use super::render;
use super::words::{count, findings, interval, number, p_value, percent, sentence, short, tone, with_interval};
use crate::shared::Served;
use crate::store::{AlarmRow, WindowRow};
use crate::time::readable;

/// A link of the head.
#[derive(Serialize)]
struct Link {
    href: &'static str,
    name: &'static str,
    here: bool,
}

pub(super) fn links(here: &str) -> Filled {
    let links = [("/", "Overview"), ("/alarms", "Alarms"), ("/settings", "Settings")];
    let links: Vec<Link> = links
        .into_iter()
        .map(|(href, name)| Link {
            href,
            name,
            here: href == here,
        })
        .collect();
    Filled::from(Serde(links))
}

#[derive(Serialize)]
struct Figure {
    keys: Vec<Key>,
    panels: Vec<String>,
}

pub(super) fn figures(drawings: impl IntoIterator<Item = Drawing>) -> Filled {
    let figures: Vec<Figure> = drawings
        .into_iter()
        .map(|Drawing { keys, panels, .. }| Figure { keys, panels })
        .collect();
    Filled::from(Serde(figures))
}

/// A monitor on the overview.
#[derive(Serialize)]
struct Card {
    name: String,
    tone: &'static str,
    verdict: String,
    detail: String,
    chart: Option<String>,
    alarm: String,
}

/// All monitors: each with its newest windows (oldest first) and its newest alarm.
pub(crate) fn overview(
    monitors: &[(&Served, Vec<WindowRow>, Option<AlarmRow>)],
    waiting: i64,
) -> Result<String, Error> {
    let cards: Vec<Card> = monitors
        .iter()
        .map(|(served, windows, alarm)| {
            let newest = windows.iter().rev().find(|row| row.verdict.is_some());
            let (points, is_calibrated) = Point::series(windows);
            let chart = (points.len() > 1)
                .then(|| charts::estimate(&points, is_calibrated).panels.into_iter().next())
                .flatten();
            let lasts = alarm.as_ref().is_some_and(|alarm| alarm.resolved_at.is_none());
            let verdict = match newest {
                _ if lasts => "Alarm: harmful drift".to_owned(),
                Some(row) => sentence(row).to_owned(),
                None => "No window yet".to_owned(),
            };
            Card {
                name: served.name.clone(),
                tone: if lasts {
                    "bad"
                } else {
                    tone(newest.and_then(|row| row.verdict.as_deref()))
                },
                verdict,
                detail: newest.map(detail).unwrap_or_default(),
                chart,
                alarm: match alarm {
                    None => "No alarm so far".to_owned(),
                    Some(alarm) => match alarm.resolved_at {
                        None => format!("Alarm since {}", readable(alarm.raised_at)),
                        Some(at) => format!("Last alarm {}, resolved {}", readable(alarm.raised_at), readable(at)),
                    },
                },
            }
        })
        .collect();
    let bad = cards.iter().filter(|card| card.tone == "bad").count();
    let heading = match (bad, cards.len()) {
        (0, 1) => "The monitor is quiet".to_owned(),
        (0, n) => format!("All {n} monitors are quiet"),
        (bad, n) => format!(
            "{bad} of {n} {} harmful drift",
            if n == 1 { "monitor has" } else { "monitors have" }
        ),
    };
    let waiting = format!("{} images wait to be scored.", count(waiting));
    render(
        "overview.html",
        context! { title => "Overview", links => links("/"), heading, cards => Serde(cards), waiting },
    )
}

/// What a window was found to be, in one line.
fn detail(row: &WindowRow) -> String {
    let found = findings(row);
    let accuracy = found.as_ref().and_then(|found| interval(found, "/outcome/accuracy"));
    let excess = found
        .as_ref()
        .and_then(|found| interval(found, "/outcome/excess_fraction"));
    let what = match (accuracy, excess) {
        (Some(accuracy), _) => format!("Estimated accuracy {}", with_interval(accuracy)),
        (None, Some(excess)) => format!("Excess fraction {}", with_interval(excess)),
        _ => "Not judged".to_owned(),
    };
    let when = row
        .last_time
        .map(|time| format!(", {}", readable(time)))
        .unwrap_or_default();
    format!("{what}; window {} of {} images{when}", row.id, count(row.n))
}

#[derive(Serialize)]
struct Row {
    id: i64,
    href: String,
    revision: i64,
    tone: &'static str,
    verdict: String,
    from: String,
    to: String,
    n: String,
    estimate: String,
    p_value: String,
    labelled: String,
    realised: String,
    is_calibrated: bool,
}

impl Row {
    fn of(name: &str, row: &WindowRow) -> Self {
        let found = findings(row);
        let of = |pointer: &str| found.as_ref().and_then(|found| interval(found, pointer));
        let accuracy = of("/outcome/accuracy");
        Self {
            id: row.id,
            href: format!("/monitors/{name}/windows/{}", row.id),
            revision: row.revision,
            tone: tone(row.verdict.as_deref()),
            verdict: short(row),
            from: row.bin.or(row.first_time).map(readable).unwrap_or_default(),
            to: row.last_time.map(readable).unwrap_or_default(),
            n: count(row.n),
            is_calibrated: accuracy.is_some(),
            estimate: accuracy
                .or_else(|| of("/outcome/excess_fraction"))
                .map(with_interval)
                .unwrap_or_default(),
            p_value: found
                .as_ref()
                .and_then(|found| number(found, "/outcome/p_value"))
                .map(p_value)
                .unwrap_or_default(),
            labelled: if row.labelled > 0 {
                count(row.labelled)
            } else {
                String::new()
            },
            realised: if row.labelled > 0 {
                percent(row.correct as f64 / row.labelled as f64)
            } else {
                String::new()
            },
        }
    }
}

#[derive(Serialize)]
struct Alarm {
    raised: String,
    resolved: Option<String>,
    model: String,
    window: i64,
    summary: String,
    notices: String,
}

fn alarm_rows(alarms: &[AlarmRow]) -> Filled {
    let rows: Vec<Alarm> = alarms
        .iter()
        .map(|alarm| Alarm {
            raised: readable(alarm.raised_at),
            resolved: alarm.resolved_at.map(readable),
            model: alarm.model.clone(),
            window: alarm.window,
            summary: alarm.summary.clone(),
            notices: match (alarm.unsent, &alarm.error) {
                (0, _) => "sent".to_owned(),
                (n, Some(error)) => format!("{n} not sent yet: {error}"),
                (n, None) => format!("{n} not sent yet"),
            },
        })
        .collect();
    Filled::from(Serde(rows))
}

/// One monitor with its newest windows, oldest first.
pub(crate) fn monitor(served: &Served, windows: &[WindowRow], alarms: &[AlarmRow]) -> Result<String, Error> {
    let name = &served.name;
    let newest = windows.iter().rev().find(|row| row.verdict.is_some());
    let (points, is_calibrated) = Point::series(windows);
    let options = served.monitor.options();
    let drawings = match points.is_empty() {
        true => Vec::new(),
        false => {
            let mut drawings = vec![
                charts::estimate(&points, is_calibrated),
                charts::p_values(&points, options.level),
            ];
            drawings.extend(charts::evidence(&points, 100.0_f64.ln()));
            drawings
        }
    };
    let facts = served.monitor.facts();
    let (height, width) = served.monitor.input_size();
    let facts = [
        ("Images", format!("{height} x {width} pixels")),
        ("Classes", count(served.monitor.n_classes() as i64)),
        (
            "Reference",
            format!("{} images", count(facts.reference.n_images as i64)),
        ),
        ("Score", facts.score.to_string()),
        ("Level of the p-value", options.level.to_string()),
        ("Digest", served.digest.clone()),
    ];
    let rows: Vec<Row> = windows.iter().rev().map(|row| Row::of(name, row)).collect();
    let lasts = alarms.first().is_some_and(|alarm| alarm.resolved_at.is_none());
    render(
        "monitor.html",
        context! {
            title => name, links => links("/monitors"), name,
            tone => if lasts { "bad" } else { tone(newest.and_then(|row| row.verdict.as_deref())) },
            headline => match newest { _ if lasts => "Alarm: harmful drift", Some(row) => sentence(row), None => "No window yet" },
            detail => newest.map(detail),
            drawings => figures(drawings), rows => Serde(rows), alarms => alarm_rows(alarms), facts => Serde(facts),
        },
    )
}

/// The newest alarms.
pub(crate) fn alarms(alarms: &[AlarmRow]) -> Result<String, Error> {
    render(
        "alarms.html",
        context! { title => "Alarms", links => links("/alarms"), alarms => alarm_rows(alarms) },
    )
}
