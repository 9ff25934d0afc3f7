//! Estimated against true accuracy of every set.

use riptide_detectors::Verdict;
use riptide_detectors::accuracy::WindowValue;
use riptide_stats::{Interval, wilson};
use serde::{Deserialize, Serialize};

use super::baselines::{Baselines, NAMES};
use super::split::{Trial, gather};
use super::{Found, each};
use crate::error::ExperimentError;

/// Estimated and true accuracy of all test images of one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The corruption.
    pub family: String,
    /// The severity.
    pub severity: u8,
    /// True accuracy.
    pub truth: f64,
    /// By the model that did not see the family, with its interval.
    pub accuracy: Interval,
    /// The verdict.
    pub verdict: Verdict,
    /// By the published ways, in the order of [`Comparison::methods`](super::Comparison::methods) without the first.
    pub others: Vec<f64>,
}

/// How far a method is off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodSummary {
    /// The method.
    pub method: String,
    /// Mean absolute error over all sets and references.
    pub mean_error: f64,
    /// The least mean absolute error under one reference.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// The largest error of a set, as the mean over the references.
    pub worst: f64,
    /// That set.
    pub worst_set: String,
    /// Mean of estimate - truth.
    pub bias: f64,
}

pub(crate) fn run(trial: &Trial<'_>) -> Result<Vec<Estimate>, ExperimentError> {
    let split = trial.split;
    let known = [split.fit.as_slice(), split.reference.as_slice()].concat();
    let confidence = |doubts: &[f64], places: &[usize]| -> Vec<f64> {
        gather(doubts, places).into_iter().map(|doubt| 1.0 - doubt).collect()
    };
    let right: Vec<bool> = known
        .iter()
        .filter_map(|&i| trial.clean.right.get(i))
        .copied()
        .collect();
    let baselines = Baselines::new(&confidence(&trial.clean.doubts, &known), &right);
    let mut places = Vec::new();
    for (family, own) in trial.families.iter().enumerate() {
        places.extend((0..own.sets.len()).map(|set| (family, set)));
    }
    each(places.len(), |i| {
        let (family, set) = places[i];
        let own = &trial.families[family];
        let known = &trial.sets[own.sets[set]];
        let mut window = WindowValue::new(own.model.n_classes());
        for image in 0..split.test.len() {
            own.corrupted[set].put(image, &mut window);
        }
        let outcome = own.model.judge(&window, &trial.plan.params.options)?;
        Ok(Estimate {
            family: known.family.clone(),
            severity: known.severity,
            truth: known.accuracy(&split.test),
            accuracy: outcome.accuracy,
            verdict: outcome.verdict,
            others: baselines.estimate(&confidence(&known.doubts, &split.test)).to_vec(),
        })
    })
}

/// Methods, coverage, mean half-width, sets outside.
pub(crate) fn summarise(found: &[Found]) -> (Vec<MethodSummary>, Interval, f64, Interval) {
    let all = || found.iter().flat_map(|found| &found.estimates);
    let n = all().count();
    let inside: Vec<&Estimate> = all().filter(|estimate| estimate.verdict != Verdict::Outside).collect();
    let held = |e: &&&Estimate| e.accuracy.lower <= e.truth && e.truth <= e.accuracy.upper;
    let coverage = wilson(inside.iter().filter(held).count(), inside.len());
    let width: f64 = inside.iter().map(|e| (e.accuracy.upper - e.accuracy.lower) / 2.0).sum();
    let outside = wilson(n - inside.len(), n);
    let methods = std::iter::once("accuracy test").chain(NAMES).enumerate();
    let methods = methods.map(|(method, name)| {
        summary(found, name, |e| match method.checked_sub(1) {
            None => e.accuracy.estimate,
            Some(other) => e.others.get(other).copied().unwrap_or_default(),
        })
    });
    (methods.collect(), coverage, width / inside.len().max(1) as f64, outside)
}

fn summary(found: &[Found], name: &str, value: impl Fn(&Estimate) -> f64) -> MethodSummary {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let errors: Vec<Vec<f64>> = found
        .iter()
        .map(|found| found.estimates.iter().map(|e| value(e) - e.truth).collect())
        .collect();
    let absolute: Vec<f64> = errors
        .iter()
        .map(|errors| mean(&errors.iter().map(|e| e.abs()).collect::<Vec<_>>()))
        .collect();
    let (mut worst, mut worst_set) = (0.0, String::new());
    for (place, set) in found
        .iter()
        .flat_map(|found| found.estimates.first().map(|_| &found.estimates))
        .take(1)
        .flatten()
        .enumerate()
    {
        let of_set: Vec<f64> = errors
            .iter()
            .filter_map(|errors| errors.get(place))
            .map(|e| e.abs())
            .collect();
        if mean(&of_set) > worst {
            worst = mean(&of_set);
            worst_set = format!("{} {}", set.family, set.severity);
        }
    }
    MethodSummary {
        method: name.to_owned(),
        mean_error: mean(&absolute),
        least: absolute.iter().copied().fold(f64::INFINITY, f64::min),
        most: absolute.iter().copied().fold(0.0, f64::max),
        worst,
        worst_set,
        bias: mean(&errors.concat()),
    }
}
