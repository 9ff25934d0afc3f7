//! What an experiment found, as numbers.

use riptide_corruptions::{Corruption, Severity};
use riptide_detectors::ScoreKind;
use riptide_stats::summary::{mean, min_max, std};
use riptide_stats::{Interval, wilson};
use serde::{Deserialize, Serialize};

use crate::accuracy::Comparison;
use crate::contamination::Batch;
use crate::error::ExperimentError;
use crate::excess::{HarmCell, harm_cells};
use crate::harmfulness::{CorruptedPass, Kind, Pass, Place, pool};
use crate::protocol::{Protocol, ProtocolParams};
use crate::roc::{Roc, bootstrap};
use crate::subject::TestImages;

/// Everything that an experiment found, as `summary.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The dataset's name.
    pub dataset: String,
    /// Where the corrupted images came from, in a sentence.
    pub provenance: String,
    /// Number of clean test images.
    pub n_images: usize,
    /// SHA-256 of the clean images and labels.
    pub images_digest: String,
    /// SHA-256 over both networks.
    pub networks_digest: String,
    /// The options.
    pub protocol: ProtocolParams,
    /// The classifier's accuracy on the clean images, 0 to 1.
    pub accuracy: f64,
    /// Clean scores, one entry a score of the protocol.
    pub clean: Vec<Moments>,
    /// Accuracy of each corruption at each severity.
    pub accuracies: Vec<Accuracy>,
    /// One entry a severity.
    pub severities: Vec<SeveritySummary>,
    /// One entry a score, severity, kind and contamination.
    pub sweep: Vec<Cell>,
    /// What the harm-directed test made of the same batches, one entry a score, severity, kind and contamination.
    #[serde(default)]
    pub harm: Vec<HarmCell>,
    /// The accuracy test beside the published decision; none if it was not asked for or could not be made.
    #[serde(default)]
    pub comparison: Option<Comparison>,
    /// Why the comparison could not be made.
    #[serde(default)]
    pub no_comparison: Option<String>,
}

/// Count, mean and population standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Number of values.
    pub n: usize,
    /// Mean; none without values.
    pub mean: Option<f64>,
    /// Population standard deviation; none without values.
    pub std: Option<f64>,
}

/// Accuracy of one corruption at one severity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The corruption.
    pub corruption: Corruption,
    /// The severity.
    pub severity: Severity,
    /// Fraction of images that the classifier gets right.
    pub accuracy: f64,
}

/// What was found at one severity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeveritySummary {
    /// The severity.
    pub severity: Severity,
    /// Mean accuracy over the corruptions.
    pub accuracy: f64,
    /// Population standard deviation of the accuracy over the corruptions.
    pub accuracy_std: f64,
    /// One entry a score of the protocol.
    pub scores: Vec<ScoreSummary>,
}

/// One score at one severity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreSummary {
    /// The score.
    pub score: ScoreKind,
    /// Scores of harmful images.
    pub harmful: Moments,
    /// Scores of harmless images.
    pub harmless: Moments,
    /// Area under the ROC curve, harmful against harmless; none if a kind has no images.
    pub auroc: Option<Interval>,
}

/// The batches of one score, severity, kind and contamination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The score.
    pub score: ScoreKind,
    /// The severity.
    pub severity: Severity,
    /// Whether the corrupted images are harmful.
    pub kind: Kind,
    /// Fraction of corrupted images, 0 to 1.
    pub fraction: f64,
    /// Mean p-value.
    pub mean: f64,
    /// Population standard deviation of the p-values.
    pub std: f64,
    /// Smallest p-value.
    pub min: f64,
    /// Largest p-value.
    pub max: f64,
    /// Fraction of batches whose p-value is below the level, with its Wilson interval.
    pub alarms: Interval,
}

