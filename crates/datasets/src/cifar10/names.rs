//! The names of the classes, as `batches.meta.txt` has them.

use std::path::Path;

use super::CLASS_NAMES;
use crate::error::{DatasetError, Result};

/// One name a line, ten of them; empty lines do not count.
pub(super) fn parse_names(path: &Path, bytes: &[u8]) -> Result<Vec<String>> {
    let text = std::str::from_utf8(bytes).map_err(|_| DatasetError::malformed(path, "the names are not UTF-8"))?;
    let names: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect();
    if names.len() != CLASS_NAMES.len() {
        let reason = format!(
            "{} class names, expected {}, one a line",
            names.len(),
            CLASS_NAMES.len()
        );
        return Err(DatasetError::malformed(path, reason));
    }
    Ok(names)
}
