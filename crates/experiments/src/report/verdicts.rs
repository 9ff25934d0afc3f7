//! The report's tables of the accuracy test.

use super::tables::{Cell, Table, cells, head};
use crate::accuracy::{ComparedCell, Comparison, NaturalCell, StreamCell};
use crate::format::percent;
use crate::harmfulness::Kind;

/// The accuracy test in four tables: contaminated batches, natural ones by drop, streams by drop, estimates by method.
pub(super) fn all(found: &Comparison) -> Vec<Table> {
    vec![contaminated(found), by_drop(found), streams(found), methods(found)]
}

/// Power and false alarms of three decisions at the contaminations that matter.
fn contaminated(found: &Comparison) -> Table {
    let mut rows = Vec::new();
    for (kind, wanted) in [(Kind::Harmful, [0.2, 0.25, 0.3]), (Kind::Harmless, [0.3, 0.5, 0.9])] {
        for fraction in wanted {
            let of = |cell: &&ComparedCell| cell.kind == kind && (cell.fraction - fraction).abs() < 1e-9;
            for cell in found.cells.iter().filter(of) {
                let name = format!("{} {}", percent(fraction), kind.name());
                let mut row = cells([name, cell.severity.to_string()]);
                row.extend(
                    [cell.published, cell.confidence, cell.accuracy].map(|rate| Cell::bar(Some(rate.rate), kind)),
                );
                row.push(Cell::new(format!(
                    "{} to {}",
                    percent(cell.accuracy.least),
                    percent(cell.accuracy.most)
                )));
                rows.push(row);
            }
        }
    }
    Table {
        look: "plain",
        caption: format!(
            "Batches of {} that alarm, mean over {} references",
            found.batch_size, found.params.references
        ),
        head: head(&[
            "batch",
            "severity",
            "published decision",
            "mean of 1 - largest probability",
            "accuracy test",
            "by reference",
        ]),
        rows,
        foot: Vec::new(),
    }
}

/// Natural batches in classes of their true drop.
fn by_drop(found: &Comparison) -> Table {
    let mut rows = Vec::new();
    for &n in &found.params.natural_sizes {
        for class in DropClass::all(found) {
            let of: Vec<&NaturalCell> = found
                .natural
                .iter()
                .filter(|cell| cell.n == n && class.holds(cell.drop))
                .collect();
            if of.is_empty() {
                continue;
            }
            let mean =
                |value: fn(&NaturalCell) -> f64| of.iter().map(|cell| value(cell)).sum::<f64>() / of.len() as f64;
            let alarms = |cell: &NaturalCell| cell.harmful.rate.estimate + cell.outside.rate.estimate;
            let worst = of.iter().max_by(|a, b| alarms(a).total_cmp(&alarms(b)));
            rows.push(cells([
                n.to_string(),
                class.name(),
                of.len().to_string(),
                percent(mean(|cell| cell.harmful.rate.estimate)),
                percent(mean(|cell| cell.outside.rate.estimate)),
                percent(mean(|cell| cell.fit.rate.estimate)),
                percent(mean(|cell| cell.published.rate.estimate)),
                worst.map_or_else(String::new, |cell| {
                    format!("{} ({} {})", percent(alarms(cell)), cell.family, cell.severity)
                }),
            ]));
        }
    }
    Table {
        look: "plain",
        caption: "Naturally corrupted batches, by their true drop of accuracy".to_owned(),
        head: head(&[
            "images",
            "true drop",
            "sets",
            "harmful",
            "outside",
            "fit",
            "published decision alarms",
            "most alarms in a set",
        ]),
        rows,
        foot: Vec::new(),
    }
}

