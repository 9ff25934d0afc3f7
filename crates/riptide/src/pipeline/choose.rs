//! Which pipeline a classifier's accuracy speaks for.

use std::ops::Range;

use riptide_datasets::ImageSet;
use riptide_detectors::argmax;
use riptide_models::preprocess::ColourOrder;
use riptide_models::{ModelError, Network};
use riptide_stats::proportions::mcnemar_greater;
use serde::Serialize;

use super::Preset;
use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::tried::{Candidate, Tried};

/// Images after which candidates that are clearly worse are dropped; the last is how many are looked at at most.
const LOOKS: [usize; 4] = [64, 128, 256, 512];
/// The level of the test that drops a candidate.
const LEVEL: f64 = 0.001;
/// Share of the images of which all candidates that are left must give the same class to be called alike.
const ALIKE: f64 = 0.99;

/// The pipeline that a classifier's accuracy speaks for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// The pipeline.
    pub chosen: Candidate,
    /// What came of all candidates, the chosen one first, then those that lasted longest.
    pub tried: Vec<Tried>,
}

/// The candidates for a network of `channels` channels.
///
/// For three: `none`, `keras-255`, `keras-tf`, `imagenet`, `clip`, `cifar`, `scale-by-instance`, `keras-caffe`, and with blue,
/// green, red `none`, `keras-255`, `keras-tf` and `imagenet`. For one, which takes grey: `none`, `keras-255`, `keras-tf`,
/// `scale-by-instance` and `mnist`.
pub fn candidates(channels: usize) -> Vec<Candidate> {
    use Preset::{Cifar, Clip, Imagenet, Keras255, KerasCaffe, KerasTf, Mnist, None, ScaleByInstance};
    let presets: &[Preset] = match channels {
        1 => &[None, Keras255, KerasTf, ScaleByInstance, Mnist],
        _ => &[
            None,
            Keras255,
            KerasTf,
            Imagenet,
            Clip,
            Cifar,
            ScaleByInstance,
            KerasCaffe,
        ],
    };
    let reversed: &[Preset] = match channels {
        1 => &[],
        _ => &[None, Keras255, KerasTf, Imagenet],
    };
    let plain = presets.iter().map(|preset| Candidate {
        name: preset.name().to_owned(),
        preprocessing: preset.preprocessing(),
    });
    let bgr = reversed.iter().map(|preset| Candidate {
        name: format!("{preset} in the order bgr"),
        preprocessing: preset.preprocessing().with_order(ColourOrder::Bgr),
    });
    plain.chain(bgr).collect()
}

/// The candidates for a network, before anything was tried.
fn untried(classifier: &Network) -> Vec<Tried> {
    let candidates = candidates(classifier.channels()).into_iter();
    candidates
        .map(|candidate| Tried {
            candidate,
            n_images: 0,
            n_right: 0,
            p_value: 1.0,
        })
        .collect()
}

impl Classifier {
    /// The error if it is not known what images go through before it.
    pub(crate) fn undecided(&self, reason: impl Into<String>) -> Error {
        Error::Undecided {
            reason: reason.into(),
            tried: self.network().map(untried).unwrap_or_default(),
        }
    }
}

/// Tries `candidates` on labelled images, whose labels are the classifier's class numbers, and takes the one that the
/// classifier's accuracy speaks for.
///
/// After 64, 128, 256 and 512 images, in the order given, a candidate is dropped if the best one gets significantly more of the
/// same images right: if the exact one-sided test of McNemar (1947) of the images that only one of the two gets right has a
/// p-value of at most 0.001. The one that is left is chosen. Giving no probabilities at all counts as wrong.
///
/// # Errors
/// [`Error::Undecided`] if several are left after the last image; [`Error::Network`] if the classifier fails,
/// [`Error::Mismatch`] if the images have no labels.
pub fn choose(classifier: &Network, images: &ImageSet, candidates: Vec<Candidate>) -> Result<Choice> {
    let Some(labels) = images.labels() else {
        return Err(Error::mismatch(
            "labels to choose the preprocessing by",
            "one for each image",
            "none",
        ));
    };
    let networks: Vec<Network> = candidates
        .iter()
        .map(|candidate| classifier.clone().with_preprocessing(candidate.preprocessing))
        .collect::<Result<_, ModelError>>()?;
    choose_by(labels, candidates, |candidate, range| {
        let Some(network) = networks.get(candidate) else {
            return Ok(vec![None; range.len()]);
        };
        answers(network, &images.slice(range)?)
    })
}

