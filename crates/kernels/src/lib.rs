//! CPU kernels for small image classifiers: convolutions, batch normalisation and dense layers, forward and backward. Safe functions over slices,
//! without tensors and without I/O.
//!
//! # What is here
//!
//! | | forward, weights fixed | forward and backward |
//! | --- | --- | --- |
//! | convolution, any kernel and stride | [`DirectConv`] | [`training::TrainableConv`] |
//! | 3x3 with stride 1 by Winograd's algorithm | [`WinogradConv`] (4x4 with stride 2 too) | [`training::TrainableConv`], which chooses it |
//! | first layer, over interleaved images | [`ImageConv`] | [`training::TrainableConv`], [`training::Layout::Interleaved`] |
//! | two layers without an activation between them | [`ImageConv::composed`], [`Dense::composed`] | [`training::ComposedConv`] |
//! | dense layer | [`Dense`] | [`training::TrainableDense`] |
//! | batch normalisation, shortcut, ReLU | folded into weights, [`Epilogue`] | [`training::normalise`], [`training::relu_backward`] |
//! | end of a network | [`global_mean_pool`], [`flatten_nhwc`], [`softmax`] | |
//!
//! # How it works
//!
//! Images are kept in the blocked layout ([`Blocked`]): channels in blocks of 16 ([`Block`], one cache line), every plane inside a halo of zeros, so
//! that no convolution branches at the border. A layer packs its weights once, then takes images one after the other as slices of blocks.
//!
//! Each kernel is written once over 16 lanes and compiled for every tier: plain Rust, AVX2, AVX-512 and NEON. [`Simd`] is the only knob: it is the
//! fastest tier of the processor, or the one that `RIPTIDE_KERNEL` names ([`TIER_VARIABLE`]). One tier gives the same bits on every machine and for any
//! number of threads: the kernels start no threads of their own, except for [`training::ComposedConv`]'s work once a batch.
//!
//! ```
//! use riptide_kernels::{Activation, Blocked, ConvParams, DirectConv, Padding, Shape, Simd};
//! // A 3x3 convolution of one channel to one, over one image of 2 by 2 pixels.
//! let params = ConvParams { in_channels: 1, out_channels: 1, kernel: [3, 3], stride: 1, padding: Padding::all(1) };
//! let conv = DirectConv::new(params, &[1.0; 9], Some(&[0.5]))?;
//! let image = Blocked::from_nchw(&[1.0, 2.0, 3.0, 4.0], 1, Shape::new(1, 2, 2))?;
//! let output = conv.forward(Simd::current()?, &image, Activation::Relu)?;
//! assert_eq!(output.to_nchw(), [10.5; 4]);
//! # Ok::<(), riptide_kernels::KernelError>(())
//! ```

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod blocked;
mod conv;
mod dense;
mod error;
mod head;
pub mod lanes;
mod norm;
mod peak;
mod product;
mod simd;
mod tier;
pub mod training;

pub use blocked::{Blocked, Shape};
pub use conv::{Activation, ConvParams, DirectConv, Epilogue, ImageConv, ImageShape, Padding, Scratch, WinogradConv};
pub use dense::Dense;
pub use error::{KernelError, Result};
pub use head::{flatten_nhwc, global_mean_pool, softmax};
pub use lanes::Block;
#[doc(hidden)]
pub use peak::peak_flops;
pub use simd::{Simd, TIER_VARIABLE};
pub use tier::Tier;
