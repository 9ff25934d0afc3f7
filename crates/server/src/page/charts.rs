//! Drawings of windows over time, by the code that draws the reports.

use riptide::draw::{Anchor, Axis, Chart, Drawing, Entry, Mark, Paint, Plot, Shape, Svg, TEXT};

use super::words::{findings, interval, number};
use crate::store::WindowRow;
use crate::time::{Millis, readable};

/// One judged window of a series.
pub(super) struct Point {
    time: Option<Millis>,
    /// Estimate, lower, upper: of the accuracy if the monitor is calibrated, else of the excess fraction.
    estimate: Option<[f64; 3]>,
    p_value: Option<f64>,
    mix_p_value: Option<f64>,
    realised: Option<f64>,
    evidence: Option<f64>,
    is_harmful: bool,
}

impl Point {
    /// The judged ones among windows, oldest first.
    pub(super) fn series(rows: &[WindowRow]) -> (Vec<Self>, bool) {
        let judged = rows.iter().filter_map(|row| Some((row, findings(row)?)));
        let mut is_calibrated = false;
        let points = judged
            .filter(|(_, findings)| findings.get("outcome").is_some_and(|outcome| !outcome.is_null()))
            .map(|(row, findings)| {
                let accuracy = interval(&findings, "/outcome/accuracy");
                is_calibrated |= accuracy.is_some();
                Self {
                    time: row.last_time,
                    estimate: accuracy.or_else(|| interval(&findings, "/outcome/excess_fraction")),
                    p_value: number(&findings, "/outcome/p_value"),
                    mix_p_value: number(&findings, "/classes/p_value"),
                    realised: (row.labelled > 0).then(|| row.correct as f64 / row.labelled as f64),
                    evidence: number(&findings, "/sequential/log_e"),
                    is_harmful: row.verdict.as_deref() == Some("harmful"),
                }
            })
            .collect();
        (points, is_calibrated)
    }
}

/// An axis of windows, the times of the first, the middle and the last below it.
fn time_axis(points: &[Point]) -> Axis {
    let last = points.len().saturating_sub(1);
    let mut places = vec![0, last / 2, last];
    places.dedup();
    // Close together, times would stand on each other.
    if last < 2 {
        places.truncate(1);
    }
    let label = |place: usize| points.get(place).and_then(|point| point.time).map(readable);
    let ticks = places.into_iter().map(|place| {
        let label = label(place)
            .and_then(|time| Some(time.get(5..16)?.to_owned()))
            .unwrap_or_default();
        (place as f64, label)
    });
    Axis::new(-0.5, last as f64 + 0.5, ticks.collect())
}

/// Accuracy (or excess fraction) with its band, and the accuracy that labels show.
pub(super) fn estimate(points: &[Point], is_calibrated: bool) -> Drawing {
    let (title, paint) = if is_calibrated {
        ("Estimated accuracy", Paint::ACCURACY)
    } else {
        ("Excess fraction", Paint::HARMLESS)
    };
    let mut legend = vec![
        Entry::new(Mark::Line("", Some(Shape::Dot)), paint, "estimate"),
        Entry::new(Mark::Swatch, paint, "interval"),
        Entry::new(Mark::Point(Shape::Triangle), Paint::HARMFUL, "harmful"),
    ];
    if points.iter().any(|point| point.realised.is_some()) {
        legend.push(Entry::new(
            Mark::Point(Shape::Diamond),
            Paint::BLACK,
            "realised accuracy, by labels",
        ));
    }
    let mut chart = Chart::new(title, legend, 1);
    chart.panel(
        title,
        (time_axis(points), "end of window, UTC"),
        (Axis::percent(), ""),
        |svg, plot| {
            let at = |place: usize, value: f64| plot.at(place as f64, value);
            let known: Vec<(usize, &Point, [f64; 3])> = points
                .iter()
                .enumerate()
                .filter_map(|(place, point)| Some((place, point, point.estimate?)))
                .collect();
            if let [(place, _, [_, lower, upper])] = known[..] {
                svg.whisker(plot.x(place as f64), (plot.y(lower), plot.y(upper)), 5.0, paint);
            }
            let upper = known.iter().map(|(place, _, [_, _, upper])| at(*place, *upper));
            let lower = known.iter().rev().map(|(place, _, [_, lower, _])| at(*place, *lower));
            if known.len() > 1 {
                svg.area(&upper.chain(lower).collect::<Vec<_>>(), paint, 0.2);
            }
            let line: Vec<_> = known
                .iter()
                .map(|(place, _, [estimate, ..])| at(*place, *estimate))
                .collect();
            svg.line(&line, paint, 2.0, "");
            for (place, point, [estimate, ..]) in &known {
                match point.is_harmful {
                    true => svg.mark(at(*place, *estimate), Shape::Triangle, 5.0, Paint::HARMFUL),
                    false if known.len() <= 40 => svg.mark(at(*place, *estimate), Shape::Dot, 3.0, paint),
                    false => {}
                }
            }
            for (place, point) in points.iter().enumerate() {
                if let Some(realised) = point.realised {
                    svg.mark(at(place, realised), Shape::Diamond, 3.5, Paint::BLACK);
                }
            }
        },
    );
    chart.finish()
}

