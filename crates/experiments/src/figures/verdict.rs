//! The accuracy test beside the published decision.

use riptide_draw::{Axis, Chart, Entry, Mark, Paint, Shape};
use riptide_stats::Interval;

use super::figure::{Figure, Part};
use super::look::{band, draw_level, level_entry};
use crate::accuracy::{ComparedCell, Comparison, Rate};
use crate::harmfulness::Kind;

/// One way to decide, as it looks in every figure.
struct Decision {
    name: &'static str,
    paint: Paint,
    shape: Shape,
    rate: fn(&ComparedCell) -> Rate,
}

const DECISIONS: [Decision; 3] = [
    Decision {
        name: "Kolmogorov-Smirnov on the divergence, as published",
        paint: Paint::BLACK,
        shape: Shape::Dot,
        rate: |cell| cell.published,
    },
    Decision {
        name: "mean of 1 - the largest probability",
        paint: Paint::GREEN,
        shape: Shape::Square,
        rate: |cell| cell.confidence,
    },
    Decision {
        name: "accuracy test",
        paint: Paint::ORANGE,
        shape: Shape::Triangle,
        rate: |cell| cell.accuracy,
    },
];

/// Power, false alarms, natural batches, estimates.
pub(crate) fn figures(comparison: &Comparison, level: f64) -> Vec<Figure> {
    let mut figures = vec![
        rates(comparison, level, Kind::Harmful),
        rates(comparison, level, Kind::Harmless),
    ];
    figures.extend(natural(comparison, level));
    figures.push(estimates(comparison));
    figures
}

fn legend(mark: fn(Shape) -> Mark) -> Vec<Entry> {
    let entry = |decision: &Decision| Entry::new(mark(decision.shape), decision.paint, decision.name);
    DECISIONS.iter().map(entry).collect()
}

fn rates(comparison: &Comparison, level: f64, kind: Kind) -> Figure {
    let mut severities: Vec<u8> = comparison.cells.iter().map(|cell| cell.severity).collect();
    severities.dedup();
    severities.sort_unstable();
    severities.dedup();
    let (name, title, wanted) = match kind {
        Kind::Harmful => (
            "verdict-power",
            "Harmful batches found, by three decisions",
            "The sooner a line rises, the better",
        ),
        Kind::Harmless => (
            "verdict-alarms",
            "False alarms, by three decisions",
            "The longer a line stays at the level, the better",
        ),
    };
    let mut entries = legend(|shape| Mark::Line("", Some(shape)));
    entries.push(level_entry(level));
    let mut chart = Chart::new(title, entries, severities.len());
    let foot = format!("{} images in a batch", kind.name());
    for severity in severities {
        let axes = (
            (Axis::percent(), foot.as_str()),
            (Axis::percent(), "batches that alarm"),
        );
        chart.panel(&format!("severity {severity}"), axes.0, axes.1, |svg, plot| {
            draw_level(svg, plot, level);
            for decision in &DECISIONS {
                let cells = comparison.cells.iter();
                let cells = cells.filter(|cell| cell.severity == severity && cell.kind == kind);
                let alarms: Vec<(f64, Interval)> = cells
                    .map(|cell| {
                        let Rate { rate, least, most } = (decision.rate)(cell);
                        let spread = Interval {
                            estimate: rate.estimate,
                            lower: least,
                            upper: most,
                        };
                        (cell.fraction, spread)
                    })
                    .collect();
                band(svg, plot, &alarms, (decision.paint, decision.shape, 0.1));
            }
        });
    }
    let caption = format!(
        "Fraction of batches of {} that alarm, by percentage of {} images, one-sided at {level}: the mean over {} references; bands \
         run from the least to the largest rate under one reference. A whole group of corruptions (noise, blur, weather, \
         digital) is left out of what the accuracy test is fitted on, and gives the batches. {wanted}.",
        comparison.batch_size,
        kind.name(),
        comparison.params.references
    );
    Figure::new(name, Part::Verdict, chart, caption)
}