impl Summary {
    pub(crate) fn new(
        images: &TestImages,
        networks_digest: String,
        protocol: &Protocol,
        clean: &Pass,
        corrupted: &[CorruptedPass],
        batches: &[Batch],
    ) -> Result<Self, ExperimentError> {
        let params = protocol.params();
        let mut severities = Vec::new();
        for &severity in &params.severities {
            let twins: Vec<&CorruptedPass> = corrupted.iter().filter(|twin| twin.severity == severity).collect();
            severities.push(severity_summary(severity, clean, &twins, params)?);
        }
        Ok(Self {
            dataset: images.name().to_owned(),
            provenance: images.provenance(),
            n_images: images.clean().len(),
            images_digest: images.digest().to_owned(),
            networks_digest,
            protocol: params.clone(),
            accuracy: clean.accuracy(),
            clean: clean
                .scores
                .iter()
                .map(|scores| moments(scores.iter().copied()))
                .collect::<Result<_, _>>()?,
            accuracies: corrupted
                .iter()
                .map(|twin| Accuracy {
                    corruption: twin.corruption,
                    severity: twin.severity,
                    accuracy: twin.pass.accuracy(),
                })
                .collect(),
            severities,
            sweep: cells(batches, params)?,
            harm: harm_cells(batches, protocol),
            comparison: None,
            no_comparison: None,
        })
    }
}

fn severity_summary(
    severity: Severity,
    clean: &Pass,
    twins: &[&CorruptedPass],
    params: &ProtocolParams,
) -> Result<SeveritySummary, ExperimentError> {
    let accuracies: Vec<f64> = twins.iter().map(|twin| twin.pass.accuracy()).collect();
    let harmful = pool(clean, twins, Kind::Harmful);
    let harmless = pool(clean, twins, Kind::Harmless);
    let values = |places: &[Place], column: usize| -> Vec<f32> {
        let value = |&(place, image): &Place| twins[place].pass.scores[column][image];
        places.iter().map(value).collect()
    };
    let rocs: Vec<Roc> = (0..params.scores.len())
        .map(|column| {
            let entries = |places: &[Place], positive| -> Vec<(f32, bool, u32)> {
                let members = places.iter().map(|place| place.1 as u32);
                let values = values(places, column).into_iter().zip(members);
                values.map(|(value, member)| (value, positive, member)).collect()
            };
            Roc::new([entries(&harmful, true), entries(&harmless, false)].concat())
        })
        .collect();
    let areas = bootstrap(&rocs, clean.correct.len(), params, severity)?;
    let mut scores = Vec::new();
    for (column, (&score, auroc)) in params.scores.iter().zip(areas).enumerate() {
        scores.push(ScoreSummary {
            score,
            harmful: moments(values(&harmful, column))?,
            harmless: moments(values(&harmless, column))?,
            auroc,
        });
    }
    Ok(SeveritySummary {
        severity,
        accuracy: mean(&accuracies)?,
        accuracy_std: std(&accuracies)?,
        scores,
    })
}

fn moments(values: impl IntoIterator<Item = f32>) -> Result<Moments, ExperimentError> {
    let values: Vec<f64> = values.into_iter().map(f64::from).collect();
    if values.is_empty() {
        return Ok(Moments {
            n: 0,
            mean: None,
            std: None,
        });
    }
    Ok(Moments {
        n: values.len(),
        mean: Some(mean(&values)?),
        std: Some(std(&values)?),
    })
}

fn cells(batches: &[Batch], params: &ProtocolParams) -> Result<Vec<Cell>, ExperimentError> {
    let mut cells = Vec::new();
    for (column, &score) in params.scores.iter().enumerate() {
        for cell in batches.chunk_by(Batch::is_beside) {
            let Some(first) = cell.first() else { continue };
            let p: Vec<f64> = cell
                .iter()
                .filter_map(|batch| batch.tests.get(column))
                .map(|test| test.1)
                .collect();
            let (min, max) = min_max(&p)?;
            cells.push(Cell {
                score,
                severity: first.severity,
                kind: first.kind,
                fraction: first.fraction,
                mean: mean(&p)?,
                std: std(&p)?,
                min,
                max,
                alarms: wilson(p.iter().filter(|&&p| p < params.level).count(), p.len()),
            });
        }
    }
    Ok(cells)
}
