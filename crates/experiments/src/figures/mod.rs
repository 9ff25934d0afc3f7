//! Figures of a run, each as SVG and PNG: drawn from numbers alone, so that the same run gives the same bytes.

mod axes;
mod contact;
mod harm;
mod heat;
mod legend;
mod raster;
mod sheet;
mod svg;
mod sweep;

use std::path::Path;

use rayon::prelude::*;

use crate::ExperimentError;
use crate::files::write_atomically;
use crate::harmfulness::{CorruptedPass, Pass};
use crate::subject::TestImages;
use crate::summary::Summary;

pub use contact::{Picture, contact_sheet};
pub(crate) use sheet::{Strip, strips};
pub(crate) use svg::CSS;

/// Width of the paper, in user units; a PNG has twice as many pixels.
const WIDTH: f64 = 960.0;

/// The part of the report that a figure belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Images,
    Scores,
    Sweep,
    Accuracy,
}

/// One finished drawing.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// File name without its ending.
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) caption: String,
    pub(crate) svg: String,
}

/// What a run knows when it draws.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Findings<'a> {
    pub(crate) summary: &'a Summary,
    pub(crate) images: &'a TestImages,
    pub(crate) clean: &'a Pass,
    pub(crate) corrupted: &'a [CorruptedPass],
}

/// Draws every figure; those of the second and later scores end in the score's name.
pub(crate) fn draw(found: &Findings<'_>) -> Result<Vec<Figure>, ExperimentError> {
    let summary = found.summary;
    let mut figures = sheet::sheets(found)?;
    for (column, &score) in summary.protocol.scores.iter().enumerate() {
        let mut of_score = vec![
            harm::bars(summary, column, score),
            harm::histograms(found, column, score),
            sweep::p_values(summary, score),
            sweep::power(summary, score),
        ];
        if column > 0 {
            for figure in &mut of_score {
                figure.name = format!("{}-{score}", figure.name);
            }
        }
        figures.append(&mut of_score);
    }
    figures.push(heat::accuracy(summary));
    Ok(figures)
}

/// Writes each figure as `figures/NAME.svg` and `figures/NAME.png`.
pub(crate) fn write(out: &Path, figures: &[Figure]) -> Result<(), ExperimentError> {
    let folder = out.join("figures");
    let canvas = raster::Canvas::new();
    figures.par_iter().try_for_each(|figure| {
        let png = canvas.png(&figure.svg).map_err(|reason| ExperimentError::Figure {
            figure: figure.name.clone(),
            reason,
        })?;
        write_atomically(&folder.join(format!("{}.svg", figure.name)), figure.svg.as_bytes())?;
        write_atomically(&folder.join(format!("{}.png", figure.name)), &png)
    })
}
