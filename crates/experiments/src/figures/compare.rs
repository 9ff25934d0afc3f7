//! Several scores beside each other: one panel a severity, one line a score.

use riptide_detectors::ScoreKind;
use riptide_draw::{Axis, Chart, Entry, Mark, Shape, Svg};
use riptide_stats::Interval;

use super::figure::{Figure, Part};
use super::look::{band, draw_level, level_entry, paint_of, shape_of};
use crate::format::percent;
use crate::harmfulness::Kind;
use crate::summary::Summary;

/// Power on harm, alarms without it, the trade between the two, and the areas under the ROC curve.
pub(crate) fn figures(summary: &Summary) -> Vec<Figure> {
    let mut figures = vec![
        rates(
            summary,
            Kind::Harmful,
            "compare-power",
            "Power: harmful batches that alarm",
        ),
        rates(
            summary,
            Kind::Harmless,
            "compare-alarms",
            "False alarms: harmless batches that alarm",
        ),
    ];
    figures.extend(trade(summary));
    figures.push(areas(summary));
    figures
}

fn legend(scores: &[ScoreKind], mark: fn(Shape) -> Mark) -> Vec<Entry> {
    let entry = |&score: &ScoreKind| Entry::new(mark(shape_of(score)), paint_of(score), score.name());
    scores.iter().map(entry).collect()
}

fn line(shape: Shape) -> Mark {
    Mark::Line("", Some(shape))
}

/// The scores from the last to the first, so that the leading one lies on top.
fn from_behind(scores: &[ScoreKind]) -> impl Iterator<Item = ScoreKind> {
    scores.iter().rev().copied()
}

fn rates(summary: &Summary, kind: Kind, name: &str, title: &str) -> Figure {
    let params = &summary.protocol;
    let mut legend = legend(&params.scores, line);
    legend.push(level_entry(params.level));
    let mut chart = Chart::new(title, legend, params.severities.len());
    let foot = format!("{} images in a batch", kind.name());
    for &severity in &params.severities {
        let axes = (
            (Axis::percent(), foot.as_str()),
            (Axis::percent(), "batches that alarm"),
        );
        chart.panel(&format!("severity {severity}"), axes.0, axes.1, |svg, plot| {
            draw_level(svg, plot, params.level);
            for score in from_behind(&params.scores) {
                let cells = summary.cells(score, severity, kind);
                let alarms: Vec<_> = cells.map(|cell| (cell.fraction, cell.alarms)).collect();
                band(svg, plot, &alarms, (paint_of(score), shape_of(score), 0.1));
            }
        });
    }
    let wanted = match kind {
        Kind::Harmful => "The sooner a line rises, the better",
        Kind::Harmless => "The longer a line stays at the level, the better",
    };
    let caption = format!(
        "Fraction of {} batches that alarm, by percentage of {} images, with Wilson's 95 % interval; {} test. {wanted}.",
        params.batches,
        kind.name(),
        params.alternative
    );
    Figure::new(name, Part::Compare, chart, caption)
}

fn trade(summary: &Summary) -> Option<Figure> {
    let params = &summary.protocol;
    let (few, many) = summary.judged_at()?;
    let title = format!(
        "The trade: harm found at {} against false alarms at {}",
        percent(few),
        percent(many)
    );
    let legend = legend(&params.scores, Mark::Point);
    let mut chart = Chart::new(title, legend, params.severities.len());
    for &severity in &params.severities {
        let axes = (
            (Axis::percent(), "false alarms"),
            (Axis::percent(), "harmful batches found"),
        );
        chart.panel(&format!("severity {severity}"), axes.0, axes.1, |svg, plot| {
            for score in from_behind(&params.scores) {
                let power = summary.alarms(score, severity, Kind::Harmful, few);
                let alarms = summary.alarms(score, severity, Kind::Harmless, many);
                let (Some(power), Some(alarms), paint) = (power, alarms, paint_of(score)) else {
                    continue;
                };
                let (x, y) = plot.at(alarms.estimate, power.estimate);
                svg.line(&[(plot.x(alarms.lower), y), (plot.x(alarms.upper), y)], paint, 1.2, "");
                svg.line(&[(x, plot.y(power.lower)), (x, plot.y(power.upper))], paint, 1.2, "");
                svg.mark((x, y), shape_of(score), 5.0, paint);
            }
        });
    }
    let caption = format!(
        "Batches with {} harmful images that alarm, against batches with {} harmless images that alarm; whiskers are \
         Wilson's 95 % intervals. The best place is the upper left corner.",
        percent(few),
        percent(many)
    );
    Some(Figure::new("compare-trade", Part::Compare, chart, caption))
}

/// Areas under the ROC curve by severity, with their bootstrap intervals.
fn areas(summary: &Summary) -> Figure {
    let params = &summary.protocol;
    let title = "AUROC of single images, harmful against harmless";
    let mut chart = Chart::new(title, legend(&params.scores, line), 1);
    let found = |score| -> Vec<(usize, Interval)> {
        let areas = params.severities.iter().enumerate();
        areas
            .filter_map(|(place, &severity)| Some((place, summary.score(score, severity)?.auroc?)))
            .collect()
    };
    let every: Vec<Interval> = params
        .scores
        .iter()
        .flat_map(|&score| found(score))
        .map(|area| area.1)
        .collect();
    let low = every.iter().map(|area| area.lower).fold(0.9, f64::min);
    let names = params.severities.iter().map(ToString::to_string);
    let axes = ((Axis::categories(names), "severity"), (Axis::tenths(low, 1.0), "AUROC"));
    let n = params.scores.len();
    chart.panel("by severity", axes.0, axes.1, |svg: &mut Svg, plot| {
        for (place, &score) in params.scores.iter().enumerate().rev() {
            let paint = paint_of(score);
            // Beside each other within six tenths of the severity's width.
            let aside = 0.6 * ((place as f64 + 0.5) / n as f64 - 0.5);
            let mut points = Vec::new();
            for (severity, area) in found(score) {
                let x = severity as f64 + 0.5 + aside;
                svg.whisker(plot.x(x), (plot.y(area.lower), plot.y(area.upper)), 3.0, paint);
                points.push(plot.at(x, area.estimate));
            }
            svg.line(&points, paint, 1.2, "");
            for point in points {
                svg.mark(point, shape_of(score), 4.0, paint);
            }
        }
    });
    let caption = format!(
        "How well each score ranks single images, harmful above harmless: 0.5 is chance, 1 is perfect. Intervals are 95 % \
         percentile intervals of {} bootstrap resamples of the clean images, each with all its twins.",
        params.resamples
    );
    Figure::new("compare-auroc", Part::Compare, chart, caption)
}
