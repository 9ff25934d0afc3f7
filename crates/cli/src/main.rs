//! `riptide`: tells whether the images that a classifier sees have drifted in a way that hurts it.
//!
//! A file a command; what commands share stands in `args`, `monitor`, `output`, `progress` and `exit`.

mod args;
mod corrupt;
mod detect;
mod exit;
mod explain;
mod fit;
mod import;
mod inspect;
mod ks;
mod monitor;
mod output;
mod predict;
mod progress;
mod reference;
mod score;
mod shell;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use exit::Ending;

/// Tells harmful drift of an image classifier's inputs from harmless drift, without labels
#[derive(Debug, Parser)]
#[command(name = "riptide", version, max_term_width = 100, after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLE: &str = "\
Example:
  riptide fit --classifier model.onnx --images training/ --out detector
  riptide detect --detector detector --images today/ --exit-code

Exit codes: 0 fine, 1 error, 2 usage, 3 drift found (only with --exit-code)";

#[derive(Debug, Subcommand)]
enum Command {
    /// Distil a small network from a classifier, and save both as a detector
    Fit(Box<fit::FitArgs>),
    /// Make a detector from a classifier and a distilled network that are there already
    Import(Box<import::ImportArgs>),
    /// Score images: how harmful each is to the classifier
    Score(score::ScoreArgs),
    /// Tell whether batches of images have drifted, and how large a part of them is harmful
    Detect(detect::DetectArgs),
    /// Tell which single images score above the detector's threshold
    Predict(predict::PredictArgs),
    /// Show where the harm of a batch sits: its most harmful images, classes and confused pairs
    Explain(explain::ExplainArgs),
    /// Compare two samples of numbers with the two-sample Kolmogorov-Smirnov test
    Ks(ks::KsArgs),
    /// Corrupt images as CIFAR-10-C does
    Corrupt(corrupt::CorruptArgs),
    /// Say what a detector is: its networks, options and reference
    Inspect(inspect::InspectArgs),
    /// Print a completion script for a shell
    Completions(shell::CompletionsArgs),
    /// Print the manual page
    Man(shell::ManArgs),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::not_run(&error),
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
    exit::code(run(cli.command))
}

fn run(command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::Fit(args) => fit::run(*args),
        Command::Import(args) => import::run(*args),
        Command::Explain(args) => explain::run(args),
        Command::Corrupt(args) => corrupt::run(args),
        Command::Completions(args) => shell::completions(args, Cli::command()),
        Command::Man(args) => shell::man(args, Cli::command()),
        Command::Score(args) => score::run(args),
        Command::Detect(args) => detect::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Ks(args) => ks::run(args),
        Command::Inspect(args) => inspect::run(args),
    }
}