/// The class that a network gives each image; none if it gives no probabilities.
fn answers(network: &Network, images: &ImageSet) -> Result<Vec<Option<usize>>> {
    let rows = match network.predict_proba(images.pixels(), |_| ()) {
        Err(ModelError::NotProbabilities { .. } | ModelError::NotFinite { .. }) => return Ok(vec![None; images.len()]),
        rows => rows?,
    };
    let rows = rows.chunks_exact(network.n_classes().max(1));
    Ok(rows
        .map(|row| row.iter().all(|p| p.is_finite()).then(|| argmax(row)))
        .collect())
}

/// A candidate on its way.
struct Running {
    candidate: Candidate,
    place: usize,
    answers: Vec<Option<usize>>,
    right: Vec<bool>,
    p_value: f64,
}

/// As [`choose`], with whatever gives the answers: of a candidate, by its place, to a range of the images.
fn choose_by(
    labels: &[u32],
    candidates: Vec<Candidate>,
    mut answer: impl FnMut(usize, Range<usize>) -> Result<Vec<Option<usize>>>,
) -> Result<Choice> {
    let mut running: Vec<Running> = candidates
        .into_iter()
        .enumerate()
        .map(|(place, candidate)| Running {
            candidate,
            place,
            answers: Vec::new(),
            right: Vec::new(),
            p_value: 1.0,
        })
        .collect();
    let mut dropped: Vec<Running> = Vec::new();
    let mut seen = 0;
    for look in LOOKS {
        let end = look.min(labels.len());
        if end == seen || running.len() < 2 {
            break;
        }
        let truth = labels.get(seen..end).unwrap_or_default();
        for candidate in &mut running {
            let answers = answer(candidate.place, seen..end)?;
            let right = answers
                .iter()
                .zip(truth)
                .map(|(answer, label)| *answer == Some(*label as usize));
            candidate.right.extend(right);
            candidate.answers.extend(answers);
        }
        seen = end;
        // Stable, so that of equals the first candidate leads.
        running.sort_by_key(|candidate| std::cmp::Reverse(candidate.n_right()));
        let Some((best, others)) = running.split_first_mut() else {
            break;
        };
        best.p_value = 1.0;
        for other in others {
            other.p_value = best.better_than(other);
        }
        let (kept, worse): (Vec<_>, Vec<_>) = running.into_iter().partition(|candidate| candidate.p_value > LEVEL);
        running = kept;
        dropped.splice(0..0, worse);
    }
    let mut all = running.iter().chain(&dropped).map(Running::tried);
    let Some(first) = all.next() else {
        return Err(Error::option("candidates", 0, "at least 1"));
    };
    let tried: Vec<Tried> = std::iter::once(first.clone()).chain(all).collect();
    match running.as_slice() {
        [_] if seen > 0 => Ok(Choice {
            chosen: first.candidate,
            tried,
        }),
        _ => Err(Error::Undecided {
            reason: undecided(&running, seen),
            tried,
        }),
    }
}

/// Why there is no choice, in words.
fn undecided(running: &[Running], n: usize) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<String> = running
        .iter()
        .take(SHOWN)
        .map(|candidate| {
            let share = 100.0 * candidate.n_right() as f64 / n.max(1) as f64;
            format!("{} {share:.1} %", candidate.candidate.name)
        })
        .collect();
    let alike = (0..n).filter(|&image| {
        let mut answers = running.iter().map(|candidate| candidate.answers.get(image));
        let first = answers.next();
        answers.all(|answer| Some(answer) == first)
    });
    let alike = alike.count() as f64 / n.max(1) as f64;
    let more = if running.len() > SHOWN { ", …" } else { "" };
    let hint = if alike >= ALIKE {
        "; they give nearly all images the same class"
    } else {
        ""
    };
    format!(
        "its accuracy on {n} labelled images does not tell these apart: {}{more}{hint}",
        shown.join(", ")
    )
}

impl Running {
    fn n_right(&self) -> usize {
        self.right.iter().filter(|right| **right).count()
    }

