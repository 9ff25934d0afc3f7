//! `riptide`: tells whether the images that a classifier sees have drifted in a way that hurts it.
//!
//! Arguments and text over the library `riptide`. One file per command; what commands share is in `args`, `output`, `progress`
//! and `exit`.

#![forbid(unsafe_code)]

mod args;
mod audit;
mod calibrate;
mod certify;
mod check;
mod corrupt;
mod detect;
mod exit;
mod experiment;
mod explain;
#[cfg(feature = "fetch")]
mod fetch;
mod fit;
#[cfg(feature = "serve")]
mod history;
mod import;
mod inspect;
mod judgement;
mod ks;
mod output;
mod predict;
mod progress;
mod score;
#[cfg(feature = "serve")]
mod serve;
mod shell;
mod state;
mod train;

use std::io::IsTerminal;
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
  riptide fit --classifier model.onnx --preprocessing imagenet --images training/ --out monitor
  riptide detect --monitor monitor --images today/ --exit-code

Exit codes: 0 fine, 1 error, 2 usage, 3 drift or harm found (only with --exit-code)";

#[derive(Debug, Subcommand)]
enum Command {
    /// Distil a small network from a classifier, and save both as a monitor
    Fit(Box<fit::FitArgs>),
    /// Make a monitor from a classifier and a distilled network that already exist
    Import(Box<import::ImportArgs>),
    /// Teach a monitor to tell how accurate the classifier is, on clean images
    Calibrate(calibrate::CalibrateArgs),
    /// Compare a classifier's answers with those that it gives in your own program
    Check(Box<check::CheckArgs>),
    /// Score images: how harmful each is to the classifier
    Score(score::ScoreArgs),
    /// Tell whether the classifier has become less accurate on batches of images, without labels
    Detect(detect::DetectArgs),
    /// Tell which single images score above the monitor's threshold
    Predict(predict::PredictArgs),
    /// Show where the harm of a batch sits: its most harmful images, classes and confused pairs
    Explain(explain::ExplainArgs),
    /// Tell which drops of accuracy a monitor finds, and how often it alarms for nothing
    Certify(certify::CertifyArgs),
    /// Check the accuracy on a batch with labels of a few of its images
    Audit(audit::AuditArgs),
    /// Say what a monitor is: its networks, options and reference
    Inspect(inspect::InspectArgs),
    /// Compare two samples of numbers with the two-sample Kolmogorov-Smirnov test
    Ks(ks::KsArgs),
    /// Corrupt images as CIFAR-10-C does, or in other ways
    Corrupt(corrupt::CorruptArgs),
    /// Run the published harmful-drift experiment and write its report
    Experiment(Box<experiment::ExperimentArgs>),
    /// Train a classifier, or a distilled network by itself
    Train(Box<train::TrainArgs>),
    /// Download the public data sets and networks into the cache, verified
    #[cfg(feature = "fetch")]
    Fetch(fetch::FetchArgs),
    /// Serve monitors: take a classifier's traffic, keep windows and their history, raise alarms
    #[cfg(feature = "serve")]
    Serve(Box<serve::ServeArgs>),
    /// Show the windows that a service judged
    #[cfg(feature = "serve")]
    History(history::HistoryArgs),
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
    match &cli.command {
        #[cfg(feature = "serve")]
        Command::Serve(args) => args.log(),
        _ => log_warnings(),
    }
    exit::code(run(cli.command))
}

/// Sends the libraries' warnings to standard error, in colour only if that is a terminal.
fn log_warnings() {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
}

fn run(command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::Fit(args) => fit::run(*args),
        Command::Import(args) => import::run(*args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Check(args) => check::run(*args),
        Command::Score(args) => score::run(args),
        Command::Detect(args) => detect::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Certify(args) => certify::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Ks(args) => ks::run(args),
        Command::Corrupt(args) => corrupt::run(args),
        Command::Experiment(args) => experiment::run(*args),
        Command::Train(args) => train::run(*args),
        #[cfg(feature = "fetch")]
        Command::Fetch(args) => fetch::run(args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(*args),
        #[cfg(feature = "serve")]
        Command::History(args) => history::run(args),
        Command::Completions(args) => shell::completions(args, Cli::command()),
        Command::Man(args) => shell::man(args, Cli::command()),
    }
}
