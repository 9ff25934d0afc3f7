//! Images a second through the classifier, the distilled network and both.

use std::time::Duration;

use anyhow::Context;
use riptide::datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide::kernels::{Simd, Tier, peak_flops};
use riptide::models::plan::{PairPlan, Plan};
use riptide::models::{DistilledCnnConfig, NetworkConfig, ResNetConfig, Weights};
use serde::Serialize;
use serde_json::json;

use super::measure::{head, median, rate, report, row, together};
use super::peers::{Found, Peers};
use crate::out::say;

/// Options of `cargo xtask bench inference`.
#[derive(Debug, clap::Args)]
pub struct InferenceArgs {
    /// Measure ONNX Runtime, OpenVINO, PyTorch and TensorFlow in the same run
    #[arg(long)]
    peers: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Times that everything is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Images of a call
    #[arg(long, default_value_t = 512)]
    images: usize,
    /// Threads [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
    /// Batch sizes of the peers; each peer is judged by its best
    #[arg(long, value_delimiter = ',', default_values_t = [32, 128, 256])]
    batches: Vec<usize>,
}

/// Multiply-adds of an image in the networks as they are defined, whatever the kernels save.
const CLASSIFIER_MULTIPLY_ADDS: f64 = 69.8e6;
/// As above, for the distilled network.
const DISTILLED_MULTIPLY_ADDS: f64 = 39.0e6;

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    threads: usize,
    tiers: Vec<Ours>,
    peers: Option<Found>,
    peer_rates: Vec<Theirs>,
}

/// One tier, in images a second.
#[derive(Debug, Serialize)]
struct Ours {
    tier: String,
    /// Multiply-add peak of one thread in GFLOP/s.
    peak_gflops: f64,
    classifier: f64,
    distilled: f64,
    /// Both from uint8 images in one pass.
    scoring: f64,
    #[serde(skip)]
    samples: [Vec<f64>; 3],
}

/// One peer at its best batch size, in images a second.
#[derive(Debug, Serialize)]
struct Theirs {
    peer: String,
    network: String,
    batch: usize,
    images_per_second: f64,
    #[serde(skip)]
    samples: Vec<f64>,
}

/// A tier's compiled networks.
struct Compiled {
    classifier: Plan,
    distilled: Plan,
    pair: PairPlan,
}

/// Runs the measurement.
pub fn run(args: InferenceArgs) -> anyhow::Result<()> {
    let threads = args.threads.unwrap_or_else(rayon::current_num_threads);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let raw = Shapes::new(0).generate(TEST_FIRST_INDEX, args.images).into_pixels();
    let scaled = scale(&raw);
    let (classifier, distilled) = networks()?;
    let mut ours = Vec::new();
    for tier in Tier::available() {
        let simd = Simd::with_tier(tier)?;
        let plan = |(config, weights): &(NetworkConfig, Weights)| Plan::new(config, weights, simd);
        let compiled = Compiled {
            classifier: plan(&classifier)?,
            distilled: plan(&distilled)?,
            pair: PairPlan::new((&classifier.0, &classifier.1), (&distilled.0, &distilled.1), simd)?,
        };
        let entry = Ours {
            tier: tier.to_string(),
            peak_gflops: peak_flops(simd, Duration::from_millis(300)) / 1e9,
            classifier: 0.0,
            distilled: 0.0,
            scoring: 0.0,
            samples: Default::default(),
        };
        ours.push((compiled, entry));
    }
    let mut peers = match args.peers {
        true => Some(Peers::start("inference.py", threads)?),
        false => None,
    };
    let mut theirs = questions(peers.as_ref().map(|peers| &peers.found), &args.batches);
    for _ in 0..args.rounds.max(1) {
        for (compiled, entry) in &mut ours {
            pool.install(|| measure(compiled, entry, &raw, &scaled, &args))?;
        }
        let Some(peers) = &mut peers else { continue };
        for ask in &mut theirs {
            let question =
                json!({"peer": ask.peer, "network": ask.network, "batch": ask.batch, "seconds": args.seconds});
            let answer = peers.ask(&question)?;
            let rate = answer["images_per_second"].as_f64();
            ask.samples.push(rate.context("a peer gave no rate")?);
        }
    }
    for (_, entry) in &mut ours {
        [entry.classifier, entry.distilled, entry.scoring] = [0, 1, 2].map(|i| median(&mut entry.samples[i]));
    }
    for ask in &mut theirs {
        ask.images_per_second = median(&mut ask.samples);
    }
    let outcome = Outcome {
        threads,
        tiers: ours.into_iter().map(|(_, entry)| entry).collect(),
        peers: peers.map(|peers| peers.found.clone()),
        peer_rates: best_batches(theirs),
    };
    report(&outcome, args.json, print)
}

/// The published sizes with random weights, which take the same time as trained ones.
fn networks() -> anyhow::Result<((NetworkConfig, Weights), (NetworkConfig, Weights))> {
    let with_weights = |config: NetworkConfig| {
        let weights = Weights::random(&config, 0)?;
        anyhow::Ok((config, weights))
    };
    Ok((
        with_weights(ResNetConfig::default().into())?,
        with_weights(DistilledCnnConfig::default().into())?,
    ))
}

