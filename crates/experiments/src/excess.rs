//! What the harm-directed test makes of the sweep's batches: does it alarm, and does its interval hold the truth?

use riptide_corruptions::Severity;
use riptide_detectors::ScoreKind;
use riptide_detectors::harm::HarmData;
use riptide_stats::{Interval, wilson};
use serde::{Deserialize, Serialize};

use crate::contamination::Batch;
use crate::harmfulness::Kind;
use crate::protocol::Protocol;

/// The harm-directed test ([`riptide_detectors::HarmTest`]) on the batches of one score, severity, kind and contamination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HarmCell {
    /// The score.
    pub score: ScoreKind,
    /// The severity.
    pub severity: Severity,
    /// Whether the corrupted images are harmful.
    pub kind: Kind,
    /// Fraction of corrupted images, 0 to 1.
    pub fraction: f64,
    /// Fraction of harmful images among the corrupted that were put into the batch, 0 to 1: 0 for harmless ones.
    pub truth: f64,
    /// Estimated excess fraction with the ends of its 95 % interval, each the mean over the batches.
    pub excess: Interval,
    /// Fraction of batches whose interval holds `truth`, with its Wilson interval.
    pub coverage: Interval,
    /// Fraction of batches whose interval's lower end does not exceed `truth`, with its Wilson interval: the estimate
    /// is a lower bound of the harmful fraction.
    pub lower_holds: Interval,
    /// Fraction of batches that alarm, with its Wilson interval.
    pub alarms: Interval,
}

/// One cell a score and run of batches.
pub(crate) fn harm_cells(batches: &[Batch], protocol: &Protocol) -> Vec<HarmCell> {
    let params = protocol.params();
    let mut cells = Vec::new();
    for (column, &score) in params.scores.iter().enumerate() {
        for run in batches.chunk_by(Batch::is_beside) {
            let Some(first) = run.first() else { continue };
            let found: Vec<&HarmData> = run.iter().filter_map(|batch| batch.harm.get(column)).collect();
            let truth = match first.kind {
                Kind::Harmful => protocol.contaminated(first.fraction) as f64 / params.batch_size as f64,
                Kind::Harmless => 0.0,
            };
            let mean = |value: fn(&HarmData) -> f64| {
                found.iter().map(|data| value(data)).sum::<f64>() / found.len().max(1) as f64
            };
            let rate = |holds: &dyn Fn(&HarmData) -> bool| {
                wilson(found.iter().filter(|data| holds(data)).count(), found.len())
            };
            cells.push(HarmCell {
                score,
                severity: first.severity,
                kind: first.kind,
                fraction: first.fraction,
                truth,
                excess: Interval {
                    estimate: mean(|data| data.excess_fraction.estimate),
                    lower: mean(|data| data.excess_fraction.lower),
                    upper: mean(|data| data.excess_fraction.upper),
                },
                coverage: rate(&|data| data.excess_fraction.lower <= truth && truth <= data.excess_fraction.upper),
                lower_holds: rate(&|data| data.excess_fraction.lower <= truth),
                alarms: rate(&|data| data.is_harmful),
            });
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use riptide_detectors::HarmTest;
    use riptide_detectors::harm::HarmConfig;

    use super::*;
    use crate::protocol::ProtocolParams;

    /// Batches of 10 of which so many score above all of a reference 0..1000; the excess at the median is known.
    #[test]
    fn cells_count_what_the_test_says() {
        let reference: Vec<f64> = (0..1000).map(f64::from).collect();
        let test = HarmTest::new(&reference, HarmConfig::default().quantile(0.5)).unwrap();
        let batch = |high: usize, repeat| {
            let even = (0..10 - high).map(|i| 1000.0 * (i as f64 + 0.5) / (10 - high) as f64);
            let scores: Vec<f64> = even.chain((0..high).map(|_| 2000.0)).collect();
            Batch {
                severity: Severity::ALL[0],
                kind: Kind::Harmful,
                fraction: 0.6,
                repeat,
                tests: Vec::new(),
                harm: vec![test.test(&scores).unwrap().data],
            }
        };
        let protocol = ProtocolParams {
            batch_size: 10,
            ..Default::default()
        };
        let protocol = protocol.check().unwrap();
        // 6 of 10 above leave 2 of 10 below the median, where 5 were due: excess 0.6. None above: excess 0.
        let cells = harm_cells(&[batch(6, 0), batch(6, 1), batch(6, 2), batch(0, 3)], &protocol);
        let [cell] = cells.as_slice() else { panic!("{cells:?}") };
        assert_eq!((cell.truth, cell.fraction), (0.6, 0.6));
        assert!((cell.excess.estimate - 0.45).abs() < 1e-12, "{cell:?}");
        assert_eq!(cell.alarms, wilson(3, 4));
        assert_eq!(cell.coverage, wilson(3, 4));
        assert_eq!(cell.lower_holds, wilson(4, 4));

        let mut harmless = batch(9, 0);
        harmless.kind = Kind::Harmless;
        let cells = harm_cells(&[harmless], &protocol);
        assert_eq!((cells[0].truth, cells[0].lower_holds), (0.0, wilson(0, 1)));
    }
}
