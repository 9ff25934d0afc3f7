//! Against the published generator's own output on real images. These tests need `RIPTIDE_SHARED`, a folder with the
//! images (`data/cifar10-lossless-4000.bin.gz`), the frost textures (`data/frost`), reference pictures
//! (`golden/corruptions/reference16.npz`) and statistics (`golden/corruptions/statistics500.csv`); without it they pass
//! unseen.

#![allow(clippy::unwrap_used)]

mod reference;
mod statistics;
mod support;
