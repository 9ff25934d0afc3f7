//! A calibration as the two files that a saved monitor keeps it in.

use riptide_detectors::accuracy::{AccuracyModel, FamilyEvidence, SetEvidence};
use riptide_files::npy;
use serde::{Deserialize, Serialize};

use super::Calibration;
use crate::error::{Error, Result};

/// Steps that a probability is kept in.
const STEPS: f32 = 65_535.0;

/// A probability in whole steps.
pub(crate) fn steps(probability: f32) -> u16 {
    // The cast saturates; NaN becomes 0, and never occurs.
    (probability.clamp(0.0, 1.0) * STEPS).round() as u16
}

/// The probability of so many steps.
pub(crate) fn probability(steps: u16) -> f32 {
    f32::from(steps) / STEPS
}

/// The same evidence with its probabilities in whole steps, so that a saved monitor certifies as the one in memory.
pub(crate) fn rounded(evidence: FamilyEvidence) -> FamilyEvidence {
    let set = |set: SetEvidence| {
        let round = |values: Vec<f32>| values.into_iter().map(|value| probability(steps(value))).collect();
        SetEvidence {
            error: round(set.error),
            confidence: round(set.confidence),
            ..set
        }
    };
    FamilyEvidence {
        clean: set(evidence.clean),
        sets: evidence.sets.into_iter().map(set).collect(),
        ..evidence
    }
}

/// The two files of a calibration.
pub(crate) struct CalibrationFiles {
    /// The models, and which rows of the evidence are whose: JSON.
    pub(crate) model: Vec<u8>,
    /// What the models say of each image, u16 (N, 4): error probability and confidence in steps of 1/65535, the class that the
    /// classifier gave, and 1 if the networks agree plus 2 if the answer is wrong.
    pub(crate) evidence: Vec<u8>,
}

/// What the JSON file of a calibration says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CalibrationText {
    /// The model that judges batches.
    model: AccuracyModel,
    /// The families, in the order of their rows.
    families: Vec<FamilyText>,
}

/// A family that was left out, in the JSON file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyText {
    family: String,
    /// The model that did not see it.
    model: AccuracyModel,
    /// The sets in the order of their rows, the clean images first.
    sets: Vec<SetText>,
}

/// A set, in the JSON file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetText {
    severity: u8,
    /// Its number of rows.
    n_images: usize,
}

/// Numbers of an image in the evidence.
pub(crate) const EVIDENCE_WIDTH: usize = 4;

impl CalibrationFiles {
    /// A calibration as its two files hold it.
    pub(crate) fn of(calibration: &Calibration) -> Result<Self> {
        let set = |set: &SetEvidence| SetText {
            severity: set.severity,
            n_images: set.error.len(),
        };
        let mut rows = Vec::new();
        let mut families = Vec::new();
        for family in &calibration.evidence {
            let sets = || std::iter::once(&family.clean).chain(&family.sets);
            sets().for_each(|set| append(set, &mut rows));
            families.push(FamilyText {
                family: family.family.clone(),
                model: family.model.clone(),
                sets: sets().map(set).collect(),
            });
        }
        let text = CalibrationText {
            model: calibration.model.clone(),
            families,
        };
        let mut model = serde_json::to_vec(&text).map_err(|error| Error::Calibration {
            reason: format!("the model cannot be written as JSON: {error}"),
        })?;
        model.push(b'\n');
        Ok(Self {
            model,
            evidence: npy::encode(&[rows.len() / EVIDENCE_WIDTH, EVIDENCE_WIDTH], rows),
        })
    }

    /// The calibration in the JSON file's text and the rows of the evidence.
    pub(crate) fn read(model: &[u8], rows: &[u16]) -> Result<Calibration, String> {
        let text: CalibrationText = serde_json::from_slice(model).map_err(|error| error.to_string())?;
        let mut rows = rows.as_chunks::<EVIDENCE_WIDTH>().0.iter();
        let n = text.families.len();
        let evidence: Option<Vec<FamilyEvidence>> = text
            .families
            .into_iter()
            .map(|family| family_of(family, &mut rows))
            .collect();
        match evidence {
            Some(evidence) if rows.next().is_none() => Ok(Calibration {
                model: text.model,
                evidence,
            }),
            _ => Err(format!("the evidence has other rows than its {n} families")),
        }
    }
}

/// The numbers of a set's images.
fn append(set: &SetEvidence, rows: &mut Vec<u16>) {
    let numbers = set.error.iter().zip(&set.confidence).zip(&set.class);
    let marks = set.agree.iter().zip(&set.wrong);
    for (((&error, &confidence), &class), (&agree, &wrong)) in numbers.zip(marks) {
        // The certificate only compares classes, and no classifier of images has more than 65,536.
        let class = u16::try_from(class).unwrap_or(u16::MAX);
        rows.extend([
            steps(error),
            steps(confidence),
            class,
            u16::from(agree) + 2 * u16::from(wrong),
        ]);
    }
}

type Rows<'a> = std::slice::Iter<'a, [u16; EVIDENCE_WIDTH]>;

/// The evidence of a family, unless there are too few rows.
fn family_of(text: FamilyText, rows: &mut Rows<'_>) -> Option<FamilyEvidence> {
    let mut sets = text.sets.iter().map(|set| set_of(set, rows));
    let clean = sets.next()??;
    let sets: Option<Vec<SetEvidence>> = sets.collect();
    Some(FamilyEvidence {
        family: text.family,
        model: text.model,
        clean,
        sets: sets?,
    })
}

fn set_of(text: &SetText, rows: &mut Rows<'_>) -> Option<SetEvidence> {
    let taken: Vec<_> = rows.by_ref().take(text.n_images).collect();
    if taken.len() < text.n_images {
        return None;
    }
    Some(SetEvidence {
        severity: text.severity,
        error: taken.iter().map(|row| probability(row[0])).collect(),
        confidence: taken.iter().map(|row| probability(row[1])).collect(),
        class: taken.iter().map(|row| u32::from(row[2])).collect(),
        agree: taken.iter().map(|row| row[3] & 1 == 1).collect(),
        wrong: taken.iter().map(|row| row[3] & 2 == 2).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_comes_back() {
        for step in 0..=u16::MAX {
            assert_eq!(steps(probability(step)), step);
        }
        assert_eq!((steps(-1.0), steps(2.0), steps(f32::NAN)), (0, u16::MAX, 0));
    }
}
