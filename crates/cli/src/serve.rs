//! `riptide serve`: monitors as a service.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use riptide_server::{AnswerSource, Config, MonitorConfig, PixelScale, SinkConfig, SinkKind, TlsConfig};

use crate::exit::{Ending, say};

/// Options of `riptide serve`. Each is also an environment variable, and a key of the configuration file; the command line
/// counts before the environment, and that before the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riptide serve --monitor monitor --state state\n  \
    riptide serve --config riptide.toml --monitor cifar10=monitors/cifar10 --monitor cats=monitors/cats --window-images 500\n\n\
    docs/serve.md has the table of all settings.")]
pub struct ServeArgs {
    /// A monitor's folder, or NAME=DIR; may be given several times [default name: the folder's]
    #[arg(
        long = "monitor",
        env = "RIPTIDE_MONITOR",
        value_name = "[NAME=]DIR",
        value_delimiter = ','
    )]
    monitors: Vec<String>,

    /// The folder of the database [default: riptide-state]
    #[arg(long, env = "RIPTIDE_STATE", value_name = "DIR")]
    state: Option<PathBuf>,

    /// Where requests are taken [default: 127.0.0.1:8080]
    #[arg(long, env = "RIPTIDE_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Where /metrics is served without a key [default: beside everything else]
    #[arg(long, env = "RIPTIDE_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,

    /// A configuration file, TOML
    #[arg(long, env = "RIPTIDE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// A file with the key that clients must give
    #[arg(long, env = "RIPTIDE_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Certificate chain, a PEM file; with --tls-key
    #[arg(long, env = "RIPTIDE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key, a PEM file
    #[arg(long, env = "RIPTIDE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Images of a window; 0 for no bound [default: 1000]
    #[arg(long, env = "RIPTIDE_WINDOW_IMAGES", value_name = "N")]
    window_images: Option<u64>,

    /// Length of a window in event time; 0 for windows by number alone [default: 0]
    #[arg(long, env = "RIPTIDE_WINDOW_SECONDS", value_name = "SECONDS")]
    window_seconds: Option<u64>,

    /// Fewest images that are judged [default: 30]
    #[arg(long, env = "RIPTIDE_MIN_IMAGES", value_name = "N")]
    min_images: Option<u64>,

    /// Whose answers count: the logged ones, or those of the monitor's own classifier [default: logged]
    #[arg(long, env = "RIPTIDE_ANSWERS", value_name = "WHOSE", value_parser = answers())]
    answers: Option<AnswerSource>,

    /// What numbers of pixels mean: byte (0 to 255), unit (0 to 1), or told from each request [default: auto]
    #[arg(long, env = "RIPTIDE_PIXELS", value_name = "SCALE", value_parser = pixels())]
    pixels: Option<PixelScale>,

    /// Whom to tell of alarms, as alertmanager=URL, webhook=URL or slack=URL; may be given several times
    #[arg(long = "sink", env = "RIPTIDE_SINK", value_name = "KIND=URL", value_delimiter = ',', value_parser = sink)]
    sinks: Vec<SinkConfig>,

    /// Where people reach the page, for links in notices
    #[arg(long, env = "RIPTIDE_PAGE_URL", value_name = "URL")]
    page_url: Option<String>,

    /// How the log is written
    #[arg(long, env = "RIPTIDE_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// A line of text an event
    Text,
    /// A line of JSON an event
    Json,
}

fn answers() -> impl TypedValueParser<Value = AnswerSource> {
    PossibleValuesParser::new(["logged", "own"]).map(|name| match name.as_str() {
        "own" => AnswerSource::Own,
        _ => AnswerSource::Logged,
    })
}

fn pixels() -> impl TypedValueParser<Value = PixelScale> {
    PossibleValuesParser::new(["auto", "byte", "unit"]).map(|name| match name.as_str() {
        "byte" => PixelScale::Byte,
        "unit" => PixelScale::Unit,
        _ => PixelScale::Auto,
    })
}

fn sink(text: &str) -> Result<SinkConfig, String> {
    let kind = |name| match name {
        "alertmanager" => Some(SinkKind::Alertmanager),
        "webhook" => Some(SinkKind::Webhook),
        "slack" => Some(SinkKind::Slack),
        _ => None,
    };
    match text.split_once('=').and_then(|(name, url)| Some((kind(name)?, url))) {
        Some((kind, url)) => Ok(SinkConfig::new(kind, url)),
        None => Err("give alertmanager=URL, webhook=URL or slack=URL".to_owned()),
    }
}

impl ServeArgs {
    /// Sends the log to standard error; nothing else is written there, and nothing but the address to standard output.
    pub fn log(&self) {
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
            .with_writer(std::io::stderr)
            .with_target(false);
        match self.log_format {
            LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
            LogFormat::Json => log.json().init(),
        }
    }

    fn settings(self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if !self.monitors.is_empty() {
            config.monitors = self.monitors.iter().map(|text| monitor(text)).collect();
        }
        if let Some(path) = &self.key_file {
            let key =
                std::fs::read_to_string(path).with_context(|| format!("cannot read the key in {}", path.display()))?;
            config.key = Some(key.trim().to_owned());
        } else if let Ok(key) = std::env::var("RIPTIDE_KEY") {
            config.key = Some(key);
        }
        if let (Some(cert), Some(key)) = (self.tls_cert, self.tls_key) {
            config.tls = Some(TlsConfig::new(cert, key));
        }
        if !self.sinks.is_empty() {
            config.sinks = self.sinks;
        }
        let set = |to: &mut u64, given: Option<u64>| *to = given.unwrap_or(*to);
        set(&mut config.window.images, self.window_images);
        set(&mut config.window.seconds, self.window_seconds);
        set(&mut config.window.min_images, self.min_images);
        config.state = self.state.unwrap_or(config.state);
        config.listen = self.listen.unwrap_or(config.listen);
        config.metrics_listen = self.metrics_listen.or(config.metrics_listen);
        config.input.answers = self.answers.unwrap_or(config.input.answers);
        config.input.pixels = self.pixels.unwrap_or(config.input.pixels);
        config.alarm.page_url = self.page_url.or(config.alarm.page_url);
        Ok(config)
    }
}

/// A folder, or a name and a folder. What is before the sign is a name only if it can be one.
fn monitor(text: &str) -> MonitorConfig {
    match text.split_once('=') {
        Some((name, path)) if !name.contains('/') && !name.is_empty() => MonitorConfig::new(path).name(name),
        _ => MonitorConfig::new(text),
    }
}

/// Serves until it is told to end.
pub fn run(args: ServeArgs) -> anyhow::Result<Ending> {
    let config = args.settings()?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    if config.key.is_none() && !config.listen.ip().is_loopback() {
        say("warning: there is no key, and the address is not loopback: everybody who reaches it may do everything");
    }
    riptide_server::run(config, |address| {
        // Whoever started the service may wait for this line, and need not read it.
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), "{scheme}://{address}/");
        let _ = std::io::stdout().flush();
    })?;
    Ok(Ending::Fine)
}
