//! `cargo xtask bench`: speed, measured as ratios against peers in the same run.

mod corruptions;
mod experiment;
mod inference;
mod measure;
mod memory;
mod peers;
mod serve;
mod stats;
mod stock;
mod training;

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
    /// Images a second of every corruption
    Corruptions(corruptions::CorruptionsArgs),
    /// Where the time and the memory of a whole experiment go
    Experiment(experiment::ExperimentArgs),
    /// Memory that scoring a file takes
    Memory(memory::MemoryArgs),
    /// The service under load, on loopback
    Serve(serve::ServeArgs),
    /// Two-sample tests a second, on one core
    Stats(stats::StatsArgs),
    /// Images a second of training steps of both networks
    Training(training::TrainingArgs),
}

/// Runs the chosen measurement.
pub fn run(args: BenchArgs) -> anyhow::Result<()> {
    match args.what {
        What::Inference(args) => inference::run(args),
        What::Corruptions(args) => corruptions::run(args),
        What::Experiment(args) => experiment::run(args),
        What::Memory(args) => memory::run(args),
        What::Serve(args) => serve::run(args),
        What::Stats(args) => stats::run(args),
        What::Training(args) => training::run(args),
    }
}
