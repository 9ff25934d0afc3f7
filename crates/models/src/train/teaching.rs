//! What a distilled network starts from and learns: a teacher's answers.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::recipe::Recipe;
use super::sample::Variation;
use super::trainer::Targets;
use crate::config::DistilledCnnConfig;
use crate::distilled::DistilledCnn;
use crate::error::ModelError;
use crate::network::Network;
use crate::weights::write_atomically;

const DATA: &str = "riptide.data";
const NAME: &str = "probabilities";

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

/// The class probabilities that a teacher gives images, in every version that a recipe shows them in.
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
    /// Row-major (versions, n, n_classes); versions as [`Augmentation::versions`] counts them.
    ///
    /// [`Augmentation::versions`]: super::Augmentation::versions
    pub probabilities: Vec<f32>,
}

impl Teaching {
    /// Asks the teacher about raw images, u8 (n, height, width, 3); `progress` is told the number of images after each
    /// part, every version counted.
    ///
    /// # Errors
    /// [`ModelError::Config`] where the recipe's versions are too many, and those of [`Network::predict_proba`].
    pub fn new(
        teacher: &Network,
        pixels: &[u8],
        recipe: &Recipe,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, ModelError> {
        const CHUNK: usize = 4096;
        let versions = recipe.augmentation.versions().ok_or_else(|| ModelError::Config {
            field: "augmentation",
            value: "crop-flip".into(),
            expected: "none, flip or shift-flip for a network that learns from another".into(),
        })?;
        let (height, width) = teacher.input_size();
        let bytes = 3 * height * width;
        let mut probabilities = Vec::new();
        for version in 0..versions {
            let variation = Variation::of(version);
            for chunk in pixels.chunks(CHUNK * bytes) {
                let mut varied = chunk.to_vec();
                let images = varied.par_chunks_exact_mut(bytes).zip(chunk.par_chunks_exact(bytes));
                images.for_each(|(out, image)| variation.apply(image, height, width, out));
                probabilities.extend(teacher.predict_proba(&varied, &mut progress)?);
            }
        }
        Ok(Self { probabilities })
    }

    /// Writes the answers as one safetensors file, atomically. `data` says whose they are and to what; [`Teaching::load`] wants the same.
    ///
    /// # Errors
    /// [`ModelError::Io`] where the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, data: &str) -> Result<(), ModelError> {
        let path = path.as_ref();
        let file = |source| ModelError::Safetensors {
            path: path.into(),
            source,
        };
        let bytes: Vec<u8> = self.probabilities.iter().flat_map(|p| p.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![self.probabilities.len()], &bytes).map_err(file)?;
        let metadata = HashMap::from([(DATA.to_owned(), data.to_owned())]);
        write_atomically(
            path,
            &safetensors::serialize([(NAME, view)], Some(metadata)).map_err(file)?,
        )
    }

    /// The answers that were [saved](Teaching::save) for the same data; none where the file is missing or holds others.
    ///
    /// # Errors
    /// [`ModelError::Io`] and [`ModelError::Safetensors`] where a file is there but cannot be read.
    pub fn load(path: impl AsRef<Path>, data: &str) -> Result<Option<Self>, ModelError> {
        let path = path.as_ref();
        if !path.exists() {
            return Ok(None);
        }
        let file = |source| ModelError::Safetensors {
            path: path.into(),
            source,
        };
        let bytes = std::fs::read(path).map_err(|source| ModelError::io("read", path, source))?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(file)?;
        let found = metadata.metadata().as_ref().and_then(|all| all.get(DATA));
        if found.is_none_or(|found| found != data) {
            return Ok(None);
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(file)?;
        let values = tensors.tensor(NAME).map_err(file)?.data().as_chunks::<4>().0.iter();
        let probabilities = values.map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok(Some(Self { probabilities }))
    }

    /// The answers as what is to be learnt.
    pub fn targets(&self) -> Targets<'_> {
        Targets::Probabilities(&self.probabilities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ResNet, ResNetConfig};

    #[test]
    fn every_version_has_answers_of_its_own() {
        let config = ResNetConfig {
            depth: 8,
            n_filters1: 4,
            height: 8,
            width: 8,
            n_classes: 2,
            ..Default::default()
        };
        let teacher = Network::from(ResNet::random(config, 0).unwrap());
        let (n, bytes) = (3, 3 * 8 * 8);
        let pixels: Vec<u8> = (0..(n * bytes) as u32).map(|i| (i * i % 251) as u8).collect();
        let mut asked = 0;
        let recipe = Recipe::distilled(1);
        let versions = recipe.augmentation.versions().unwrap();
        let teaching = Teaching::new(&teacher, &pixels, &recipe, |n| asked += n).unwrap();
        assert_eq!((asked, teaching.probabilities.len()), (versions * n, versions * n * 2));
        let plain = Teaching::new(&teacher, &pixels, &Recipe::published_distilled(), |_| ()).unwrap();
        assert_eq!(plain.probabilities, teacher.predict_proba(&pixels, |_| ()).unwrap());
        for (version, answers) in teaching.probabilities.chunks_exact(n * 2).enumerate() {
            let mut varied = pixels.clone();
            for (out, image) in varied.chunks_exact_mut(bytes).zip(pixels.chunks_exact(bytes)) {
                Variation::of(version).apply(image, 8, 8, out);
            }
            assert_eq!(answers, teacher.predict_proba(&varied, |_| ()).unwrap());
            assert!(version == 0 || answers != plain.probabilities);
        }
        assert!(Teaching::new(&teacher, &pixels[1..], &recipe, |_| ()).is_err());
        assert!(Teaching::new(&teacher, &pixels, &Recipe::classifier(1), |_| ()).is_err());
    }

    #[test]
    fn kept_answers_are_those_of_the_same_data() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("teaching.safetensors");
        let teaching = Teaching {
            probabilities: vec![0.25, 0.75, 1.0, 0.0],
        };
        assert_eq!(Teaching::load(&path, "these").unwrap(), None);
        teaching.save(&path, "these").unwrap();
        assert_eq!(Teaching::load(&path, "these").unwrap(), Some(teaching));
        assert_eq!(Teaching::load(&path, "those").unwrap(), None);
        std::fs::write(&path, b"no safetensors").unwrap();
        assert!(Teaching::load(&path, "these").is_err());
    }
}