/// Floats in (N, 3, H, W), for the runs without preprocessing.
fn scale(raw: &[u8]) -> Vec<f32> {
    const AREA: usize = 32 * 32;
    let value = |image: &[u8], at: usize| f32::from(image[at % AREA * 3 + at / AREA]) / 64.0 - 2.0;
    raw.chunks_exact(3 * AREA)
        .flat_map(|image| (0..3 * AREA).map(move |at| value(image, at)))
        .collect()
}

fn measure(
    compiled: &Compiled,
    entry: &mut Ours,
    raw: &[u8],
    scaled: &[f32],
    args: &InferenceArgs,
) -> anyhow::Result<()> {
    // The plain reference is far slower than the others: fewer images tell as much.
    let count = if entry.tier == Tier::Generic.to_string() {
        args.images.div_ceil(8)
    } else {
        args.images
    };
    let floats = &scaled[..count * 3 * 32 * 32];
    let bytes = &raw[..count * 3 * 32 * 32];
    let [classifier, distilled, scoring] = &mut entry.samples;
    classifier.push(rate(count, args.seconds, || {
        compiled.classifier.predict_proba_scaled(floats).map(drop)
    })?);
    distilled.push(rate(count, args.seconds, || {
        compiled.distilled.predict_proba_scaled(floats).map(drop)
    })?);
    scoring.push(rate(count, args.seconds, || {
        compiled.pair.predict_proba(bytes).map(drop)
    })?);
    Ok(())
}

/// Every peer with every network and batch size; NumPy is there for the scaling alone.
fn questions(found: Option<&Found>, batches: &[usize]) -> Vec<Theirs> {
    let mut list = Vec::new();
    for peer in found.iter().flat_map(|found| found.present.keys()) {
        let networks: &[&str] = if peer == "NumPy" {
            &["scaling"]
        } else {
            &["classifier", "distilled"]
        };
        for network in networks {
            for &batch in batches {
                list.push(Theirs {
                    peer: peer.clone(),
                    network: (*network).to_owned(),
                    batch,
                    images_per_second: 0.0,
                    samples: Vec::new(),
                });
            }
        }
    }
    list
}

/// Keeps each peer's best batch size for each network.
fn best_batches(theirs: Vec<Theirs>) -> Vec<Theirs> {
    let mut best: Vec<Theirs> = Vec::new();
    for entry in theirs {
        let same = |other: &&mut Theirs| other.peer == entry.peer && other.network == entry.network;
        match best.iter_mut().find(same) {
            Some(other) if other.images_per_second < entry.images_per_second => *other = entry,
            Some(_) => {}
            None => best.push(entry),
        }
    }
    best
}

fn print(outcome: &Outcome) {
    say!("Images a second, {} threads, median of the rounds", outcome.threads);
    let columns = ["classifier", "distilled", "scoring"];
    head(&columns, "share of the peak (classifier, distilled)");
    for tier in &outcome.tiers {
        let peak = tier.peak_gflops * outcome.threads as f64 * 1e9;
        let share = |rate: f64, work: f64| 100.0 * 2.0 * rate * work / peak;
        let note = format!(
            "{:.0} %, {:.0} % of {:.0} GFLOP/s",
            share(tier.classifier, CLASSIFIER_MULTIPLY_ADDS),
            share(tier.distilled, DISTILLED_MULTIPLY_ADDS),
            peak / 1e9
        );
        row(&tier.tier, &[tier.classifier, tier.distilled, tier.scoring], 0, &note);
    }
    let Some(found) = &outcome.peers else { return };
    let rate = |peer: &str, network: &str| {
        let entry = outcome
            .peer_rates
            .iter()
            .find(|t| t.peer == peer && t.network == network);
        entry.map(|entry| (entry.images_per_second, entry.batch))
    };
    let scaling = rate("NumPy", "scaling").map_or(f64::INFINITY, |(rate, _)| rate);
    let mut best = [0f64; 2];
    for (peer, version) in found.present.iter().filter(|(peer, _)| *peer != "NumPy") {
        let (Some((classifier, b1)), Some((distilled, b2))) = (rate(peer, "classifier"), rate(peer, "distilled"))
        else {
            continue;
        };
        best = [best[0].max(classifier), best[1].max(distilled)];
        let rates = [classifier, distilled, together(&[classifier, distilled, scaling])];
        row(&format!("{peer} {version}"), &rates, 0, &format!("batch {b1}, {b2}"));
    }
    for (peer, reason) in &found.absent {
        say!("{peer}: absent ({reason})");
    }
    if best[0] > 0.0 {
        let scoring = together(&[best[0], best[1], scaling]);
        say!(
            "Ratios to the best peer of each (scoring: the best classifier, distilled network and scaling one after the other)"
        );
        for tier in &outcome.tiers {
            let rates = [
                tier.classifier / best[0],
                tier.distilled / best[1],
                tier.scoring / scoring,
            ];
            row(&tier.tier, &rates, 2, "");
        }
    }
}
