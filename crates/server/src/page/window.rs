//! What a window's page shows.

use minijinja::value::Serde;
use minijinja::{Error, context};
use serde::Serialize;
use serde_json::Value;

use super::view::{figures, links};
use super::words::{count, findings, interval, number, p_value, percent, sentence, tone, with_interval};
use super::{charts, render};
use crate::shared::Served;
use crate::store::{ExemplarRow, WindowRow};
use crate::time::readable;

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
        let class = value
            .and_then(Value::as_u64)
            .and_then(|class| usize::try_from(class).ok());
        class.map_or_else(|| "?".to_owned(), |class| monitor.class_name(class).to_owned())
    };
    let cell = |row: &Value, key: &str| row.get(key).and_then(Value::as_i64).map(count).unwrap_or_default();
    let p = |row: &Value| number(row, "/p_value").map(p_value).unwrap_or_default();
    let yes = |row: &Value| {
        if row.get("is_significant").and_then(Value::as_bool) == Some(true) {
            "yes"
        } else {
            "no"
        }
        .to_owned()
    };
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
        .map(|row| {
            [
                class(row.get("classifier")),
                class(row.get("distilled")),
                cell(row, "n_batch"),
                cell(row, "n_reference"),
                p(row),
                yes(row),
            ]
        })
        .collect();
    let numbers = |pointer: &str| -> Vec<f64> {
        let values = found.pointer(pointer).and_then(Value::as_array);
        values
            .map(|values| values.iter().filter_map(Value::as_f64).collect())
            .unwrap_or_default()
    };
    let (counts, reference) = (numbers("/classes/counts"), numbers("/classes/reference"));
    let drawings = (!counts.is_empty()).then(|| charts::mix(&counts, &reference, &monitor.facts().class_names));
    let mix = number(&found, "/classes/p_value").map(|p| {
        let different = if p < monitor.options().level {
            "differ from"
        } else {
            "do not differ significantly from"
        };
        format!(
            "The classes that the classifier gave {different} those of the reference (chi-square test, p = {}).",
            p_value(p)
        )
    });
    let worst: Vec<Worst> = worst
        .iter()
        .map(|one| {
            let (classifier, distilled) = (
                monitor.class_name(one.prediction as usize),
                monitor.class_name(one.distilled as usize),
            );
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
        (
            "Closed",
            match (&row.closed_by, row.closed_at) {
                (Some(by), Some(at)) => format!("{}, by {by}", readable(at)),
                _ => "not yet".to_owned(),
            },
        ),
        ("Revision", row.revision.to_string()),
    ];
    if let Some(confidence) = number(&found, "/mean_confidence") {
        facts.push(("Mean confidence", percent(confidence)));
    }
    if let Some(agreement) = number(&found, "/agreement") {
        facts.push(("Both networks agree", percent(agreement)));
    }
    if row.labelled > 0 {
        facts.push((
            "Realised accuracy",
            format!(
                "{} of {} labelled images",
                percent(row.correct as f64 / row.labelled as f64),
                count(row.labelled)
            ),
        ));
    }
    let properties: Vec<[String; 4]> = found
        .pointer("/change/properties")
        .and_then(Value::as_array)
        .map(|rows| rows.iter().map(property).collect())
        .unwrap_or_default();
    let title = format!("{} window {}", served.name, row.id);
    render(
        "window.html",
        context! {
            title, links => links("/windows"), name => &served.name, id => row.id, tone => tone(row.verdict.as_deref()), headline => sentence(row),
            lines => lines(&found), facts => Serde(facts), worst => Serde(worst), drawings => figures(drawings), mix, properties => Serde(properties), classes => Serde(classes), pairs => Serde(pairs),
        },
    )
}

/// A property of the images: its name, its mean in window and reference, and the difference.
fn property(row: &Value) -> [String; 4] {
    let of = |key: &str, digits: usize| {
        row.get(key)
            .and_then(Value::as_f64)
            .map(|value| format!("{value:.digits$}"))
            .unwrap_or_default()
    };
    let shift = row
        .get("shift")
        .and_then(Value::as_f64)
        .map(|shift| format!("{shift:+.2}"))
        .unwrap_or_default();
    [
        row.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        of("window", 3),
        of("reference", 3),
        shift,
    ]
}

/// What speaks for the verdict.
fn lines(found: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(accuracy) = interval(found, "/outcome/accuracy") {
        let reference = number(found, "/outcome/accuracy/reference")
            .map(|reference| format!("; on the reference it is {}", percent(reference)));
        lines.push(format!(
            "The classifier's accuracy is estimated at {}{}.",
            with_interval(accuracy),
            reference.unwrap_or_default()
        ));
    }
    if let Some(excess) = interval(found, "/outcome/excess_fraction") {
        lines.push(format!(
            "At least {} of the images are in excess of the reference: harder than its images are.",
            with_interval(excess)
        ));
    }
    if let Some(reason) = found.pointer("/outcome/outside").and_then(Value::as_str) {
        lines.push(format!("It lies outside what was declared: {reason}."));
    }
    if let (Some(name), Some(severity)) = (
        found.pointer("/change/looks_like/corruption").and_then(Value::as_str),
        number(found, "/change/looks_like/severity"),
    ) {
        lines.push(format!(
            "The images look like {}, severity {severity}.",
            name.replace('_', " ")
        ));
    }
    if let Some(p) = number(found, "/outcome/p_value") {
        lines.push(format!("Kolmogorov-Smirnov test of the scores: p = {}.", p_value(p)));
    }
    lines
}
