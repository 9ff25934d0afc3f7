//! The settings of the service: one structure, read from a TOML file, overlaid by the caller, checked once.

mod check;

use std::net::SocketAddr;
use std::path::PathBuf;

use riptide::datasets::picture::Framing;
use serde::{Deserialize, Serialize};

/// All settings. Every section and every key may be left out of the file; unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where requests are taken; `127.0.0.1:8080` by default.
    pub listen: SocketAddr,
    /// Where `/metrics` is served without a key, if not beside everything else.
    pub metrics_listen: Option<SocketAddr>,
    /// The folder of the database; `riptide-state` by default.
    pub state: PathBuf,
    /// The monitors, at least one.
    pub monitors: Vec<MonitorConfig>,
    /// The key that clients give as `Authorization: Bearer KEY`, at least 16 characters; without one everybody may do everything.
    #[serde(skip_serializing)]
    pub key: Option<String>,
    /// Certificate chain and private key, PEM files; without them the service speaks plain HTTP.
    pub tls: Option<TlsConfig>,
    /// How long running requests and queued work may take on shutdown, in seconds; 20 by default.
    pub shutdown_seconds: u64,
    /// What requests are made of.
    pub input: InputConfig,
    /// How images become windows.
    pub window: WindowConfig,
    /// What may wait to be scored.
    pub queue: QueueConfig,
    /// What a client may ask for.
    pub limits: LimitsConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// When an alarm is raised and resolved.
    pub alarm: AlarmConfig,
    /// Who is told of alarms.
    pub sinks: Vec<SinkConfig>,
}

/// A monitor to serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MonitorConfig {
    /// Its folder.
    pub path: PathBuf,
    /// Its name in addresses and metrics: letters, digits, `.`, `_` and `-`, at most 64; the folder's name by default.
    #[serde(default)]
    pub name: Option<String>,
    /// Clean images, anything that [`Images::open`](riptide::Images::open) takes: what a window's images look like is compared with
    /// the first 1,000 of them. Without them, what changed is not told.
    #[serde(default)]
    pub reference: Option<PathBuf>,
}

/// Certificate and key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// PEM file of the certificate chain.
    pub cert: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
}

/// Whose answers count as the classifier's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerSource {
    /// The logged responses: a logged request waits for its response, and only the distilled network runs. If none comes in
    /// time, or it cannot be told which belongs to which, the monitor's own classifier is asked.
    #[default]
    Logged,
    /// The monitor's own classifier, always; logged responses are counted and dropped.
    Own,
}

/// What numbers of pixels mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelScale {
    /// Told from the numbers of a request: whole numbers and anything above 1 are 0 to 255, fractions up to 1 are 0 to 1.
    #[default]
    Auto,
    /// 0 to 255.
    Byte,
    /// 0 to 1.
    Unit,
}

/// What requests are made of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InputConfig {
    /// Whose answers count; `logged` by default.
    pub answers: AnswerSource,
    /// What numbers of pixels mean; `auto` by default.
    pub pixels: PixelScale,
    /// How encoded pictures get the classifier's size; `keep` by default, which refuses those of another size.
    pub framing: Framing,
}

/// How images become windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WindowConfig {
    /// Images of a window; 1,000 by default, 0 for no bound (then `seconds` must be given).
    pub images: u64,
    /// Length of a window in seconds of event time, aligned to UTC; 0 (the default) for windows by number alone. With both, a
    /// window ends with whichever comes first.
    pub seconds: u64,
    /// Fewest images that are judged, at least 1; 30 by default. Smaller windows get the verdict "too few".
    pub min_images: u64,
    /// How late events may be, in seconds; 600 by default. A window of time closes that long after its end; what comes later
    /// makes a revision.
    pub lateness_seconds: u64,
    /// Closes a window by number that got no images for so many seconds; 0 (the default) never does.
    pub idle_seconds: u64,
    /// Worst pictures kept of a window, at most 64; 12 by default.
    pub exemplars: usize,
}

/// What may wait to be scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct QueueConfig {
    /// Images that may wait; 100,000 by default. Beyond them requests are answered 429 at once.
    pub images: u64,
    /// Bytes of pixels that may wait; 1 GiB by default.
    pub bytes: u64,
    /// How long a logged request waits for its response, and a response for its request, in seconds; 600 by default.
    pub pairing_seconds: u64,
    /// For how long an event that comes again is recognised, in seconds; 3,600 by default.
    pub duplicate_seconds: u64,
}

