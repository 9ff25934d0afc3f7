//! The alarm over batches, kept from one run to the next.

use std::path::Path;

use anyhow::{Context, bail};
use riptide::detectors::SequentialTest;
use riptide::files::atomic;
use riptide::prelude::*;
use serde::{Deserialize, Serialize};

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// Digest of the calibration that the alarm belongs to.
    calibration: String,
    test: SequentialTest,
}

fn calibration(monitor: &Monitor) -> anyhow::Result<String> {
    match &monitor.facts().calibration {
        Some(facts) => Ok(facts.model.clone()),
        None => Err(riptide::Error::NotCalibrated.into()),
    }
}

/// The alarm in the file, if there is one, after making sure that it belongs to the monitor as it judges now.
pub fn read(path: &Path, monitor: &Monitor) -> anyhow::Result<Option<SequentialTest>> {
    let expected = calibration(monitor)?;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let state: State =
        serde_json::from_str(&text).with_context(|| format!("{}: is no state of an alarm", path.display()))?;
    let fresh = monitor.sequential()?;
    if state.calibration != expected || state.test.bound() != fresh.bound() || state.test.config() != fresh.config() {
        bail!(
            "{}: belongs to another monitor, tolerated drop or level; name another file to begin a new alarm",
            path.display()
        );
    }
    Ok(Some(state.test))
}

/// Keeps the alarm.
pub fn write(path: &Path, monitor: &Monitor, test: &SequentialTest) -> anyhow::Result<()> {
    let state = State {
        calibration: calibration(monitor)?,
        test: test.clone(),
    };
    let mut text = serde_json::to_vec(&state).context("cannot write the alarm as JSON")?;
    text.push(b'\n');
    Ok(atomic::write(path, &text)?)
}
