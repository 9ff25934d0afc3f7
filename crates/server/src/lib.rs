//! Riptide as a service: takes a classifier's traffic, keeps windows and their history, raises alarms.
//!
//! Images come as CloudEvents of KServe's and Seldon's loggers, by the Open Inference Protocol, or by themselves. Each is written
//! to disk before it is acknowledged, scored once by a [`Monitor`](riptide::Monitor), and counted into one window. A window that
//! is closed is judged: its numbers are those that [`Monitor::detect`](riptide::Monitor::detect) gives for the same images.
//!
//! ```text
//! request -> images -> database -> scores -> window -> findings -> alarm -> notice
//!   http     payload     store     scoring    store      judge     store    outbox
//! ```
//!
//! [`Config`] has all settings, [`Service`] runs, and the command `riptide serve` is both.

#![forbid(unsafe_code)]

mod appearance;
mod config;
mod error;
mod history;
mod http;
mod judge;
mod metrics;
mod outbox;
mod page;
mod payload;
mod run;
mod scoring;
mod service;
mod shared;
mod store;
mod time;

pub use config::{
    AlarmConfig, AnswerSource, Config, InputConfig, LimitsConfig, MonitorConfig, PixelScale, QueueConfig,
    RetentionConfig, SinkConfig, SinkKind, TlsConfig, WindowConfig,
};
pub use error::{Error, Result};
pub use history::{History, HistoryRow};
pub use run::run;
pub use service::Service;
pub use time::Clock;
