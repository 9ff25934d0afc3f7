//! What a distilled network starts from and learns: a teacher's answers.

use super::recipe::{Augmentation, Recipe};
use super::trainer::Targets;
use crate::config::DistilledCnnConfig;
use crate::distilled::DistilledCnn;
use crate::error::ModelError;
use crate::network::Network;

/// An untrained distilled network that fits a teacher: layers and filters of `sizes`, the teacher's images, classes and
/// preprocessing.
///
/// # Errors
/// [`ModelError::Config`] where no such network can be.
pub fn untrained_student(teacher: &Network, sizes: DistilledCnnConfig, seed: u64) -> Result<DistilledCnn, ModelError> {
    let (height, width) = teacher.input_size();
    let config = DistilledCnnConfig {
        n_classes: teacher.n_classes(),
        height,
        width,
        preprocessing: teacher.preprocessing(),
        ..sizes
    };
    DistilledCnn::random(config, seed)
}

/// The class probabilities that a teacher gives images, and where the recipe mirrors images, those of the mirrored ones.
///
/// ```
/// use riptide_models::train::{Recipe, Teaching, Trainer, TrainingSet, untrained_student};
/// use riptide_models::{DistilledCnnConfig, Network, ResNet, ResNetConfig};
///
/// let config = ResNetConfig { depth: 8, n_filters1: 4, height: 8, width: 8, n_classes: 2, ..Default::default() };
/// let teacher = Network::from(ResNet::random(config, 0)?);
/// let pixels: Vec<u8> = (0..20 * 8 * 8 * 3).map(|i| (i % 251) as u8).collect();
/// let recipe = Recipe::distilled(1);
/// let teaching = Teaching::new(&teacher, &pixels, &recipe, |_images| ())?;
/// let sizes = DistilledCnnConfig { n_filters1: 8, ..Default::default() };
/// let mut trainer = Trainer::new(&untrained_student(&teacher, sizes, 0)?.into(), recipe)?;
/// trainer.epoch(TrainingSet { pixels: &pixels, targets: teaching.targets() }, |_| ())?;
/// # Ok::<(), riptide_models::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Teaching {
    /// Of the images, row-major (n, n_classes).
    pub plain: Vec<f32>,
    /// Of the mirrored images; empty where none is needed.
    pub mirrored: Vec<f32>,
}

impl Teaching {
    /// Asks the teacher about raw images, u8 (n, height, width, 3); `progress` is told the number of images after each
    /// part, mirrored ones included.
    ///
    /// # Errors
    /// Those of [`Network::predict_proba`].
    pub fn new(
        teacher: &Network,
        pixels: &[u8],
        recipe: &Recipe,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, ModelError> {
        let plain = teacher.predict_proba(pixels, &mut progress)?;
        let mirrored = match recipe.augmentation {
            Augmentation::None => Vec::new(),
            _ => teacher.predict_proba(&mirrored(pixels, teacher.input_size().1), progress)?,
        };
        Ok(Self { plain, mirrored })
    }

    /// The answers as what is to be learnt.
    pub fn targets(&self) -> Targets<'_> {
        Targets::Probabilities {
            plain: &self.plain,
            mirrored: &self.mirrored,
        }
    }
}

/// Images of `width` columns, left and right exchanged.
fn mirrored(pixels: &[u8], width: usize) -> Vec<u8> {
    let rows = pixels.chunks_exact(3 * width);
    rows.flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ResNet, ResNetConfig};

    #[test]
    fn mirrored_images_have_answers_of_their_own() {
        assert_eq!(
            mirrored(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 2),
            [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]
        );
        let config = ResNetConfig {
            depth: 8,
            n_filters1: 4,
            height: 4,
            width: 4,
            n_classes: 2,
            ..Default::default()
        };
        let teacher = Network::from(ResNet::random(config, 0).unwrap());
        let pixels: Vec<u8> = (0..3 * 48u32).map(|i| (i * i % 251) as u8).collect();
        let mut asked = 0;
        let teaching = Teaching::new(&teacher, &pixels, &Recipe::distilled(1), |n| asked += n).unwrap();
        assert_eq!((asked, teaching.plain.len()), (6, 6));
        let again = teacher
            .predict_proba(&mirrored(&mirrored(&pixels, 4), 4), |_| ())
            .unwrap();
        assert_eq!(teaching.plain, again);
        assert_ne!(teaching.plain, teaching.mirrored);
        let plain = Teaching::new(&teacher, &pixels, &Recipe::published_distilled(), |_| ()).unwrap();
        assert!(plain.mirrored.is_empty());
        assert!(Teaching::new(&teacher, &pixels[1..], &Recipe::distilled(1), |_| ()).is_err());
    }
}
