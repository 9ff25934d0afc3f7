//! Training: layers that go forward and backward, and batch normalisation with its gradient.
//!
//! Every function works on a group of images on one thread and gives the same bits for the same group. To train on several threads, split the batch
//! into groups that do not depend on the number of threads, and sum their gradients in order.
//!
//! The code is with the layers: `conv/trainable`, `conv/composed`, `conv/winograd`, `dense` and `norm`.

#[cfg(test)]
mod tests;

pub use crate::conv::{ComposedConv, ComposedWeights, Layout, PackedWeights, Scratch, TrainableConv};
pub use crate::dense::{PackedDense, TrainableDense};
pub use crate::norm::{
    Affine, Gate, Moments, NormGradient, Planes, Shortcut, add_moments, normalise, normalise_backward, relu_backward,
};