    /// The p-value of the other's being as good.
    fn better_than(&self, other: &Self) -> f64 {
        let pairs = || self.right.iter().zip(&other.right);
        let only_this = pairs().filter(|(this, other)| **this && !**other).count();
        let only_other = pairs().filter(|(this, other)| !**this && **other).count();
        mcnemar_greater(only_this, only_other)
    }

    fn tried(&self) -> Tried {
        Tried {
            candidate: self.candidate.clone(),
            n_images: self.right.len(),
            n_right: self.n_right(),
            p_value: self.p_value,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Answers of candidates that are right with these chances, each by its own luck.
    fn with_accuracies(accuracies: &[f64], n: usize, seed: u64) -> Result<Choice> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let labels: Vec<u32> = (0..n).map(|i| (i % 10) as u32).collect();
        let candidates = candidates(3).into_iter().take(accuracies.len()).collect();
        let truth = labels.clone();
        choose_by(&labels, candidates, |candidate, range| {
            let right = accuracies[candidate];
            Ok(range
                .map(|i| Some(truth[i] as usize + usize::from(rng.random::<f64>() > right)))
                .collect())
        })
    }

    #[test]
    fn there_are_about_ten_and_each_is_different() {
        for channels in [1, 3] {
            let all = candidates(channels);
            for (i, a) in all.iter().enumerate() {
                a.preprocessing.validate().unwrap();
                assert!(
                    all[..i]
                        .iter()
                        .all(|b| a.preprocessing != b.preprocessing && a.name != b.name)
                );
            }
        }
        assert_eq!((candidates(3).len(), candidates(1).len()), (12, 5));
    }

    #[test]
    fn a_clear_winner_is_chosen_and_few_images_are_asked_about_the_others() {
        for seed in 0..20 {
            let choice = with_accuracies(&[0.34, 0.10, 0.45, 0.86, 0.30], 2000, seed).unwrap();
            assert_eq!(choice.chosen.name, "imagenet");
            assert_eq!(
                (choice.tried.len(), choice.tried[0].candidate.name.as_str()),
                (5, "imagenet")
            );
            let hopeless = choice
                .tried
                .iter()
                .find(|tried| tried.candidate.name == "keras-255")
                .unwrap();
            assert!(hopeless.n_images == 64 && hopeless.p_value <= LEVEL, "{hopeless:?}");
        }
    }

    #[test]
    fn two_that_are_equally_good_are_never_told_apart_by_luck() {
        let mut decided = 0;
        for seed in 0..300 {
            match with_accuracies(&[0.86, 0.86, 0.10], 512, seed) {
                Ok(_) => decided += 1,
                Err(error) => {
                    let text = error.to_string();
                    assert!(matches!(error, Error::Undecided { .. }));
                    assert!(text.contains(": none ") || text.contains(", none "), "{text}");
                    assert!(text.contains("keras-255 ") && !text.contains("keras-tf 1"), "{text}");
                }
            }
        }
        // Four looks at a level of 0.001 on either side: at most 2.4 of 300 on average.
        assert!(decided <= 6, "{decided}");
    }

    #[test]
    fn few_or_no_images_decide_nothing() {
        assert!(with_accuracies(&[1.0, 0.0], 8, 0).is_err());
        assert!(with_accuracies(&[1.0, 0.0], 0, 0).is_err());
        // Ten images that only one gets right are significant.
        assert!(with_accuracies(&[1.0, 0.0], 10, 0).is_ok());
    }

    #[test]
    fn what_gives_no_probabilities_is_wrong() {
        let labels = vec![0; 40];
        let choice = choose_by(
            &labels,
            candidates(3).into_iter().take(2).collect(),
            |candidate, range| Ok(vec![(candidate == 1).then_some(0); range.len()]),
        );
        assert_eq!(choice.unwrap().chosen.name, "keras-255");
    }

    #[test]
    fn candidates_that_answer_alike_are_called_so() {
        let labels = vec![0; 40];
        let error = choose_by(&labels, candidates(3), |_, range| Ok(vec![Some(0); range.len()])).unwrap_err();
        assert!(
            error.to_string().contains("nearly all images the same class"),
            "{error}"
        );
    }
}
