//! Progress on standard error, hidden if that is no terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use riptide::files::{Progress, Unit};

/// A bar for one task after the other. Clones share the terminal, so that lines of one stay clear of the other's bar.
#[derive(Debug, Clone)]
pub struct Bar {
    terminal: MultiProgress,
    bar: ProgressBar,
    task: String,
}

impl Bar {
    /// A bar that is drawn if standard error is a terminal.
    pub fn new() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        Self {
            terminal: MultiProgress::with_draw_target(target),
            bar: ProgressBar::hidden(),
            task: String::new(),
        }
    }

    /// A bar that is never drawn, for commands whose results scroll by on the terminal.
    pub fn hidden() -> Self {
        Self::on(ProgressDrawTarget::hidden())
    }

    /// A bar over the images of a stream.
    pub fn scoring(total: Option<u64>) -> Self {
        let mut bar = Self::new();
        bar.begin("scoring", total, Unit::Images);
        bar
    }

    /// Does something that writes to the terminal, clear of the bar.
    pub fn suspended<T>(&self, write: impl FnOnce() -> T) -> T {
        self.terminal.suspend(write)
    }

    /// Writes a line on standard error, above the bar if there is one.
    pub fn say(&self, line: &str) {
        self.terminal.suspend(|| crate::exit::say(line));
    }
}

impl Progress for Bar {
    fn begin(&mut self, task: &str, total: Option<u64>, unit: Unit) {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        self.bar = self.terminal.add(bar);
        let template = match (unit, total) {
            (Unit::Bytes, Some(_)) => "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            (Unit::Bytes, None) => "{msg} {bytes}, {bytes_per_sec}",
            (_, Some(_)) => "{msg} {wide_bar} {human_pos} of {human_len} images, {per_sec}, {eta} left",
            (_, None) => "{msg} {human_pos} images, {per_sec}",
        };
        let style = ProgressStyle::with_template(template);
        self.bar
            .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_message(task.to_owned());
        self.task = task.to_owned();
    }

    fn advance(&mut self, units: u64) {
        self.bar.inc(units);
    }

    fn skip(&mut self, units: u64) {
        self.bar.inc(units);
        self.bar.reset_eta();
    }

    fn extend(&mut self, units: u64) {
        self.bar.inc_length(units);
    }

    fn message(&mut self, text: &str) {
        self.bar.set_message(format!("{}: {text}", self.task));
    }

    fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}
