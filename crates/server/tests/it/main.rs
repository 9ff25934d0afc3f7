//! The service as its clients see it: over HTTP, on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod alarms;
mod bodies;
mod browser;
mod hostile;
mod killed;
mod pages;
mod prometheus;
mod protocols;
mod support;
mod time;
