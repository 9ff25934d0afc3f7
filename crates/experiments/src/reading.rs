//! What a reader asks of a summary.

use riptide_corruptions::Severity;
use riptide_detectors::ScoreKind;
use riptide_stats::Interval;

use crate::excess::HarmCell;
use crate::harmfulness::Kind;
use crate::summary::{Cell, ScoreSummary, Summary};

/// Power asked for when a contamination is called detectable.
pub(crate) const POWER: f64 = 0.95;

/// Contaminations at which scores are judged, if the protocol has them.
const WANTED: (f64, f64) = (0.3, 0.9);

impl Summary {
    /// Where scores are judged: the protocol's contaminations nearest to 30 % harmful and to 90 % harmless.
    pub(crate) fn judged_at(&self) -> Option<(f64, f64)> {
        Some((self.nearest_fraction(WANTED.0)?, self.nearest_fraction(WANTED.1)?))
    }

    /// Values at each severity that has one.
    pub(crate) fn by_severity(&self, value: impl Fn(Severity) -> Option<f64>) -> Vec<f64> {
        let severities = self.protocol.severities.iter();
        severities.filter_map(|&severity| value(severity)).collect()
    }

    /// The cells of one score, severity and kind, by rising contamination.
    pub fn cells(&self, score: ScoreKind, severity: Severity, kind: Kind) -> impl Iterator<Item = &Cell> {
        self.sweep
            .iter()
            .filter(move |cell| cell.score == score && cell.severity == severity && cell.kind == kind)
    }

    /// The same of the harm-directed test.
    pub fn harm_cells(&self, score: ScoreKind, severity: Severity, kind: Kind) -> impl Iterator<Item = &HarmCell> {
        self.harm
            .iter()
            .filter(move |cell| cell.score == score && cell.severity == severity && cell.kind == kind)
    }

    /// What one score gave at one severity.
    pub fn score(&self, score: ScoreKind, severity: Severity) -> Option<&ScoreSummary> {
        let found = self.severities.iter().find(|found| found.severity == severity)?;
        found.scores.iter().find(|found| found.score == score)
    }

    /// Smallest contamination from which on at least `power` of the harmful batches alarm, 0 to 1.
    pub fn detection(&self, score: ScoreKind, severity: Severity, power: f64) -> Option<f64> {
        let cells = self.cells(score, severity, Kind::Harmful);
        found_from(cells.map(|cell| (cell.fraction, cell.alarms)), power)
    }

    /// The same of the harm-directed test.
    pub fn harm_detection(&self, score: ScoreKind, severity: Severity, power: f64) -> Option<f64> {
        let cells = self.harm_cells(score, severity, Kind::Harmful);
        found_from(cells.map(|cell| (cell.fraction, cell.alarms)), power)
    }

    /// Mean alarm rate of the harmless batches of one score and severity, over all contaminations above 0.
    pub fn false_alarms(&self, score: ScoreKind, severity: Severity) -> Option<f64> {
        let cells = self.cells(score, severity, Kind::Harmless);
        mean(
            cells
                .filter(|cell| cell.fraction > 0.0)
                .map(|cell| cell.alarms.estimate),
        )
    }

    /// Alarm rate at one of the protocol's contaminations.
    pub fn alarms(&self, score: ScoreKind, severity: Severity, kind: Kind, fraction: f64) -> Option<Interval> {
        self.cells(score, severity, kind)
            .find(|cell| cell.fraction == fraction)
            .map(|cell| cell.alarms)
    }

    /// Mean over the severities of the alarm rate at one of the protocol's contaminations.
    pub fn mean_alarms(&self, score: ScoreKind, kind: Kind, fraction: f64) -> Option<f64> {
        let severities = self.protocol.severities.iter();
        mean(severities.filter_map(|&severity| Some(self.alarms(score, severity, kind, fraction)?.estimate)))
    }

    /// Alarm rate of batches without any corrupted image; none if the protocol has no contamination 0.
    pub fn clean_alarms(&self, score: ScoreKind) -> Option<f64> {
        let cells = self.sweep.iter();
        mean(
            cells
                .filter(|cell| cell.score == score && cell.fraction == 0.0)
                .map(|cell| cell.alarms.estimate),
        )
    }

    /// The protocol's contamination above 0 that is nearest to `wanted`, the smaller of two as near.
    pub fn nearest_fraction(&self, wanted: f64) -> Option<f64> {
        let fractions = self.protocol.fractions.iter().copied();
        // A hair's breadth in favour of the smaller one, which comes first.
        fractions.filter(|&fraction| fraction > 0.0).reduce(|best, next| {
            if (next - wanted).abs() < (best - wanted).abs() - 1e-9 {
                next
            } else {
                best
            }
        })
    }
}

fn found_from(alarms: impl Iterator<Item = (f64, Interval)>, power: f64) -> Option<f64> {
    let rates: Vec<(f64, Interval)> = alarms.filter(|(fraction, _)| *fraction > 0.0).collect();
    let missed = rates.iter().rposition(|(_, alarms)| alarms.estimate < power);
    rates
        .get(missed.map_or(0, |last| last + 1))
        .map(|(fraction, _)| *fraction)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0usize, 0.0), |(n, sum), value| (n + 1, sum + value));
    (n > 0).then(|| sum / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(rates: &[f64]) -> impl Iterator<Item = (f64, Interval)> {
        rates.iter().enumerate().map(|(step, &estimate)| {
            let (lower, upper) = (estimate, estimate);
            (step as f64 / 10.0, Interval { estimate, lower, upper })
        })
    }

    #[test]
    fn found_from_is_where_power_stays() {
        assert_eq!(found_from(rates(&[0.05, 0.5, 0.96, 0.94, 0.95, 1.0]), 0.95), Some(0.4));
        assert_eq!(found_from(rates(&[0.05, 1.0, 1.0]), 0.95), Some(0.1));
        assert_eq!(found_from(rates(&[0.05, 1.0, 0.9]), 0.95), None);
        assert_eq!(found_from(rates(&[0.05]), 0.95), None);
    }
}
