//! What was found out about batches, and what a calibration is, in words.

use riptide::detectors::accuracy::Target;
use riptide::detectors::{SequentialTest, Verdict};
use riptide::files::shown;
use riptide::prelude::*;
use riptide::{Accuracy, CalibrationFacts};

use crate::output::{Column, interval, p_value, percent, table};

/// All images as one batch: in sentences that lead with the verdict if the monitor is calibrated.
pub fn batch(outcome: &Outcome, monitor: &Monitor) -> Vec<String> {
    match monitor.calibration() {
        Some(_) => one(outcome),
        None => vec![scores(outcome)],
    }
}

/// One of several batches, as a row of a table that is printed as they come: the first one with the names of the columns.
pub fn row(outcome: &Outcome, monitor: &Monitor) -> String {
    let text = match monitor.calibration() {
        Some(_) => verdicts(outcome),
        None => scores(outcome),
    };
    match text.split_once('\n') {
        Some((_, row)) if outcome.batch > 0 => row.to_owned(),
        _ => text,
    }
}

/// What is said after the batches.
pub fn ending(outcomes: &[Outcome], monitor: &Monitor, sequential: Option<&SequentialTest>) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(summary(outcomes, monitor, sequential));
    lines
}

/// An interval in a column that is not the last: as wide as any, so that rows which are printed one by one are in line.
fn wide(interval: &str) -> String {
    format!("{interval:<28}")
}

/// The column of windows, if batches are such.
fn with_window(outcome: &Outcome, mut columns: Vec<Column<'_>>, mut cells: Vec<String>) -> String {
    if let Some(window) = &outcome.window {
        columns.push(Column::left("window"));
        cells.push(shown(&window.to_string()).to_string());
    }
    table(&columns, &[cells])
}

/// Points of a share, without a sign.
fn points(share: f64) -> String {
    format!("{:.1} points", 100.0 * share.abs())
}

/// What an accuracy is called.
fn measure(target: Target) -> &'static str {
    match target {
        Target::Flips => "answers as on clean images",
        _ => "accuracy",
    }
}

/// The accuracy of a batch beside the reference's.
fn accuracy(found: &Accuracy) -> String {
    let side = match found.drop.estimate {
        drop if drop < 0.0 => "above",
        _ => "below",
    };
    format!(
        "{} {}, {} {side} the reference's {}",
        measure(found.target),
        interval(found.interval),
        points(found.drop.estimate),
        percent(found.reference)
    )
}

/// One batch of a calibrated monitor.
fn one(outcome: &Outcome) -> Vec<String> {
    let verdict = outcome.verdict.map_or("", Verdict::name);
    let mut lines = Vec::new();
    match (&outcome.accuracy, &outcome.outside) {
        (Some(found), _) => {
            lines.push(format!("{}: {verdict}", accuracy(found)));
            let needed = match found.n_needed {
                Some(n) => format!("; about {n} images would decide"),
                None if outcome.verdict == Some(Verdict::Undecided) => {
                    "; no number of such images would decide".to_owned()
                }
                None => String::new(),
            };
            lines.push(format!(
                "{} are tolerated, p-value of \"no more is lost\" {}{needed}",
                points(found.tolerated_drop),
                p_value(found.p_value)
            ));
            lines.push("if the drift resembles the corruptions that the monitor was calibrated on".to_owned());
        }
        (None, Some(reason)) => {
            lines.push("outside what was declared: the accuracy is not known".to_owned());
            lines.push(reason.clone());
        }
        (None, None) => {}
    }
    lines.push(format!(
        "scores {} the reference's: p-value {} ({} test at {}), distance {:.3}; excess fraction {}",
        if outcome.is_drift {
            "differ from"
        } else {
            "do not differ from"
        },
        p_value(outcome.p_value),
        outcome.alternative,
        outcome.level,
        outcome.distance,
        interval(outcome.excess_fraction)
    ));
    lines
}

/// The table of one batch of a calibrated monitor.
fn verdicts(outcome: &Outcome) -> String {
    let columns = vec![
        Column::right("batch"),
        Column::right("images"),
        Column::left("verdict"),
        Column::left("accuracy"),
        Column::right("points lost"),
        Column::left("drift"),
        Column::right("p-value"),
        Column::right("distance"),
        Column::left("excess fraction"),
    ];
    let found = outcome.accuracy.as_ref();
    let cells = vec![
        outcome.batch.to_string(),
        outcome.n_images.to_string(),
        format!("{:<9}", outcome.verdict.map_or("", Verdict::name)),
        wide(&found.map_or_else(|| "not known".to_owned(), |found| interval(found.interval))),
        found.map_or_else(String::new, |found| format!("{:.1}", 100.0 * found.drop.estimate)),
        yes(outcome.is_drift),
        p_value(outcome.p_value),
        format!("{:.3}", outcome.distance),
        wide(&interval(outcome.excess_fraction)),
    ];
    with_window(outcome, columns, cells)
}

