//! Figures of a run, each as SVG and PNG: drawn from numbers alone, so that the same run gives the same bytes.

mod axes;
mod chart;
mod compare;
mod contact;
mod examples;
mod excess;
mod heat;
mod legend;
mod raster;
mod scores;
mod sheet;
mod svg;
mod sweep;
mod training;

use std::path::Path;

use rayon::prelude::*;
use riptide_detectors::ScoreKind;

use crate::ExperimentError;
use crate::files::write_atomically;
use crate::harmfulness::{CorruptedPass, Pass};
use crate::subject::TestImages;
use crate::summary::Summary;

pub(crate) use compare::judged_at;
pub use contact::{Picture, contact_sheet};
pub(crate) use examples::{Contact, Strip, spaced, strips};
pub(crate) use heat::Range;
pub(crate) use legend::Key;
pub(crate) use svg::css;
pub use training::{CurvePoint, write_training_curve};

/// Width of a contact sheet, in user units; a PNG has twice as many pixels.
const WIDTH: f64 = 960.0;

/// The part of the report that a figure belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Images,
    Scores,
    Sweep,
    Compare,
    Excess,
    Accuracy,
}

/// One finished drawing: a sheet for a file, and what a page of any width shows in its place.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// File name without its ending.
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) title: String,
    pub(crate) caption: String,
    /// The SVG of the file.
    pub(crate) sheet: String,
    /// The legend of the page's panels.
    pub(crate) keys: Vec<Key>,
    /// SVG elements for the page; none where the page has a table or pictures instead.
    pub(crate) panels: Vec<String>,
}

/// What a run knows when it draws.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Findings<'a> {
    pub(crate) summary: &'a Summary,
    pub(crate) images: &'a TestImages,
    pub(crate) clean: &'a Pass,
    pub(crate) corrupted: &'a [CorruptedPass],
}

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
    figures.push(heat::accuracy(summary));
    figures
}

/// Writes each figure as `figures/NAME.svg` and `figures/NAME.png`.
pub(crate) fn write(out: &Path, figures: &[Figure]) -> Result<(), ExperimentError> {
    let folder = out.join("figures");
    let canvas = raster::Canvas::new();
    figures.par_iter().try_for_each(|figure| {
        let png = canvas.png(&figure.sheet).map_err(|reason| ExperimentError::Figure {
            figure: figure.name.clone(),
            reason,
        })?;
        write_atomically(&folder.join(format!("{}.svg", figure.name)), figure.sheet.as_bytes())?;
        write_atomically(&folder.join(format!("{}.png", figure.name)), &png)
    })
}
