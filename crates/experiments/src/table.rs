//! A summary as a table for a terminal.

use std::fmt::Write;

use crate::harmfulness::Kind;
use crate::summary::{Moments, Summary};

/// Power asked for when a contamination is called detectable.
pub(crate) const POWER: f64 = 0.95;

/// The summary as plain text: accuracies, scores, and the mean p-value by contamination, a block a score.
///
/// The text ends with a line feed and holds no timings, so that the same run gives the same text.
pub fn table(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_table(&mut text, summary);
    text
}

fn write_table(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let params = &summary.protocol;
    writeln!(
        out,
        "{}: {} clean test images, accuracy {:.5}",
        summary.dataset, summary.n_images, summary.accuracy
    )?;
    writeln!(out, "{}", summary.provenance)?;
    writeln!(
        out,
        "{} corruption(s), reference of {}, batches of {}, {} test at {}",
        params.corruptions.len(),
        params.n_ref,
        params.batch_size,
        params.alternative,
        params.p_val
    )?;
    for (column, &score) in params.scores.iter().enumerate() {
        writeln!(out, "\n{score}: clean score {}", moments(summary.clean.get(column)))?;
        writeln!(
            out,
            "severity  accuracy          harmful score         harmless score    AUROC [95 %]            found from  false alarms"
        )?;
        for severity in &summary.severities {
            let Some(found) = severity.scores.get(column) else {
                continue;
            };
            let auroc = found.auroc.map_or_else(
                || "-".to_owned(),
                |a| format!("{:.3} [{:.3}, {:.3}]", a.estimate, a.low, a.high),
            );
            let detection = summary
                .detection(score, severity.severity, POWER)
                .map_or_else(|| "never".to_owned(), |fraction| format!("{:.0} %", 100.0 * fraction));
            let alarms = summary
                .false_alarms(score, severity.severity)
                .map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", 100.0 * rate));
            writeln!(
                out,
                "{:>8}  {:.4} ± {:.4}  {:>20}  {:>20}    {:<22}  {:>10}  {:>12}",
                severity.severity,
                severity.accuracy,
                severity.accuracy_std,
                moments(Some(&found.harmful)),
                moments(Some(&found.harmless)),
                auroc,
                detection,
                alarms
            )?;
        }
        writeln!(out, "\nmean p-value by percentage of corrupted images")?;
        write!(out, "severity  kind    ")?;
        for fraction in &params.fractions {
            write!(out, " {:>6}%", percent(*fraction))?;
        }
        writeln!(out)?;
        for &severity in &params.severities {
            for kind in Kind::ALL {
                write!(out, "{severity:>8}  {:<8}", kind.name())?;
                for cell in summary.cells(score, severity, kind) {
                    write!(out, " {:>7}", p_value(cell.mean))?;
                }
                writeln!(out)?;
            }
        }
    }
    Ok(())
}

fn percent(fraction: f64) -> String {
    format!("{}", (fraction * 1000.0).round() / 10.0)
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
