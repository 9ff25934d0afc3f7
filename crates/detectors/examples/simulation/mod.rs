//! Batches of simulated scores, for the examples that print error rates and the tests that check them.
#![allow(dead_code)]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Normal};
use riptide_detectors::drift::{Correction, DriftConfig};
use riptide_detectors::harm::HarmConfig;
use riptide_detectors::{CvmDrift, DetectorError, HarmTest, KsDrift, Samples};
use riptide_stats::ks::Alternative;
use riptide_stats::summary;
use statrs::distribution::{ContinuousCDF, LogNormal as LogNormalCdf};

/// Size of every reference.
pub(crate) const N_REFERENCE: usize = 1000;

/// Mean and deviation of the logarithm of clean scores.
const CLEAN: (f64, f64) = (0.0, 1.0);

fn scores(n: usize, (mean, deviation): (f64, f64), rng: &mut ChaCha8Rng) -> Vec<f64> {
    LogNormal::new(mean, deviation)
        .map(|law| law.sample_iter(rng).take(n).collect())
        .unwrap_or_default()
}

/// Share of clean batches on which each detector alarms at level 0.05, with a fresh reference for each batch.
pub(crate) fn false_alarm_rates(
    n: usize,
    n_batches: usize,
    seed: u64,
) -> Result<Vec<(&'static str, f64)>, DetectorError> {
    const NAMES: [&str; 8] = [
        "KsDrift, two-sided",
        "KsDrift, greater",
        "KsDrift, less",
        "KsDrift, 4 features, bonferroni",
        "KsDrift, 4 features, fdr",
        "CvmDrift",
        "HarmTest, significance alone",
        "HarmTest, significance and 10 % excess",
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut alarms = [0_usize; NAMES.len()];
    for _ in 0..n_batches {
        let reference = scores(N_REFERENCE, CLEAN, &mut rng);
        let batch = scores(n, CLEAN, &mut rng);
        let normal: Vec<f64> = Normal::new(0.0, 1.0)
            .map(|law| law.sample_iter(&mut rng).take(4 * (N_REFERENCE + n)).collect())
            .unwrap_or_default();
        let (wide_reference, wide_batch) = normal.split_at(4 * N_REFERENCE);
        let wide_reference = Samples::new(wide_reference.to_vec(), 4)?;
        let wide_batch = Samples::new(wide_batch, 4)?;
        let ks = |alternative| {
            KsDrift::new(reference.clone(), DriftConfig::default().alternative(alternative))?.test(&batch)
        };
        let wide = |correction| {
            KsDrift::new(wide_reference.clone(), DriftConfig::default().correction(correction))?.test(&wide_batch)
        };
        let harm = HarmTest::new(&reference, HarmConfig::default())?.test(&batch)?.data;
        let drifts = [
            ks(Alternative::TwoSided)?.is_drift(),
            ks(Alternative::Greater)?.is_drift(),
            ks(Alternative::Less)?.is_drift(),
            wide(Correction::Bonferroni)?.is_drift(),
            wide(Correction::Fdr)?.is_drift(),
            CvmDrift::new(reference.clone(), DriftConfig::default())?
                .test(&batch)?
                .is_drift(),
            harm.is_significant,
            harm.is_harmful,
        ];
        alarms
            .iter_mut()
            .zip(drifts)
            .for_each(|(count, drift)| *count += usize::from(drift));
    }
    Ok(NAMES
        .into_iter()
        .zip(alarms.map(|count| count as f64 / n_batches as f64))
        .collect())
}

/// How harmful instances are scored, as mean and deviation of the logarithm.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Harmful {
    /// Above nearly every clean score.
    Apart,
    /// Overlapping the clean scores.
    Overlapping,
    /// Spread to both sides of the clean scores, with the same median: both distribution functions cross there.
    Wider,
    /// Nothing is harmful, but the clean instances of the batch score lower than the reference.
    Easier,
}

impl Harmful {
    fn law(self) -> (f64, f64) {
        match self {
            Self::Apart => (4.0, 0.5),
            Self::Overlapping => (1.5, 1.0),
            Self::Wider => (0.0, 3.0),
            Self::Easier => CLEAN,
        }
    }
}

/// What happened over many batches of one kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HarmSummary {
    /// Mean of the true excess fraction at the cut of each reference.
    pub(crate) excess: f64,
    /// Mean estimate.
    pub(crate) estimate: f64,
    /// Share of the intervals that hold the true excess fraction.
    pub(crate) coverage: f64,
    /// Share of the lower ends that do not exceed the harmful fraction.
    pub(crate) lower_holds: f64,
    /// Share of the batches with an alarm.
    pub(crate) alarms: f64,
}

/// Tests `n_batches` batches of `n` scores, each harmful with chance `fraction`, against a fresh reference each.
pub(crate) fn harm(
    harmful: Harmful,
    fraction: f64,
    n: usize,
    n_batches: usize,
    seed: u64,
) -> Result<HarmSummary, DetectorError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let clean_law = match harmful {
        Harmful::Easier => (-0.5, 1.0),
        _ => CLEAN,
    };
    let cdf = |(mean, deviation): (f64, f64), x| LogNormalCdf::new(mean, deviation).map_or(f64::NAN, |law| law.cdf(x));
    let (mut excess, mut estimates, mut covered, mut held, mut alarms) = (vec![], vec![], 0, 0, 0);
    for _ in 0..n_batches {
        let test = HarmTest::new(&scores(N_REFERENCE, CLEAN, &mut rng), HarmConfig::default())?;
        let mut batch = scores(n, clean_law, &mut rng);
        let worse = scores(n, harmful.law(), &mut rng);
        for (score, worse) in batch.iter_mut().zip(worse) {
            if rng.random::<f64>() < fraction {
                *score = worse;
            }
        }
        let data = test.test(&batch)?.data;
        let (below_reference, below_clean) = (cdf(CLEAN, data.cut), cdf(clean_law, data.cut));
        let below = (1.0 - fraction) * below_clean + fraction * cdf(harmful.law(), data.cut);
        let truth = (1.0 - below / below_reference).max(0.0);
        let interval = data.excess_fraction;
        excess.push(truth);
        estimates.push(interval.estimate);
        covered += usize::from(interval.lower <= truth && truth <= interval.upper);
        held += usize::from(interval.lower <= fraction);
        alarms += usize::from(data.is_harmful);
    }
    let share = |count: usize| count as f64 / n_batches as f64;
    Ok(HarmSummary {
        excess: summary::mean(&excess)?,
        estimate: summary::mean(&estimates)?,
        coverage: share(covered),
        lower_holds: share(held),
        alarms: share(alarms),
    })
}
