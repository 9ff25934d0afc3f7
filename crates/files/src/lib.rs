//! What every crate of Riptide that reads or writes files shares.
//!
//! - [`atomic`]: files that appear whole or not at all
//! - [`folder`]: folders that appear whole or not at all
//! - [`lock`]: one run at a time in a folder
//! - [`digest`]: SHA-256 in hexadecimal
//! - [`npy`]: numpy's `.npy` arrays
//! - [`memory`]: whether there is memory for what was asked for
//! - [`regular`]: regular files, read whole within a limit
//! - [`progress`]: how a long task reports its progress
//! - [`shown()`]: a path in one line of plain text
//!
//! ```
//! use riptide_files::{atomic, digest, npy};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("scores.npy");
//! atomic::write(&path, &npy::encode(&[3], [0.5_f32, 1.0, 0.25]))?;
//! let array: npy::Array<f32> = npy::decode(&std::fs::read(&path)?)?;
//! assert_eq!((array.shape, array.values), (vec![3], vec![0.5, 1.0, 0.25]));
//! assert_eq!(digest::of_file(&path)?, digest::of_bytes(&std::fs::read(&path)?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod atomic;
pub mod digest;
mod error;
pub mod folder;
pub mod lock;
pub mod memory;
pub mod npy;
pub mod progress;
pub mod regular;
mod shown;

pub use error::FileError;
pub use progress::{Progress, Silent, Unit};
pub use shown::{Shown, bytes_beside, shown};

/// The folder that a path lies in.
fn parent(path: &std::path::Path) -> &std::path::Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => std::path::Path::new("."),
    }
}

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
