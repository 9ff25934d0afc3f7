//! The sweep: batches contaminated with harmful or harmless images, and the p-value of each.

use rand::RngExt;
use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use riptide_corruptions::Severity;
use riptide_detectors::HarmTest;
use riptide_detectors::harm::{HarmConfig, HarmData};
use riptide_stats::ks::{Method, Reference};

use crate::error::ExperimentError;
use crate::harmfulness::{CorruptedPass, Kind, Pass, Place, pool};
use crate::protocol::{Protocol, ProtocolParams, Sampling};
use crate::random::{Purpose, stream};

/// One batch's tests: its place in the sweep, and a distance and a p-value for each score.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Severity of the corrupted images.
    pub severity: Severity,
    /// Whether they are harmful.
    pub kind: Kind,
    /// Fraction of the batch that they make up, 0 to 1.
    pub fraction: f64,
    /// Which of the repeats, from 0.
    pub repeat: usize,
    /// (statistic, p-value), one a score of the protocol.
    pub tests: Vec<(f64, f64)>,
    /// What the harm-directed test says, one a score of the protocol.
    pub harm: Vec<HarmData>,
}

impl Batch {
    /// Whether another batch differs only in its repeat.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        (self.severity, self.kind, self.fraction) == (other.severity, other.kind, other.fraction)
    }
}

/// The reference, and the clean images that batches draw from.
#[derive(Debug)]
pub(crate) struct Draw {
    pub(crate) reference: Vec<usize>,
    clean: Vec<usize>,
}

impl Draw {
    /// Draws the reference.
    pub(crate) fn new(n_images: usize, protocol: &Protocol) -> Result<Self, ExperimentError> {
        let params = protocol.params();
        let mut rng = stream(params.seed, Purpose::Reference, [0, 0]);
        match params.sampling {
            Sampling::WithReplacement => {
                if n_images == 0 {
                    return Err(too_few("the reference", 1, 0));
                }
                let reference = (0..params.n_ref).map(|_| rng.random_range(0..n_images)).collect();
                Ok(Self {
                    reference,
                    clean: (0..n_images).collect(),
                })
            }
            Sampling::WithoutReplacement => {
                let needed = params.n_ref.saturating_add(params.batch_size);
                if n_images < needed {
                    return Err(too_few("the reference and a batch outside it", needed, n_images));
                }
                let mut order: Vec<usize> = (0..n_images).collect();
                order.shuffle(&mut rng);
                let clean = order.split_off(params.n_ref);
                Ok(Self {
                    reference: order,
                    clean,
                })
            }
        }
    }
}

fn too_few(what: &'static str, needed: usize, available: usize) -> ExperimentError {
    let advice = "take more images, a smaller reference (n_ref) or smaller batches (batch_size)";
    ExperimentError::TooFew {
        what,
        needed,
        available,
        advice,
    }
}

/// Runs every batch of the sweep, in the order severity, kind, fraction, repeat.
///
/// A severity without any image of a kind gives no batches of that kind. If there are fewer images of a kind than a batch
/// needs, they are drawn with replacement.
pub(crate) fn sweep(
    clean: &Pass,
    corrupted: &[CorruptedPass],
    draw: &Draw,
    protocol: &Protocol,
) -> Result<Vec<Batch>, ExperimentError> {
    let params = protocol.params();
    let references = clean
        .scores
        .iter()
        .map(|scores| Detectors::new(gather(scores, &draw.reference), params))
        .collect::<Result<Vec<_>, _>>()?;
    let mut batches = Vec::new();
    for &severity in &params.severities {
        let twins: Vec<&CorruptedPass> = corrupted.iter().filter(|twin| twin.severity == severity).collect();
        for kind in Kind::ALL {
            let pool = pool(clean, &twins, kind);
            if pool.is_empty() {
                continue;
            }
            for (step, &fraction) in params.fractions.iter().enumerate() {
                let n_corrupted = protocol.contaminated(fraction);
                let place = (u64::from(severity.get()) << 32) | (kind as u64) << 16 | step as u64;
                let cell: Result<Vec<Batch>, ExperimentError> = (0..params.batches)
                    .into_par_iter()
                    .map(|repeat| {
                        let mut rng = stream(params.seed, Purpose::Batch, [place, repeat as u64]);
                        let chosen = choose(&mut rng, pool.len(), n_corrupted, params.sampling);
                        let rest = choose(
                            &mut rng,
                            draw.clean.len(),
                            params.batch_size - n_corrupted,
                            params.sampling,
                        );
                        let (mut tests, mut harm) = (Vec::new(), Vec::new());
                        for (column, detectors) in references.iter().enumerate() {
                            let dirty = chosen
                                .iter()
                                .filter_map(|&i| pool.get(i))
                                .map(|&place| score(&twins, place, column));
                            let pure = rest
                                .iter()
                                .filter_map(|&i| draw.clean.get(i))
                                .map(|&image| clean.scores[column][image]);
                            let batch: Vec<f64> = dirty.chain(pure).map(f64::from).collect();
                            let test = detectors.ks.test(&batch, params.alternative, Method::Asymptotic)?;
                            tests.push((test.statistic, test.p_value));
                            harm.push(detectors.harm.test(&batch)?.data);
                        }
                        Ok(Batch {
                            severity,
                            kind,
                            fraction,
                            repeat,
                            tests,
                            harm,
                        })
                    })
                    .collect();
                batches.extend(cell?);
            }
        }
    }
    Ok(batches)
}

