//! Training of both networks on the CPU: forward and backward passes in the kernels of `riptide_kernels`, optimizers, schedules,
//! augmentation, checkpoints (feature `train`).
//!
//! [`Trainer`] runs whole epochs over raw images. A classifier learns from labels, a distilled network from a classifier's answers, which
//! [`Teaching`] collects.

mod checkpoint;
mod engine;
mod optimizer;
mod recipe;
mod sample;
mod teaching;
#[cfg(test)]
mod tests;
mod trainer;
mod vectors;

pub use recipe::{Augmentation, Optimizer, Recipe, Schedule};
pub use teaching::{Teaching, untrained_distilled};
pub use trainer::{EpochSummary, Progress, Targets, Trainer, TrainingSet};
