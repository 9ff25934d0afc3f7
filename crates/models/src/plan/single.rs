//! One network, compiled.

use std::sync::Mutex;

use rayon::prelude::*;
use riptide_kernels::{Simd, softmax};

use super::groups::group_size;
use super::input::{Geometry, Images};
use super::plain::{PlainPlan, PlainScratch};
use super::residual::{ResidualPlan, ResidualScratch};
use crate::architecture::Architecture;
use crate::config::NetworkConfig;
use crate::error::ModelError;
use crate::input::Input;
use crate::weights::Weights;

/// A network compiled for the CPU.
///
/// ```
/// # #[cfg(feature = "train")] {
/// use riptide_kernels::Simd;
/// use riptide_models::plan::Plan;
/// use riptide_models::{NetworkConfig, ResNetConfig, Weights};
///
/// let config: NetworkConfig = ResNetConfig { depth: 8, n_filters1: 4, ..Default::default() }.into();
/// let plan = Plan::new(&config, &Weights::random(&config, 0)?, Simd::current()?)?;
/// let probabilities = plan.predict_proba(&vec![7; 2 * 32 * 32 * 3])?;
/// assert_eq!(probabilities.len(), 2 * 10);
/// # }
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Debug)]
pub struct Plan {
    simd: Simd,
    pub(super) geometry: Geometry,
    network: Compiled,
    pool: Mutex<Vec<Scratch>>,
}

/// The layers of either network.
#[derive(Debug)]
enum Compiled {
    Residual(ResidualPlan),
    Plain(PlainPlan),
}

/// One thread's memory.
#[derive(Debug)]
pub(super) struct Scratch {
    /// A group of interleaved images.
    pub(super) images: Vec<f32>,
    pub(super) network: NetworkScratch,
}

/// One thread's memory for the layers.
#[derive(Debug)]
pub(super) enum NetworkScratch {
    Residual(Box<ResidualScratch>),
    Plain(Box<PlainScratch>),
}

impl Plan {
    /// Compiles a network for a tier.
    ///
    /// # Errors
    /// Those of [`NetworkConfig::validate`] and [`Weights::check`]; [`ModelError::Opaque`] for an ONNX classifier; [`ModelError::Kernel`] if
    /// a layer's sizes are beyond the kernels.
    pub fn new(config: &NetworkConfig, weights: &Weights, simd: Simd) -> Result<Self, ModelError> {
        Self::with_halo(config, weights, simd, 0)
    }

    /// Compiles with at least this halo around the input images.
    pub(super) fn with_halo(
        config: &NetworkConfig,
        weights: &Weights,
        simd: Simd,
        halo: usize,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        weights.check(config)?;
        let (network, image, group) = match config.architecture() {
            Some(Architecture::Residual(network)) => {
                let plan = ResidualPlan::new(&network, weights, halo)?;
                let (image, group) = (plan.image(), plan.group());
                (Compiled::Residual(plan), image, group)
            }
            Some(Architecture::Plain(network)) => {
                let plan = PlainPlan::new(&network, weights, halo)?;
                let (image, group) = (plan.image(), plan.group());
                (Compiled::Plain(plan), image, group)
            }
            None => return Err(ModelError::Opaque { operation: "planning" }),
        };
        let Input {
            shrink,
            n_classes,
            preprocessing,
            ..
        } = config.input();
        let geometry = Geometry {
            image,
            shrink,
            n_classes,
            preprocessing,
            group,
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
        (self.geometry.shrink.height, self.geometry.shrink.width)
    }

    /// The instructions that the layers use.
    pub fn simd(&self) -> Simd {
        self.simd
    }

    /// Class probabilities, (n, n_classes), of raw images, u8 (n, height, width, 3), row-major. They are preprocessed inside.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the bytes are not a whole number of images.
    pub fn predict_proba(&self, images: &[u8]) -> Result<Vec<f32>, ModelError> {
        self.run(Images::Raw(images), true)
    }

    /// Class probabilities, (n, n_classes), of preprocessed images, f32 (n, 3, height, width), row-major; of a network that makes its images
    /// smaller, with the smaller height and width.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the floats are not a whole number of images.
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
                    // Scaled here, on the thread that reads them next, so that the floats of all images are never in memory together.
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
    pub(super) fn layers(
        &self,
        images: &[f32],
        logits: &mut [f32],
        scratch: &mut NetworkScratch,
    ) -> Result<(), ModelError> {
        match (&self.network, scratch) {
            (Compiled::Residual(plan), NetworkScratch::Residual(scratch)) => {
                plan.run(self.simd, images, logits, scratch)
            }
            (Compiled::Plain(plan), NetworkScratch::Plain(scratch)) => plan.run(self.simd, images, logits, scratch),
            // A plan only ever meets the scratch that it made.
            _ => Err(ModelError::Opaque { operation: "planning" }),
        }
    }

    /// Takes a thread's memory from the pool, or makes it, and puts it back after the work. Memory belongs to no thread in particular,
    /// because rayon's threads come and go with the pool that a caller installs.
    pub(super) fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let kept = self
            .pool
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .pop();
        let mut scratch = kept.unwrap_or_else(|| Scratch {
            images: vec![0.0; self.geometry.group * self.geometry.image.len()],
            network: match &self.network {
                Compiled::Residual(plan) => NetworkScratch::Residual(Box::new(plan.scratch(self.geometry.group))),
                Compiled::Plain(plan) => NetworkScratch::Plain(Box::new(plan.scratch(self.geometry.group))),
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
