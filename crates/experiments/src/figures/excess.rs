//! The excess fraction that the harm-directed test estimates, against the truth.

use riptide_detectors::ScoreKind;
use riptide_draw::{Axis, Chart, Entry, Mark, Paint};

use super::figure::{Figure, Part};
use super::look::{band, paint, shape};
use crate::harmfulness::Kind;
use crate::summary::Summary;

/// Dashes of the line on which an estimate would be the truth.
const TRUTH: &str = "6 4";

/// Mean estimate and mean interval by contamination, a panel a severity.
pub(crate) fn excess(summary: &Summary, score: ScoreKind) -> Figure {
    let params = &summary.protocol;
    let entry = |kind: Kind| {
        let label = format!("batches with {} images", kind.name());
        Entry::new(Mark::Line("", Some(shape(kind))), paint(kind), label)
    };
    let truth = Entry::new(Mark::Line(TRUTH, None), Paint::SOFT, "truth for harmful images");
    let legend = vec![entry(Kind::Harmful), entry(Kind::Harmless), truth];
    let title = format!("Estimated harmful fraction against the truth ({score})");
    let mut chart = Chart::new(title, legend, params.severities.len());
    for &severity in &params.severities {
        let axes = (
            (Axis::percent(), "corrupted images in a batch"),
            (Axis::percent(), "estimated fraction"),
        );
        chart.panel(&format!("severity {severity}"), axes.0, axes.1, |svg, plot| {
            svg.line(&[plot.at(0.0, 0.0), plot.at(1.0, 1.0)], Paint::SOFT, 1.5, TRUTH);
            for kind in [Kind::Harmless, Kind::Harmful] {
                let cells = summary.harm_cells(score, severity, kind);
                let values: Vec<_> = cells.map(|cell| (cell.fraction, cell.excess)).collect();
                band(svg, plot, &values, (paint(kind), shape(kind), 0.18));
            }
        });
    }
    let caption = format!(
        "Excess fraction as the harm-directed test estimates it, mean of {} batches, with the mean ends of its 95 % \
         interval, score {score}. It is a lower bound by construction: harmful images that score like clean ones do not \
         count. For harmless images the true value is 0.",
        params.batches
    );
    Figure::new("excess", Part::Excess, chart, caption)
}