/// The table of one batch of a monitor that is not calibrated.
fn scores(outcome: &Outcome) -> String {
    let columns = vec![
        Column::right("batch"),
        Column::right("images"),
        Column::left("drift"),
        Column::right("p-value"),
        Column::right("distance"),
        Column::left("harmful"),
        Column::left("excess fraction"),
        Column::left("less certain"),
    ];
    let cells = vec![
        outcome.batch.to_string(),
        outcome.n_images.to_string(),
        yes(outcome.is_drift),
        p_value(outcome.p_value),
        format!("{:.3}", outcome.distance),
        harmful(outcome),
        wide(&interval(outcome.excess_fraction)),
        outcome.confidence.map_or_else(
            || "not known".to_owned(),
            |found| format!("{}, p {}", yes(found.is_significant), p_value(found.p_value)),
        ),
    ];
    with_window(outcome, columns, cells)
}

/// Whether a batch is harmful, as far as a monitor without calibration can tell.
fn harmful(outcome: &Outcome) -> String {
    match outcome.outside {
        Some(_) => "outside".to_owned(),
        None => yes(outcome.is_harmful),
    }
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn summary(outcomes: &[Outcome], monitor: &Monitor, sequential: Option<&SequentialTest>) -> Vec<String> {
    let options = monitor.options();
    let n = outcomes.len();
    let count = |test: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| test(outcome)).count();
    let drifted = count(&|outcome| outcome.is_drift);
    let mut lines = Vec::new();
    if monitor.calibration().is_some() {
        let verdicts = [Verdict::Harmful, Verdict::Outside, Verdict::Undecided, Verdict::Fit];
        let counts = verdicts.map(|verdict| (count(&|outcome| outcome.verdict == Some(verdict)), verdict.name()));
        if n > 1 {
            let parts = counts.iter().filter(|(count, _)| *count > 0);
            let parts: Vec<String> = parts.map(|(count, name)| format!("{count} {name}")).collect();
            lines.push(format!("Of {n} batches: {}; {drifted} drifted", parts.join(", ")));
            lines.extend(sequential.map(stream));
        }
        if counts[1].0 > 0 && n > 1 {
            let reason = outcomes
                .iter()
                .find_map(|outcome| Some((outcome.batch, outcome.outside.as_ref()?)));
            lines.extend(reason.map(|(batch, reason)| format!("Batch {batch} is outside what was declared: {reason}")));
        }
    } else {
        let harmful = count(&|outcome| outcome.is_harmful);
        let outside = match count(&|outcome| outcome.outside.is_some()) {
            0 => String::new(),
            outside => format!(", {outside} outside"),
        };
        lines.push(format!(
            "{drifted} of {n} drifted ({} test at {}), {harmful} harmful{outside}",
            options.alternative, options.level
        ));
        let reason = outcomes
            .iter()
            .find_map(|outcome| Some((outcome.batch, outcome.outside.as_ref()?)));
        lines.extend(reason.map(|(batch, reason)| format!("Batch {batch} is outside: {reason}")));
    }
    if n > 1 {
        lines.push(format!(
            "Without any drift, about {:.1} of {n} would be called drifted at this level.",
            options.level * n as f64
        ));
    }
    if monitor.calibration().is_none() {
        lines.push(
            "The monitor is not calibrated and cannot tell how accurate the classifier is: see `riptide calibrate`."
                .to_owned(),
        );
    }
    lines
}

/// The alarm over all batches.
fn stream(test: &SequentialTest) -> String {
    let level = test.config().level;
    match test.alarm_at() {
        Some(after) => format!(
            "Over all batches: alarm after {after} of them; the chance of ever a false alarm is at most {level}"
        ),
        None => format!(
            "Over all batches: no alarm (evidence {:.3} of {:.0})",
            test.e_value(),
            1.0 / level
        ),
    }
}

/// What a calibration is, in lines that begin with `name` and as many spaces.
pub fn calibration(facts: Option<&CalibrationFacts>, options: &Options, name: &str) -> Vec<String> {
    let Some(facts) = facts else {
        return vec![format!(
            "{name}none: the monitor cannot tell how accurate the classifier is"
        )];
    };
    let (learned, accuracy) = match facts.target {
        Target::Flips => ("changed answers", String::new()),
        _ => (
            "labels",
            format!("accuracy {} on clean images; ", percent(facts.accuracy)),
        ),
    };
    let blank = " ".repeat(name.chars().count());
    let views = if facts.views == 2 { ", two views" } else { "" };
    vec![
        format!(
            "{name}{} images under {} families of corruptions, learned from {learned}{views}",
            facts.n_images,
            facts.families.len()
        ),
        format!(
            "{blank}{accuracy}batches are compared with {} other images; {} of drop are tolerated",
            facts.n_reference,
            points(options.tolerated_drop)
        ),
    ]
}
