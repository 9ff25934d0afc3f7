//! Fitting the distilled network to the classifier.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::{D, Tensor, Var};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::adam::Adam;
use super::loss::{EPSILON, Loss, check_temperature, temper};
use crate::error::{BoxError, DetectorError};
use crate::images::Images;
use crate::networks::{Classifier, check_rows, probability_rows};

/// A distilled network that can be trained.
pub trait TrainableNetwork {
    /// Class probabilities (N, n_classes) of scaled images, with every operation on the [`vars`](Self::vars) recorded for
    /// backpropagation.
    ///
    /// # Errors
    /// Whatever the network says.
    fn forward_train(&self, images: &Tensor) -> candle_core::Result<Tensor>;

    /// The variables that training changes, in an order that is always the same.
    fn vars(&self) -> Vec<Var>;

    /// The sum of the weight penalties (L1, L2), a scalar added to every batch's loss; `None` where there is none.
    ///
    /// # Errors
    /// Whatever the network says.
    fn penalty(&self) -> candle_core::Result<Option<Tensor>> {
        Ok(None)
    }
}

/// How the distilled network is fitted. The defaults are the published recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FitOptions {
    /// The divergence between classifier and distilled network.
    pub loss: Loss,
    /// The temperature of the classifier's probabilities, positive.
    pub temperature: f64,
    /// Passes over the images.
    pub epochs: usize,
    /// Images a step, at least 1; the last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Adam's learning rate, positive.
    pub learning_rate: f64,
    /// Adam's decay of the first moment, 0 ≤ beta1 < 1.
    pub beta1: f64,
    /// Adam's decay of the second moment, 0 ≤ beta2 < 1.
    pub beta2: f64,
    /// Adam's epsilon, positive.
    pub epsilon: f64,
    /// Seed of the order in which images are seen: epoch e draws from stream e of the ChaCha8 generator.
    pub seed: u64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            loss: Loss::Kld,
            temperature: 1.0,
            epochs: 50,
            batch_size: 128,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
            seed: 0,
        }
    }
}

impl FitOptions {
    fn check(&self) -> Result<(), DetectorError> {
        check_temperature(self.temperature)?;
        let positive = |option, value: f64| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(DetectorError::option(option, value, "positive and finite")),
        };
        let decay = |option, value: f64| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(DetectorError::option(option, value, "at least 0 and less than 1")),
        };
        positive("learning_rate", self.learning_rate)?;
        positive("epsilon", self.epsilon)?;
        decay("beta1", self.beta1)?;
        decay("beta2", self.beta2)?;
        if self.batch_size == 0 {
            return Err(DetectorError::option("batch_size", 0, "at least 1"));
        }
        Ok(())
    }
}

/// What happened in one pass over the images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Epoch, counted from 1; it goes on counting in a warm start.
    pub epoch: usize,
    /// Mean loss over the images, penalties included.
    pub loss: f64,
    /// Images trained on per second.
    pub images_per_second: f64,
}

/// What happened in a call of [`Distiller::fit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// One report an epoch.
    pub epochs: Vec<EpochReport>,
    /// Whether the callback ended the fit before its last epoch.
    pub stopped_early: bool,
}

/// Scales a batch of raw images to what the distilled network takes, f32 (N, 3, H, W) as a rule.
pub type Scale<'a> = dyn Fn(&Images<'_>) -> Result<Tensor, BoxError> + 'a;

/// Class probabilities of the classifier for raw images, row-major (N, n_classes): computed once, they serve every epoch
/// and every fit.
///
/// # Errors
/// [`DetectorError::Networks`] where scaling fails, [`DetectorError::Candle`] where the classifier does,
/// [`DetectorError::Shape`] where it gives anything but (N, n_classes).
pub fn teacher_probabilities(
    classifier: &impl Classifier,
    images: &Images<'_>,
    n_classes: usize,
    batch_size: usize,
    scale: &Scale<'_>,
) -> Result<Vec<f32>, DetectorError> {
    let mut all = Vec::with_capacity(images.len() * n_classes);
    for batch in images.batches(batch_size) {
        let input = scale(&batch).map_err(|source| DetectorError::Networks { n: batch.len(), source })?;
        all.extend(probability_rows(
            classifier,
            &input,
            n_classes,
            "the classifier's probabilities",
        )?);
    }
    Ok(all)
}

