//! The standard output: text for people, or JSON and nothing else.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};

use anyhow::Context;
pub use riptide::draw::Column;
use riptide::draw::text_table;
use riptide::files::shown;
use riptide::stats::Interval;
use serde::Serialize;

use crate::exit::ClosedPipe;

/// Where a command's results go.
pub struct Output {
    out: BufWriter<StdoutLock<'static>>,
    json: bool,
    /// Whether a reader that leaves early ends nothing.
    outlives_reader: bool,
    has_left: bool,
}

impl Output {
    /// The standard output, as JSON if `json`.
    pub fn new(json: bool) -> Self {
        Self {
            out: BufWriter::with_capacity(1 << 16, std::io::stdout().lock()),
            json,
            outlives_reader: false,
            has_left: false,
        }
    }

    /// Goes on after the reader of the output has left, for commands whose exit code is an answer of its own: a dead reader must
    /// not silence the alarm.
    pub fn outlives_reader(mut self, outlives_reader: bool) -> Self {
        self.outlives_reader = outlives_reader;
        self
    }

    /// A closed pipe is an error of its own, which ends the program quietly.
    fn told(&mut self, outcome: std::io::Result<()>) -> anyhow::Result<()> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.has_left = true;
                match self.outlives_reader {
                    true => Ok(()),
                    false => Err(ClosedPipe.into()),
                }
            }
            outcome => outcome.context("cannot write to standard output"),
        }
    }

    /// Whether JSON was asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person is looking.
    pub fn is_terminal() -> bool {
        std::io::stdout().is_terminal()
    }

    /// A line of text, or several.
    pub fn line(&mut self, line: impl Display) -> anyhow::Result<()> {
        let text = line.to_string();
        for line in text.split('\n') {
            if self.has_left {
                return Ok(());
            }
            // Names of files and classes can hold anything, and a terminal obeys what it is told.
            let outcome = match self.json {
                true => writeln!(self.out, "{line}"),
                false => writeln!(self.out, "{}", shown(line)),
            };
            self.told(outcome)?;
        }
        Ok(())
    }

    /// One JSON document that is all of the output.
    pub fn document(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value).context("cannot write the results as JSON")?;
        self.line(text)
    }

    /// One line of JSON Lines.
    pub fn record(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(value).context("cannot write the results as JSON")?;
        self.line(text)
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.has_left {
            return Ok(());
        }
        let outcome = self.out.write_all(bytes);
        self.told(outcome)
    }

    /// Hands everything on to the reader.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        if self.has_left {
            return Ok(());
        }
        let outcome = self.out.flush();
        self.told(outcome)
    }
}

/// Rows of text in columns, without a line end after the last.
pub fn table(columns: &[Column<'_>], rows: &[Vec<String>]) -> String {
    text_table(columns, rows).trim_end().to_owned()
}

/// A p-value for people: three digits, or a power of ten if it is small.
pub fn p_value(p: f64) -> String {
    match p {
        p if p >= 0.001 || p == 0.0 => format!("{p:.3}"),
        p => format!("{p:.1e}"),
    }
}

/// A fraction as percent.
pub fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// An estimated fraction with its interval, as percent.
pub fn interval(fraction: Interval) -> String {
    format!(
        "{} ({} to {})",
        percent(fraction.estimate),
        percent(fraction.lower),
        percent(fraction.upper)
    )
}
