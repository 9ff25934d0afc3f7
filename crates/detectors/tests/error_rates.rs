//! Error rates at fixed seeds: false alarms, coverage, silence on easier batches.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/simulation/mod.rs"]
mod simulation;

use simulation::Harmful;
use statrs::distribution::{Binomial, DiscreteCDF};

const BATCHES: usize = 2000;

/// Whether a share of `BATCHES` lies in the central 99.9 % of a binomial with chance `p`.
fn within_binomial(share: f64, p: f64) -> bool {
    let law = Binomial::new(p, BATCHES as u64).unwrap();
    let count = (share * BATCHES as f64).round() as u64;
    law.cdf(count) > 0.0005 && law.sf(count.saturating_sub(1)) > 0.0005
}

#[test]
fn clean_batches_alarm_as_often_as_asked() {
    for n in [30, 100] {
        let rates = simulation::false_alarm_rates(n, BATCHES, n as u64).unwrap();
        let (both, alone) = rates.split_last().unwrap();
        for (name, rate) in alone {
            assert!(within_binomial(*rate, 0.05), "{name}, n = {n}: {rate}");
        }
        assert!(
            both.1 <= alone.last().unwrap().1,
            "asking for a fraction too cannot alarm more often"
        );
    }
}

#[test]
fn the_interval_of_the_excess_fraction_covers() {
    for (harmful, fraction, n) in [
        (Harmful::Apart, 0.3, 30),
        (Harmful::Apart, 0.1, 100),
        (Harmful::Overlapping, 0.6, 100),
    ] {
        let summary = simulation::harm(harmful, fraction, n, BATCHES, 11).unwrap();
        assert!(
            summary.coverage > 0.95 - 0.016,
            "{harmful:?} {fraction} {n}: {summary:?}"
        );
        assert!(
            // The quantile with the largest lower end is chosen, which makes estimates from few scores larger.
            (summary.estimate - summary.excess).abs() < 0.04,
            "{harmful:?} {fraction} {n}: {summary:?}"
        );
        assert!(summary.lower_holds > 0.95, "{harmful:?} {fraction} {n}: {summary:?}");
    }
}

/// Both distribution functions cross at the median, where no harm can be seen.
#[test]
fn harm_that_spreads_the_scores_is_found() {
    let summary = simulation::harm(Harmful::Wider, 0.6, 500, BATCHES, 13).unwrap();
    assert!(summary.alarms > 0.95 && summary.lower_holds > 0.95, "{summary:?}");
}

#[test]
fn an_easier_batch_does_not_alarm() {
    for n in [30, 100] {
        let summary = simulation::harm(Harmful::Easier, 0.0, n, BATCHES, 12).unwrap();
        assert_eq!(summary.alarms, 0.0, "{n}: {summary:?}");
    }
}
