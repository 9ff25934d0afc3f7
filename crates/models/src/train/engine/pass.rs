//! What an engine does.

use std::fmt::Debug;

use super::images::Images;
use crate::error::ModelError;

/// A network that can be trained: one forward pass, then one backward pass of the same batch.
pub(crate) trait Engine: Debug + Send {
    /// The images of the next batch.
    fn input(&mut self) -> &mut Images;
    /// Logits (n, n_classes) of the images in [`Self::input`]; keeps what the backward pass needs.
    fn forward(&mut self, parameters: &[f32], statistics: &mut [f32]) -> Result<Vec<f32>, ModelError>;
    /// The gradient of all parameters, for the gradient of the logits of the last forward pass.
    fn backward(&mut self, parameters: &[f32], d_logits: &[f32], gradient: &mut [f32]) -> Result<(), ModelError>;
}
