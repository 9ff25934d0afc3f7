//! What the sweep gave: p-values and alarms by contamination, a panel a severity.

use riptide_detectors::ScoreKind;
use riptide_draw::{Axis, Chart, Entry, Mark, Paint, Shape};

use super::figure::{Figure, Part};
use super::look::{band, draw_level, level_entry, paint, shape};
use crate::harmfulness::Kind;
use crate::summary::{Cell, Summary};

/// Dashes of largest values.
const MAX: &str = "5 4";

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
        level_entry(params.level),
    ];
    let title = format!("p-values by percentage of corrupted images ({score})");
    let mut chart = Chart::new(title, legend, params.severities.len());
    for &severity in &params.severities {
        let axes = (
            (Axis::percent(), "corrupted images in a batch"),
            (Axis::unit(), "p-value"),
        );
        chart.panel(&format!("severity {severity}"), axes.0, axes.1, |svg, plot| {
            draw_level(svg, plot, params.level);
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
    let caption = format!(
        "Mean and largest p-value of {} batches at each percentage, score {score}, {} test. A detector of harmful drift \
         goes below the level for harmful images and stays above it for harmless ones.",
        params.batches, params.alternative
    );
    Figure::new("p-values", Part::Sweep, chart, caption)
}

/// Alarm rates by contamination, with their intervals.
pub(crate) fn power(summary: &Summary, score: ScoreKind) -> Figure {
    let params = &summary.protocol;
    let entry = |kind: Kind| {
        let label = format!("{}, with 95 % interval", kind.name());
        Entry::new(Mark::Line("", Some(shape(kind))), paint(kind), label)
    };
    let legend = vec![entry(Kind::Harmful), entry(Kind::Harmless), level_entry(params.level)];
    let title = format!("Batches that alarm by percentage of corrupted images ({score})");
    let mut chart = Chart::new(title, legend, params.severities.len());
    for &severity in &params.severities {
        let axes = (
            (Axis::percent(), "corrupted images in a batch"),
            (Axis::percent(), "batches that alarm"),
        );
        chart.panel(&format!("severity {severity}"), axes.0, axes.1, |svg, plot| {
            draw_level(svg, plot, params.level);
            for kind in [Kind::Harmless, Kind::Harmful] {
                let alarms = summary
                    .cells(score, severity, kind)
                    .map(|cell| (cell.fraction, cell.alarms));
                band(svg, plot, &alarms.collect::<Vec<_>>(), (paint(kind), shape(kind), 0.2));
            }
        });
    }
    let caption = format!(
        "Fraction of {} batches whose p-value is below the level, score {score}, {} test, with Wilson's 95 % interval: \
         the power against harmful drift, and how often harmless drift is taken for it.",
        params.batches, params.alternative
    );
    Figure::new("power", Part::Sweep, chart, caption)
}
