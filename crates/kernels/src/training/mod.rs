//! Training: convolutions with their gradients and batch normalisation.
//!
//! Every function works on a group of images on one thread and gives the same bits for the same group. Who trains on several threads splits the
//! batch into groups that do not depend on the number of threads and sums their gradients in order.

mod composed;
mod conv;
mod dense;
mod norm;
mod product;
#[cfg(test)]
mod tests;
mod winograd;

pub use composed::{ComposedConv, ComposedWeights};
pub use conv::{Layout, PackedWeights, Scratch, TrainableConv};
pub use dense::{PackedDense, TrainableDense};
pub use norm::{
    Affine, Gate, Moments, NormGradient, Planes, Shortcut, add_moments, normalise, normalise_backward, relu_backward,
};
