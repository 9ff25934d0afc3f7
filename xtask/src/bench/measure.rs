//! What the measurements have in common: rates, medians, tables, and what a process has used.

use std::time::{Duration, Instant};

use crate::out::say;
use serde::Serialize;

/// Items a second of a call that does `items` of them, after one call that warms up.
pub fn rate<E>(items: usize, seconds: f64, mut call: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    call()?;
    let start = Instant::now();
    let mut done = 0;
    loop {
        call()?;
        done += items;
        let elapsed = start.elapsed().as_secs_f64();
        if elapsed >= seconds {
            return Ok(done as f64 / elapsed);
        }
    }
}

/// The middle of the samples; 0 if there are none.
pub fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// Items a second of steps taken one after the other, each at its rate.
pub fn together(rates: &[f64]) -> f64 {
    1.0 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>()
}

/// Prints the outcome: one JSON document, or a table by `print`.
pub fn report<T: Serialize>(outcome: &T, json: bool, print: impl FnOnce(&T)) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string_pretty(outcome)?);
    } else {
        print(outcome);
    }
    Ok(())
}

/// Prints the head of a table: the columns' names, and what stands beside them.
pub fn head(columns: &[&str], note: &str) {
    line("", columns.iter().map(|&column| column.to_owned()), note);
}

/// Prints one row: its name, figures with so many digits behind the point, and what stands beside them.
pub fn row(name: &str, figures: &[f64], digits: usize, note: &str) {
    line(name, figures.iter().map(|figure| format!("{figure:.digits$}")), note);
}

fn line(name: &str, cells: impl Iterator<Item = String>, note: &str) {
    let cells: String = cells.map(|cell| format!(" {cell:>11}")).collect();
    say!("{}", format!("{name:36}{cells}   {note}").trim_end());
}

/// Time that this process's threads have been running, if the system tells (Linux). It does not move with what else
/// the machine does, as elapsed time would. Threads that have ended do not count.
pub fn cpu_time() -> Option<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// The most memory that this process has had resident, in bytes, if the system tells (Linux).
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
