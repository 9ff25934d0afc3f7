//! The training loop.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use riptide_kernels::Simd;
use serde::{Deserialize, Serialize};

use super::engine::{self, Engine, FlatLayout, write_image};
use super::optimizer::update;
use super::recipe::Recipe;
use super::sample::{Target, Variation, row_gradient};
use crate::architecture::ParameterKind;
use crate::config::NetworkConfig;
use crate::error::ModelError;
use crate::input::Input;
use crate::network::Network;
use crate::shrink::Shrink;
use crate::weights::Weights;

/// What a network is to learn from each image.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// The class of each image; the loss is the cross-entropy.
    Labels(&'a [u32]),
    /// Class probabilities (versions, n, n_classes) that a classifier gives each version of each image, [`Augmentation::versions`] of them; the
    /// loss is the divergence KL(classifier || network).
    ///
    /// [`Augmentation::versions`]: super::Augmentation::versions
    Probabilities(&'a [f32]),
}

/// Images to learn from.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSet<'a> {
    /// u8 (n, height, width, 3), row-major.
    pub pixels: &'a [u8],
    /// What to learn from them.
    pub targets: Targets<'a>,
}

/// Where a training stands within an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Images of this epoch done.
    pub images: usize,
    /// Images of an epoch.
    pub of: usize,
    /// Mean loss over the images of this epoch so far.
    pub loss: f64,
    /// Share of the images of this epoch so far whose most probable class is the target's.
    pub accuracy: f64,
}

/// What an epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochSummary {
    /// The epoch, from 1.
    pub epoch: u32,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Mean loss over its images, without regularisation.
    pub loss: f64,
    /// Share of its images whose most probable class was the target's.
    pub accuracy: f64,
}

/// A network in training.
///
/// The same network, recipe and images give the same weights, bit for bit, for any number of threads, and whether or not the training was stopped
/// between epochs and resumed from a [checkpoint](Trainer::save).
///
/// ```
/// use riptide_models::train::{Recipe, Targets, Trainer, TrainingSet};
/// use riptide_models::{Network, ResNetConfig};
///
/// let config = ResNetConfig { depth: 8, n_filters1: 4, height: 8, width: 8, n_classes: 2, ..Default::default() };
/// let network = Network::random(config, 0)?;
/// let pixels: Vec<u8> = (0..20 * 8 * 8 * 3).map(|i| (i % 251) as u8).collect();
/// let labels: Vec<u32> = (0..20).map(|i| i % 2).collect();
/// let mut trainer = Trainer::new(&network, Recipe::classifier(2))?;
/// while !trainer.is_finished() {
///     let set = TrainingSet { pixels: &pixels, targets: Targets::Labels(&labels) };
///     let summary = trainer.epoch(set, |_progress| ())?;
///     assert!(summary.loss.is_finite());
/// }
/// let trained = trainer.network()?;
/// assert_ne!(trained.digest(), network.digest());
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    pub(super) config: NetworkConfig,
    pub(super) recipe: Recipe,
    pub(super) layout: FlatLayout,
    pub(super) parameters: Vec<f32>,
    pub(super) statistics: Vec<f32>,
    pub(super) state: [Vec<f32>; 2],
    pub(super) history: Vec<EpochSummary>,
    engine: Box<dyn Engine>,
    gradient: Vec<f32>,
    step: u64,
}

impl Trainer {
    /// Begins with the weights of `network`, on the best kernels of this machine.
    ///
    /// # Errors
    /// [`ModelError::Opaque`] for an ONNX classifier, [`ModelError::Config`] if the recipe is invalid.
    pub fn new(network: &Network, recipe: Recipe) -> Result<Self, ModelError> {
        Self::with_kernels(network, recipe, Simd::current()?)
    }

