//! A small experiment on generated images with the shipped networks: two corruptions, one severity.
//!
//! ```sh
//! cargo run --release -p riptide-experiments --example two_corruptions -- [OUT]
//! ```
//!
//! Prints the table and writes the report, its figures and every number into OUT.

use std::error::Error;
use std::path::PathBuf;

use riptide_corruptions::{Corruption, Corruptor, Severity};
use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide_experiments::{ProtocolParams, TestImages, run, table};
use riptide_files::Silent;
use riptide_models::{Network, NetworkPair};
use riptide_pretrained::{Files, SHAPES};

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("out/two_corruptions"), PathBuf::from);
    let load = |files: Files| Network::from_bytes(files.config, files.weights);
    let networks = NetworkPair::new(load(SHAPES.classifier)?, load(SHAPES.distilled)?)?;

    let clean = Shapes::new(0).generate(TEST_FIRST_INDEX, 800);
    let images = TestImages::generated("Shapes", clean, Corruptor::new(0))?;
    let protocol = ProtocolParams {
        corruptions: vec![Corruption::GaussianNoise, Corruption::Brightness],
        severities: vec![Severity::new(4)?],
        n_ref: 300,
        batch_size: 50,
        ..Default::default()
    }
    .check()?;

    let (summary, _timings) = run(&networks, &images, &protocol, &out, &mut Silent)?;
    print!("{}", table(&summary));
    println!("\n{}", out.join("report.html").display());
    Ok(())
}
