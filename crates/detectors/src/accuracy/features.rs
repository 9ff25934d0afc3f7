//! What the error model sees of an image.

use crate::error::DetectorError;
use crate::networks::Probabilities;

/// The features of images.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Description {
    n: usize,
}

impl Description {
    pub(crate) fn len(&self) -> usize {
        self.n
    }
}

/// Describes images.
pub(crate) fn describe(
    probabilities: &Probabilities,
    _mirrored: Option<&[f32]>,
    _distilled: bool,
) -> Result<Description, DetectorError> {
    Ok(Description { n: probabilities.len() })
}
