//! Planned networks: a network compiled to the kernels of `riptide_kernels`, for images on the CPU.
//!
//! Weights are packed once, batch normalisation is folded into them, layers without an activation between them become one, and memory is reused.
//! Images go through in groups, each group through all layers on one thread with one thread's scratch; raw images are scaled inside of
//! their group, so the floats of all images are never in memory together. Every image's numbers are the same for any number of threads and any batch.

mod distilled;
mod input;
mod layers;
mod lazy;
mod pair;
mod resnet;
#[cfg(test)]
mod tests;

pub use pair::PairPlan;

pub(crate) use lazy::Lazy;

use std::sync::Mutex;

use rayon::prelude::*;
use riptide_kernels::{Simd, softmax};

use crate::config::{DistilledCnnConfig, NetworkConfig, ResNetConfig};
use crate::error::ModelError;
use crate::weights::Weights;
use distilled::{DistilledPlan, DistilledScratch};
use input::{Geometry, Images};
use resnet::{ResNetPlan, ResNetScratch};

/// How many images share a group where they are small.
const GROUP: usize = 8;
/// Bytes that a buffer of a whole group should not exceed; groups of large images are smaller.
const GROUP_BYTES: usize = 4 << 20;

/// A network compiled for the CPU.
///
/// ```
/// use riptide_models::plan::Plan;
/// use riptide_models::{ResNetConfig, Weights};
///
/// let config = ResNetConfig { depth: 8, n_filters1: 4, ..Default::default() };
/// let plan = Plan::resnet(&config, &Weights::random(&config.clone().into(), 0)?)?;
/// let probabilities = plan.predict_proba(&vec![7; 2 * 32 * 32 * 3])?;
/// assert_eq!(probabilities.len(), 2 * 10);
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Debug)]
pub struct Plan {
    simd: Simd,
    geometry: Geometry,
    network: Compiled,
    pool: Mutex<Vec<Scratch>>,
}

/// The layers of either network.
#[derive(Debug)]
enum Compiled {
    ResNet(ResNetPlan),
    DistilledCnn(DistilledPlan),
}

/// One thread's memory.
#[derive(Debug)]
struct Scratch {
    /// A group of interleaved images.
    images: Vec<f32>,
    network: NetworkScratch,
}

/// One thread's memory for the layers.
#[derive(Debug)]
enum NetworkScratch {
    ResNet(Box<ResNetScratch>),
    DistilledCnn(Box<DistilledScratch>),
}

impl Plan {
    /// Compiles a residual network, for the tier of [`Simd::current`].
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn resnet(config: &ResNetConfig, weights: &Weights) -> Result<Self, ModelError> {
        Self::new(&config.clone().into(), weights, Simd::current()?)
    }

    /// Compiles a distilled network, for the tier of [`Simd::current`].
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn distilled(config: &DistilledCnnConfig, weights: &Weights) -> Result<Self, ModelError> {
        Self::new(&config.clone().into(), weights, Simd::current()?)
    }

    /// Compiles a network for a tier.
    ///
    /// # Errors
    /// What [`NetworkConfig::validate`] and [`Weights::check`] say; [`ModelError::Opaque`] for an ONNX classifier; [`ModelError::Kernel`] where
    /// a layer's sizes are beyond the kernels.
    pub fn new(config: &NetworkConfig, weights: &Weights, simd: Simd) -> Result<Self, ModelError> {
        Self::with_halo(config, weights, simd, 0)
    }

    /// Compiles with at least this halo around the input images.
    fn with_halo(config: &NetworkConfig, weights: &Weights, simd: Simd, halo: usize) -> Result<Self, ModelError> {
        config.validate()?;
        weights.check(config)?;
        let (network, geometry) = match config {
            NetworkConfig::ResNet(config) => {
                let (plan, geometry) = ResNetPlan::new(config, weights, halo)?;
                (Compiled::ResNet(plan), geometry)
            }
            NetworkConfig::DistilledCnn(config) => {
                let (plan, geometry) = DistilledPlan::new(config, weights, halo)?;
                (Compiled::DistilledCnn(plan), geometry)
            }
            NetworkConfig::Onnx(_) => return Err(ModelError::Opaque { operation: "planning" }),
        };
        Ok(Self {
            simd,
            geometry,
            network,
            pool: Mutex::new(Vec::new()),
        })
    }