/// What a client may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Bytes of a request's body, as sent and after decompression; 64 MiB by default.
    pub body_bytes: usize,
    /// Bytes of all bodies in work together; 256 MiB by default.
    pub total_body_bytes: usize,
    /// Images of a request; 10,000 by default.
    pub images: usize,
    /// Open connections; 1,024 by default. More are closed at once.
    pub connections: usize,
    /// Requests in work; 256 by default. More are answered 429.
    pub requests: usize,
    /// Seconds that a request may take, its body included; 30 by default.
    pub request_seconds: u64,
    /// Seconds that a request's head may take; 10 by default.
    pub header_seconds: u64,
}

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetentionConfig {
    /// Days that events and the scores of single images are kept; 30 by default.
    pub event_days: u64,
    /// Days that windows and alarms are kept; 730 by default.
    pub window_days: u64,
    /// Bytes of the database above which the oldest events go before their time; 10 GiB by default.
    pub bytes: u64,
}

/// When an alarm is raised and resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AlarmConfig {
    /// Harmful windows in a row that raise an alarm, at least 1; 3 by default. The sequential test of a calibrated monitor raises one
    /// by itself.
    pub raise_after: u32,
    /// Harmless windows in a row that resolve it, at least 1; 3 by default.
    pub resolve_after: u32,
    /// Where people reach the page, for links in notices.
    pub page_url: Option<String>,
}

/// What a notice looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkKind {
    /// Alertmanager: POST to its `/api/v2/alerts`, repeated while the alarm lasts.
    Alertmanager,
    /// Any receiver of Alertmanager's webhook format, version 4.
    Webhook,
    /// A Slack incoming webhook, or anything that takes `{"text": …}`.
    Slack,
}

/// Somebody who is told of alarms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SinkConfig {
    /// What a notice looks like.
    pub kind: SinkKind,
    /// Where it is sent: the whole address, `http://` or `https://`.
    pub url: String,
    /// The name in logs and metrics; the kind by default. Sinks need different names.
    #[serde(default)]
    pub name: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            metrics_listen: None,
            state: PathBuf::from("riptide-state"),
            monitors: Vec::new(),
            key: None,
            tls: None,
            shutdown_seconds: 20,
            input: InputConfig::default(),
            window: WindowConfig::default(),
            queue: QueueConfig::default(),
            limits: LimitsConfig::default(),
            retention: RetentionConfig::default(),
            alarm: AlarmConfig::default(),
            sinks: Vec::new(),
        }
    }
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            images: 1000,
            seconds: 0,
            min_images: 30,
            lateness_seconds: 600,
            idle_seconds: 0,
            exemplars: 12,
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            images: 100_000,
            bytes: 1 << 30,
            pairing_seconds: 600,
            duplicate_seconds: 3600,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            total_body_bytes: 256 << 20,
            images: 10_000,
            connections: 1024,
            requests: 256,
            request_seconds: 30,
            header_seconds: 10,
        }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            event_days: 30,
            window_days: 730,
            bytes: 10 << 30,
        }
    }
}

impl Default for AlarmConfig {
    fn default() -> Self {
        Self {
            raise_after: 3,
            resolve_after: 3,
            page_url: None,
        }
    }
}

impl MonitorConfig {
    /// A monitor under its folder's name.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: None,
            reference: None,
        }
    }

    /// Sets the clean images that windows are compared with.
    #[must_use]
    pub fn reference(mut self, images: impl Into<PathBuf>) -> Self {
        self.reference = Some(images.into());
        self
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name that it is served under.
    pub(crate) fn served_as(&self) -> String {
        let folder = || self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        self.name.clone().or_else(folder).unwrap_or_default()
    }
}

impl TlsConfig {
    /// A certificate chain and its key, PEM files.
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            cert: cert.into(),
            key: key.into(),
        }
    }
}

impl SinkConfig {
    /// A receiver at an address.
    pub fn new(kind: SinkKind, url: impl Into<String>) -> Self {
        Self {
            kind,
            url: url.into(),
            name: None,
        }
    }

    /// The name in logs and metrics.
    pub(crate) fn called(&self) -> String {
        let kind = match self.kind {
            SinkKind::Alertmanager => "alertmanager",
            SinkKind::Webhook => "webhook",
            SinkKind::Slack => "slack",
        };
        self.name.clone().unwrap_or_else(|| kind.to_owned())
    }
}
