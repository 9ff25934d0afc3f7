//! The calibration of a saved monitor.

use std::path::Path;

use riptide_files::{digest, regular};

use super::read_array;
use crate::calibration::{Calibration, CalibrationFiles, EVIDENCE_WIDTH};
use crate::error::{Error, Result};
use crate::facts::CalibrationFacts;

const MODEL: &str = "calibration.json";
const EVIDENCE: &str = "calibration.npy";
/// The files of a calibration.
pub(super) const FILES: [&str; 2] = [MODEL, EVIDENCE];

/// Writes both files into a monitor's folder.
pub(super) fn write(root: &Path, calibration: &Calibration) -> Result<()> {
    let files = CalibrationFiles::of(calibration)?;
    super::write(&root.join(MODEL), &files.model)?;
    super::write(&root.join(EVIDENCE), &files.evidence)
}

/// Reads both files, after comparing them with the facts.
pub(super) fn read(dir: &Path, facts: &CalibrationFacts) -> Result<Calibration> {
    let path = dir.join(MODEL);
    let text = regular::read(&path, regular::TEXT)?;
    let found = digest::of_bytes(&text);
    if found != facts.model {
        return Err(Error::Changed {
            path,
            expected: facts.model.clone(),
            found,
        });
    }
    let rows = read_array::<u16>(&dir.join(EVIDENCE), &facts.evidence, EVIDENCE_WIDTH)?;
    CalibrationFiles::read(&text, &rows)
        .map_err(|reason| Error::malformed(&path, format!("{reason}; calibrate the monitor again")))
}
