//! The memory that scoring a file takes, which must not grow with the file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use riptide::datasets::npy::NpyWriter;
use riptide::datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide::prelude::*;
use riptide::shipped_networks;
use serde::{Deserialize, Serialize};

use super::measure::{head, peak_memory, report, row};
use crate::out::say;

/// Options of `cargo xtask bench memory`.
#[derive(Debug, clap::Args)]
pub struct MemoryArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Images of the files that are scored, one file after the other
    #[arg(long, value_delimiter = ',', default_values_t = [20_000, 100_000])]
    images: Vec<usize>,
    /// Score this file and print what it took: what the command runs for every file, in a process of its own
    #[arg(long, hide = true, value_name = "FILE")]
    score: Option<PathBuf>,
}

/// One file.
#[derive(Debug, Serialize, Deserialize)]
struct Scored {
    images: usize,
    /// From opening the file to the last score.
    images_per_second: f64,
    /// The most memory that the process had resident, in bytes, if the system tells.
    peak_memory: Option<u64>,
    /// What of it was there before the first image, networks included.
    before: Option<u64>,
}

/// Runs the measurement.
pub fn run(args: MemoryArgs) -> anyhow::Result<()> {
    if let Some(file) = args.score {
        say!("{}", serde_json::to_string(&score(&file)?)?);
        return Ok(());
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let file = folder.path().join("images.npy");
    let mut files = Vec::new();
    for &images in &args.images {
        write(&file, images)?;
        let program = std::env::current_exe().context("cannot find this program")?;
        let done = Command::new(program)
            .args(["bench", "memory", "--score"])
            .arg(&file)
            .output()
            .context("cannot start this program again")?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "scoring {images} images failed: {said}");
        files.push(serde_json::from_slice::<Scored>(&done.stdout)?);
    }
    report(&files, args.json, |files| print(files))
}

/// Writes a `.npy` file of shapes, the same ones over and over.
fn write(file: &Path, images: usize) -> anyhow::Result<()> {
    let shapes = Shapes::new(0).generate(TEST_FIRST_INDEX, images.min(2000));
    let mut writer = NpyWriter::create(file, images as u64, shapes.height(), shapes.width())?;
    let mut left = images;
    while left > 0 {
        let count = left.min(shapes.len());
        writer.append(&shapes.slice(0..count)?)?;
        left -= count;
    }
    Ok(writer.finish()?)
}

/// Scores a file chunk by chunk.
fn score(file: &Path) -> anyhow::Result<Scored> {
    let (classifier, distilled) = shipped_networks(&riptide::pretrained::SHAPES)?;
    let reference = Shapes::new(0).generate(TEST_FIRST_INDEX, 1000);
    let monitor = Import::default().run(classifier, distilled, &reference, &mut Silent)?;
    let before = peak_memory();
    let start = Instant::now();
    let mut scored = 0;
    for chunk in monitor.score_stream(Images::open(file)?) {
        scored += chunk?.scores.len();
    }
    Ok(Scored {
        images: scored,
        images_per_second: scored as f64 / start.elapsed().as_secs_f64(),
        peak_memory: peak_memory(),
        before,
    })
}

fn print(files: &[Scored]) {
    say!("Scoring a .npy file, in a process of its own");
    head(&["images/s", "MiB at most", "MiB before"], "");
    let mib = |bytes: Option<u64>| bytes.map_or(f64::NAN, |bytes| bytes as f64 / f64::from(1 << 20));
    for file in files {
        let figures = [file.images_per_second, mib(file.peak_memory), mib(file.before)];
        row(&format!("{} images", file.images), &figures, 0, "");
    }
}
