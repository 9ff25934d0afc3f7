//! What a figure is, and what it is drawn from.

use riptide_corruptions::{Corruption, Severity};
use riptide_draw::{Chart, Drawing, data_uri};

use crate::error::ExperimentError;
use crate::harmfulness::{CorruptedPass, Kind, Pass};
use crate::subject::TestImages;
use crate::summary::Summary;

/// The part of the report that a figure belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Images,
    Scores,
    Sweep,
    Compare,
    Verdict,
    Excess,
    Accuracy,
}

/// One finished drawing with what is said of it.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// File name without its ending.
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) caption: String,
    pub(crate) drawing: Drawing,
}

impl Figure {
    /// A chart that is finished.
    pub(crate) fn new(name: &str, part: Part, chart: Chart, caption: String) -> Self {
        Self {
            name: name.to_owned(),
            part,
            caption,
            drawing: chart.finish(),
        }
    }

    /// A sheet that is only a file; the page shows a table or pictures in its place.
    pub(crate) fn sheet(name: &str, part: Part, title: String, sheet: String, caption: String) -> Self {
        Self {
            name: name.to_owned(),
            part,
            caption,
            drawing: Drawing {
                title,
                sheet,
                keys: Vec::new(),
                panels: Vec::new(),
            },
        }
    }
}

/// What a run knows when it draws.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Findings<'a> {
    pub(crate) summary: &'a Summary,
    pub(crate) images: &'a TestImages,
    pub(crate) clean: &'a Pass,
    pub(crate) corrupted: &'a [CorruptedPass],
}

impl Findings<'_> {
    pub(super) fn twin(&self, corruption: Corruption, severity: Severity) -> Option<&CorruptedPass> {
        self.corrupted
            .iter()
            .find(|twin| twin.corruption == corruption && twin.severity == severity)
    }

    /// What the corruption did to one image; none if the classifier was wrong before.
    pub(super) fn kind(&self, image: usize, twin: &CorruptedPass) -> Option<Kind> {
        let right = |correct: &[bool]| correct.get(image).copied().unwrap_or(false);
        right(&self.clean.correct).then(|| {
            if right(&twin.pass.correct) {
                Kind::Harmless
            } else {
                Kind::Harmful
            }
        })
    }

    pub(super) fn uri(&self, image: usize, twin: Option<(Corruption, Severity)>) -> Result<String, ExperimentError> {
        let pixels = match twin {
            Some((corruption, severity)) => self.images.twin(image, corruption, severity)?,
            None => self.images.clean().image(image).unwrap_or_default().to_vec(),
        };
        Ok(data_uri(
            &pixels,
            self.images.clean().height(),
            self.images.clean().width(),
        )?)
    }

    /// The image that is shown: the first that the classifier gets right and that is harmed by as near half of the
    /// corruptions at `severity` as can be, so that the sheet shows both kinds.
    pub(super) fn example(&self, severity: Severity) -> usize {
        let twins: Vec<&CorruptedPass> = self.corrupted.iter().filter(|twin| twin.severity == severity).collect();
        let harmed = |image: usize| {
            let harmed = |twin: &&&CorruptedPass| self.kind(image, twin) == Some(Kind::Harmful);
            twins.iter().filter(harmed).count()
        };
        (0..self.clean.correct.len())
            .filter(|&image| self.clean.correct.get(image) == Some(&true))
            .min_by_key(|&image| (2 * harmed(image)).abs_diff(twins.len()))
            .unwrap_or(0)
    }

    pub(super) fn class(&self, image: usize) -> &str {
        let label = self.images.labels().get(image).copied().unwrap_or(0) as usize;
        self.images.clean().class_names().get(label).map_or("", String::as_str)
    }
}
