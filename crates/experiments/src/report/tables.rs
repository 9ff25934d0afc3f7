//! The report's tables.

use riptide_stats::Interval;
use serde::Serialize;

use super::words::found_from;
use crate::excess::HarmCell;
use crate::figures::Range;
use crate::format::{optional, percent, range, spaced};
use crate::harmfulness::Kind;
use crate::reading::POWER;
use crate::summary::{Moments, Summary};

/// A table; its rows can be sorted, its foot stays.
#[derive(Debug, Default, Serialize)]
pub(super) struct Table {
    /// Class of the element: `plain`, `map` (coloured tiles) or `glance`.
    pub(super) look: &'static str,
    pub(super) caption: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
    pub(super) foot: Vec<Vec<Cell>>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Cell {
    text: String,
    /// Class of the element, or nothing.
    class: &'static str,
    /// Declarations of its style, or nothing.
    style: String,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            text,
            ..Default::default()
        }
    }

    /// A rate with a bar as long behind it.
    pub(super) fn bar(rate: Option<Interval>, kind: Kind) -> Self {
        let Some(rate) = rate else { return Self::new("none") };
        let class = match kind {
            Kind::Harmful => "bar harm",
            Kind::Harmless => "bar calm",
        };
        let style = format!("--v:{:.1}%", 100.0 * rate.estimate.clamp(0.0, 1.0));
        let text = percent(rate.estimate);
        Self { text, class, style }
    }

    /// An accuracy on a tile of its colour.
    fn tile(accuracy: f64, range: Range) -> Self {
        let (paper, ink) = range.style(accuracy);
        Self {
            text: format!("{:.1}", 100.0 * accuracy),
            class: "",
            style: format!("background:{paper};color:{ink}"),
        }
    }
}

pub(super) fn cells<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<Cell> {
    texts.into_iter().map(Cell::new).collect()
}

pub(super) fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn found(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "never".to_owned(), percent)
}

/// The leading score at each severity, in a few columns.
pub(super) fn glance(summary: &Summary) -> Option<Table> {
    let &score = summary.protocol.scores.first()?;
    let (few, many) = summary.judged_at()?;
    let rows = summary.severities.iter().map(|found_at| {
        let severity = found_at.severity;
        let rate = |kind, fraction| Cell::bar(summary.alarms(score, severity, kind, fraction), kind);
        let mut row = cells([
            severity.to_string(),
            percent(found_at.accuracy),
            found(summary.detection(score, severity, POWER)),
        ]);
        row.extend([
            rate(Kind::Harmful, few),
            rate(Kind::Harmless, few),
            rate(Kind::Harmless, many),
        ]);
        row
    });
    let mut names = head(&["severity", "accuracy", "harm found from"]);
    names.push(format!("harm found at {}", percent(few)));
    names.push(format!("false alarms at {}", percent(few)));
    names.push(format!("false alarms at {}", percent(many)));
    Some(Table {
        look: "glance",
        caption: format!("At a glance, by severity ({score})"),
        head: names,
        rows: rows.collect(),
        foot: Vec::new(),
    })
}

/// A row a score: the trade over all severities.
pub(super) fn trade(summary: &Summary) -> Option<Table> {
    let (few, many) = summary.judged_at()?;
    let rows = summary.protocol.scores.iter().map(|&score| {
        let mean = |kind, fraction| {
            let rate = summary.mean_alarms(score, kind, fraction);
            let rate = rate.map(|estimate| Interval {
                estimate,
                lower: estimate,
                upper: estimate,
            });
            Cell::bar(rate, kind)
        };
        let areas = summary.by_severity(|severity| Some(summary.score(score, severity)?.auroc?.estimate));
        let mut row = cells([score.to_string(), found_from(summary, score)]);
        row.extend([
            mean(Kind::Harmful, few),
            mean(Kind::Harmless, few),
            mean(Kind::Harmless, many),
        ]);
        let n = areas.len();
        row.push(Cell::new(optional(
            (n > 0).then(|| areas.iter().sum::<f64>() / n as f64),
            3,
        )));
        row
    });
    let mut names = head(&["score", "harm found from"]);
    names.push(format!("harm found at {}", percent(few)));
    names.push(format!("false alarms at {}", percent(few)));
    names.push(format!("false alarms at {}", percent(many)));
    names.push("AUROC".to_owned());
    Some(Table {
        look: "glance",
        caption: "Each score; rates and areas are means over the severities".to_owned(),
        head: names,
        rows: rows.collect(),
        foot: Vec::new(),
    })
}

/// A row a severity and score.
pub(super) fn scores(summary: &Summary) -> Table {
    let moments = |moments: &Moments| {
        [
            moments.n.to_string(),
            optional(moments.mean, 4),
            optional(moments.std, 4),
        ]
    };
    let marks = summary.judged_at();
    let mut rows = Vec::new();
    for severity in &summary.severities {
        for of_score in &severity.scores {
            let (score, at) = (of_score.score, severity.severity);
            let mut row = vec![at.to_string(), score.to_string(), format!("{:.4}", severity.accuracy)];
            row.extend(moments(&of_score.harmful));
            row.extend(moments(&of_score.harmless));
            row.push(of_score.auroc.map_or_else(
                || "none".to_owned(),
                |area| format!("{:.3} [{:.3}, {:.3}]", area.estimate, area.lower, area.upper),
            ));
            row.push(found(summary.detection(score, at, POWER)));
            for fraction in marks.into_iter().flat_map(|(few, many)| [few, many]) {
                let rate = summary.alarms(score, at, Kind::Harmless, fraction);
                row.push(rate.map_or_else(|| "none".to_owned(), |rate| percent(rate.estimate)));
            }
            row.push(
                summary
                    .false_alarms(score, at)
                    .map_or_else(|| "none".to_owned(), percent),
            );
            rows.push(cells(row));
        }
    }
    let mut names = head(&[
        "severity",
        "score",
        "accuracy",
        "harmful n",
        "harmful mean",
        "harmful std",
        "harmless n",
        "harmless mean",
        "harmless std",
        "AUROC [95 %]",
        "found from",
    ]);
    let at = |fraction| format!("false alarms at {}", percent(fraction));
    names.extend(marks.into_iter().flat_map(|(few, many)| [at(few), at(many)]));
    names.push("false alarms, mean".to_owned());
    Table {
        look: "plain",
        caption: "By severity and score".to_owned(),
        head: names,
        rows,
        foot: Vec::new(),
    }
}

