//! Riptide's own tasks, run as `cargo xtask COMMAND`.

mod bench;
mod dataset;
mod experiment;
mod fetch;
mod tidy;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Riptide's own tasks: fetch data, run the experiment, train networks, measure, check the house rules.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Download the public data sets and networks into the cache, verified
    Fetch(fetch::FetchArgs),
    /// Run the harmful-drift experiment and write its report
    Experiment(Box<experiment::ExperimentArgs>),
    /// Train the classifier or the distilled network
    Train(train::TrainArgs),
    /// Measure speed, as ratios against peers in the same run
    Bench(bench::BenchArgs),
    /// Check the workspace's house rules: who depends on whom, fixture digests, licences
    Tidy(tidy::TidyArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let outcome = match cli.command {
        Command::Fetch(args) => fetch::run(args),
        Command::Experiment(args) => experiment::run(*args),
        Command::Train(args) => train::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Tidy(args) => tidy::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