/// Fits a distilled network to a classifier's probabilities with Adam.
///
/// The distilled network starts from the weights it has. Calling [`fit`](Self::fit) again goes on where the last call
/// ended (warm start): the moments of Adam, the count of steps and the order of the images go on too, so that 2 + 3
/// epochs give the same weights as 5.
///
/// The loss of a batch is the mean over its images of the [`Loss`] between the tempered classifier and the distilled
/// network, plus the network's penalty. The classifier's probabilities are constants.
#[derive(Debug)]
pub struct Distiller {
    options: FitOptions,
    optimizer: Adam,
    epochs_done: usize,
}

impl Distiller {
    /// Checks the options and prepares Adam for the student's variables.
    ///
    /// # Errors
    /// [`DetectorError::InvalidOption`] for an option out of range, [`DetectorError::Candle`].
    pub fn new(student: &impl TrainableNetwork, options: FitOptions) -> Result<Self, DetectorError> {
        options.check()?;
        Ok(Self {
            optimizer: Adam::new(student.vars(), &options)?,
            options,
            epochs_done: 0,
        })
    }

    /// Passes `epochs` times over the images; `on_epoch` sees a report after each and may end the fit with
    /// [`ControlFlow::Break`].
    ///
    /// `teacher` holds the classifier's probabilities of `images`, row-major (N, n_classes); see
    /// [`teacher_probabilities`].
    ///
    /// # Errors
    /// [`DetectorError::NonFiniteLoss`] at the first step whose loss is not finite (the weights are left as they were before
    /// it), [`DetectorError::Empty`], [`DetectorError::Shape`], [`DetectorError::Networks`] where scaling fails,
    /// [`DetectorError::Candle`].
    pub fn fit(
        &mut self,
        student: &impl TrainableNetwork,
        images: &Images<'_>,
        teacher: &[f32],
        scale: &Scale<'_>,
        mut on_epoch: impl FnMut(&EpochReport) -> ControlFlow<()>,
    ) -> Result<FitReport, DetectorError> {
        let targets = Targets::new(teacher, images.len(), &self.options)?;
        let mut report = FitReport {
            epochs: Vec::with_capacity(self.options.epochs),
            stopped_early: false,
        };
        for done in 1..=self.options.epochs {
            let epoch = self.epoch(student, images, &targets, scale)?;
            report.epochs.push(epoch);
            if on_epoch(&epoch).is_break() {
                report.stopped_early = done < self.options.epochs;
                break;
            }
        }
        Ok(report)
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &FitOptions {
        &self.options
    }

    fn epoch(
        &mut self,
        student: &impl TrainableNetwork,
        images: &Images<'_>,
        targets: &Targets,
        scale: &Scale<'_>,
    ) -> Result<EpochReport, DetectorError> {
        let started = Instant::now();
        let epoch = self.epochs_done + 1;
        let mut rng = ChaCha8Rng::seed_from_u64(self.options.seed);
        rng.set_stream(epoch as u64);
        let mut order: Vec<usize> = (0..images.len()).collect();
        order.shuffle(&mut rng);

        let mut total = 0.0;
        for (step, indices) in (1..).zip(order.chunks(self.options.batch_size)) {
            let batch = images.select(indices);
            let input = scale(&batch).map_err(|source| DetectorError::Networks { n: batch.len(), source })?;
            let loss = targets.batch_loss(student, &input, indices)?;
            let value = loss.to_dtype(candle_core::DType::F32)?.to_scalar::<f32>()?;
            if !value.is_finite() {
                let learning_rate = self.options.learning_rate;
                return Err(DetectorError::NonFiniteLoss {
                    epoch,
                    step,
                    loss: value,
                    learning_rate,
                });
            }
            self.optimizer.step(&loss.backward()?)?;
            total += f64::from(value) * indices.len() as f64;
        }
        self.epochs_done = epoch;
        let n = images.len() as f64;
        Ok(EpochReport {
            epoch,
            loss: total / n,
            images_per_second: n / started.elapsed().as_secs_f64().max(1e-9),
        })
    }
}

/// The tempered classifier's probabilities, ready for the loss.
struct Targets {
    loss: Loss,
    n_classes: usize,
    /// Row-major (N, n_classes), tempered, clipped where the loss wants it.
    rows: Vec<f32>,
    /// Σ y log y of each row, under [`Loss::Kld`]; 0 otherwise.
    constants: Vec<f64>,
}

impl Targets {
    fn new(teacher: &[f32], n: usize, options: &FitOptions) -> Result<Self, DetectorError> {
        if n == 0 {
            return Err(DetectorError::Empty {
                what: "the training set",
                unit: "image",
            });
        }
        let n_classes = teacher.len() / n;
        if n_classes == 0 || !teacher.len().is_multiple_of(n) {
            return Err(DetectorError::shape(
                "the classifier's probabilities",
                format!("{n} rows"),
                format!("{} values", teacher.len()),
            ));
        }
        check_rows(teacher, n_classes, "classifier")?;
        let mut rows = vec![0.0; teacher.len()];
        let mut constants = vec![0.0; n];
        let pairs = teacher.chunks_exact(n_classes).zip(rows.chunks_exact_mut(n_classes));
        for ((from, to), constant) in pairs.zip(&mut constants) {
            temper(from, options.temperature, to);
            if options.loss == Loss::Kld {
                to.iter_mut().for_each(|y| *y = y.clamp(EPSILON, 1.0));
                *constant = to.iter().map(|&y| f64::from(y) * f64::from(y).ln()).sum();
            }
        }
        Ok(Self {
            loss: options.loss,
            n_classes,
            rows,
            constants,
        })
    }

