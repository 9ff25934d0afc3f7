//! Two-sample tests a second on one core, beside scipy's.

use std::hint::black_box;

use anyhow::Context;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide::stats::StatsError;
use riptide::stats::cvm;
use riptide::stats::ks::{self, Alternative, Method, Reference};
use serde::Serialize;
use serde_json::{Value, json};

use super::measure::{head, median, rate, report, row};
use super::peers::{Found, Peers};
use crate::out::say;

/// Options of `cargo xtask bench stats`.
#[derive(Debug, clap::Args)]
pub struct StatsArgs {
    /// Measure scipy in the same run
    #[arg(long)]
    peers: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// Times that everything is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Samples that each test is tried on, one after the other.
const BATCHES: usize = 64;

/// Values in the reference.
const REFERENCE: usize = 1000;

/// What is tested.
enum Test {
    /// Kolmogorov-Smirnov against a reference that was sorted once.
    Prepared(Alternative, Method),
    /// Kolmogorov-Smirnov of two unsorted samples.
    OneShot(Alternative, Method),
    /// Cramér-von Mises of two unsorted samples.
    Cvm,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    cases: Vec<Case>,
    peers: Option<Found>,
}

/// One test, in tests a second.
#[derive(Debug, Serialize)]
struct Case {
    name: String,
    riptide: f64,
    scipy: Option<f64>,
    ratio: Option<f64>,
    #[serde(skip)]
    question: Value,
    #[serde(skip)]
    samples: [Vec<f64>; 2],
}

impl Test {
    /// The test by name and as `stats.py` is asked for it.
    fn case(&self, batch: usize) -> Case {
        let sizes = format!("{REFERENCE} against {batch}");
        let (name, test, alternative, method) = match self {
            Test::Prepared(alternative, method) => (
                format!("KS {method} {alternative}, {sizes}"),
                "ks",
                *alternative,
                *method,
            ),
            Test::OneShot(alternative, method) => (
                format!("KS {method} {alternative}, {sizes}, not prepared"),
                "ks",
                *alternative,
                *method,
            ),
            Test::Cvm => (
                format!("Cramér-von Mises, {sizes}"),
                "cvm",
                Alternative::TwoSided,
                Method::Asymptotic,
            ),
        };
        Case {
            name,
            riptide: 0.0,
            scipy: None,
            ratio: None,
            question: json!({
                "peer": "scipy", "test": test, "alternative": alternative, "method": method,
                "reference": REFERENCE, "batch": batch,
            }),
            samples: Default::default(),
        }
    }

    /// Tests every batch.
    fn run(&self, reference: &[f64], prepared: &Reference, batches: &[Vec<f64>]) -> Result<(), StatsError> {
        for batch in batches {
            match self {
                Test::Prepared(alternative, method) => {
                    black_box(prepared.test(black_box(batch), *alternative, *method)?);
                }
                Test::OneShot(alternative, method) => {
                    black_box(ks::two_sample(reference, black_box(batch), *alternative, *method)?);
                }
                Test::Cvm => {
                    black_box(cvm::two_sample(reference, black_box(batch))?);
                }
            }
        }
        Ok(())
    }
}

/// Runs the measurement.
pub fn run(args: StatsArgs) -> anyhow::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut sample = |n: usize| -> Vec<f64> { (0..n).map(|_| rng.random::<f64>()).collect() };
    let reference = sample(REFERENCE);
    let prepared = Reference::new(&reference)?;
    let sizes = [100, 1000];
    let batches = sizes.map(|size| (0..BATCHES).map(|_| sample(size)).collect::<Vec<_>>());
    let (two_sided, greater) = (Alternative::TwoSided, Alternative::Greater);
    let tests = [
        (Test::Prepared(two_sided, Method::Asymptotic), 0),
        (Test::Prepared(greater, Method::Asymptotic), 0),
        (Test::Prepared(two_sided, Method::Exact), 0),
        (Test::Prepared(two_sided, Method::Exact), 1),
        (Test::OneShot(two_sided, Method::Asymptotic), 0),
        (Test::OneShot(two_sided, Method::Exact), 1),
        (Test::Cvm, 0),
    ];
    let mut peers = match args.peers {
        true => Some(Peers::start("stats.py", 1)?),
        false => None,
    };
    let mut cases: Vec<Case> = tests.iter().map(|(test, size)| test.case(sizes[*size])).collect();
    for _ in 0..args.rounds.max(1) {
        for ((test, size), case) in tests.iter().zip(&mut cases) {
            let batches = &batches[*size];
            let call = || test.run(&reference, &prepared, batches);
            case.samples[0].push(rate(batches.len(), args.seconds, call)?);
            let Some(peers) = peers.as_mut().filter(|peers| !peers.found.present.is_empty()) else {
                continue;
            };
            case.question["seconds"] = args.seconds.into();
            let answer = peers.ask(&case.question)?;
            let rate = answer["tests_per_second"].as_f64();
            case.samples[1].push(rate.context("scipy gave no rate")?);
        }
    }
    for case in &mut cases {
        let [ours, theirs] = &mut case.samples;
        case.riptide = median(ours);
        case.scipy = (!theirs.is_empty()).then(|| median(theirs));
        case.ratio = case.scipy.map(|scipy| case.riptide / scipy);
    }
    let peers = peers.map(|peers| peers.found.clone());
    report(&Outcome { cases, peers }, args.json, print)
}

fn print(outcome: &Outcome) {
    say!("Tests a second, one core, median of the rounds");
    let found = outcome.peers.iter();
    let version = found.clone().find_map(|found| found.present.get("scipy"));
    match version {
        Some(version) => head(&["Riptide", "scipy"], &format!("ratio to scipy {version}")),
        None => head(&["Riptide"], ""),
    }
    for case in &outcome.cases {
        let figures = [Some(case.riptide), case.scipy];
        let figures: Vec<f64> = figures.into_iter().flatten().collect();
        let ratio = case.ratio.map_or_else(String::new, |ratio| format!("{ratio:.1}"));
        row(&case.name, &figures, 0, &ratio);
    }
    for (peer, reason) in found.flat_map(|found| &found.absent) {
        say!("{peer}: absent ({reason})");
    }
}
