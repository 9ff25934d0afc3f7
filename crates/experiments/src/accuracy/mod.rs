//! The accuracy test beside the published decision: the same batches, every family judged by a model that did not see it.
//!
//! Images are split by image, several times: some fit the model (with all corruptions of all other families), some are the
//! reference, and batches come from the rest. Nothing that is judged was fitted on, neither as image nor as corruption.

mod baselines;
mod batches;
mod estimates;
mod natural;
mod split;
mod streams;

use rayon::prelude::*;
use riptide_detectors::accuracy::{AccuracyConfig, DeclaredSet, DescribedSet};
use riptide_detectors::{Probabilities, Score, ScoreKind};
use riptide_stats::Interval;
use serde::{Deserialize, Serialize};

use crate::comparison::ComparisonParams;
use crate::error::ExperimentError;
use crate::harmfulness::Kind;
use crate::protocol::Protocol;
use split::{Split, Trial};

pub use estimates::{Estimate, MethodSummary};
pub use natural::NaturalCell;
pub use streams::StreamCell;

/// Passes of one set of images.
#[derive(Debug)]
pub(crate) struct KnownSet {
    pub(crate) family: String,
    /// The group that the family belongs to.
    pub(crate) group: String,
    pub(crate) severity: u8,
    pub(crate) described: DescribedSet,
    /// The published score.
    pub(crate) scores: Vec<f64>,
    /// 1 - the largest probability.
    pub(crate) doubts: Vec<f64>,
    pub(crate) right: Vec<bool>,
}

impl KnownSet {
    /// Describes a set of images. `name` is the family and the group that the family belongs to.
    pub(crate) fn new(
        (family, group): (&str, &str),
        severity: u8,
        probabilities: Probabilities,
        mirrored: Option<Vec<f32>>,
        labels: &[u32],
        fit: &AccuracyConfig,
    ) -> Result<Self, ExperimentError> {
        let answers = probabilities.predicted_classes();
        let right: Vec<bool> = answers
            .iter()
            .zip(labels)
            .map(|(&class, &label)| class == label as usize)
            .collect();
        let column = |kind: ScoreKind| -> Result<Vec<f64>, ExperimentError> {
            Ok(kind
                .score((&probabilities).into())?
                .into_iter()
                .map(f64::from)
                .collect())
        };
        let (scores, doubts) = (column(ScoreKind::Distillation)?, column(ScoreKind::MaxProbability)?);
        let declared = DeclaredSet {
            family: family.to_owned(),
            severity,
            probabilities,
            mirrored,
            wrong: right.iter().map(|right| !right).collect(),
        };
        Ok(Self {
            family: family.to_owned(),
            group: group.to_owned(),
            severity,
            described: declared.describe(fit)?,
            scores,
            doubts,
            right,
        })
    }

    pub(crate) fn accuracy(&self, images: &[usize]) -> f64 {
        let right = images.iter().filter(|&&i| self.right.get(i) == Some(&true)).count();
        right as f64 / images.len().max(1) as f64
    }
}

/// The rate of alarms over several references: the mean with its 95 % interval over all batches, and the spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Over all batches, with Wilson's interval.
    pub rate: Interval,
    /// The least rate under one reference.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Rate {
    /// From (alarms, batches) of each reference.
    pub(crate) fn new(counts: &[(usize, usize)]) -> Self {
        let (alarms, n) = counts
            .iter()
            .fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let rates = || {
            counts
                .iter()
                .filter(|count| count.1 > 0)
                .map(|count| count.0 as f64 / count.1 as f64)
        };
        Self {
            rate: riptide_stats::wilson(alarms, n),
            least: rates().fold(1.0, f64::min),
            most: rates().fold(0.0, f64::max),
        }
    }
}

/// Batches contaminated with harmful or harmless images, under three decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedCell {
    /// The severity.
    pub severity: u8,
    /// Whether the corrupted images are harmful.
    pub kind: Kind,
    /// Fraction of corrupted images, 0 to 1.
    pub fraction: f64,
    /// The published decision: Kolmogorov-Smirnov on the divergence, one-sided as its competitor.
    pub published: Rate,
    /// The test of means of 1 - the largest probability.
    pub confidence: Rate,
    /// The accuracy test: has the accuracy fallen at all?
    pub accuracy: Rate,
}

