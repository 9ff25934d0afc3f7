//! Naturally corrupted batches: all images of a set, whatever the classifier makes of them, by their true drop of accuracy.

use rand::seq::index;
use riptide_detectors::Verdict;
use riptide_detectors::accuracy::WindowValue;
use riptide_stats::ks::{Alternative, Method};
use serde::{Deserialize, Serialize};

use super::split::Trial;
use super::{Found, Rate, each};
use crate::error::ExperimentError;
use crate::random::{Purpose, stream};

/// Batches of one set and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NaturalCell {
    /// The corruption; `clean` for none.
    pub family: String,
    /// The severity; 0 for none.
    pub severity: u8,
    /// Images in a batch.
    pub n: usize,
    /// True drop of accuracy, the mean over the references.
    pub drop: f64,
    /// Batches that were called harmful.
    pub harmful: Rate,
    /// Batches that were called outside what was declared.
    pub outside: Rate,
    /// Batches that were called fit.
    pub fit: Rate,
    /// Batches in which the accuracy was found to have fallen at all.
    pub fallen: Rate,
    /// Batches that the published decision, one-sided, alarms on.
    pub published: Rate,
}

/// The same under one reference.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    family: String,
    severity: u8,
    n: usize,
    drop: f64,
    batches: usize,
    harmful: usize,
    outside: usize,
    fit: usize,
    fallen: usize,
    published: usize,
}

pub(crate) fn run(trial: &Trial<'_>) -> Result<Vec<Counts>, ExperimentError> {
    let mut places = vec![];
    for (family, own) in trial.families.iter().enumerate() {
        for set in 0..own.sets.len() {
            places.push((family, Some(set)));
        }
    }
    // Clean batches are judged by the first family's model.
    places.push((0, None));
    let sizes = &trial.plan.params.natural_sizes;
    each(places.len() * sizes.len(), |i| {
        cell(trial, places[i / sizes.len()], sizes[i % sizes.len()])
    })
}

fn cell(trial: &Trial<'_>, (family, set): (usize, Option<usize>), n: usize) -> Result<Counts, ExperimentError> {
    let (plan, test) = (trial.plan, &trial.split.test);
    let own = &trial.families[family];
    let (known, evidence) = match set {
        Some(set) => (&trial.sets[own.sets[set]], &own.corrupted[set]),
        None => (trial.clean, &own.clean),
    };
    let mut counts = Counts {
        family: known.family.clone(),
        severity: known.severity,
        n,
        drop: trial.clean.accuracy(test) - known.accuracy(test),
        batches: 0,
        harmful: 0,
        outside: 0,
        fit: 0,
        fallen: 0,
        published: 0,
    };
    if n > test.len() {
        return Ok(counts);
    }
    for repeat in 0..plan.params.natural_batches {
        let place = (family as u64) << 32 | set.map_or(0, |set| set as u64 + 1);
        let key = (trial.split.number as u64) << 48 | (n as u64) << 24 | repeat as u64;
        let mut rng = stream(plan.seed, Purpose::Natural, [place, key]);
        let mut window = WindowValue::new(own.model.n_classes());
        let mut scores = Vec::with_capacity(n);
        for image in index::sample(&mut rng, test.len(), n) {
            evidence.put(image, &mut window);
            scores.push(known.scores[test[image]]);
        }
        let outcome = own.model.judge(&window, &plan.params.options)?;
        counts.batches += 1;
        match outcome.verdict {
            Verdict::Harmful => counts.harmful += 1,
            Verdict::Outside => counts.outside += 1,
            Verdict::Fit => counts.fit += 1,
            _ => {}
        }
        counts.fallen += usize::from(outcome.fallen.is_significant);
        let published = trial.scores.test(&scores, Alternative::Greater, Method::Asymptotic)?;
        counts.published += usize::from(published.p_value < plan.level);
    }
    Ok(counts)
}

pub(crate) fn cells(found: &[Found]) -> Vec<NaturalCell> {
    let Some(first) = found.first() else {
        return Vec::new();
    };
    let mut cells = Vec::new();
    for (place, counts) in first.natural.iter().enumerate() {
        let all: Vec<&Counts> = found.iter().filter_map(|found| found.natural.get(place)).collect();
        let rate = |of: fn(&Counts) -> usize| {
            Rate::new(
                &all.iter()
                    .map(|counts| (of(counts), counts.batches))
                    .collect::<Vec<_>>(),
            )
        };
        if counts.batches == 0 {
            continue;
        }
        cells.push(NaturalCell {
            family: counts.family.clone(),
            severity: counts.severity,
            n: counts.n,
            drop: all.iter().map(|counts| counts.drop).sum::<f64>() / all.len().max(1) as f64,
            harmful: rate(|counts| counts.harmful),
            outside: rate(|counts| counts.outside),
            fit: rate(|counts| counts.fit),
            fallen: rate(|counts| counts.fallen),
            published: rate(|counts| counts.published),
        });
    }
    cells
}
