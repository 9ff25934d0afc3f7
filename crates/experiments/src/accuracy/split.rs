//! One reference: images split three ways, models fitted without each family, and what they say of the test images.

use rand::seq::SliceRandom;
use riptide_detectors::AccuracyModel;
use riptide_detectors::accuracy::SetEvidence;
use riptide_stats::ks::Reference;
use riptide_stats::means::Sample;

use super::{KnownSet, Plan, each};
use crate::error::ExperimentError;
use crate::random::{Purpose, stream};

/// Which images do what.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) number: usize,
    pub(crate) fit: Vec<usize>,
    pub(crate) reference: Vec<usize>,
    pub(crate) test: Vec<usize>,
}

impl Split {
    /// The reference has as many images as the protocol says; two thirds of the others are fitted on, the
    /// rest is tested.
    pub(crate) fn new(n: usize, plan: &Plan<'_>, number: usize) -> Result<Self, ExperimentError> {
        let needed = plan.n_ref + 2 * plan.batch_size;
        if n < needed {
            return Err(ExperimentError::TooFew {
                what: "the comparison with the accuracy test",
                needed,
                available: n,
                advice: "take more images, a smaller reference (n_ref) or smaller batches (batch_size)",
            });
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut stream(plan.seed, Purpose::Split, [number as u64, 0]));
        let mut fit = order.split_off(plan.n_ref);
        let test = fit.split_off(fit.len() * 2 / 3);
        Ok(Self {
            number,
            fit,
            reference: order,
            test,
        })
    }
}

/// A family of sets with the model that did not see it.
pub(crate) struct FamilyTrial {
    pub(crate) model: AccuracyModel,
    /// Which sets are of the family.
    pub(crate) sets: Vec<usize>,
    /// What the model says of the clean test images.
    pub(crate) clean: SetEvidence,
    /// What it says of the corrupted test images, one entry a set of `sets`.
    pub(crate) corrupted: Vec<SetEvidence>,
}

/// Everything under one reference.
pub(crate) struct Trial<'a> {
    pub(crate) clean: &'a KnownSet,
    pub(crate) sets: &'a [KnownSet],
    pub(crate) plan: &'a Plan<'a>,
    pub(crate) split: &'a Split,
    pub(crate) families: Vec<FamilyTrial>,
    /// The same with whole groups of families left out: noise, blur, weather, digital.
    pub(crate) groups: Vec<FamilyTrial>,
    /// The published score's reference.
    pub(crate) scores: Reference,
    /// 1 - the largest probability of the reference's images.
    pub(crate) doubts: Sample,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(
        clean: &'a KnownSet,
        (sets, declared): (&'a [KnownSet], &[KnownSet]),
        plan: &'a Plan<'a>,
        split: &'a Split,
    ) -> Result<Self, ExperimentError> {
        let families = trials(clean, (sets, declared), plan, split, |set| &set.family)?;
        let groups = trials(clean, (sets, declared), plan, split, |set| &set.group)?;
        Ok(Self {
            scores: Reference::new(&gather(&clean.scores, &split.reference))?,
            doubts: Sample::new("reference", &gather(&clean.doubts, &split.reference))?,
            clean,
            sets,
            plan,
            split,
            families,
            groups,
        })
    }
}

/// Fits without each family, or without each group of families, and examines the test images.
fn trials(
    clean: &KnownSet,
    (sets, declared): (&[KnownSet], &[KnownSet]),
    plan: &Plan<'_>,
    split: &Split,
    name: impl Fn(&KnownSet) -> &str + Sync,
) -> Result<Vec<FamilyTrial>, ExperimentError> {
    let known: Vec<&KnownSet> = sets.iter().chain(declared).collect();
    let fit: Vec<_> = each(known.len(), |i| {
        Ok(known[i].described.select(&split.fit).named(name(known[i])))
    })?;
    let calibrated = AccuracyModel::fit(
        &clean.described.select(&split.reference),
        &clean.described.select(&split.fit),
        &fit,
        &plan.params.fit,
    )?;
    let clean_test = clean.described.select(&split.test);
    // What is only declared is not judged.
    let judged: Vec<_> = calibrated
        .evidence
        .iter()
        .filter(|evidence| sets.iter().any(|set| name(set) == evidence.family))
        .collect();
    each(judged.len(), |i| {
        let evidence = judged[i];
        let own: Vec<usize> = (0..sets.len())
            .filter(|&set| name(&sets[set]) == evidence.family)
            .collect();
        let corrupted = own
            .iter()
            .map(|&set| evidence.model.examine(&sets[set].described.select(&split.test)));
        Ok(FamilyTrial {
            clean: evidence.model.examine(&clean_test)?,
            corrupted: corrupted.collect::<Result<_, _>>()?,
            sets: own,
            model: evidence.model.clone(),
        })
    })
}

pub(crate) fn gather(values: &[f64], places: &[usize]) -> Vec<f64> {
    places.iter().filter_map(|&i| values.get(i)).copied().collect()
}