/// Everything that the comparison found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The options.
    pub params: ComparisonParams,
    /// Images that the models were fitted on, of the reference, and that batches come from.
    pub images: [usize; 3],
    /// Images in a batch of the cells.
    pub batch_size: usize,
    /// Whether the mirrored image was used too: 2, else 1.
    pub views: u8,
    /// Families that the models were fitted on and that were not judged.
    #[serde(default, skip_serializing_if = "is_none")]
    pub declared: usize,
    /// Contaminated batches.
    pub cells: Vec<ComparedCell>,
    /// Naturally corrupted batches, one entry a set and size.
    pub natural: Vec<NaturalCell>,
    /// Estimated and true accuracy of every set under the first reference.
    pub estimates: Vec<Estimate>,
    /// How far each method is off, over all references.
    pub methods: Vec<MethodSummary>,
    /// The fraction of intervals that hold the true accuracy of a left-out set, and the mean half-width.
    pub coverage: Interval,
    /// Mean half-width of those intervals.
    pub half_width: f64,
    /// Sets, of all under all references, that were called outside what was declared.
    pub outside: Interval,
    /// The sequential test, one entry a set.
    pub streams: Vec<StreamCell>,
}

fn is_none(families: &usize) -> bool {
    *families == 0
}

/// What batches are drawn like.
pub(crate) struct Plan<'a> {
    pub(crate) params: &'a ComparisonParams,
    pub(crate) n_ref: usize,
    pub(crate) batch_size: usize,
    pub(crate) fractions: &'a [f64],
    pub(crate) level: f64,
    pub(crate) seed: u64,
}

/// Compares on the clean set and the corrupted ones, which hold the same images in the same order, as the protocol says. Models are
/// fitted on `declared` too, and nothing is judged by these.
pub(crate) fn compare(
    clean: &KnownSet,
    sets: &[KnownSet],
    declared: &[KnownSet],
    protocol: &Protocol,
) -> Result<Comparison, ExperimentError> {
    let protocol = protocol.params();
    let params = protocol.comparison.clone().unwrap_or_default();
    params.check()?;
    let plan = Plan {
        params: &params,
        n_ref: protocol.n_ref,
        batch_size: protocol.batch_size,
        fractions: &protocol.fractions,
        level: protocol.level,
        seed: protocol.seed,
    };
    let n = clean.right.len();
    let splits: Vec<Split> = (0..params.references)
        .map(|reference| Split::new(n, &plan, reference))
        .collect::<Result<_, _>>()?;
    // One reference after another: each holds a model a family, and its threads are busy enough.
    let mut found = Vec::new();
    for split in &splits {
        let trial = Trial::new(clean, (sets, declared), &plan, split)?;
        found.push(Found {
            batches: batches::run(&trial)?,
            natural: natural::run(&trial)?,
            estimates: estimates::run(&trial)?,
            streams: streams::run(&trial)?,
        });
    }
    let (methods, coverage, half_width, outside) = estimates::summarise(&found);
    let sizes = |split: &Split| [split.fit.len(), split.reference.len(), split.test.len()];
    Ok(Comparison {
        images: splits.first().map_or([0; 3], sizes),
        batch_size: plan.batch_size,
        views: clean.described.views(),
        declared: protocol.declared.len(),
        cells: batches::cells(&found, &plan),
        natural: natural::cells(&found),
        methods,
        coverage,
        half_width,
        outside,
        streams: streams::cells(&found),
        estimates: found
            .into_iter()
            .next()
            .map(|first| first.estimates)
            .unwrap_or_default(),
        params,
    })
}

/// What was found under one reference.
pub(crate) struct Found {
    batches: Vec<batches::Counts>,
    natural: Vec<natural::Counts>,
    estimates: Vec<Estimate>,
    streams: Vec<streams::Counts>,
}

/// Every place of a list, in parallel and in order.
pub(crate) fn each<T: Send, F>(n: usize, f: F) -> Result<Vec<T>, ExperimentError>
where
    F: Fn(usize) -> Result<T, ExperimentError> + Sync + Send,
{
    (0..n).into_par_iter().map(f).collect()
}

#[cfg(test)]
mod tests;
