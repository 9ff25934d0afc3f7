//! This crate's kernels under candle's autograd: ordinary candle losses and optimizers train either network.
//!
//! [`DifferentiableNetwork`] is a whole network as one operation, as fast as [`Trainer`](super::Trainer)'s own steps; [`Conv2d`] is one convolution,
//! for networks of another shape.

mod conv;
mod layers;
mod network;
mod step;
#[cfg(test)]
mod tests;

pub use conv::Conv2d;
#[cfg(test)]
pub(super) use layers::logits;
pub use network::DifferentiableNetwork;
pub use riptide_kernels::Padding;

use candle_core::{CpuStorage, Layout};

/// The floats of a contiguous f32 tensor on the CPU.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets().and_then(|(start, end)| all.get(start..end)) {
        Some(floats) => Ok(floats),
        None => Err(candle_core::Error::RequiresContiguous { op: "riptide" }.bt()),
    }
}
