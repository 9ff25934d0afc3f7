//! CPU convolution kernels for small image classifiers: safe functions over slices, without tensors and without I/O.
//!
//! Images are kept in the blocked layout ([`Blocked`]: channels in blocks of 16, every plane inside of a halo of zeros). Kernels are written once over
//! [`lanes::Lanes`] and compiled for each [`Tier`]; [`Simd`] chooses one at run time.

pub mod blocked;
pub mod conv;
mod error;
mod head;
pub mod lanes;
mod peak;
mod tier;
pub mod training;

pub use blocked::{Blocked, Shape};
pub use conv::{Activation, ConvParams, DirectConv, Epilogue, ImageConv, ImageShape, Padding, Scratch, WinogradConv};
pub use error::{KernelError, Result};
pub use head::{Dense, flatten_nhwc, global_mean_pool, softmax};
pub use lanes::Block;
pub use peak::peak_flops;
pub use tier::{Simd, TIER_VARIABLE, Tier};