/// The two detectors that see each batch of one score.
struct Detectors {
    ks: Reference,
    harm: HarmTest,
}

impl Detectors {
    fn new(reference: Vec<f64>, params: &ProtocolParams) -> Result<Self, ExperimentError> {
        Ok(Self {
            ks: Reference::new(&reference)?,
            harm: HarmTest::new(&reference, HarmConfig::default().level(params.level))?,
        })
    }
}

fn score(twins: &[&CorruptedPass], (place, image): Place, column: usize) -> f32 {
    twins[place].pass.scores[column][image]
}

/// Values of `scores` at `places`, as the tests take them.
pub(crate) fn gather(scores: &[f32], places: &[usize]) -> Vec<f64> {
    places
        .iter()
        .filter_map(|&i| scores.get(i))
        .map(|&score| f64::from(score))
        .collect()
}

fn choose(rng: &mut ChaCha8Rng, length: usize, amount: usize, sampling: Sampling) -> Vec<usize> {
    if sampling == Sampling::WithReplacement || amount > length {
        (0..amount).map(|_| rng.random_range(0..length)).collect()
    } else {
        index::sample(rng, length, amount).into_vec()
    }
}

#[cfg(test)]
mod tests {
    use riptide_corruptions::Corruption;

    use super::*;

    fn small() -> ProtocolParams {
        ProtocolParams {
            n_ref: 100,
            batch_size: 50,
            batches: 20,
            fractions: vec![0.0, 0.5],
            severities: vec![Severity::ALL[4]],
            corruptions: vec![Corruption::Brightness],
            ..Default::default()
        }
    }

    /// 400 clean images with spread scores, all right; twins whose every second image is wrong and scores higher.
    fn world() -> (Pass, Vec<CorruptedPass>) {
        let spread: Vec<f32> = (0..400).map(|i| (i * 7919 % 400) as f32 / 400.0).collect();
        let shifted = spread
            .iter()
            .enumerate()
            .map(|(i, s)| if i % 2 == 0 { s + 2.0 } else { *s })
            .collect();
        let clean = Pass {
            correct: vec![true; 400],
            scores: vec![spread],
        };
        let pass = Pass {
            correct: (0..400).map(|i| i % 2 == 1).collect(),
            scores: vec![shifted],
        };
        let twin = CorruptedPass {
            corruption: Corruption::Brightness,
            severity: Severity::ALL[4],
            pass,
        };
        (clean, vec![twin])
    }

    fn mean_p(batches: &[Batch], kind: Kind, fraction: f64) -> f64 {
        let p: Vec<f64> = batches
            .iter()
            .filter(|b| b.kind == kind && b.fraction == fraction)
            .map(|b| b.tests[0].1)
            .collect();
        assert_eq!(p.len(), 20);
        p.iter().sum::<f64>() / 20.0
    }

    #[test]
    fn harm_is_seen_and_harmlessness_is_not() {
        let (clean, twins) = world();
        let protocol = small().check().unwrap();
        let draw = Draw::new(400, &protocol).unwrap();
        let batches = sweep(&clean, &twins, &draw, &protocol).unwrap();
        let clean = mean_p(&batches, Kind::Harmful, 0.0);
        assert!(mean_p(&batches, Kind::Harmful, 0.5) < clean / 1000.0);
        assert!(mean_p(&batches, Kind::Harmless, 0.5) > clean / 2.0);
    }

    #[test]
    fn the_same_seed_gives_the_same_batches_for_any_number_of_threads() {
        let (clean, twins) = world();
        let protocol = small().check().unwrap();
        let draw = Draw::new(400, &protocol).unwrap();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sweep(&clean, &twins, &draw, &protocol).unwrap())
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn reference_and_batches_do_not_overlap_without_replacement() {
        let protocol = small().check().unwrap();
        let draw = Draw::new(160, &protocol).unwrap();
        assert_eq!((draw.reference.len(), draw.clean.len()), (100, 60));
        assert!(draw.clean.iter().all(|image| !draw.reference.contains(image)));
        assert!(
            Draw::new(149, &protocol)
                .unwrap_err()
                .to_string()
                .contains("150 images")
        );
    }
}