fn interval(rate: Interval) -> [String; 3] {
    [rate.estimate, rate.lower, rate.upper].map(percent)
}

pub(super) fn sweep(summary: &Summary) -> Table {
    let rows = summary.sweep.iter().map(|cell| {
        let mut row = vec![
            cell.score.to_string(),
            cell.severity.to_string(),
            cell.kind.name().to_owned(),
            percent(cell.fraction),
        ];
        row.extend([cell.mean, cell.std, cell.min, cell.max].map(|value| format!("{value:.4}")));
        row.extend(interval(cell.alarms));
        cells(row)
    });
    Table {
        look: "plain",
        caption: "Every cell of the sweep".to_owned(),
        head: head(&[
            "score",
            "severity",
            "kind",
            "corrupted",
            "mean p",
            "std",
            "min",
            "max",
            "alarms",
            "lower",
            "upper",
        ]),
        rows: rows.collect(),
        foot: Vec::new(),
    }
}

/// The harm-directed test in short: a row a severity, of the leading score.
pub(super) fn harm(summary: &Summary) -> Option<Table> {
    let &score = summary.protocol.scores.first()?;
    let (few, many) = summary.judged_at()?;
    let rows = summary.protocol.severities.iter().map(|&severity| {
        let at = |kind, fraction: f64| {
            let mut cells = summary.harm_cells(score, severity, kind);
            cells.find(|cell| cell.fraction == fraction)
        };
        let rate = |kind, fraction| Cell::bar(at(kind, fraction).map(|cell| cell.alarms), kind);
        let whole = |value: fn(&HarmCell) -> f64| {
            let values = summary.harm_cells(score, severity, Kind::Harmful).map(value);
            range(values).unwrap_or_else(|| "none".to_owned())
        };
        let mut row = cells([
            severity.to_string(),
            found(summary.harm_detection(score, severity, POWER)),
        ]);
        row.extend([
            rate(Kind::Harmful, few),
            rate(Kind::Harmless, few),
            rate(Kind::Harmless, many),
        ]);
        row.extend(cells([
            whole(|cell| cell.coverage.estimate),
            whole(|cell| cell.lower_holds.estimate),
        ]));
        row
    });
    let mut names = head(&["severity", "harm found from"]);
    names.push(format!("harm found at {}", percent(few)));
    names.push(format!("false alarms at {}", percent(few)));
    names.push(format!("false alarms at {}", percent(many)));
    names.extend(head(&["interval holds the truth", "lower end holds"]));
    Some(Table {
        look: "glance",
        caption: format!("The harm-directed test, by severity ({score})"),
        head: names,
        rows: rows.collect(),
        foot: Vec::new(),
    })
}

/// Every cell of the harm-directed test.
pub(super) fn harm_cells(summary: &Summary) -> Table {
    let rows = summary.harm.iter().map(|cell| {
        let mut row = vec![
            cell.score.to_string(),
            cell.severity.to_string(),
            cell.kind.name().to_owned(),
            percent(cell.fraction),
            percent(cell.truth),
        ];
        row.extend(interval(cell.excess));
        row.extend([cell.coverage, cell.lower_holds].map(|rate| percent(rate.estimate)));
        row.extend(interval(cell.alarms));
        cells(row)
    });
    Table {
        look: "plain",
        caption: "Every cell of the sweep, harm-directed test".to_owned(),
        head: head(&[
            "score",
            "severity",
            "kind",
            "corrupted",
            "harmful",
            "estimate",
            "lower",
            "upper",
            "interval holds",
            "lower end holds",
            "alarms",
            "lower",
            "upper",
        ]),
        rows: rows.collect(),
        foot: Vec::new(),
    }
}

/// The accuracies as a map of coloured tiles.
pub(super) fn accuracies(summary: &Summary) -> Table {
    let params = &summary.protocol;
    let map = Range::new(summary);
    let rows = params.corruptions.iter().map(|&corruption| {
        let mut row = cells([spaced(corruption)]);
        for &severity in &params.severities {
            let mut all = summary.accuracies.iter();
            let found = all.find(|found| found.corruption == corruption && found.severity == severity);
            row.push(found.map_or_else(Cell::default, |found| Cell::tile(found.accuracy, map)));
        }
        row
    });
    let mut foot = cells(["mean"]);
    foot.extend(summary.severities.iter().map(|found| Cell::tile(found.accuracy, map)));
    let mut names = head(&["corruption"]);
    names.extend(params.severities.iter().map(ToString::to_string));
    Table {
        look: "map",
        caption: format!(
            "Accuracy in percent, severities from left to right; clean images {}",
            percent(summary.accuracy)
        ),
        head: names,
        rows: rows.collect(),
        foot: vec![foot],
    }
}
