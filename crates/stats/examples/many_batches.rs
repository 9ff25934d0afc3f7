//! A monitor's day: many batches against one reference, and which of the p-values count.
//!
//! cargo run --release -p riptide-stats --example many_batches

use std::error::Error;

use riptide_stats::ks::{Alternative, Method, Reference};
use riptide_stats::multiple_testing::{Level, benjamini_hochberg, bonferroni};

/// The quantiles of an exponential distribution, in a scattered order and shifted.
fn scores(n: usize, phase: f64, shift: f64) -> Vec<f64> {
    (0..n)
        .map(|i| ((i as f64 + 1.0) * 0.618_034 + phase).fract())
        .map(|u| shift - (1.0 - u).ln())
        .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let reference = Reference::new(&scores(1000, 0.0, 0.0))?;
    // Batches 6 and 7 are a little worse than the reference, batch 8 is much worse.
    let shifts = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.25, 0.6];
    let mut p_values = Vec::new();
    println!("batch  statistic  p-value");
    for (batch, shift) in shifts.into_iter().enumerate() {
        let test = reference.test(
            &scores(100, 0.1 * batch as f64, shift),
            Alternative::Greater,
            Method::Auto,
        )?;
        println!("{batch:>5}  {:>9.3}  {:>7.1e}", test.statistic, test.p_value);
        p_values.push(test.p_value);
    }
    let alone = p_values.iter().filter(|p| **p <= 0.05).count();
    println!("{alone} of {} at 0.05, each by itself", p_values.len());
    p_values.sort_by(f64::total_cmp);
    for (name, decision) in [
        ("Bonferroni", bonferroni(&p_values, 0.05)?),
        ("Benjamini-Hochberg", benjamini_hochberg(&p_values, 0.05)?),
    ] {
        let bounds = match decision.level {
            Level::Single(bound) => vec![bound; p_values.len()],
            Level::PerRank(bounds) => bounds,
        };
        let last = p_values.iter().zip(bounds).rposition(|(p, bound)| *p < bound);
        println!("{} of them by {name}", last.map_or(0, |last| last + 1));
    }
    Ok(())
}
