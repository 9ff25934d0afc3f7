//! Prints how well the excess fraction is estimated, whether its interval covers, and how often the harm-directed test alarms.
//!
//! cargo run --release -p riptide-detectors --example harm_simulation

mod simulation;

use riptide_detectors::DetectorError;
use simulation::Harmful;

const BATCHES: usize = 2000;

fn main() -> Result<(), DetectorError> {
    println!(
        "{BATCHES} batches a row, a fresh reference of {} scores for each",
        simulation::N_REFERENCE
    );
    println!();
    println!(
        "| harmful scores | harmful fraction | n | true excess | mean estimate | coverage of 95 % | lower end holds | alarms |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, harmful, fractions) in [
        ("apart", Harmful::Apart, &[0.0, 0.1, 0.3, 0.6][..]),
        ("overlapping", Harmful::Overlapping, &[0.1, 0.3, 0.6]),
        ("wider", Harmful::Wider, &[0.3, 0.6, 0.9]),
        ("none, batch easier", Harmful::Easier, &[0.0]),
    ] {
        for &fraction in fractions {
            for n in [30, 100, 1000] {
                let row = simulation::harm(harmful, fraction, n, BATCHES, n as u64)?;
                println!(
                    "| {name} | {fraction} | {n} | {:.3} | {:.3} | {:.3} | {:.3} | {:.4} |",
                    row.excess, row.estimate, row.coverage, row.lower_holds, row.alarms
                );
            }
        }
    }
    Ok(())
}
