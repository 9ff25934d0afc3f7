//! The command as a user runs it: the real binary, real files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accuracy;
mod endings;
mod experiment;
mod golden;
mod help;
#[cfg(feature = "fetch")]
mod hub;
mod images;
mod input;
mod ks;
mod monitor;
#[cfg(all(feature = "serve", unix))]
mod serve;
mod sources;
mod support;
mod train;
mod umask;
