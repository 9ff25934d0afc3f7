//! Prints how often each detector alarms on clean batches at level 0.05.
//!
//! cargo run --release -p riptide-detectors --example false_alarm_rates

mod simulation;

use riptide_detectors::DetectorError;

const SIZES: [usize; 3] = [30, 100, 1000];
const BATCHES: usize = 2000;

fn main() -> Result<(), DetectorError> {
    let columns: Vec<_> = SIZES
        .iter()
        .map(|&n| simulation::false_alarm_rates(n, BATCHES, n as u64))
        .collect::<Result<_, _>>()?;
    println!("Share of {BATCHES} clean batches with an alarm at level 0.05, by batch size");
    println!();
    println!("| detector | n = 30 | n = 100 | n = 1000 |");
    println!("| --- | --- | --- | --- |");
    for (row, (name, _)) in columns[0].iter().enumerate() {
        let rates: Vec<String> = columns.iter().map(|column| format!("{:.4}", column[row].1)).collect();
        println!("| {name} | {} |", rates.join(" | "));
    }
    Ok(())
}
