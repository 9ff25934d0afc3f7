//! Contaminated batches under three decisions.

use rand::RngExt;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use riptide_detectors::accuracy::{SetEvidence, WindowValue};
use riptide_stats::ks::{Alternative, Method};
use riptide_stats::means::{Sample, welch_greater};

use super::split::Trial;
use super::{ComparedCell, Found, Plan, Rate, each};
use crate::error::ExperimentError;
use crate::harmfulness::Kind;
use crate::random::{Purpose, stream};

/// Alarms of one cell under one reference.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    severity: u8,
    kind: Kind,
    step: usize,
    batches: usize,
    published: usize,
    confidence: usize,
    accuracy: usize,
}

/// Every severity, kind and fraction.
pub(crate) fn run(trial: &Trial<'_>) -> Result<Vec<Counts>, ExperimentError> {
    let mut severities: Vec<u8> = trial.sets.iter().map(|set| set.severity).collect();
    severities.sort_unstable();
    severities.dedup();
    let mut places = Vec::new();
    for severity in severities {
        for kind in Kind::ALL {
            for step in 0..trial.plan.fractions.len() {
                places.push((severity, kind, step));
            }
        }
    }
    each(places.len(), |i| cell(trial, places[i]))
}

/// One group of families after another (noise, blur, weather, digital) gives the corrupted images of a batch, any of its sets, and
/// the model that saw nothing of the group judges it.
fn cell(trial: &Trial<'_>, (severity, kind, step): (u8, Kind, usize)) -> Result<Counts, ExperimentError> {
    let plan = trial.plan;
    let mut counts = Counts {
        severity,
        kind,
        step,
        batches: 0,
        published: 0,
        confidence: 0,
        accuracy: 0,
    };
    let pools = pools(trial, severity, kind);
    if pools.is_empty() {
        return Ok(counts);
    }
    let fraction = plan.fractions.get(step).copied().unwrap_or_default();
    let n_corrupted = (fraction * plan.batch_size as f64).round() as usize;
    let place = (u64::from(severity) << 32) | (kind as u64) << 16 | step as u64;
    for repeat in 0..plan.params.batches {
        let pool = &pools[repeat % pools.len()];
        let key = (trial.split.number as u64) << 32 | repeat as u64;
        let mut rng = stream(plan.seed, Purpose::Compared, [place, key]);
        let corrupted = choose(&mut rng, pool.images.len(), n_corrupted);
        let clean = choose(&mut rng, trial.split.test.len(), plan.batch_size - n_corrupted);
        let group = &trial.groups[pool.group];
        let mut window = WindowValue::new(group.model.n_classes());
        let (mut scores, mut doubts) = (Vec::new(), Vec::new());
        let mut put = |evidence: &SetEvidence, place: usize, set: &super::KnownSet| {
            evidence.put(place, &mut window);
            let image = trial.split.test[place];
            scores.push(set.scores[image]);
            doubts.push(set.doubts[image]);
        };
        for i in corrupted {
            let (set, image) = pool.images[i];
            put(&group.corrupted[set], image, &trial.sets[group.sets[set]]);
        }
        for i in clean {
            put(&group.clean, i, trial.clean);
        }
        counts.batches += 1;
        let published = trial.scores.test(&scores, Alternative::Greater, Method::Asymptotic)?;
        counts.published += usize::from(published.p_value < plan.level);
        let confidence = welch_greater(&Sample::new("batch", &doubts)?, &trial.doubts, 0.0);
        counts.confidence += usize::from(confidence.p_value < plan.level);
        counts.accuracy += usize::from(group.model.fallen(&window, plan.level).is_significant);
    }
    Ok(counts)
}

/// Harmful or harmless test images of one group.
struct Pool {
    group: usize,
    /// Place of the set among the group's, and of the image among the test images.
    images: Vec<(usize, usize)>,
}

/// A group with fewer images of the kind than this gives no batches: they would be the same few images over and over.
const FEWEST: usize = 10;

fn pools(trial: &Trial<'_>, severity: u8, kind: Kind) -> Vec<Pool> {
    let mut pools = Vec::new();
    for (place, group) in trial.groups.iter().enumerate() {
        let mut images = Vec::new();
        for (set, (&known, evidence)) in group.sets.iter().zip(&group.corrupted).enumerate() {
            if trial.sets[known].severity == severity {
                let pairs = group.clean.wrong.iter().zip(&evidence.wrong).enumerate();
                let of_kind = pairs.filter(|(_, (before, after))| !**before && **after == (kind == Kind::Harmful));
                images.extend(of_kind.map(|(image, _)| (set, image)));
            }
        }
        if images.len() >= FEWEST {
            pools.push(Pool { group: place, images });
        }
    }
    pools
}

fn choose(rng: &mut ChaCha8Rng, length: usize, amount: usize) -> Vec<usize> {
    if amount > length {
        (0..amount).map(|_| rng.random_range(0..length)).collect()
    } else {
        index::sample(rng, length, amount).into_vec()
    }
}

/// Gathers the counts of all references.
pub(crate) fn cells(found: &[Found], plan: &Plan<'_>) -> Vec<ComparedCell> {
    let Some(first) = found.first() else {
        return Vec::new();
    };
    let mut cells = Vec::new();
    for (place, counts) in first.batches.iter().enumerate() {
        let all = |of: fn(&Counts) -> usize| {
            let all = found.iter().filter_map(|found| found.batches.get(place));
            Rate::new(&all.map(|counts| (of(counts), counts.batches)).collect::<Vec<_>>())
        };
        cells.push(ComparedCell {
            severity: counts.severity,
            kind: counts.kind,
            fraction: plan.fractions.get(counts.step).copied().unwrap_or_default(),
            published: all(|counts| counts.published),
            confidence: all(|counts| counts.confidence),
            accuracy: all(|counts| counts.accuracy),
        });
    }
    cells
}
