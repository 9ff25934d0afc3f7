//! Figures of a run, each as SVG and PNG: drawn from numbers alone, so that the same run gives the same bytes.

mod compare;
mod examples;
mod excess;
mod figure;
mod heat;
mod look;
mod scores;
mod sheet;
mod sweep;
mod verdict;

use std::path::Path;

use rayon::prelude::*;
use riptide_detectors::ScoreKind;
use riptide_files::{FileError, atomic};

use crate::error::ExperimentError;

pub(crate) use examples::{Contact, Strip, strips};
pub(crate) use figure::{Figure, Findings, Part};
pub(crate) use heat::Range;

/// Figures that are drawn for each score.
const OF_SCORE: [fn(&Findings<'_>, usize, ScoreKind) -> Figure; 5] = [
    |found, column, score| scores::bars(found.summary, column, score),
    scores::histograms,
    |found, _, score| sweep::p_values(found.summary, score),
    |found, _, score| sweep::power(found.summary, score),
    |found, _, score| excess::excess(found.summary, score),
];

/// Draws every figure: the sheets, the figures of each score, the comparison of several, and the accuracies. The names of the
/// second and later scores' figures end in the score's name.
pub(crate) fn draw(found: &Findings<'_>, contact: &Contact) -> Vec<Figure> {
    let summary = found.summary;
    let mut figures = sheet::sheets(found, contact);
    for (column, &score) in summary.protocol.scores.iter().enumerate() {
        for draw in OF_SCORE {
            let mut figure = draw(found, column, score);
            if column > 0 {
                figure.name = format!("{}-{score}", figure.name);
            }
            figures.push(figure);
        }
    }
    if summary.protocol.scores.len() > 1 {
        figures.extend(compare::figures(summary));
    }
    if let Some(comparison) = &summary.comparison {
        figures.extend(verdict::figures(comparison, summary.protocol.level));
    }
    figures.push(heat::accuracy(summary));
    figures
}

/// Writes each figure as `figures/NAME.svg` and `figures/NAME.png`.
pub(crate) fn write(out: &Path, figures: &[Figure]) -> Result<(), ExperimentError> {
    let folder = out.join("figures");
    std::fs::create_dir_all(&folder).map_err(FileError::on("create", &folder))?;
    figures.par_iter().try_for_each(|figure| {
        let sheet = &figure.drawing.sheet;
        let png = riptide_draw::png(sheet).map_err(|source| ExperimentError::Figure {
            figure: figure.name.clone(),
            source,
        })?;
        atomic::write(folder.join(format!("{}.svg", figure.name)), sheet.as_bytes())?;
        Ok(atomic::write(folder.join(format!("{}.png", figure.name)), &png)?)
    })
}
