//! The memory that scoring a file takes, which must not grow with the file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use riptide_datasets::npy::NpyWriter;
use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide_datasets::source::{OpenOptions, open};
use riptide_datasets::{ImageSet, ImageSource};
use riptide_detectors::{BoxError, Images, ModelDistillation};
use riptide_models::{Network, NetworkPair};
use serde::{Deserialize, Serialize};

use super::measure::{head, peak_memory, report, row};
use crate::dataset::{Dataset, default_networks};

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

/// Images that are in memory at once.
const CHUNK: usize = 1024;

/// One file.
#[derive(Debug, Serialize, Deserialize)]
struct Scored {
    images: usize,
    /// From opening the file to the last score.
    images_per_second: f64,
    /// The most memory that the process had resident, in bytes, where the system tells.
    peak_memory: Option<u64>,
    /// What of it was there before the first image, networks included.
    before: Option<u64>,
}

/// Runs the measurement.
pub fn run(args: MemoryArgs) -> anyhow::Result<()> {
    if let Some(file) = args.score {
        println!("{}", serde_json::to_string(&score(&file)?)?);
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
    let (classifier, distilled) = default_networks(&Dataset::Shapes)?;
    let networks = NetworkPair::new(Network::load(&classifier)?, Network::load(&distilled)?)?;
    let detector = ModelDistillation::builder(networks).build()?;
    let before = peak_memory();
    let start = Instant::now();
    let mut source = open(file, OpenOptions::default())?;
    let chunks = std::iter::from_fn(|| match source.next_chunk(CHUNK) {
        Ok(chunk) => Some(images(chunk?)),
        Err(error) => Some(Err(error.into())),
    });
    let mut scored = 0;
    for scores in detector.score_stream(chunks) {
        scored += scores?.len();
    }
    Ok(Scored {
        images: scored,
        images_per_second: scored as f64 / start.elapsed().as_secs_f64(),
        peak_memory: peak_memory(),
        before,
    })
}

fn images(chunk: ImageSet) -> Result<Images<'static>, BoxError> {
    let shape = [chunk.len(), chunk.height(), chunk.width()];
    Ok(Images::new(chunk.into_pixels(), shape)?)
}

fn print(files: &[Scored]) {
    println!("Scoring a .npy file in chunks of {CHUNK} images, in a process of its own");
    head(&["images/s", "MiB at most", "MiB before"], "");
    let mib = |bytes: Option<u64>| bytes.map_or(f64::NAN, |bytes| bytes as f64 / f64::from(1 << 20));
    for file in files {
        let figures = [file.images_per_second, mib(file.peak_memory), mib(file.before)];
        row(&format!("{} images", file.images), &figures, 0, "");
    }
}
