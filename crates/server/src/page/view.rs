//! What each page shows.

use minijinja::value::Serde;
use minijinja::{Error, Value as Filled, context};
use riptide::draw::{Drawing, Key};
use serde::Serialize;
use serde_json::Value;

use super::charts::{self, Point};
use super::render;
use super::words::{count, findings, interval, number, p_value, percent, sentence, short, tone, with_interval};
use crate::config::Config;
use crate::shared::Served;
use crate::store::{AlarmRow, ExemplarRow, WindowRow};
use crate::time::readable;

/// A link of the head.
#[derive(Serialize)]
struct Link {
    href: &'static str,
    name: &'static str,
    here: bool,
}

fn links(here: &str) -> Filled {
    let links = [("/", "Overview"), ("/alarms", "Alarms"), ("/settings", "Settings")];
    let links: Vec<Link> = links.into_iter().map(|(href, name)| Link { href, name, here: href == here }).collect();
    Filled::from_serialize(links)
}

#[derive(Serialize)]
struct Figure {
    keys: Vec<Key>,
    panels: Vec<String>,
}

fn figures(drawings: impl IntoIterator<Item = Drawing>) -> Filled {
    let figures: Vec<Figure> = drawings.into_iter().map(|Drawing { keys, panels, .. }| Figure { keys, panels }).collect();
    Filled::from_serialize(figures)
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
pub(crate) fn overview(monitors: &[(&Served, Vec<WindowRow>, Option<AlarmRow>)], waiting: i64) -> Result<String, Error> {
    let cards: Vec<Card> = monitors
        .iter()
        .map(|(served, windows, alarm)| {
            let newest = windows.iter().rev().find(|row| row.verdict.is_some());
            let (points, is_calibrated) = Point::series(windows);
            let chart = (points.len() > 1).then(|| charts::estimate(&points, is_calibrated).panels.into_iter().next()).flatten();
            let lasts = alarm.as_ref().is_some_and(|alarm| alarm.resolved_at.is_none());
            let verdict = match newest {
                _ if lasts => "Alarm: harmful drift".to_owned(),
                Some(row) => sentence(row).to_owned(),
                None => "No window yet".to_owned(),
            };
            Card {
                name: served.name.clone(),
                tone: if lasts { "bad" } else { tone(newest.and_then(|row| row.verdict.as_deref())) },
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
        (bad, n) => format!("{bad} of {n} {} harmful drift", if n == 1 { "monitor has" } else { "monitors have" }),
    };
    let waiting = format!("{} images wait to be scored.", count(waiting));
    render("overview.html", context! { title => "Overview", links => links("/"), heading, cards => Serde(cards), waiting })
}

/// What a window was found to be, in one line.
fn detail(row: &WindowRow) -> String {
    let found = findings(row);
    let accuracy = found.as_ref().and_then(|found| interval(found, "/outcome/accuracy"));
    let excess = found.as_ref().and_then(|found| interval(found, "/outcome/excess_fraction"));
    let what = match (accuracy, excess) {
        (Some(accuracy), _) => format!("Estimated accuracy {}", with_interval(accuracy)),
        (None, Some(excess)) => format!("Excess fraction {}", with_interval(excess)),
        _ => "Not judged".to_owned(),
    };
    let when = row.last_time.map(|time| format!(", {}", readable(time))).unwrap_or_default();
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
            estimate: accuracy.or_else(|| of("/outcome/excess_fraction")).map(with_interval).unwrap_or_default(),
            p_value: found.as_ref().and_then(|found| number(found, "/outcome/p_value")).map(p_value).unwrap_or_default(),
            labelled: if row.labelled > 0 { count(row.labelled) } else { String::new() },
            realised: if row.labelled > 0 { percent(row.correct as f64 / row.labelled as f64) } else { String::new() },
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
    Filled::from_serialize(rows)
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
            let mut drawings = vec![charts::estimate(&points, is_calibrated), charts::p_values(&points, options.level)];
            drawings.extend(charts::evidence(&points, 100.0_f64.ln()));
            drawings
        }
    };
    let facts = served.monitor.facts();
    let (height, width) = served.monitor.input_size();
    let facts = [
        ("Images", format!("{height} x {width} pixels")),
        ("Classes", count(served.monitor.n_classes() as i64)),
        ("Reference", format!("{} images", count(facts.reference.n_images as i64))),
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

#[derive(Serialize)]
struct Worst {
    picture: String,
    alt: String,
    classifier: String,
    distilled: String,
    score: String,
    place: String,
}

/// One window.
pub(crate) fn window(served: &Served, row: &WindowRow, worst: &[ExemplarRow]) -> Result<String, Error> {
    let monitor = &served.monitor;
    let found = findings(row).unwrap_or(Value::Null);
    let class = |value: Option<&Value>| {
        let class = value.and_then(Value::as_u64).and_then(|class| usize::try_from(class).ok());
        class.map_or_else(|| "?".to_owned(), |class| monitor.class_name(class).to_owned())
    };
    let cell = |row: &Value, key: &str| row.get(key).and_then(Value::as_i64).map(count).unwrap_or_default();
    let p = |row: &Value| number(row, "/p_value").map(p_value).unwrap_or_default();
    let yes = |row: &Value| if row.get("is_significant").and_then(Value::as_bool) == Some(true) { "yes" } else { "no" }.to_owned();
    let list = |key: &str| found.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let classes: Vec<[String; 5]> = list("by_class")
        .iter()
        .map(|row| {
            let excess = interval(row, "/excess_fraction").map(with_interval).unwrap_or_default();
            [class(row.get("class")), cell(row, "n_batch"), excess, p(row), yes(row)]
        })
        .collect();
    let pairs: Vec<[String; 6]> = list("by_pair")
        .iter()
        .map(|row| [class(row.get("classifier")), class(row.get("distilled")), cell(row, "n_batch"), cell(row, "n_reference"), p(row), yes(row)])
        .collect();
    let numbers = |pointer: &str| -> Vec<f64> {
        let values = found.pointer(pointer).and_then(Value::as_array);
        values.map(|values| values.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
    };
    let (counts, reference) = (numbers("/classes/counts"), numbers("/classes/reference"));
    let drawings = (!counts.is_empty()).then(|| charts::mix(&counts, &reference, &monitor.facts().class_names));
    let mix = number(&found, "/classes/p_value").map(|p| {
        let different = if p < monitor.options().level { "differ from" } else { "do not differ significantly from" };
        format!("The classes that the classifier gave {different} those of the reference (chi-square test, p = {}).", p_value(p))
    });
    let worst: Vec<Worst> = worst
        .iter()
        .map(|one| {
            let (classifier, distilled) = (monitor.class_name(one.prediction as usize), monitor.class_name(one.distilled as usize));
            Worst {
                picture: one.picture.clone(),
                alt: format!("Picture that the classifier calls {classifier}"),
                classifier: classifier.to_owned(),
                distilled: distilled.to_owned(),
                score: format!("{:.2}", one.score),
                place: format!("{} [{}]", one.event_id, one.place),
            }
        })
        .collect();
    let mut facts = vec![
        ("Images", count(row.n)),
        ("From", row.bin.or(row.first_time).map(readable).unwrap_or_default()),
        ("To", row.last_time.map(readable).unwrap_or_default()),
        ("Closed", match (&row.closed_by, row.closed_at) {
            (Some(by), Some(at)) => format!("{}, by {by}", readable(at)),
            _ => "not yet".to_owned(),
        }),
        ("Revision", row.revision.to_string()),
    ];
    if let Some(confidence) = number(&found, "/mean_confidence") {
        facts.push(("Mean confidence", percent(confidence)));
    }
    if let Some(agreement) = number(&found, "/agreement") {
        facts.push(("Both networks agree", percent(agreement)));
    }
    if row.labelled > 0 {
        facts.push(("Realised accuracy", format!("{} of {} labelled images", percent(row.correct as f64 / row.labelled as f64), count(row.labelled))));
    }
    let title = format!("{} window {}", served.name, row.id);
    render(
        "window.html",
        context! {
            title, links => links("/windows"), name => served.name, id => row.id, tone => tone(row.verdict.as_deref()), headline => sentence(row),
            lines => lines(&found), facts => Serde(facts), worst => Serde(worst), drawings => figures(drawings), mix, classes => Serde(classes), pairs => Serde(pairs),
        },
    )
}

/// What speaks for the verdict.
fn lines(found: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(accuracy) = interval(found, "/outcome/accuracy") {
        let reference = number(found, "/outcome/accuracy/reference").map(|reference| format!("; on the reference it is {}", percent(reference)));
        lines.push(format!("The classifier's accuracy is estimated at {}{}.", with_interval(accuracy), reference.unwrap_or_default()));
    }
    if let Some(excess) = interval(found, "/outcome/excess_fraction") {
        lines.push(format!("At least {} of the images are in excess of the reference: harder than its images are.", with_interval(excess)));
    }
    if let Some(p) = number(found, "/outcome/p_value") {
        lines.push(format!("Kolmogorov-Smirnov test of the scores: p = {}.", p_value(p)));
    }
    lines
}

/// The newest alarms.
pub(crate) fn alarms(alarms: &[AlarmRow]) -> Result<String, Error> {
    render("alarms.html", context! { title => "Alarms", links => links("/alarms"), alarms => alarm_rows(alarms) })
}

#[derive(Serialize)]
struct Section {
    name: String,
    rows: Vec<(String, String)>,
}

/// The settings, the key left out.
pub(crate) fn settings(config: &Config) -> Result<String, Error> {
    let mut general = Section {
        name: "General".into(),
        rows: vec![("key".into(), if config.key.is_some() { "set" } else { "none: everybody may do everything" }.into())],
    };
    let mut sections = Vec::new();
    if let Ok(Value::Object(all)) = serde_json::to_value(config) {
        for (name, value) in all {
            match value {
                Value::Object(section) => sections.push(Section {
                    rows: section.into_iter().map(|(key, value)| (key, plain(&value))).collect(),
                    name,
                }),
                value => general.rows.push((name, plain(&value))),
            }
        }
    }
    sections.insert(0, general);
    render("settings.html", context! { title => "Settings", links => links("/settings"), sections => Serde(sections) })
}

/// A setting as people write it. What a sink's address may hold of keys is not shown.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "not set".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => match items.is_empty() {
            true => "none".into(),
            false => items.iter().map(plain).collect::<Vec<_>>().join("; "),
        },
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let text = fields.map(|(key, value)| match key.as_str() {
                "url" => format!("{key} = {}", value.as_str().and_then(host).unwrap_or("set")),
                _ => format!("{key} = {}", plain(value)),
            });
            text.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// An address without its path and what may stand before its host.
fn host(url: &str) -> Option<&str> {
    let after = url.split_once("://")?.1;
    let authority = after.split('/').next()?;
    Some(authority.rsplit('@').next().unwrap_or(authority))
}
