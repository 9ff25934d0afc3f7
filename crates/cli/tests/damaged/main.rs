//! Damaged inputs of every format: the command ends in one clear line, whatever it is given.
//!
//! Each case copies a whole file, damages it as a seed says, and runs the command on it with a limit of 1 GiB of memory and
//! 20 seconds. It must end with exit code 0 or 1, without a panic, and with at most two lines, which name the file if it was
//! refused.
//!
//! `cargo test --workspace` runs a part of them. All, with the table of docs/reliability.md:
//!
//! ```text
//! RIPTIDE_DAMAGED=all cargo test --package riptide-cli --test damaged -- --nocapture
//! ```
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod damage;
mod formats;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use formats::Format;

/// Cases of each format if all are asked for, and otherwise.
const ALL: u64 = 180;
const SOME: u64 = 10;
const LIMIT: Duration = Duration::from_secs(20);
const MEMORY_KIB: u32 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Read,
    Refused,
    Wrong,
}

#[test]
fn damaged_files_end_in_one_clear_line() {
    let root = tempfile::tempdir().unwrap();
    let formats = formats::all(root.path());
    for format in &formats {
        let (ending, text) = run(format, &fs::read(format.folder.join(&format.file)).unwrap());
        assert_eq!(ending, Ending::Read, "{} undamaged: {text}", format.name);
    }
    let n = match std::env::var("RIPTIDE_DAMAGED") {
        Ok(all) if all == "all" => ALL,
        _ => SOME,
    };
    let cases: Vec<(usize, u64)> = (0..formats.len())
        .flat_map(|i| (0..n).map(move |seed| (i, seed)))
        .collect();
    let found: Vec<(usize, Ending)> = cases
        .par_iter()
        .map(|&(i, seed)| {
            let format = &formats[i];
            let whole = fs::read(format.folder.join(&format.file)).unwrap();
            // Different formats get different damage of the same kind.
            let (ending, text) = run(format, &damage::damaged(&whole, seed + 1000 * i as u64));
            if ending == Ending::Wrong {
                eprintln!("{} seed {seed}: {text}", format.name);
            }
            (i, ending)
        })
        .collect();
    let mut counts: BTreeMap<(usize, Ending), usize> = BTreeMap::new();
    for found in found {
        *counts.entry(found).or_default() += 1;
    }
    let count = |i: usize, ending| counts.get(&(i, ending)).copied().unwrap_or_default();
    println!("| input | tried | refused | read | wrong |\n| --- | --- | --- | --- | --- |");
    for (i, format) in formats.iter().enumerate() {
        let [refused, read, wrong] = [Ending::Refused, Ending::Read, Ending::Wrong].map(|ending| count(i, ending));
        println!("| {} | {n} | {refused} | {read} | {wrong} |", format.name);
    }
    let wrong: usize = (0..formats.len()).map(|i| count(i, Ending::Wrong)).sum();
    println!("{} tried, {wrong} wrong", cases.len());
    assert_eq!(wrong, 0);
}

/// Runs the format's command on a copy in which the file has these bytes; what was wrong, or what was said.
fn run(format: &Format, bytes: &[u8]) -> (Ending, String) {
    let place = tempfile::tempdir().unwrap();
    copy(&format.folder, place.path());
    fs::write(place.path().join(&format.file), bytes).unwrap();
    let arguments = format.arguments.replace("{}", &place.path().display().to_string());
    let mut child = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_riptide"),
        ])
        .args(arguments.split(' '))
        .env_remove("RUST_LOG")
        .env("RAYON_NUM_THREADS", "2")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            return (Ending::Wrong, format!("still running after {LIMIT:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = reader.join().unwrap();
    let file = Path::new(&format.file).file_name().unwrap().to_str().unwrap();
    let is_clear = text.lines().count() <= 2 && !text.contains("panicked") && !text.contains('\u{1b}');
    let is_named = text.contains(file) || text.contains(format.file.split('/').next().unwrap());
    match status.code() {
        Some(0) if is_clear => (Ending::Read, text),
        Some(1) if is_clear && is_named => (Ending::Refused, text),
        code => (Ending::Wrong, format!("exit code {code:?}: {text}")),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
