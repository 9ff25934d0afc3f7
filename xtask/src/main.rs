//! Riptide's own tasks, run as `cargo xtask COMMAND`.
//!
//! `experiment`, `train` and `fetch` are the commands of `riptide`, built without what they do not need.

mod bench;
mod tidy;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use riptide_cli::{Command as Riptide, Ending};

/// Riptide's own tasks: fetch data, run the experiment, train networks, measure, check the house rules.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Download the public data sets and networks into the cache, verified: `riptide fetch`
    #[command(disable_help_flag = true)]
    Fetch {
        /// The options of `riptide fetch`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the published harmful-drift experiment and write its report: `riptide experiment`
    Experiment(Box<riptide_cli::ExperimentArgs>),
    /// Train a classifier, or a distilled network by itself: `riptide train`
    Train(Box<riptide_cli::TrainArgs>),
    /// Measure speed, as ratios against peers in the same run
    Bench(bench::BenchArgs),
    /// Check the workspace's house rules
    Tidy(tidy::TidyArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    riptide_cli::log_warnings();
    let fine = |()| Ending::Fine;
    riptide_cli::code(match cli.command {
        Command::Fetch { arguments } => fetch(&arguments).map(fine),
        Command::Experiment(args) => riptide_cli::run(Riptide::Experiment(args)),
        Command::Train(args) => riptide_cli::run(Riptide::Train(args)),
        Command::Bench(args) => bench::run(args).map(fine),
        Command::Tidy(args) => tidy::run(args).map(fine),
    })
}

/// Runs `riptide fetch` with the HTTP client that no other task needs.
fn fetch(arguments: &[String]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    let options = "run --quiet --release --package riptide-cli --no-default-features --features fetch -- fetch";
    let status = command
        .args(options.split(' '))
        .args(arguments)
        .status()
        .context("cannot run cargo")?;
    // It has said itself what was wrong.
    std::process::exit(status.code().unwrap_or(1));
}
