//! A summary as tables for a terminal.

use riptide_detectors::ScoreKind;
use riptide_draw::{Column, text_table};

use crate::accuracy::Comparison;
use crate::harmfulness::Kind;
use crate::reading::POWER;
use crate::summary::{Moments, Summary};

/// The summary as plain text: accuracies, scores, and the mean p-value by contamination, a block for each score.
///
/// The text ends with a line feed and holds no timings, so that the same run gives the same text.
pub fn table(summary: &Summary) -> String {
    let params = &summary.protocol;
    let mut text = format!(
        "{}: {} clean test images, accuracy {:.5}\n{}\n{} corruption(s), reference of {}, batches of {}, {} test at {}\n",
        summary.dataset,
        summary.n_images,
        summary.accuracy,
        summary.provenance,
        params.corruptions.len(),
        params.n_ref,
        params.batch_size,
        params.alternative,
        params.level
    );
    for (place, &score) in params.scores.iter().enumerate() {
        let clean = moments(summary.clean.get(place));
        text += &format!("\n{score}: clean score {clean}\n{}", by_severity(summary, score));
        text += &format!(
            "\nmean p-value by percentage of corrupted images\n{}",
            by_contamination(summary, score)
        );
    }
    if let Some(found) = &summary.comparison {
        text += &decisions(found, params.level);
    }
    if let Some(reason) = &summary.no_comparison {
        text += &format!("\nno comparison with the accuracy test: {reason}\n");
    }
    text
}

/// The accuracy test beside the published decision.
fn decisions(found: &Comparison, level: f64) -> String {
    let columns = [
        Column::right("severity"),
        Column::left("kind"),
        Column::right("percentage"),
        Column::right("published"),
        Column::right("confidence"),
        Column::right("accuracy test"),
        Column::left("by reference"),
    ];
    let percent = |rate: f64| format!("{:.1} %", 100.0 * rate);
    let shown = |fraction: f64| {
        [0.2, 0.25, 0.3, 0.9]
            .iter()
            .any(|shown| (shown - fraction).abs() < 1e-9)
    };
    let cells = found.cells.iter().filter(|cell| shown(cell.fraction));
    let rows = cells.map(|cell| {
        [
            cell.severity.to_string(),
            cell.kind.name().to_owned(),
            format!("{:.0} %", 100.0 * cell.fraction),
            percent(cell.published.rate.estimate),
            percent(cell.confidence.rate.estimate),
            percent(cell.accuracy.rate.estimate),
            format!("{} to {}", percent(cell.accuracy.least), percent(cell.accuracy.most)),
        ]
    });
    let mut text = format!(
        "\nbatches that alarm at {level}, one-sided, mean over {} references; groups of corruptions left out\n{}",
        found.params.references,
        text_table(&columns, &rows.collect::<Vec<_>>())
    );
    let methods = [
        Column::left("accuracy estimated by"),
        Column::right("mean error"),
        Column::right("worst set"),
        Column::left(""),
    ];
    let rows = found.methods.iter().map(|method| {
        [
            method.method.clone(),
            format!("{:.2}", 100.0 * method.mean_error),
            format!("{:.1}", 100.0 * method.worst),
            method.worst_set.clone(),
        ]
    });
    text += &format!(
        "\npoints of accuracy, {} images a set, families left out; {} of the {:.0} % intervals hold\n{}",
        found.images.last().copied().unwrap_or_default(),
        percent(found.coverage.estimate),
        100.0 * found.params.options.confidence,
        text_table(&methods, &rows.collect::<Vec<_>>())
    );
    text
}

fn by_severity(summary: &Summary, score: ScoreKind) -> String {
    let columns = [
        Column::right("severity"),
        Column::left("accuracy"),
        Column::right("harmful score"),
        Column::right("harmless score"),
        Column::left("AUROC [95 %]"),
        Column::right("found from"),
        Column::right("false alarms"),
    ];
    let rows = summary.severities.iter().filter_map(|at| {
        let found = at.scores.iter().find(|found| found.score == score)?;
        let percent = |rate: f64, digits: usize| format!("{:.digits$} %", 100.0 * rate);
        let (detection, alarms) = (
            summary.detection(score, at.severity, POWER),
            summary.false_alarms(score, at.severity),
        );
        Some([
            at.severity.to_string(),
            format!("{:.4} ± {:.4}", at.accuracy, at.accuracy_std),
            moments(Some(&found.harmful)),
            moments(Some(&found.harmless)),
            found.auroc.map_or_else(
                || "-".to_owned(),
                |area| format!("{:.3} [{:.3}, {:.3}]", area.estimate, area.lower, area.upper),
            ),
            detection.map_or_else(|| "never".to_owned(), |fraction| percent(fraction, 0)),
            alarms.map_or_else(|| "-".to_owned(), |rate| percent(rate, 1)),
        ])
    });
    text_table(&columns, &rows.collect::<Vec<_>>())
}

fn by_contamination(summary: &Summary, score: ScoreKind) -> String {
    let params = &summary.protocol;
    let percents = params
        .fractions
        .iter()
        .map(|fraction| format!("{}%", (fraction * 1000.0).round() / 10.0));
    let percents: Vec<String> = percents.collect();
    let mut columns = vec![Column::right("severity"), Column::left("kind")];
    columns.extend(percents.iter().map(|percent| Column::right(percent)));
    let mut rows = Vec::new();
    for &severity in &params.severities {
        for kind in Kind::ALL {
            let mut row = vec![severity.to_string(), kind.name().to_owned()];
            row.extend(summary.cells(score, severity, kind).map(|cell| p_value(cell.mean)));
            if row.len() == 2 {
                // Without images of the kind there are no batches of it.
                row.push("none".to_owned());
            }
            rows.push(row);
        }
    }
    text_table(&columns, &rows)
}

fn p_value(p: f64) -> String {
    if p >= 5e-4 {
        format!("{p:.3}")
    } else {
        format!("{p:.0e}")
    }
}

fn moments(moments: Option<&Moments>) -> String {
    match moments {
        Some(Moments {
            mean: Some(mean),
            std: Some(std),
            ..
        }) => format!("{mean:.4} ± {std:.4}"),
        _ => "none".to_owned(),
    }
}
