//! What a training does: epochs, learning rates, regularisation, augmentation.

use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// How the images of a batch are varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augmentation {
    /// As they are.
    None,
    /// Half of them mirrored from left to right.
    Flip,
    /// Half of them mirrored, and all shifted by -4, 0 or 4 pixels each way, the image's border repeated: eighteen versions of an image, few enough
    /// to keep a classifier's answers to all of them.
    ShiftFlip,
    /// Half of them mirrored, and all shifted by up to 4 pixels each way, the image's border repeated. A classifier is asked about each image and
    /// its mirror image only, and its answer stands for every shift: a shift of a few pixels seldom changes what is in a picture, and the
    /// classifier, often the slowest part, has two versions to look at. Against learning few images by heart.
    JitterFlip,
    /// Half of them mirrored, and all shifted by up to 4 pixels each way, with zeros coming in (He et al. 2015, section 4.2).
    CropFlip,
}

impl Augmentation {
    /// How many versions of an image a classifier is asked about, the image itself first; none if there are too many to list.
    pub fn versions(self) -> Option<usize> {
        match self {
            Self::None => Some(1),
            Self::Flip | Self::JitterFlip => Some(2),
            Self::ShiftFlip => Some(18),
            Self::CropFlip => None,
        }
    }
}

/// How the learning rate goes from the first step to the last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The same rate throughout.
    Constant,
    /// Up in a straight line over the first 30 % of the steps, then down to zero along half a cosine (after Smith and Topin 2018).
    OneCycle,
    /// A tenth from half of the steps on, a hundredth from three quarters on: epochs 91 and 136 of 182 (He et al. 2015).
    Steps,
}

impl Schedule {
    /// The factor of the learning rate at a step of `steps`.
    fn factor(self, step: u64, steps: u64) -> f64 {
        let done = (step as f64 + 0.5) / steps.max(1) as f64;
        match self {
            Self::Constant => 1.0,
            Self::OneCycle if done < 0.3 => done / 0.3,
            Self::OneCycle => 0.5 * (1.0 + (std::f64::consts::PI * (done - 0.3) / 0.7).cos()),
            Self::Steps if done < 0.5 => 1.0,
            Self::Steps if done < 0.75 => 0.1,
            Self::Steps => 0.01,
        }
    }
}

/// How a step follows from a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Optimizer {
    /// Stochastic gradient descent with Nesterov's momentum: v = m v + g, w = w - rate (g + m v).
    Sgd {
        /// m, at least 0 and below 1.
        momentum: f64,
    },
    /// Adam (Kingma and Ba 2014).
    Adam {
        /// The decay of the mean of the gradient.
        beta1: f64,
        /// The decay of the mean of its square.
        beta2: f64,
        /// Added to the root of the mean square.
        epsilon: f64,
    },
}

/// Everything that decides how a training goes, besides the network, the images and the targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Passes over the images, at least 1.
    pub epochs: u32,
    /// Images of a step, at least 1.
    pub batch_size: usize,
    /// The largest learning rate, above 0.
    pub learning_rate: f64,
    /// How the rate changes.
    pub schedule: Schedule,
    /// How a step follows from a gradient.
    pub optimizer: Optimizer,
    /// Factor of the sum of squares of all kernels and dense weights in the loss, at least 0.
    pub l2: f64,
    /// Factor of the sum of magnitudes of all kernels after the first in the loss, at least 0.
    pub l1: f64,
    /// How images are varied.
    pub augmentation: Augmentation,
    /// Decides the order of the images and their variations.
    pub seed: u64,
}

impl Recipe {
    /// A short recipe for a classifier: one cycle of stochastic gradient descent with crops and flips.
    pub fn classifier(epochs: u32) -> Self {
        Self {
            epochs,
            batch_size: 128,
            learning_rate: 0.1,
            schedule: Schedule::OneCycle,
            optimizer: Optimizer::Sgd { momentum: 0.9 },
            l2: 2.5e-4,
            l1: 0.0,
            augmentation: Augmentation::CropFlip,
            seed: 0,
        }
    }

    /// The published recipe for the ResNet: 182 epochs from a rate of 0.1, a tenth and a hundredth of it in the last half and quarter.
    pub fn published_classifier() -> Self {
        Self {
            schedule: Schedule::Steps,
            l2: 2e-4,
            ..Self::classifier(182)
        }
    }

    /// The published recipe for the distilled network (Adam at a rate of 1e-3, L1 of 1e-5) over the given number of epochs, its rate in one cycle.
    pub fn distilled(epochs: u32) -> Self {
        Self {
            learning_rate: 1e-3,
            schedule: Schedule::OneCycle,
            optimizer: Optimizer::Adam {
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-7,
            },
            l2: 0.0,
            l1: 1e-5,
            augmentation: Augmentation::Flip,
            ..Self::classifier(epochs)
        }
    }

    /// The published recipe for the distilled network: 50 epochs of Adam at 1e-3, no augmentation.
    pub fn published_distilled() -> Self {
        Self {
            schedule: Schedule::Constant,
            augmentation: Augmentation::None,
            ..Self::distilled(50)
        }
    }

    /// The learning rate of a step of `steps`.
    pub fn rate(&self, step: u64, steps: u64) -> f64 {
        self.learning_rate * self.schedule.factor(step, steps)
    }

    /// Checks that every field is in its range; [`Trainer`](super::Trainer) does it as well.
    ///
    /// # Errors
    /// [`ModelError::Config`], naming the first field that is not.
    pub fn validate(&self) -> Result<(), ModelError> {
        match self.fault() {
            None => Ok(()),
            Some((field, value, expected)) => Err(ModelError::Config {
                field,
                value,
                expected: expected.to_owned(),
            }),
        }
    }

    /// The first field that is out of its range, with its value and what it may be.
    fn fault(&self) -> Option<(&'static str, String, &'static str)> {
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        if self.epochs == 0 {
            return Some(("epochs", "0".into(), "at least 1"));
        }
        if self.batch_size == 0 {
            return Some(("batch_size", "0".into(), "at least 1"));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Some(("learning_rate", self.learning_rate.to_string(), "above 0 and finite"));
        }
        if !not_negative(self.l1) {
            return Some(("l1", self.l1.to_string(), "at least 0 and finite"));
        }
        (!not_negative(self.l2)).then(|| ("l2", self.l2.to_string(), "at least 0 and finite"))
    }
}
