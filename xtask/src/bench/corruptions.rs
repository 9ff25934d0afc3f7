//! Images a second of every corruption.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::ThreadPool;
use riptide::corruptions::{Corruption, Corruptor, FrostTextures, Severity};
use riptide::datasets::ImageSet;
use riptide::datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use serde::Serialize;

use super::measure::{cpu_time, head, report, row, together};
use crate::out::say;

/// Options of `cargo xtask bench corruptions`.
#[derive(Debug, clap::Args)]
pub struct CorruptionsArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Clean images; each becomes 95
    #[arg(long, default_value_t = 1000)]
    images: usize,
    /// Times that everything is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Threads [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
    /// Corruptions to measure, separated by commas [default: all]
    #[arg(long, value_delimiter = ',')]
    only: Vec<Corruption>,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    threads: usize,
    images: usize,
    corruptions: Vec<Entry>,
    /// All corruptions, one after the other.
    together: Rates,
}

/// One corruption, its five severities together.
#[derive(Debug, Serialize)]
struct Entry {
    corruption: Corruption,
    #[serde(flatten)]
    rates: Rates,
}

/// By the best of the rounds, and by the mean of their processor time.
#[derive(Debug, Clone, Copy, Serialize)]
struct Rates {
    images_per_second: f64,
    /// Images a second of one core's time, if the system tells: what other programs take does not count.
    images_per_core_second: Option<f64>,
}

/// Elapsed and processor time of all severities.
#[derive(Clone, Copy)]
struct Cost {
    elapsed: Duration,
    processor: Option<Duration>,
}

/// Runs the measurement.
pub fn run(args: CorruptionsArgs) -> anyhow::Result<()> {
    let threads = args.threads.unwrap_or_else(rayon::current_num_threads);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let clean = Shapes::new(0).generate(TEST_FIRST_INDEX, args.images.max(1));
    let corruptor = Corruptor::new(0).with_frost(FrostTextures::procedural());
    let chosen = if args.only.is_empty() {
        Corruption::ALL.to_vec()
    } else {
        args.only
    };
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); chosen.len()];
    for _ in 0..args.rounds.max(1) {
        for (&corruption, costs) in chosen.iter().zip(&mut costs) {
            costs.push(measure(&pool, &corruptor, &clean, corruption)?);
        }
    }
    let made = (clean.len() * Severity::ALL.len()) as f64;
    let corruptions: Vec<Entry> = chosen
        .into_iter()
        .zip(costs)
        .map(|(corruption, costs)| Entry {
            corruption,
            rates: rates(&costs, made),
        })
        .collect();
    let elapsed: Vec<f64> = corruptions.iter().map(|entry| entry.rates.images_per_second).collect();
    let processor: Option<Vec<f64>> = corruptions
        .iter()
        .map(|entry| entry.rates.images_per_core_second)
        .collect();
    let all = corruptions.len() as f64;
    let outcome = Outcome {
        threads,
        images: clean.len(),
        corruptions,
        together: Rates {
            images_per_second: all * together(&elapsed),
            images_per_core_second: processor.map(|rates| all * together(&rates)),
        },
    };
    report(&outcome, args.json, print)
}

/// All severities of one corruption, once.
fn measure(pool: &ThreadPool, corruptor: &Corruptor, clean: &ImageSet, corruption: Corruption) -> anyhow::Result<Cost> {
    let (start, before) = (Instant::now(), cpu_time());
    pool.install(|| {
        for severity in Severity::ALL {
            black_box(corruptor.apply(black_box(clean), corruption, severity)?);
        }
        anyhow::Ok(())
    })?;
    let processor = before.zip(cpu_time());
    Ok(Cost {
        elapsed: start.elapsed(),
        processor: processor.map(|(before, after)| after.saturating_sub(before)),
    })
}

fn rates(costs: &[Cost], made: f64) -> Rates {
    let elapsed = costs.iter().map(|cost| cost.elapsed).min().unwrap_or_default();
    let processor: Option<Duration> = costs.iter().map(|cost| cost.processor).sum();
    Rates {
        images_per_second: made / elapsed.as_secs_f64(),
        images_per_core_second: processor.map(|time| made * costs.len() as f64 / time.as_secs_f64()),
    }
}

fn print(outcome: &Outcome) {
    let Outcome { threads, images, .. } = outcome;
    say!("Images a second, {threads} threads, five severities of {images} images, best of the rounds");
    head(&["elapsed", "a core"], "");
    let line = |name: &str, rates: &Rates| {
        let figures = [Some(rates.images_per_second), rates.images_per_core_second];
        row(name, &figures.into_iter().flatten().collect::<Vec<_>>(), 0, "");
    };
    for entry in &outcome.corruptions {
        line(entry.corruption.name(), &entry.rates);
    }
    line("together", &outcome.together);
}
