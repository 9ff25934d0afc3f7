//! The command as a user runs it: the real binary, real files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod detector;
mod endings;
mod golden;
mod help;
mod images;
mod ks;
mod support;