/// p-values on a logarithmic axis.
pub(super) fn p_values(points: &[Point], level: f64) -> Drawing {
    /// Powers of ten below which everything lies at the foot.
    const LEAST: f64 = 12.0;
    let legend = vec![
        Entry::new(Mark::Line("", Some(Shape::Dot)), Paint::HARMLESS, "scores"),
        Entry::new(Mark::Line("", Some(Shape::Hollow)), Paint::PURPLE, "classes"),
        Entry::new(Mark::Line("5 4", None), Paint::SOFT, "level"),
    ];
    let ticks = [
        (0.0, "1"),
        (-3.0, "1e-3"),
        (-6.0, "1e-6"),
        (-9.0, "1e-9"),
        (-LEAST, "1e-12"),
    ];
    let axis = Axis::new(
        -LEAST,
        0.0,
        ticks.map(|(value, label)| (value, label.to_owned())).to_vec(),
    );
    let mut chart = Chart::new("p-values", legend, 1);
    chart.panel(
        "p-values",
        (time_axis(points), "end of window, UTC"),
        (axis, ""),
        |svg, plot| {
            let line = |svg: &mut Svg, plot: &Plot, value: &dyn Fn(&Point) -> Option<f64>, paint, shape| {
                let line: Vec<_> = points
                    .iter()
                    .enumerate()
                    .filter_map(|(place, point)| Some(plot.at(place as f64, value(point)?.max(1e-300).log10())))
                    .collect();
                svg.line(&line, paint, 1.6, "");
                if line.len() <= 40 {
                    line.into_iter().for_each(|at| svg.mark(at, shape, 3.0, paint));
                }
            };
            line(svg, plot, &|point| point.mix_p_value, Paint::PURPLE, Shape::Hollow);
            line(svg, plot, &|point| point.p_value, Paint::HARMLESS, Shape::Dot);
            let [left, _, width, _] = plot.area;
            let y = plot.y(level.log10());
            svg.line(&[(left, y), (left + width, y)], Paint::SOFT, 1.4, "5 4");
        },
    );
    chart.finish()
}

/// The evidence of the sequential test, if there is one: the logarithm of the e-value.
pub(super) fn evidence(points: &[Point], alarm_at: f64) -> Option<Drawing> {
    points.iter().any(|point| point.evidence.is_some()).then(|| {
        let most = points
            .iter()
            .filter_map(|point| point.evidence)
            .fold(alarm_at * 1.1, f64::max);
        let legend = vec![
            Entry::new(
                Mark::Line("", Some(Shape::Dot)),
                Paint::BLACK,
                "logarithm of the e-value",
            ),
            Entry::new(Mark::Line("5 4", None), Paint::HARMFUL, "alarm"),
        ];
        let mut chart = Chart::new("Evidence of harm", legend, 1);
        chart.panel(
            "Evidence of harm",
            (time_axis(points), "end of window, UTC"),
            (Axis::from_zero(most), ""),
            |svg, plot| {
                let line: Vec<_> = points
                    .iter()
                    .enumerate()
                    .filter_map(|(place, point)| Some(plot.at(place as f64, point.evidence?.max(0.0))))
                    .collect();
                svg.line(&line, Paint::BLACK, 1.6, "");
                if line.len() <= 40 {
                    line.into_iter()
                        .for_each(|at| svg.mark(at, Shape::Dot, 3.0, Paint::BLACK));
                }
                let [left, _, width, _] = plot.area;
                let y = plot.y(alarm_at);
                svg.line(&[(left, y), (left + width, y)], Paint::HARMFUL, 1.4, "5 4");
            },
        );
        chart.finish()
    })
}

/// The classes of a window beside those of the reference, those that changed most, by share.
pub(super) fn mix(counts: &[f64], reference: &[f64], names: &[String]) -> Drawing {
    const MOST: usize = 12;
    let total = |values: &[f64]| values.iter().sum::<f64>().max(1.0);
    let (n, m) = (total(counts), total(reference));
    let mut classes: Vec<(usize, f64, f64)> = counts
        .iter()
        .zip(reference)
        .enumerate()
        .map(|(class, (a, b))| (class, a / n, b / m))
        .collect();
    classes.sort_by(|a, b| (b.1 - b.2).abs().total_cmp(&(a.1 - a.2).abs()).then(a.0.cmp(&b.0)));
    classes.truncate(MOST);
    classes.sort_by_key(|class| class.0);
    let most = classes.iter().map(|(_, a, b)| a.max(*b)).fold(0.0, f64::max);
    let legend = vec![
        Entry::new(Mark::Swatch, Paint::ORANGE, "window"),
        Entry::new(Mark::Swatch, Paint::CLEAN, "reference"),
    ];
    let mut chart = Chart::new("Classes that the classifier gave", legend, 1);
    let axis = Axis::new(0.0, classes.len().max(1) as f64, Vec::new());
    let title = if counts.len() > MOST {
        "The classes that changed most"
    } else {
        "Classes that the classifier gave"
    };
    chart.panel(title, (axis, ""), (Axis::from_zero(most), "share"), |svg, plot| {
        let foot = plot.y(0.0);
        for (place, (class, a, b)) in classes.iter().enumerate() {
            for (offset, value, paint) in [(0.1, *a, Paint::ORANGE), (0.5, *b, Paint::CLEAN)] {
                let (left, right) = (plot.x(place as f64 + offset), plot.x(place as f64 + offset + 0.4));
                let top = plot.y(value);
                svg.rect([left, top, right - left, foot - top], paint, 0.9);
            }
            // Names are long; the first letters tell most of them apart.
            let name: String = names
                .get(*class)
                .map_or_else(|| class.to_string(), |name| name.chars().take(4).collect());
            let at = (
                plot.x(place as f64 + 0.5),
                foot + if place % 2 == 0 { 18.0 } else { 34.0 },
            );
            svg.text(at, &name, TEXT - 1.0, Anchor::Middle, Paint::SOFT);
        }
    });
    chart.finish()
}
