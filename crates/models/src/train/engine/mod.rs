//! Whole networks, forward and backward, over flat parameters.
//!
//! A batch is split into groups of images whatever the number of threads; a group is one task, and sums over groups are taken in the order
//! of the groups, so that one thread and many give the same bits.

mod flat;
mod images;
mod memory;
mod norm;
mod pass;
mod plain;
mod residual;

use riptide_kernels::Simd;

pub(super) use flat::FlatLayout;
pub(super) use images::write_image;
pub(super) use pass::Engine;
use plain::PlainEngine;
use residual::ResidualEngine;

use crate::architecture::Architecture;
use crate::error::ModelError;

/// The engine of a network.
pub(super) fn new(architecture: &Architecture, layout: &FlatLayout, simd: Simd) -> Result<Box<dyn Engine>, ModelError> {
    Ok(match architecture {
        Architecture::Residual(network) => Box::new(ResidualEngine::new(network, layout, simd)?),
        Architecture::Plain(network) => Box::new(PlainEngine::new(network, layout, simd)?),
    })
}