    /// Like [`Trainer::new`], on the given kernels.
    ///
    /// # Errors
    /// Those of [`Trainer::new`].
    pub fn with_kernels(network: &Network, recipe: Recipe, simd: Simd) -> Result<Self, ModelError> {
        recipe.validate()?;
        let config = network.config().clone();
        let Some(architecture) = config.architecture() else {
            return Err(ModelError::Opaque { operation: "training" });
        };
        let layout = FlatLayout::new(&architecture);
        let engine = engine::new(&architecture, &layout, simd)?;
        let parameters = layout.flatten(&layout.trained, network.weights())?;
        let statistics = layout.flatten(&layout.statistics, network.weights())?;
        let zeros = vec![0.0; parameters.len()];
        Ok(Self {
            config,
            recipe,
            layout,
            statistics,
            state: [zeros.clone(), zeros.clone()],
            history: Vec::new(),
            engine,
            gradient: zeros,
            parameters,
            step: 0,
        })
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The epochs that are done.
    pub fn history(&self) -> &[EpochSummary] {
        &self.history
    }

    /// Whether all epochs are done.
    pub fn is_finished(&self) -> bool {
        self.history.len() >= self.recipe.epochs as usize
    }

    /// The network as it stands.
    ///
    /// # Errors
    /// [`ModelError::ParameterValue`] if the training has diverged.
    pub fn network(&self) -> Result<Network, ModelError> {
        let mut weights = Weights::default();
        self.layout
            .restore(&self.layout.trained, &self.parameters, &mut weights)?;
        self.layout
            .restore(&self.layout.statistics, &self.statistics, &mut weights)?;
        Network::new(self.config.clone(), weights)
    }

    /// One more pass over the images, in an order drawn from the seed; calls `progress` after every step.
    ///
    /// # Errors
    /// [`ModelError::Images`] if the images or targets do not fit the network, [`ModelError::Diverged`] if the loss is no longer finite.
    pub fn epoch(
        &mut self,
        set: TrainingSet<'_>,
        mut progress: impl FnMut(&Progress),
    ) -> Result<EpochSummary, ModelError> {
        let n = self.check(&set)?;
        let epoch = self.history.len() as u32 + 1;
        let mut order: Vec<usize> = (0..n).collect();
        // No image has this number.
        order.shuffle(&mut self.random(epoch, u32::MAX));
        let steps_of_epoch = n.div_ceil(self.recipe.batch_size) as u64;
        let steps = steps_of_epoch * u64::from(self.recipe.epochs);
        self.step = steps_of_epoch * u64::from(epoch - 1);
        let mut now = Progress {
            epoch,
            images: 0,
            of: n,
            loss: 0.0,
            accuracy: 0.0,
        };
        let (mut loss, mut right, mut rate) = (0.0, 0, 0.0);
        for batch in order.chunks(self.recipe.batch_size) {
            rate = self.recipe.rate(self.step, steps);
            let (batch_loss, batch_right) = self.batch(&set, batch, epoch, rate)?;
            loss += batch_loss;
            right += batch_right;
            now.images += batch.len();
            now.loss = loss / now.images as f64;
            now.accuracy = f64::from(right) / now.images as f64;
            // Before the next step spoils what is left to look at.
            if !loss.is_finite() {
                let step = self.step;
                return Err(ModelError::Diverged { epoch, step, rate });
            }
            progress(&now);
        }
        let summary = EpochSummary {
            epoch,
            learning_rate: rate,
            loss: now.loss,
            accuracy: now.accuracy,
        };
        self.history.push(summary);
        Ok(summary)
    }

    fn check(&self, set: &TrainingSet<'_>) -> Result<usize, ModelError> {
        let Input {
            height,
            width,
            n_classes: classes,
            ..
        } = self.config.input();
        let fault = |found: String, expected: String| Err(ModelError::Images { found, expected });
        let bytes = 3 * height * width;
        let n = set.pixels.len() / bytes;
        if n == 0 || !set.pixels.len().is_multiple_of(bytes) {
            let found = format!("slice of {} bytes", set.pixels.len());
            return fault(found, format!("a multiple of the {bytes} bytes of an image, above 0,"));
        }
        match set.targets {
            Targets::Labels(labels) => {
                if labels.len() != n {
                    return fault(
                        format!("set with {} labels", labels.len()),
                        format!("one for each of {n} images"),
                    );
                }
                if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
                    return fault(format!("set with label {label}"), format!("labels below {classes}"));
                }
            }
            Targets::Probabilities(probabilities) => {
                let expected = self
                    .recipe
                    .augmentation
                    .versions()
                    .map(|versions| versions * n * classes);
                if expected != Some(probabilities.len()) {
                    let found = format!("set with {} probabilities of the classifier", probabilities.len());
                    let expected = match expected {
                        Some(expected) => format!("{expected}, for every version of every image"),
                        None => "an augmentation whose versions can be counted".to_owned(),
                    };
                    return fault(found, expected);
                }
            }
        }
        Ok(n)
    }

