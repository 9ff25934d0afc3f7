//! What is kept of a batch until it is judged: its scores, and sums that tell its accuracy.

use std::ops::Range;

use riptide_detectors::Probabilities;
use riptide_detectors::accuracy::WindowValue;

use crate::error::Result;
use crate::monitor::Monitor;
use crate::score::Scored;

/// A batch that is being gathered. The class probabilities themselves are not kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    pub(crate) scores: Vec<f64>,
    /// Sums over the images, if the monitor is calibrated.
    pub(crate) window: Option<WindowValue>,
    /// 1 less the classifier's largest probability for each image, if the monitor is not calibrated but knows these of its
    /// reference.
    pub(crate) doubts: Vec<f64>,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    /// Adds the images of another batch of the same monitor.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        self.scores.extend(&other.scores);
        if let Some(window) = &other.window {
            self.window.get_or_insert_default().merge(window)?;
        }
        self.doubts.extend(&other.doubts);
        Ok(())
    }

    /// Adds the images of a chunk at these places.
    pub(crate) fn add(&mut self, monitor: &Monitor, chunk: &Scored, places: Range<usize>) -> Result<()> {
        let scores = chunk.scores.get(places.clone()).unwrap_or_default();
        self.scores.extend(scores.iter().copied().map(f64::from));
        let n_classes = chunk.probabilities.n_classes;
        let rows = |values: &[f32]| {
            let rows = values.get(places.start * n_classes..places.end * n_classes);
            rows.unwrap_or_default().to_vec()
        };
        if let Some(calibration) = monitor.calibration() {
            let part = Probabilities {
                classifier: rows(&chunk.probabilities.classifier),
                distilled: rows(&chunk.probabilities.distilled),
                n_classes,
            };
            let mirrored = chunk.mirrored.as_deref().map(rows);
            let window = calibration.model().window(&part, mirrored.as_deref())?;
            self.window.get_or_insert_default().merge(&window)?;
        } else if monitor.reference_confidences().is_some() {
            let rows = rows(&chunk.probabilities.classifier);
            self.doubts
                .extend(confidences(&rows, n_classes).map(|confidence| 1.0 - f64::from(confidence)));
        }
        Ok(())
    }
}

/// The largest probability of each row.
pub(crate) fn confidences(rows: &[f32], n_classes: usize) -> impl Iterator<Item = f32> {
    rows.chunks_exact(n_classes.max(1))
        .map(|row| row.iter().copied().fold(0.0, f32::max))
}
