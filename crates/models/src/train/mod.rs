//! Training of both networks on the CPU: forward and backward passes in this crate's own kernels, optimizers, schedules, augmentation, checkpoints.
//!
//! [`Trainer`] runs whole epochs over raw images; [`autograd`] puts the same kernels under candle's own losses and optimizers.

pub mod autograd;
mod checkpoint;
mod engine;
mod optimizer;
mod recipe;
mod sample;
mod teaching;
#[cfg(test)]
mod tests;
mod trainer;

pub use recipe::{Augmentation, Optimizer, Recipe, Schedule};
pub use teaching::{Teaching, untrained_student};
pub use trainer::{EpochSummary, Progress, Targets, Trainer, TrainingSet};
