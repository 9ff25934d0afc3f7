//! The sequential test on endless streams of one set.

use rand::RngExt;
use riptide_detectors::sequential::SequentialConfig;
use serde::{Deserialize, Serialize};

use super::split::Trial;
use super::{Found, Rate, each};
use crate::error::ExperimentError;
use crate::random::{Purpose, stream};

/// Streams of one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamCell {
    /// The corruption; `clean` for none.
    pub family: String,
    /// The severity; 0 for none.
    pub severity: u8,
    /// True drop of accuracy, the mean over the references.
    pub drop: f64,
    /// Streams that alarmed before their end.
    pub alarms: Rate,
    /// Median number of images to the alarm; none if fewer than half of the streams alarmed.
    pub median_images: Option<u64>,
}

/// The same under one reference.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    family: String,
    severity: u8,
    drop: f64,
    /// After how many images each stream alarmed.
    alarms: Vec<Option<u64>>,
}

pub(crate) fn run(trial: &Trial<'_>) -> Result<Vec<Counts>, ExperimentError> {
    let mut places = Vec::new();
    for (family, own) in trial.families.iter().enumerate() {
        places.extend((0..own.sets.len()).map(|set| (family, Some(set))));
    }
    places.push((0, None));
    let (plan, test) = (trial.plan, &trial.split.test);
    each(places.len(), |i| {
        let (family, set) = places[i];
        let own = &trial.families[family];
        let (known, evidence) = match set {
            Some(set) => (&trial.sets[own.sets[set]], &own.corrupted[set]),
            None => (trial.clean, &own.clean),
        };
        let config = SequentialConfig::default().level(plan.params.stream_level).path(2);
        let start = own.model.sequential(&plan.params.options, &config)?;
        let mut alarms = Vec::new();
        for repeat in 0..plan.params.streams {
            let place = (family as u64) << 32 | set.map_or(0, |set| set as u64 + 1);
            let key = (trial.split.number as u64) << 32 | repeat as u64;
            let mut rng = stream(plan.seed, Purpose::Stream, [place, key]);
            let mut test = start.clone();
            for _ in 0..plan.params.stream_length {
                let value = evidence.error[rng.random_range(0..evidence.error.len())];
                if test.update(f64::from(value))? {
                    break;
                }
            }
            alarms.push(test.alarm_at());
        }
        Ok(Counts {
            family: known.family.clone(),
            severity: known.severity,
            drop: trial.clean.accuracy(test) - known.accuracy(test),
            alarms,
        })
    })
}

pub(crate) fn cells(found: &[Found]) -> Vec<StreamCell> {
    let Some(first) = found.first() else {
        return Vec::new();
    };
    let mut cells = Vec::new();
    for (place, counts) in first.streams.iter().enumerate() {
        let all: Vec<&Counts> = found.iter().filter_map(|found| found.streams.get(place)).collect();
        let alarmed = |counts: &Counts| counts.alarms.iter().flatten().count();
        let rates: Vec<(usize, usize)> = all
            .iter()
            .map(|counts| (alarmed(counts), counts.alarms.len()))
            .collect();
        let mut delays: Vec<u64> = all
            .iter()
            .flat_map(|counts| &counts.alarms)
            .map(|alarm| alarm.unwrap_or(u64::MAX))
            .collect();
        delays.sort_unstable();
        cells.push(StreamCell {
            family: counts.family.clone(),
            severity: counts.severity,
            drop: all.iter().map(|counts| counts.drop).sum::<f64>() / all.len().max(1) as f64,
            alarms: Rate::new(&rates),
            median_images: delays.get(delays.len() / 2).copied().filter(|&delay| delay != u64::MAX),
        });
    }
    cells
}
