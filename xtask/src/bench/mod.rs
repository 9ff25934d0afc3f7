//! `cargo xtask bench`: speed, measured as ratios against peers in the same run.

mod inference;
mod peers;

use clap::{Args, Subcommand};

/// Options of `cargo xtask bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

/// What can be measured; one file each.
#[derive(Debug, Subcommand)]
enum What {
    /// Images a second through both networks, on every tier
    Inference(inference::InferenceArgs),
}

/// Runs the chosen measurement.
pub fn run(args: BenchArgs) -> anyhow::Result<()> {
    match args.what {
        What::Inference(args) => inference::run(args),
    }
}