/// The sequential test in the same classes.
fn streams(found: &Comparison) -> Table {
    let mut rows = Vec::new();
    for class in DropClass::all(found) {
        let of: Vec<&StreamCell> = found.streams.iter().filter(|cell| class.holds(cell.drop)).collect();
        if of.is_empty() {
            continue;
        }
        let alarms = of.iter().map(|cell| cell.alarms.rate.estimate).sum::<f64>() / of.len() as f64;
        let ever = of.iter().filter(|cell| cell.alarms.rate.estimate > 0.0).count();
        // A set whose streams mostly never alarm takes longer than any other.
        let mut delays: Vec<u64> = of.iter().map(|cell| cell.median_images.unwrap_or(u64::MAX)).collect();
        delays.sort_unstable();
        let median = delays.get(delays.len() / 2).copied().filter(|&delay| delay != u64::MAX);
        rows.push(cells([
            class.name(),
            of.len().to_string(),
            percent(alarms),
            ever.to_string(),
            median.map_or_else(|| "none".to_owned(), |delay| delay.to_string()),
        ]));
    }
    Table {
        look: "plain",
        caption: format!(
            "The sequential test at level {}, streams of {} images, {} of each set",
            found.params.stream_level,
            found.params.stream_length,
            found.params.streams * found.params.references
        ),
        head: head(&[
            "true drop",
            "sets",
            "streams that alarm",
            "sets with an alarm",
            "images to the alarm, median",
        ]),
        rows,
        foot: Vec::new(),
    }
}

/// A class of true drops of accuracy: above the first, up to the second.
struct DropClass(f64, f64);

impl DropClass {
    /// Up to the tolerated drop, to 8 points, to 12, to 20, and above.
    fn all(found: &Comparison) -> Vec<Self> {
        let tolerated = found.params.options.tolerated_drop;
        let limits = [f64::NEG_INFINITY, tolerated, 0.08, 0.12, 0.2, 1.0].map(|limit: f64| {
            if limit.is_finite() { limit.max(tolerated) } else { limit }
        });
        limits
            .windows(2)
            .map(|pair| Self(pair[0], pair[1]))
            .filter(|class| class.0 < class.1)
            .collect()
    }

    fn holds(&self, drop: f64) -> bool {
        drop > self.0 && drop <= self.1
    }

    fn name(&self) -> String {
        let points = |drop: f64| format!("{:.0}", 100.0 * drop);
        match self {
            Self(from, to) if !from.is_finite() => format!("at most {} points", points(*to)),
            Self(from, to) if *to >= 1.0 => format!("more than {} points", points(*from)),
            Self(from, to) => format!("{} to {} points", points(*from), points(*to)),
        }
    }
}

fn methods(found: &Comparison) -> Table {
    let points = |value: f64| format!("{:.1}", 100.0 * value);
    let rows = found.methods.iter().map(|method| {
        cells([
            method.method.clone(),
            points(method.mean_error),
            format!("{} to {}", points(method.least), points(method.most)),
            format!("{} ({})", points(method.worst), method.worst_set),
            points(method.bias),
        ])
    });
    Table {
        look: "plain",
        caption: format!(
            "Estimated accuracy of every set, {} images each, in points; {} of the accuracy test's {} intervals hold",
            found.images.last().copied().unwrap_or_default(),
            percent(found.coverage.estimate),
            percent(found.params.options.confidence),
        ),
        head: head(&["method", "mean error", "by reference", "worst set", "bias"]),
        rows: rows.collect(),
        foot: Vec::new(),
    }
}

/// Every set and size.
pub(super) fn natural(found: &Comparison) -> Table {
    let rows = found.natural.iter().map(|cell| {
        let rates = [cell.harmful, cell.outside, cell.fit, cell.fallen, cell.published];
        let mut row = cells([
            cell.family.clone(),
            cell.severity.to_string(),
            cell.n.to_string(),
            format!("{:.1}", 100.0 * cell.drop),
        ]);
        row.extend(rates.map(|rate| Cell::new(percent(rate.rate.estimate))));
        row
    });
    Table {
        look: "plain",
        caption: "Naturally corrupted batches".to_owned(),
        head: head(&[
            "corruption",
            "severity",
            "images",
            "drop in points",
            "harmful",
            "outside",
            "fit",
            "fallen at all",
            "published decision",
        ]),
        rows: rows.collect(),
        foot: Vec::new(),
    }
}
