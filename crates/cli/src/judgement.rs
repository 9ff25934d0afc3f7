//! What was found out about batches, and what a calibration is, in words.

use riptide::detectors::accuracy::Target;
use riptide::detectors::{SequentialTest, Verdict};
use riptide::prelude::*;
use riptide::{Accuracy, CalibrationFacts};

use crate::output::{Column, interval, p_value, percent, table};

/// The lines of `riptide detect`: for one batch in sentences that lead with the verdict, for more in a table.
pub fn lines(outcomes: &[Outcome], monitor: &Monitor, sequential: Option<&SequentialTest>) -> Vec<String> {
    let mut lines = match (outcomes, monitor.calibration()) {
        ([outcome], Some(_)) => one(outcome),
        (_, Some(_)) => vec![verdicts(outcomes)],
        (_, None) => vec![scores(outcomes)],
    };
    lines.push(String::new());
    lines.extend(summary(outcomes, monitor, sequential));
    lines
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

/// The table of a calibrated monitor.
fn verdicts(outcomes: &[Outcome]) -> String {
    let columns = [
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
    let row = |outcome: &Outcome| {
        let found = outcome.accuracy.as_ref();
        vec![
            outcome.batch.to_string(),
            outcome.n_images.to_string(),
            outcome.verdict.map_or("", Verdict::name).to_owned(),
            found.map_or_else(|| "not known".to_owned(), |found| interval(found.interval)),
            found.map_or_else(String::new, |found| format!("{:.1}", 100.0 * found.drop.estimate)),
            yes(outcome.is_drift),
            p_value(outcome.p_value),
            format!("{:.3}", outcome.distance),
            interval(outcome.excess_fraction),
        ]
    };
    table(&columns, &outcomes.iter().map(row).collect::<Vec<_>>())
}

/// The table of a monitor that is not calibrated.
fn scores(outcomes: &[Outcome]) -> String {
    let columns = [
        Column::right("batch"),
        Column::right("images"),
        Column::left("drift"),
        Column::right("p-value"),
        Column::right("distance"),
        Column::left("harmful"),
        Column::left("excess fraction"),
        Column::left("less certain"),
    ];
    let row = |outcome: &Outcome| {
        vec![
            outcome.batch.to_string(),
            outcome.n_images.to_string(),
            yes(outcome.is_drift),
            p_value(outcome.p_value),
            format!("{:.3}", outcome.distance),
            yes(outcome.is_harmful),
            interval(outcome.excess_fraction),
            outcome.confidence.map_or_else(
                || "not known".to_owned(),
                |found| format!("{}, p {}", yes(found.is_significant), p_value(found.p_value)),
            ),
        ]
    };
    table(&columns, &outcomes.iter().map(row).collect::<Vec<_>>())
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
        lines.push(format!(
            "{drifted} of {n} drifted ({} test at {}), {harmful} harmful",
            options.alternative, options.level
        ));
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
        _ => ("labels", format!("accuracy {}, ", percent(facts.accuracy))),
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
            "{blank}{} other images: {accuracy}{} of drop are tolerated",
            facts.n_reference,
            points(options.tolerated_drop)
        ),
    ]
}
