//! Image sets for drift monitoring: where images come from, checked once and read in chunks.
//!
//! Everything here ends in an [`ImageSet`]: 8-bit colour images of one size, `(N, H, W, 3)`, with labels if they are known.
//! A set is checked when it is made, and is consistent from then on. It is read from
//! - [`cifar10`]: CIFAR-10 in the binary layout, a folder or the published archive;
//! - [`cifar10_c`]: CIFAR-10-C and any other images in its layout, one severity at a time;
//! - [`image_folder`]: image files, one folder per class, or flat;
//! - [`picture`]: one picture from the bytes of its file;
//! - [`npy`]: numpy arrays, from files or standard input; it writes them, too; [`npz`]: arrays in archives;
//! - [`table`]: CSV and Parquet tables of image files or pictures; [`shards`]: tar archives in the layout of WebDataset;
//! - [`frames`] and [`PictureStream`]: raw frames and pictures as they come from a camera;
//! - [`shapes`]: generated pictures of ten classes, which need no download.
//!
//! Each is also an [`ImageSource`], read in chunks, so that any number of images needs a bounded amount of memory.
//! [`open`] finds out what a path is.
//!
//! These readers neither panic on any input, nor allocate by a length that a header merely claims. Errors name the file, and
//! say what was wrong with it and what was expected.
//!
//! # Features
//! - `parquet` (off by default): Parquet files.
//! - `fetch` (off by default): the module `fetch`, which downloads the public data sets and files of the Hugging Face Hub
//!   (`hf://OWNER/REPO/PATH`), verified, into a cache. Without it, nothing that can open a connection is linked.
//!   [`cache_dir`] says where the files are, with or without the feature.
//!
//! # Example
//! Generated images to a `.npy` file and back, in chunks:
//!
//! ```
//! use riptide_datasets::shapes::Shapes;
//! use riptide_datasets::{OpenOptions, open};
//! use riptide_datasets::{ImageSource, npy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let images = Shapes::new(0).generate(0, 100);
//! assert_eq!(images.shape(), [100, 32, 32, 3]);
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("shapes.npy");
//! npy::write_images(&path, &images)?;
//!
//! let mut source = open(&path, OpenOptions::default())?;
//! let mut seen = 0;
//! while let Some(chunk) = source.next_chunk(32)? {
//!     assert_eq!(chunk.image(0), images.image(seen));
//!     seen += chunk.len();
//! }
//! assert_eq!(seen, 100);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod archive;
mod cache;
pub mod cifar10;
pub mod cifar10_c;
pub mod error;
mod expand;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod frames;
mod gather;
pub mod image_folder;
pub mod image_set;
pub mod npy;
pub mod npz;
mod open;
pub mod picture;
mod picture_stream;
mod read_ahead;
mod reads;
mod regular;
pub mod shapes;
pub mod shards;
pub mod source;
pub mod table;

pub use cache::cache_dir;
pub use error::{DatasetError, Result};
pub use image_set::ImageSet;
pub use open::{OpenOptions, open};
pub use picture::{Filter, Framing, Orient, PictureOptions};
pub use picture_stream::PictureStream;
pub use read_ahead::ReadAhead;
pub use reads::is_read;
pub use source::{ImageSource, OnError, Skipped};
pub use table::TableOptions;

/// How an address on the Hugging Face Hub starts.
pub(crate) const HUB_SCHEME: &str = "hf://";

/// Whether a text is meant as an address on the Hugging Face Hub and not as a path: it starts with `hf://`.
///
/// With the feature `fetch`, `fetch::hub::locate` turns such an address into a path; a program that is built without it can
/// say so.
///
/// ```
/// use riptide_datasets::is_hub_address;
///
/// assert!(is_hub_address("hf://owner/repo/model.onnx"));
/// assert!(!is_hub_address("models/classifier"));
/// ```
pub fn is_hub_address(text: &str) -> bool {
    text.starts_with(HUB_SCHEME)
}

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