/// Alarms on natural batches by their true drop, the largest size.
fn natural(comparison: &Comparison, level: f64) -> Option<Figure> {
    let &n = comparison.params.natural_sizes.iter().max()?;
    let cells: Vec<_> = comparison.natural.iter().filter(|cell| cell.n == n).collect();
    let largest = cells.iter().map(|cell| cell.drop).reduce(f64::max)?;
    let kinds: [(&str, Paint, Shape); 2] = [
        (DECISIONS[0].name, Paint::BLACK, Shape::Dot),
        (
            "called harmful, or outside what was declared",
            Paint::ORANGE,
            Shape::Triangle,
        ),
    ];
    let mut entries: Vec<Entry> = kinds
        .iter()
        .map(|&(name, paint, shape)| Entry::new(Mark::Point(shape), paint, name))
        .collect();
    entries.push(level_entry(level));
    let mut chart = Chart::new(
        "Naturally corrupted batches, by their true drop of accuracy",
        entries,
        1,
    );
    let high = (10.0 * largest).ceil().max(1.0) / 10.0;
    let ticks = (0..=(10.0 * high).round() as u32).map(|tenth| (f64::from(tenth) / 10.0, format!("{} %", 10 * tenth)));
    let axes = (
        (Axis::new(-0.02, high, ticks.collect()), "true drop of accuracy"),
        (Axis::percent(), "batches that alarm"),
    );
    chart.panel(&format!("batches of {n}"), axes.0, axes.1, |svg, plot| {
        let tolerated = comparison.params.options.tolerated_drop;
        svg.line(
            &[plot.at(tolerated, 0.0), plot.at(tolerated, 1.0)],
            Paint::INK,
            1.0,
            "2 3",
        );
        svg.line(&[plot.at(-0.02, level), plot.at(high, level)], Paint::INK, 1.5, "2 3");
        for cell in &cells {
            let alarms = cell.harmful.rate.estimate + cell.outside.rate.estimate;
            svg.mark(
                plot.at(cell.drop, cell.published.rate.estimate),
                Shape::Dot,
                3.0,
                Paint::BLACK,
            );
            svg.mark(plot.at(cell.drop, alarms.min(1.0)), Shape::Triangle, 3.5, Paint::ORANGE);
        }
    });
    let caption = format!(
        "Every corruption at every severity, all images, whatever the classifier makes of them; the upright line is the tolerated drop \
         of {:.0} points. Each family is judged by a model that did not see it. The best place is at the bottom left of the \
         line and at the top right of it.",
        100.0 * comparison.params.options.tolerated_drop
    );
    Some(Figure::new("verdict-natural", Part::Verdict, chart, caption))
}

/// Estimated against true accuracy.
fn estimates(comparison: &Comparison) -> Figure {
    let looks = [
        (Paint::SKY, Shape::Diamond, "ATC"),
        (Paint::ORANGE, Shape::Triangle, "accuracy test, with its interval"),
    ];
    let entries = looks.map(|(paint, shape, name)| Entry::new(Mark::Point(shape), paint, name));
    let mut chart = Chart::new("Estimated against true accuracy", entries.to_vec(), 1);
    let atc = comparison
        .methods
        .iter()
        .skip(1)
        .position(|method| method.method == "ATC");
    let axes = (
        (Axis::percent(), "true accuracy"),
        (Axis::percent(), "estimated accuracy"),
    );
    chart.panel("all sets under one reference", axes.0, axes.1, |svg, plot| {
        svg.line(&[plot.at(0.0, 0.0), plot.at(1.0, 1.0)], Paint::INK, 1.0, "2 3");
        for estimate in &comparison.estimates {
            if let Some(&other) = atc.and_then(|place| estimate.others.get(place)) {
                svg.mark(plot.at(estimate.truth, other), Shape::Diamond, 3.0, Paint::SKY);
            }
            let Interval {
                estimate: value,
                lower,
                upper,
            } = estimate.accuracy;
            let x = plot.x(estimate.truth);
            svg.whisker(x, (plot.y(lower), plot.y(upper)), 2.0, Paint::ORANGE);
            svg.mark(plot.at(estimate.truth, value), Shape::Triangle, 3.0, Paint::ORANGE);
        }
    });
    let caption = format!(
        "One mark a corruption and severity, each family estimated by a model that did not see it; whiskers are {:.0} % \
         intervals. On the dotted line an estimate is right.",
        100.0 * comparison.params.options.confidence
    );
    Figure::new("verdict-estimates", Part::Verdict, chart, caption)
}
