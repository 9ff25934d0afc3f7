//! The standard output: text for people, or JSON and nothing else.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};

use anyhow::Context;
use serde::Serialize;

use crate::exit::ClosedPipe;

/// Where a command's results go.
pub struct Output {
    out: BufWriter<StdoutLock<'static>>,
    json: bool,
}

impl Output {
    /// The standard output, as JSON where `json`.
    pub fn new(json: bool) -> Self {
        Self {
            out: BufWriter::with_capacity(1 << 16, std::io::stdout().lock()),
            json,
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

    /// A line of text.
    pub fn line(&mut self, line: impl Display) -> anyhow::Result<()> {
        told(writeln!(self.out, "{line}"))
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
        told(self.out.write_all(bytes))
    }

    /// Hands everything on to the reader.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        told(self.out.flush())
    }
}

/// A closed pipe is an error of its own, which ends the program quietly.
fn told(outcome: std::io::Result<()>) -> anyhow::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        outcome => outcome.context("cannot write to standard output"),
    }
}

/// Rows of text as columns of equal width; `right` says which columns are flush right.
pub fn table(header: &[&str], rows: &[Vec<String>], right: &[bool]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&widths).zip(right).map(|((cell, width), right)| match right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        let line: Vec<String> = cells.collect();
        line.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut header.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// A p-value for people: three digits, or a power of ten where it is small.
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
