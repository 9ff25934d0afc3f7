//! Planned networks: a network compiled to the kernels of `riptide_kernels`, for images on the CPU.
//!
//! Weights are packed once, batch normalisation is folded into them, layers without an activation between them become one, and memory is reused.
//! Images go through in groups, each group through all layers on one thread with one thread's scratch; raw images are scaled inside of
//! their group, so the floats of all images are never in memory together. Every image's numbers are the same for any number of threads and any batch.

mod groups;
mod input;
mod layers;
mod lazy;
mod pair;
mod plain;
mod residual;
mod single;
#[cfg(test)]
#[cfg(feature = "train")]
mod tests;

pub(crate) use lazy::Lazy;
pub use pair::PairPlan;
pub use single::Plan;
