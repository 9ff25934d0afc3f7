//! `riptide ks`: the two-sample test on plain numbers.

use std::path::PathBuf;

use riptide::datasets::table::read_column;
use riptide::stats::ks::{self, Alternative, KsTest, Method};
use serde::Serialize;

use crate::args::{Common, alternative, method};
use crate::exit::{Ending, say};
use crate::output::{Output, p_value};

/// Options of `riptide ks`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riptide score --monitor monitor --images reference.npy --out reference-scores.npy\n  \
    riptide score --monitor monitor --images today.npy --out scores.npy\n  \
    riptide ks reference-scores.npy scores.npy --alternative greater\n  \
    riptide ks training.parquet:loss today.csv:loss"
)]
pub struct KsArgs {
    /// The reference: a .npy file of numbers (N,), a .csv or .parquet file with its column behind a colon (losses.csv:loss), or
    /// scores as `riptide score` writes them
    reference: PathBuf,

    /// The batch, likewise
    batch: PathBuf,

    /// What counts as a difference; greater: the batch's values are larger
    #[arg(long, value_parser = alternative(), default_value_t = Alternative::default())]
    alternative: Alternative,

    /// How the p-value is computed; auto: exact up to 10,000 values a sample
    #[arg(long, value_parser = method(), default_value = "auto")]
    method: Method,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    n_reference: usize,
    n_batch: usize,
    alternative: Alternative,
    #[serde(flatten)]
    test: KsTest,
}

/// Runs the test and prints it.
pub fn run(args: KsArgs) -> anyhow::Result<Ending> {
    args.common.start()?;
    let reference = read_column(riptide::locate(&args.reference)?, "score")?;
    let batch = read_column(riptide::locate(&args.batch)?, "score")?;
    let test = ks::two_sample(&reference, &batch, args.alternative, args.method)?;
    if args.method == Method::Exact && test.method != Method::Exact {
        say("WARN the samples are too large for the exact p-value; it is asymptotic");
    }
    let mut out = Output::new(args.common.json);
    let report = Report {
        n_reference: reference.len(),
        n_batch: batch.len(),
        alternative: args.alternative,
        test,
    };
    if out.is_json() {
        out.document(&report)?;
    } else {
        let which = if test.sign < 0 { "smaller" } else { "larger" };
        out.line(format_args!("statistic  {:.6}", test.statistic))?;
        out.line(format_args!("p-value    {} ({})", p_value(test.p_value), test.method))?;
        out.line(format_args!(
            "           {} against {} values, {}",
            report.n_reference, report.n_batch, args.alternative
        ))?;
        out.line(format_args!(
            "           the batch's values are {which} around {}",
            test.location
        ))?;
    }
    out.flush()?;
    Ok(Ending::Fine)
}
