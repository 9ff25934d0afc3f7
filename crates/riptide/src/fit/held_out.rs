//! What a fit hands on beside the monitor.

use std::fmt;
use std::time::Instant;

use riptide_datasets::ImageSet;
use serde::Serialize;

use crate::classifier::Classifier;
use crate::error::Result;
use crate::monitor::Monitor;
use crate::pair::Pair;

/// Clean images that the distilled network was not trained on, at the size that the classifier takes: for a
/// [self-test](crate::SelfTest), or anything else that needs images whose answers neither network knows by heart.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HeldOut {
    /// The monitor's reference, in its order; of a reference that was given apart, an even sample if it is large.
    pub reference: ImageSet,
    /// Images that validated the epochs and had no other part in the training.
    pub others: ImageSet,
}

impl HeldOut {
    /// At most `n` images, those that are not the reference's first: a batch of the reference's own images is nearer to it than any other.
    ///
    /// # Errors
    /// [`Error::Images`](crate::Error::Images) if the two sets do not fit each other.
    pub fn sample(&self, n: usize) -> Result<ImageSet> {
        let mut images = self.others.slice(0..self.others.len().min(n))?;
        let more = self.reference.len().min(n - images.len());
        if images.is_empty() {
            return Ok(self.reference.slice(0..more)?);
        }
        images.append(&self.reference.slice(0..more)?)?;
        Ok(images)
    }
}

/// A distilled network that seldom agrees with its classifier, because there were few images to learn from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FewImages {
    /// Images that it was trained on.
    pub n_images: usize,
    /// Share of the reference that both networks give the same class.
    pub agreement: f64,
    /// About how many images would bring the agreement to [`FewImages::ENOUGH`], if it can be said.
    pub n_enough: Option<usize>,
}

impl FewImages {
    /// The agreement from which on a distilled network is good enough.
    pub const ENOUGH: f64 = 0.7;
    /// How the share of disagreements falls with the number of images: as its power -0.25, between what was
    /// measured on CIFAR-10 from few and from many images (docs/method.md).
    const POWER: f64 = 0.25;
    /// More images than this are no advice.
    const MOST: f64 = 1e6;

    /// What there is to say of a monitor, if its networks agree too seldom.
    pub(super) fn of(monitor: &Monitor) -> Option<Self> {
        let facts = monitor.facts();
        let n_images = facts.training.as_ref()?.n_images;
        let agreement = facts.reference.agreement?;
        if agreement >= Self::ENOUGH {
            return None;
        }
        let factor = ((1.0 - agreement) / (1.0 - Self::ENOUGH)).powf(1.0 / Self::POWER);
        let enough = n_images as f64 * factor;
        // Two figures are more than is known.
        let unit = 10f64.powf((enough.max(1.0).log10() - 1.0).floor());
        Some(Self {
            n_images,
            agreement,
            n_enough: (enough <= Self::MOST).then(|| ((enough / unit).ceil() * unit) as usize),
        })
    }
}

impl fmt::Display for FewImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the distilled network gives only {:.0} % of the reference the classifier's class, learned from {} images",
            100.0 * self.agreement,
            self.n_images
        )?;
        match self.n_enough {
            Some(n) => write!(f, "; about {n} images would do for {:.0} %", 100.0 * Self::ENOUGH),
            None => f.write_str("; more images, or a larger distilled network, would make harm easier to see"),
        }
    }
}

/// How long the distilled network takes for a few images, as a share of what the classifier takes; none if that is too little to measure.
pub(super) fn relative_cost(classifier: &Classifier, pair: &Pair, images: &ImageSet) -> Result<Option<f64>> {
    const IMAGES: usize = 32;
    if classifier.is_logged() {
        return Ok(None);
    }
    let images = images.slice(0..images.len().min(IMAGES))?;
    // The first time, memory is made and kernels are packed; the second counts.
    let (mut first, mut second) = (0.0, 0.0);
    for _ in 0..2 {
        let start = Instant::now();
        classifier.predict_proba(&images, |_| ())?;
        first = start.elapsed().as_secs_f64();
        let start = Instant::now();
        pair.distilled().predict_proba(images.pixels(), |_| ())?;
        second = start.elapsed().as_secs_f64();
    }
    Ok((first > 0.0 && !images.is_empty()).then_some(second / first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_come_before_the_reference() {
        let set = |value: u8, n: usize| ImageSet::unlabelled(vec![value; n * 12], 2, 2).unwrap();
        let held_out = HeldOut {
            reference: set(1, 5),
            others: set(2, 3),
        };
        let firsts = |n| -> Vec<u8> { held_out.sample(n).unwrap().images().map(|image| image[0]).collect() };
        assert_eq!(firsts(4), [2, 2, 2, 1]);
        assert_eq!(firsts(2), [2, 2]);
        assert_eq!(firsts(20), [2, 2, 2, 1, 1, 1, 1, 1]);
        let alone = HeldOut {
            others: set(0, 0),
            ..held_out
        };
        assert_eq!(alone.sample(2).unwrap().len(), 2);
    }

    #[test]
    fn advice_names_a_number_if_there_is_one() {
        let few = FewImages {
            n_images: 1200,
            agreement: 0.5,
            n_enough: Some(6600),
        };
        assert_eq!(
            few.to_string(),
            "the distilled network gives only 50 % of the reference the classifier's class, learned from 1200 images; about 6600 \
             images would do for 70 %"
        );
    }
}
