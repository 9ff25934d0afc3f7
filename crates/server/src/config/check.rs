//! Reading the file, and checking every setting.

use std::path::Path;

use super::{Config, MonitorConfig, SinkConfig};
use crate::error::{Error, Result};

/// Whether a name may stand in an address and in a metric's label.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(allowed) && !name.starts_with('.')
}

impl Config {
    /// Reads a TOML file; what it leaves out has its default.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::ConfigFile`] if it is not TOML, or has a key that does not exist.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("riptide.toml");
    /// std::fs::write(&path, "monitors = [{ path = \"monitor\" }]\nwindow = { images = 500 }")?;
    /// assert_eq!(riptide_server::Config::read(&path)?.window.images, 500);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(riptide::files::FileError::on("read", path))?;
        toml::from_str(&text).map_err(|error| Error::ConfigFile {
            path: path.into(),
            // The first line says what; those after it draw the place.
            reason: one_line(&error, &text),
        })
    }

    /// Checks every setting; called by [`Service::start`](crate::Service::start).
    ///
    /// # Errors
    /// [`Error::Setting`], naming the setting.
    pub fn check(&self) -> Result<()> {
        let mut names: Vec<String> = self.monitors.iter().map(MonitorConfig::served_as).collect();
        if names.is_empty() {
            return Err(Error::setting("monitors", "empty", "at least one monitor's folder"));
        }
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            let expected = "1 to 64 letters, digits, dots, underscores and dashes; give the monitor a name";
            return Err(Error::setting("a monitor's name", format!("{name:?}"), expected));
        }
        names.sort_unstable();
        if let Some(name) = twice(&names) {
            return Err(Error::setting("a monitor's name", name, "different for each monitor"));
        }
        let window = &self.window;
        if window.images == 0 && window.seconds == 0 {
            return Err(Error::setting(
                "window.images",
                0,
                "at least 1 unless window.seconds is given",
            ));
        }
        if window.seconds > 366 * 86_400 {
            return Err(Error::setting("window.seconds", window.seconds, "at most a year"));
        }
        if window.images > 10_000_000 {
            return Err(Error::setting("window.images", window.images, "at most 10,000,000"));
        }
        if window.min_images == 0 || window.images > 0 && window.min_images > window.images {
            let expected = "at least 1 and at most window.images";
            return Err(Error::setting("window.min_images", window.min_images, expected));
        }
        if window.exemplars > 64 {
            return Err(Error::setting("window.exemplars", window.exemplars, "at most 64"));
        }
        for (key, value) in [
            ("queue.images", self.queue.images),
            ("queue.bytes", self.queue.bytes),
            ("limits.body_bytes", self.limits.body_bytes as u64),
            ("limits.images", self.limits.images as u64),
            ("limits.connections", self.limits.connections as u64),
            ("limits.requests", self.limits.requests as u64),
            ("limits.request_seconds", self.limits.request_seconds),
            ("limits.header_seconds", self.limits.header_seconds),
            ("retention.event_days", self.retention.event_days),
            ("retention.window_days", self.retention.window_days),
            ("alarm.raise_after", self.alarm.raise_after.into()),
            ("alarm.resolve_after", self.alarm.resolve_after.into()),
        ] {
            if value == 0 {
                return Err(Error::setting(key, value, "at least 1"));
            }
        }
        if self.limits.total_body_bytes < self.limits.body_bytes {
            let expected = "at least limits.body_bytes";
            return Err(Error::setting(
                "limits.total_body_bytes",
                self.limits.total_body_bytes,
                expected,
            ));
        }
        if self.key.as_ref().is_some_and(|key| key.len() < 16) {
            return Err(Error::setting("key", "too short", "at least 16 characters"));
        }
        let mut sinks: Vec<String> = self.sinks.iter().map(SinkConfig::called).collect();
        sinks.sort_unstable();
        if let Some(name) = twice(&sinks) {
            return Err(Error::setting("sinks.name", name, "different for each sink"));
        }
        if let Some(name) = sinks.iter().find(|name| !is_name(name)) {
            return Err(Error::setting(
                "sinks.name",
                format!("{name:?}"),
                "1 to 64 letters, digits, dots, underscores and dashes",
            ));
        }
        for sink in &self.sinks {
            if !sink.url.starts_with("http://") && !sink.url.starts_with("https://") {
                return Err(Error::setting(
                    "sinks.url",
                    format!("{:?}", sink.url),
                    "an address that starts with http:// or https://",
                ));
            }
        }
        Ok(())
    }
}

/// A name that comes twice among sorted ones.
fn twice(sorted: &[String]) -> Option<&String> {
    sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .find(|(a, b)| a == b)
        .map(|(name, _)| name)
}

/// What a TOML error says, with the line, in one line.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    match error.span() {
        Some(span) => {
            let line = text.get(..span.start).map_or(0, |before| before.matches('\n').count()) + 1;
            format!("line {line}: {message}")
        }
        None => message,
    }
}

#[cfg(test)]
mod tests;
