//! Images a second of every corruption, one JSON line each, all severities together, and of all of them.
//!
//! `cargo run --release --package riptide-corruptions --example images_per_second [IMAGES]`

use std::time::Instant;

use riptide_corruptions::{Corruption, Corruptor, Severity};
use riptide_datasets::shapes::Shapes;

const REPEATS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().nth(1).map_or(Ok(1000), |text| text.parse())?;
    let clean = Shapes::new(0).generate(0, count);
    let corruptor = Corruptor::new(0);
    let made = (count * Severity::ALL.len()) as f64;
    let mut total = 0.0;
    for corruption in Corruption::ALL {
        let mut least = f64::INFINITY;
        for _ in 0..REPEATS {
            let start = Instant::now();
            for severity in Severity::ALL {
                std::hint::black_box(corruptor.apply(&clean, corruption, severity)?);
            }
            least = least.min(start.elapsed().as_secs_f64());
        }
        total += least;
        println!(
            "{}",
            serde_json::json!({"name": corruption, "images_per_second": (made / least).round()})
        );
    }
    let all = made * Corruption::ALL.len() as f64 / total;
    let threads = rayon::current_num_threads();
    println!(
        "{}",
        serde_json::json!({"name": "all", "images_per_second": all.round(), "threads": threads})
    );
    Ok(())
}