    /// Mean divergence of a batch plus the penalty: a scalar that can be differentiated.
    fn batch_loss(
        &self,
        student: &impl TrainableNetwork,
        input: &Tensor,
        indices: &[usize],
    ) -> Result<Tensor, DetectorError> {
        let (n, n_classes) = (indices.len(), self.n_classes);
        let output = student.forward_train(input)?;
        if output.dims() != [n, n_classes] {
            return Err(DetectorError::shape(
                "the distilled network's probabilities",
                format!("({n}, {n_classes})"),
                format!("{:?}", output.dims()),
            ));
        }
        let rows: Vec<f32> = indices
            .iter()
            .flat_map(|&i| &self.rows[i * n_classes..(i + 1) * n_classes])
            .copied()
            .collect();
        let targets = Tensor::from_vec(rows, (n, n_classes), output.device())?.to_dtype(output.dtype())?;
        let constant = indices.iter().map(|&i| self.constants[i]).sum::<f64>() / n as f64;
        let clipped = match self.loss {
            Loss::Kld => output.clamp(EPSILON, 1.0_f32)?,
            Loss::Xent => output
                .broadcast_div(&output.sum_keepdim(D::Minus1)?)?
                .clamp(EPSILON, 1.0 - EPSILON)?,
        };
        let cross = ((targets * clipped.log()?)?.sum_all()? * (-1.0 / n as f64))?;
        // Clamping would turn NaN into a number: let the outputs themselves make the loss NaN.
        let finite = (output.detach().sum_all()? * 0.0)?;
        let loss = ((cross + constant)? + finite)?;
        Ok(match student.penalty()? {
            Some(penalty) => (loss + penalty)?,
            None => loss,
        })
    }
}