    /// Random numbers that belong to an epoch and an image: streams of their own, so that neither the number of threads nor a resumed training
    /// changes what an image is shown as.
    fn random(&self, epoch: u32, image: u32) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.recipe.seed);
        rng.set_stream(u64::from(epoch) << 32 | u64::from(image));
        rng
    }

    /// One step. Gives the sum of the losses and how many answers were right.
    fn batch(
        &mut self,
        set: &TrainingSet<'_>,
        batch: &[usize],
        epoch: u32,
        rate: f64,
    ) -> Result<(f64, u32), ModelError> {
        let classes = self.config.input().n_classes;
        let variations: Vec<Variation> = batch
            .iter()
            .map(|&image| Variation::draw(self.recipe.augmentation, || self.random(epoch, image as u32)))
            .collect();
        self.fill(set.pixels, batch, &variations);
        let versions = self.recipe.augmentation.versions().unwrap_or(1);
        let logits = self.engine.forward(&self.parameters, &mut self.statistics)?;
        let mut d_logits = vec![0.0; logits.len()];
        let (mut loss, mut right) = (0.0, 0);
        let rows = logits.chunks_exact(classes).zip(d_logits.chunks_exact_mut(classes));
        for ((logits, d), (&image, variation)) in rows.zip(batch.iter().zip(&variations)) {
            let target = match set.targets {
                Targets::Labels(labels) => Target::Class(labels[image] as usize),
                Targets::Probabilities(all) => {
                    let n = all.len() / classes / versions;
                    Target::Probabilities(&all[(variation.version * n + image) * classes..][..classes])
                }
            };
            let (row_loss, is_right) = row_gradient(logits, target, batch.len(), d);
            loss += row_loss;
            right += u32::from(is_right);
        }
        self.engine.backward(&self.parameters, &d_logits, &mut self.gradient)?;
        self.regularise();
        self.step += 1;
        update(
            self.recipe.optimizer,
            rate,
            self.step,
            &mut self.parameters,
            &self.gradient,
            &mut self.state,
        );
        Ok((loss, right))
    }

    /// Preprocesses and varies the images of a batch.
    fn fill(&mut self, pixels: &[u8], batch: &[usize], variations: &[Variation]) {
        let Input {
            height,
            width,
            shrink,
            preprocessing,
            ..
        } = self.config.input();
        let bytes = shrink.input_len();
        // Versions that can be counted have their answers kept, so they repeat the border, as the classifier saw them; crops bring in zeros,
        // and zeros come in after the scaling (He et al. 2015), so the table is that of the whole image.
        let versions = self.recipe.augmentation.versions();
        let input = self.engine.input();
        input.resize(batch.len());
        let (shape, images) = input.images_mut();
        images.zip(batch.par_iter().zip(variations)).for_each_init(
            || (vec![0; bytes], vec![0; shrink.output_len()]),
            |(varied, small), (out, (&image, variation))| {
                let image = &pixels[image * bytes..(image + 1) * bytes];
                let (inner_height, inner_width) = shrink.output_size();
                if versions.is_some() {
                    variation.apply(image, height, width, varied);
                    let seen = preprocessing.arrange(smaller(&shrink, varied, small));
                    let table = preprocessing.table(&seen);
                    write_image(&shape, out, |y, x, c| {
                        table[c][usize::from(seen[(y * inner_width + x) * 3 + c])]
                    });
                } else {
                    let (height, width) = (inner_height, inner_width);
                    let image = preprocessing.arrange(smaller(&shrink, image, small));
                    let table = preprocessing.table(&image);
                    write_image(&shape, out, |y, x, c| match variation.source(y, x, height, width) {
                        Some((y, x)) => table[c][usize::from(image[(y * width + x) * 3 + c])],
                        None => 0.0,
                    });
                }
            },
        );
    }

    /// Adds the gradient of the regularisation, after the backward pass, which overwrites the gradient.
    fn regularise(&mut self) {
        let (l1, l2) = (self.recipe.l1 as f32, 2.0 * self.recipe.l2 as f32);
        for (index, (parameter, range)) in self.layout.trained.iter().enumerate() {
            let is_kernel = parameter.kind == ParameterKind::Kernel;
            if !is_kernel && parameter.kind != ParameterKind::Dense {
                continue;
            }
            let l1 = if is_kernel && index > 0 { l1 } else { 0.0 };
            for (g, w) in self.gradient[range.clone()]
                .iter_mut()
                .zip(&self.parameters[range.clone()])
            {
                let sign = if *w == 0.0 { 0.0 } else { w.signum() };
                *g += l2 * w + l1 * sign;
            }
        }
    }
}

/// An image as the first layer sees it: made smaller in `memory`, if it is to be.
fn smaller<'a>(shrink: &Shrink, image: &'a [u8], memory: &'a mut [u8]) -> &'a [u8] {
    if shrink.factor == 1 {
        return image;
    }
    shrink.apply(image, memory);
    memory
}
