//! What the sweep gave: p-values and alarms by contamination, a panel a severity.

use riptide_detectors::ScoreKind;

use super::axes::{Axis, Panels};
use super::legend::{Mark, Point, head};
use super::svg::{Paint, Svg};
use super::{Figure, Part, WIDTH};
use crate::harmfulness::Kind;
use crate::summary::{Cell, Summary};

pub(crate) fn paint(kind: Kind) -> Paint {
    match kind {
        Kind::Harmful => Paint::HARMFUL,
        Kind::Harmless => Paint::HARMLESS,
    }
}

fn sorted(summary: &Summary, score: ScoreKind, severity: riptide_corruptions::Severity, kind: Kind) -> Vec<&Cell> {
    let mut cells: Vec<&Cell> = summary.cells(score, severity, kind).collect();
    cells.sort_by(|a, b| a.fraction.total_cmp(&b.fraction));
    cells
}

/// Mean and largest p-value by contamination, with the level of the test.
pub(crate) fn p_values(summary: &Summary, score: ScoreKind) -> Figure {
    const MAX: &str = "5 4";
    let params = &summary.protocol;
    let title = format!("p-values by percentage of corrupted images ({score})");
    let level = format!("level {}", params.p_val);
    let entries = [
        (Mark::Line("", Point::Dot), Paint::HARMFUL, "harmful, mean"),
        (Mark::Line(MAX, Point::Hollow), Paint::HARMFUL, "harmful, largest"),
        (Mark::Line("", Point::Dot), Paint::HARMLESS, "harmless, mean"),
        (Mark::Line(MAX, Point::Hollow), Paint::HARMLESS, "harmless, largest"),
        (Mark::Line("2 3", Point::None), Paint::INK, level.as_str()),
    ];
    let svg = panels(
        summary,
        &title,
        &entries,
        "p-value",
        Axis::unit,
        |svg, plot, severity| {
            let y = params.p_val;
            svg.line(&[plot.at(0.0, y), plot.at(1.0, y)], Paint::INK, 1.5, "2 3");
            for kind in [Kind::Harmless, Kind::Harmful] {
                let cells = sorted(summary, score, severity, kind);
                let of = |value: fn(&Cell) -> f64| -> Vec<(f64, f64)> {
                    cells.iter().map(|cell| plot.at(cell.fraction, value(cell))).collect()
                };
                let (mean, max) = (of(|cell| cell.mean), of(|cell| cell.max));
                svg.line(&max, paint(kind), 1.5, MAX);
                for &point in &max {
                    svg.hollow(point, 2.8, paint(kind));
                }
                svg.line(&mean, paint(kind), 2.2, "");
                for &point in &mean {
                    svg.dot(point, 3.5, paint(kind));
                }
            }
        },
    );
    Figure {
        name: "p-values".to_owned(),
        part: Part::Sweep,
        caption: format!(
            "Mean and largest p-value of {} batches at each percentage, score {score}. A detector of harmful drift goes \
             below the level for harmful images and stays above it for harmless ones.",
            params.batches
        ),
        svg,
    }
}

/// Alarm rates by contamination, with their intervals.
pub(crate) fn power(summary: &Summary, score: ScoreKind) -> Figure {
    let params = &summary.protocol;
    let title = format!("Batches that alarm by percentage of corrupted images ({score})");
    let level = format!("level {}", params.p_val);
    let entries = [
        (
            Mark::Line("", Point::Dot),
            Paint::HARMFUL,
            "harmful, with 95 % interval",
        ),
        (
            Mark::Line("", Point::Hollow),
            Paint::HARMLESS,
            "harmless, with 95 % interval",
        ),
        (Mark::Line("2 3", Point::None), Paint::INK, level.as_str()),
    ];
    let svg = panels(
        summary,
        &title,
        &entries,
        "batches that alarm",
        Axis::percent,
        |svg, plot, severity| {
            let y = params.p_val;
            svg.line(&[plot.at(0.0, y), plot.at(1.0, y)], Paint::INK, 1.5, "2 3");
            for kind in [Kind::Harmless, Kind::Harmful] {
                let cells = sorted(summary, score, severity, kind);
                let upper = cells.iter().map(|cell| plot.at(cell.fraction, cell.alarms.high));
                let lower = cells.iter().rev().map(|cell| plot.at(cell.fraction, cell.alarms.low));
                svg.area(&upper.chain(lower).collect::<Vec<_>>(), paint(kind), 0.2);
                let line: Vec<_> = cells
                    .iter()
                    .map(|cell| plot.at(cell.fraction, cell.alarms.estimate))
                    .collect();
                svg.line(&line, paint(kind), 2.2, "");
                for &point in &line {
                    match kind {
                        Kind::Harmful => svg.dot(point, 3.5, paint(kind)),
                        Kind::Harmless => svg.hollow(point, 3.0, paint(kind)),
                    }
                }
            }
        },
    );
    Figure {
        name: "power".to_owned(),
        part: Part::Sweep,
        caption: format!(
            "Fraction of {} batches whose p-value is below the level, score {score}, with Wilson's 95 % interval: the \
             power against harmful drift, and how often harmless drift is taken for it.",
            params.batches
        ),
        svg,
    }
}

/// A panel a severity, contamination along the foot.
fn panels(
    summary: &Summary,
    title: &str,
    entries: &[(Mark, Paint, &str)],
    y: &str,
    axis: fn() -> Axis,
    mut fill: impl FnMut(&mut Svg, &super::axes::Plot, riptide_corruptions::Severity),
) -> String {
    let severities = &summary.protocol.severities;
    // The head's height is needed for the paper's; it depends on the entries alone.
    let top = head(&mut Svg::new(WIDTH, 0.0, title), WIDTH, title, entries);
    let layout = Panels::new(severities.len(), WIDTH, top);
    let mut svg = Svg::new(WIDTH, layout.height(), title);
    head(&mut svg, WIDTH, title, entries);
    for (place, &severity) in severities.iter().enumerate() {
        let x = (Axis::percent(), "corrupted images in a batch");
        let plot = layout.plot(&mut svg, place, &format!("severity {severity}"), x, (axis(), y));
        fill(&mut svg, &plot, severity);
    }
    svg.finish()
}
