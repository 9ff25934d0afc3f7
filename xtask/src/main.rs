//! Riptide's own tasks, run as `cargo xtask COMMAND`.
//!
//! Each task builds only what it needs: `experiment`, `train` and `fetch` are the commands of `riptide`, built without the
//! features that they can do without, and `bench` is built when it is asked for.

#![forbid(unsafe_code)]

#[cfg(feature = "bench")]
mod bench;
mod out;
mod tidy;

use std::process::ExitCode;

use anyhow::Context;
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
    /// Download the public data sets and networks into the cache, verified: `riptide fetch`
    #[command(disable_help_flag = true)]
    Fetch(Arguments),
    /// Run the published harmful-drift experiment and write its report: `riptide experiment`
    #[command(disable_help_flag = true)]
    Experiment(Arguments),
    /// Train a classifier, or a distilled network by itself: `riptide train`
    #[command(disable_help_flag = true)]
    Train(Arguments),
    /// Measure speed, as ratios against peers in the same run
    #[cfg(feature = "bench")]
    Bench(bench::BenchArgs),
    /// Measure speed, as ratios against peers in the same run
    #[cfg(not(feature = "bench"))]
    #[command(disable_help_flag = true)]
    Bench(Arguments),
    /// Check the workspace's house rules
    Tidy(tidy::TidyArgs),
}

/// What is passed on as it stands.
#[derive(Debug, clap::Args)]
struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    let riptide = "--package riptide-cli --no-default-features";
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return out::not_run(&error),
    };
    let done = match cli.command {
        Command::Fetch(given) => forward(&format!("{riptide} --features fetch"), "fetch", &given),
        Command::Experiment(given) => forward(riptide, "experiment", &given),
        Command::Train(given) => forward(riptide, "train", &given),
        #[cfg(feature = "bench")]
        Command::Bench(args) => bench::run(args).map(|()| ExitCode::SUCCESS),
        #[cfg(not(feature = "bench"))]
        Command::Bench(given) => forward("--package xtask --features bench", "bench", &given),
        Command::Tidy(args) => tidy::run(args).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        out::complaint(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Builds and runs a command elsewhere in the workspace, and ends as it ends.
fn forward(what: &str, command: &str, given: &Arguments) -> anyhow::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = std::process::Command::new(cargo);
    cargo.args(["run", "--quiet", "--release"]).args(what.split(' '));
    let status = cargo
        .args(["--", command])
        .args(&given.arguments)
        .status()
        .context("cannot run cargo")?;
    // A code of more than eight bits, or none after a signal, is a failure like any other.
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
