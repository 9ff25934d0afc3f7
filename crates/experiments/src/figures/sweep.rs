//! What the sweep gave: p-values and alarms by contamination, a panel a severity.

use riptide_detectors::ScoreKind;

use super::axes::{Axis, Plot};
use super::chart::Chart;
use super::legend::{Entry, Mark};
use super::svg::{Paint, Shape, Svg};
use super::{Figure, Part};
use crate::harmfulness::Kind;
use crate::summary::{Cell, Interval, Summary};

pub(crate) fn paint(kind: Kind) -> Paint {
    match kind {
        Kind::Harmful => Paint::HARMFUL,
        Kind::Harmless => Paint::HARMLESS,
    }
}

/// The level of the test, across the plot.
pub(crate) fn draw_level(svg: &mut Svg, plot: &Plot, p_val: f64) {
    svg.line(&[plot.at(0.0, p_val), plot.at(1.0, p_val)], Paint::INK, 1.5, LEVEL);
}

pub(crate) fn level_entry(p_val: f64) -> Entry {
    Entry::new(Mark::Line(LEVEL, None), Paint::INK, format!("level {p_val}"))
}

/// Dashes of the level of the test.
const LEVEL: &str = "2 3";
/// Dashes of largest values.
const MAX: &str = "5 4";
/// The mark of each kind, besides its colour.
pub(crate) const fn shape(kind: Kind) -> Shape {
    match kind {
        Kind::Harmful => Shape::Dot,
        Kind::Harmless => Shape::Square,
    }
}

/// Mean and largest p-value by contamination, with the level of the test.
pub(crate) fn p_values(summary: &Summary, score: ScoreKind) -> Figure {
    let params = &summary.protocol;
    let legend = vec![
        Entry::new(
            Mark::Line("", Some(shape(Kind::Harmful))),
            Paint::HARMFUL,
            "harmful, mean",
        ),
        Entry::new(Mark::Line(MAX, Some(Shape::Hollow)), Paint::HARMFUL, "harmful, largest"),
        Entry::new(
            Mark::Line("", Some(shape(Kind::Harmless))),
            Paint::HARMLESS,
            "harmless, mean",
        ),
        Entry::new(
            Mark::Line(MAX, Some(Shape::Hollow)),
            Paint::HARMLESS,
            "harmless, largest",
        ),
        level_entry(params.p_val),
    ];
    let title = format!("p-values by percentage of corrupted images ({score})");
    let mut chart = Chart::new("p-values", Part::Sweep, title, legend, params.severities.len());
    for &severity in &params.severities {
        let axes = (
            (Axis::percent(), "corrupted images in a batch"),
            (Axis::unit(), "p-value"),
        );
        chart.panel(&format!("severity {severity}"), axes.0, axes.1, |svg, plot| {
            draw_level(svg, plot, params.p_val);
            for kind in [Kind::Harmless, Kind::Harmful] {
                let of = |value: fn(&Cell) -> f64| -> Vec<(f64, f64)> {
                    let cells = summary.cells(score, severity, kind);
                    cells.map(|cell| plot.at(cell.fraction, value(cell))).collect()
                };
                let (mean, max) = (of(|cell| cell.mean), of(|cell| cell.max));
                svg.line(&max, paint(kind), 1.5, MAX);
                for &point in &max {
                    svg.mark(point, Shape::Hollow, 2.8, paint(kind));
                }
                svg.line(&mean, paint(kind), 2.2, "");
                for &point in &mean {
                    svg.mark(point, shape(kind), 3.5, paint(kind));
                }
            }
        });
    }
    chart.figure(format!(
        "Mean and largest p-value of {} batches at each percentage, score {score}, {} test. A detector of harmful drift \
         goes below the level for harmful images and stays above it for harmless ones.",
        params.batches, params.alternative
    ))
}

/// Alarm rates by contamination, with their intervals.
pub(crate) fn power(summary: &Summary, score: ScoreKind) -> Figure {
    let params = &summary.protocol;
    let entry = |kind: Kind| {
        let label = format!("{}, with 95 % interval", kind.name());
        Entry::new(Mark::Line("", Some(shape(kind))), paint(kind), label)
    };
    let legend = vec![entry(Kind::Harmful), entry(Kind::Harmless), level_entry(params.p_val)];
    let title = format!("Batches that alarm by percentage of corrupted images ({score})");
    let mut chart = Chart::new("power", Part::Sweep, title, legend, params.severities.len());
    for &severity in &params.severities {
        let axes = (
            (Axis::percent(), "corrupted images in a batch"),
            (Axis::percent(), "batches that alarm"),
        );
        chart.panel(&format!("severity {severity}"), axes.0, axes.1, |svg, plot| {
            draw_level(svg, plot, params.p_val);
            for kind in [Kind::Harmless, Kind::Harmful] {
                let alarms = summary
                    .cells(score, severity, kind)
                    .map(|cell| (cell.fraction, cell.alarms));
                band(svg, plot, &alarms.collect::<Vec<_>>(), (paint(kind), shape(kind), 0.2));
            }
        });
    }
    chart.figure(format!(
        "Fraction of {} batches whose p-value is below the level, score {score}, {} test, with Wilson's 95 % interval: \
         the power against harmful drift, and how often harmless drift is taken for it.",
        params.batches, params.alternative
    ))
}

/// A line of estimates over the band of their intervals, which has the given opacity.
pub(crate) fn band(svg: &mut Svg, plot: &Plot, values: &[(f64, Interval)], look: (Paint, Shape, f64)) {
    let (paint, shape, opacity) = look;
    let upper = values.iter().map(|&(x, interval)| plot.at(x, interval.high));
    let lower = values.iter().rev().map(|&(x, interval)| plot.at(x, interval.low));
    svg.area(&upper.chain(lower).collect::<Vec<_>>(), paint, opacity);
    let line: Vec<_> = values
        .iter()
        .map(|&(x, interval)| plot.at(x, interval.estimate))
        .collect();
    svg.line(&line, paint, 2.0, "");
    for &point in &line {
        svg.mark(point, shape, 3.5, paint);
    }
}
