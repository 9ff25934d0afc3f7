//! A classifier and its distilled network in one pass over raw images.

use rayon::prelude::*;
use riptide_kernels::{Simd, softmax};

use super::groups::group_size;
use super::input::Images;
use super::single::Plan;
use crate::config::NetworkConfig;
use crate::error::ModelError;
use crate::weights::Weights;

/// Two networks compiled for the CPU, which take the same images.
///
/// ```
/// # #[cfg(feature = "train")] {
/// use riptide_kernels::Simd;
/// use riptide_models::plan::PairPlan;
/// use riptide_models::{DistilledCnnConfig, NetworkConfig, ResNetConfig, Weights};
///
/// let classifier: NetworkConfig = ResNetConfig { depth: 8, n_filters1: 4, ..Default::default() }.into();
/// let distilled: NetworkConfig = DistilledCnnConfig { n_filters1: 8, ..Default::default() }.into();
/// let (a, b) = (Weights::random(&classifier, 0)?, Weights::random(&distilled, 0)?);
/// let pair = PairPlan::new((&classifier, &a), (&distilled, &b), Simd::current()?)?;
/// let (p, q) = pair.predict_proba(&vec![9; 3 * 32 * 32 * 3])?;
/// assert_eq!((p.len(), q.len()), (30, 30));
/// # }
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Debug)]
pub struct PairPlan {
    classifier: Plan,
    distilled: Plan,
    /// Whether both take the same floats for an image, so that it is scaled once.
    shared: bool,
}

impl PairPlan {
    /// Compiles two networks, each a configuration and its weights, for a tier.
    ///
    /// # Errors
    /// As [`Plan::new`], and [`ModelError::Pair`] if they differ in number of classes or size of images.
    pub fn new(
        classifier: (&NetworkConfig, &Weights),
        distilled: (&NetworkConfig, &Weights),
        simd: Simd,
    ) -> Result<Self, ModelError> {
        let compile = |(config, weights), halo| Plan::with_halo(config, weights, simd, halo);
        // Both should take the same floats, so both get the larger of the two halos. Only the smaller one is compiled again.
        let second = compile(distilled, 0)?;
        let first = compile(classifier, second.geometry.image.halo)?;
        let second = if first.geometry.image == second.geometry.image {
            second
        } else {
            compile(distilled, first.geometry.image.halo)?
        };
        let pair = |what, classifier: String, distilled: String| ModelError::Pair {
            what,
            classifier,
            distilled,
        };
        if first.n_classes() != second.n_classes() {
            return Err(pair(
                "number of classes",
                first.n_classes().to_string(),
                second.n_classes().to_string(),
            ));
        }
        if first.input_size() != second.input_size() {
            let (a, b) = (first.input_size(), second.input_size());
            return Err(pair("size of images", format!("{a:?}"), format!("{b:?}")));
        }
        let shared = first.geometry.image == second.geometry.image
            && first.geometry.shrink == second.geometry.shrink
            && first.geometry.preprocessing == second.geometry.preprocessing;
        Ok(Self {
            classifier: first,
            distilled: second,
            shared,
        })
    }

    /// The number of classes of both.
    pub fn n_classes(&self) -> usize {
        self.classifier.n_classes()
    }

    /// Height and width of the images of both.
    pub fn input_size(&self) -> (usize, usize) {
        self.classifier.input_size()
    }

    /// Class probabilities of both networks, each (n, n_classes), of raw images, u8 (n, height, width, 3), row-major.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the bytes are not a whole number of images.
    pub fn predict_proba(&self, images: &[u8]) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
        let images = Images::Raw(images);
        let (a, b) = (&self.classifier, &self.distilled);
        let n = images.count(&a.geometry)?;
        let classes = self.n_classes();
        let mut outputs = (vec![0f32; n * classes], vec![0f32; n * classes]);
        // The smaller group of the two, because both scratches have room for their own group alone.
        let group = group_size(a.geometry.group.min(b.geometry.group), n);
        let chunks = outputs
            .0
            .par_chunks_mut(group * classes)
            .zip(outputs.1.par_chunks_mut(group * classes));
        chunks.enumerate().try_for_each(|(i, (p, q))| {
            let count = p.len() / classes;
            a.with_scratch(|first| {
                b.with_scratch(|second| {
                    let floats = &mut first.images[..count * a.geometry.image.len()];
                    images.fill(&a.geometry, i * group, count, floats);
                    a.layers(floats, p, &mut first.network)?;
                    // The distilled network's pass follows at once, while the group's floats are still in the cache.
                    let floats = if self.shared {
                        floats
                    } else {
                        let own = &mut second.images[..count * b.geometry.image.len()];
                        images.fill(&b.geometry, i * group, count, own);
                        own
                    };
                    b.layers(floats, q, &mut second.network)?;
                    p.chunks_exact_mut(classes)
                        .chain(q.chunks_exact_mut(classes))
                        .for_each(softmax);
                    Ok::<(), ModelError>(())
                })
            })
        })?;
        Ok(outputs)
    }
}