    /// The number of classes.
    pub fn n_classes(&self) -> usize {
        self.geometry.n_classes
    }

    /// Height and width of the images.
    pub fn input_size(&self) -> (usize, usize) {
        (self.geometry.image.height, self.geometry.image.width)
    }

    /// The instructions that the layers use.
    pub fn simd(&self) -> Simd {
        self.simd
    }

    /// Class probabilities, (n, n_classes), of raw images, u8 (n, height, width, 3), row-major. They are preprocessed inside.
    ///
    /// # Errors
    /// [`ModelError::Images`] where the bytes are not a whole number of images.
    pub fn predict_proba(&self, images: &[u8]) -> Result<Vec<f32>, ModelError> {
        self.run(Images::Raw(images), true)
    }

    /// Class probabilities, (n, n_classes), of preprocessed images, f32 (n, 3, height, width), row-major.
    ///
    /// # Errors
    /// [`ModelError::Images`] where the floats are not a whole number of images.
    pub fn predict_proba_scaled(&self, images: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.run(Images::Scaled(images), true)
    }

    /// Like [`Plan::predict_proba`], before softmax.
    ///
    /// # Errors
    /// As [`Plan::predict_proba`].
    pub fn logits(&self, images: &[u8]) -> Result<Vec<f32>, ModelError> {
        self.run(Images::Raw(images), false)
    }

    /// Like [`Plan::predict_proba_scaled`], before softmax.
    ///
    /// # Errors
    /// As [`Plan::predict_proba_scaled`].
    pub fn logits_scaled(&self, images: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.run(Images::Scaled(images), false)
    }

    fn run(&self, images: Images<'_>, probabilities: bool) -> Result<Vec<f32>, ModelError> {
        let n = images.count(&self.geometry)?;
        let classes = self.n_classes();
        let mut outputs = vec![0f32; n * classes];
        let group = group_size(self.geometry.group, n);
        outputs
            .par_chunks_mut(group * classes)
            .enumerate()
            .try_for_each(|(i, outputs)| {
                self.with_scratch(|scratch| {
                    let count = outputs.len() / classes;
                    let floats = &mut scratch.images[..count * self.geometry.image.len()];
                    images.fill(&self.geometry, i * group, count, floats);
                    self.layers(floats, outputs, &mut scratch.network)?;
                    if probabilities {
                        outputs.chunks_exact_mut(classes).for_each(softmax);
                    }
                    Ok::<(), ModelError>(())
                })
            })?;
        Ok(outputs)
    }

    /// A group of interleaved images to logits.
    fn layers(&self, images: &[f32], logits: &mut [f32], scratch: &mut NetworkScratch) -> Result<(), ModelError> {
        match (&self.network, scratch) {
            (Compiled::ResNet(plan), NetworkScratch::ResNet(scratch)) => plan.run(self.simd, images, logits, scratch),
            (Compiled::DistilledCnn(plan), NetworkScratch::DistilledCnn(scratch)) => {
                plan.run(self.simd, images, logits, scratch)
            }
            // A plan only ever meets the scratch that it made.
            _ => Err(ModelError::Opaque { operation: "planning" }),
        }
    }

    /// Takes a thread's memory from the pool, or makes it, and puts it back after the work.
    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let kept = self
            .pool
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .pop();
        let mut scratch = kept.unwrap_or_else(|| Scratch {
            images: vec![0.0; self.geometry.group * self.geometry.image.len()],
            network: match &self.network {
                Compiled::ResNet(plan) => NetworkScratch::ResNet(Box::new(plan.scratch(self.geometry.group))),
                Compiled::DistilledCnn(plan) => {
                    NetworkScratch::DistilledCnn(Box::new(plan.scratch(self.geometry.group)))
                }
            },
        });
        let result = work(&mut scratch);
        self.pool
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(scratch);
        result
    }
}

/// Images of a group: as many as fit, and no more than give every thread a group.
fn group_size(most: usize, images: usize) -> usize {
    images.div_ceil(rayon::current_num_threads()).clamp(1, most)
}

/// How many images fit a group when an image's largest buffer has so many bytes.
fn images_per_group(bytes: usize) -> usize {
    (GROUP_BYTES / bytes.max(1)).clamp(1, GROUP)
}
