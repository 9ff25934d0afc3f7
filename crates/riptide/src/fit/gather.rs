//! One pass over the images: the classifier's answers and small versions to train on, and the full size of the few that are kept apart.

use std::path::PathBuf;

use riptide_datasets::ImageSet;
use riptide_files::{Progress, Unit, digest};
use riptide_models::DistilledCnnConfig;
use riptide_models::train::{Recipe, Teaching};

use super::split::{Part, Split};
use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::images::Images;
use crate::training::{TEACHING, temper};

/// What a pass is for.
pub(super) struct Gather<'a> {
    pub(super) classifier: &'a Classifier,
    /// The network that is to be trained; it says how small images are kept.
    pub(super) config: &'a DistilledCnnConfig,
    pub(super) recipe: &'a Recipe,
    pub(super) temperature: f64,
    pub(super) split: Split,
    /// How many images that validate the epochs are kept at their full size as well.
    pub(super) n_full: usize,
    /// A folder that keeps the answers.
    pub(super) folder: Option<&'a PathBuf>,
}

/// What is kept of the images.
pub(super) struct Gathered {
    /// As small as the distilled network sees them, in the order of the split.
    pub(super) training: ImageSet,
    /// The classifier's answers to them, tempered, (versions, n, n_classes).
    pub(super) training_rows: Vec<f32>,
    /// Likewise the images that validate the epochs, if there are any.
    pub(super) validation: Option<ImageSet>,
    /// The classifier's answers to them, tempered, (n, n_classes).
    pub(super) validation_rows: Vec<f32>,
    /// The reference at its full size; empty if it comes from elsewhere.
    pub(super) reference: ImageSet,
    /// Its files, if each image is a file of its own; else empty.
    pub(super) reference_files: Vec<PathBuf>,
    /// Images that validate the epochs, at their full size.
    pub(super) others: ImageSet,
}

/// Images of one part, as they come, each with its place in the part's order.
#[derive(Default)]
struct Collected {
    places: Vec<usize>,
    pixels: Vec<u8>,
    labels: Vec<u32>,
    /// For each version the classifier's answers.
    rows: Vec<Vec<f32>>,
    /// The classifier's answers that came with the images at their full size, if they were logged.
    logged: Vec<f32>,
}

impl Gather<'_> {
    /// Reads all images. Each is held at its full size only while its chunk is, unless it is kept apart.
    pub(super) fn run(&self, mut images: Images<'_>, progress: &mut dyn Progress) -> Result<Gathered> {
        let size = self.classifier.input_size();
        let versions = self.recipe.augmentation.versions().unwrap_or(1);
        let kept = self.folder.map(|folder| folder.join(TEACHING));
        let is_known = kept.as_ref().is_some_and(|path| path.exists());
        let plain = Recipe {
            augmentation: riptide_models::train::Augmentation::None,
            ..self.recipe.clone()
        };
        let (mut training, mut validation) = (Collected::default(), Collected::default());
        let (mut reference, mut others) = (Collected::default(), Collected::default());
        let mut reference_files = Vec::new();
        let mut hasher = digest::Hasher::default();
        let mut identity = None;
        let mut class_names = Vec::new();
        let total = self.split.n_training() * versions + self.split.n_validation();
        let task = if is_known {
            "reading the images"
        } else {
            "asking the classifier"
        };
        progress.begin(task, (!is_known).then_some(total as u64), Unit::Images);
        while let Some((first, chunk)) = images.next_chunk(size)? {
            class_names = chunk.class_names().to_vec();
            if kept.is_some() {
                hasher.update(chunk.pixels());
                if identity.is_none() {
                    identity = Some(self.classifier.identity(&chunk)?);
                }
            }
            let mut chosen: [Vec<usize>; 3] = Default::default();
            let mut full = Vec::new();
            for index in 0..chunk.len() {
                let (part, place) = self.split.part_of(first + index);
                let (list, to) = match part {
                    Part::Reference => (&mut chosen[0], &mut reference),
                    Part::Validation => (&mut chosen[1], &mut validation),
                    Part::Training => (&mut chosen[2], &mut training),
                };
                list.push(index);
                to.places.push(place);
                if part == Part::Validation && place < self.n_full && self.config.shrink > 1 {
                    full.push(index);
                    others.places.push(place);
                }
            }
            let [of_reference, of_validation, of_training] = chosen;
            let (of_reference, full) = (chunk.select(&of_reference)?, chunk.select(&full)?);
            reference_files.extend_from_slice(of_reference.files().unwrap_or_default());
            reference.add(&of_reference, None)?;
            reference.log(&of_reference);
            others.add(&full, None)?;
            others.log(&full);
            for (list, to, recipe) in [
                (of_validation, &mut validation, &plain),
                (of_training, &mut training, self.recipe),
            ] {
                let part = chunk.select(&list)?;
                to.add(&part, Some(self.config))?;
                if is_known || part.is_empty() {
                    continue;
                }
                let mut asked = 0;
                let ask = |pixels: &[u8]| {
                    let set = ImageSet::unlabelled(pixels.to_vec(), size.0, size.1)?;
                    let rows = self.classifier.predict_proba(&set, |n| progress.advance(n as u64));
                    // Every version is of all images of the part, in order.
                    let before = asked;
                    asked += set.len();
                    let inside = |image: usize| list.get((before + image) % list.len()).copied();
                    rows.map_err(|error| {
                        error.at(
                            |image| first + inside(image).unwrap_or(image),
                            |image| chunk.files()?.get(inside(image)?).cloned(),
                        )
                    })
                };
                let mut answers = match self.classifier.is_logged() {
                    false => Teaching::from_fn(size, part.pixels(), recipe, ask)?.probabilities,
                    // Varied images cannot be asked about: they are taught the answer to the image as it is.
                    true => {
                        let rows = self.classifier.predict_proba(&part, |_| ())?;
                        let versions = recipe.augmentation.versions().unwrap_or(1);
                        progress.advance((part.len() * versions) as u64);
                        rows.repeat(versions)
                    }
                };
                temper(&mut answers, self.classifier.n_classes(), self.temperature)?;
                let of_version = part.len() * self.classifier.n_classes();
                for (version, rows) in answers.chunks_exact(of_version.max(1)).enumerate() {
                    match to.rows.get_mut(version) {
                        Some(all) => all.extend_from_slice(rows),
                        None => to.rows.push(rows.to_vec()),
                    }
                }
            }
        }
        progress.end();
        let small = self.config.inner_size();
        let n_classes = self.classifier.n_classes();
        let (validation, mut validation_rows) = validation.finish(small, n_classes, &class_names)?;
        let (training, mut training_rows) = training.finish(small, n_classes, &class_names)?;
        if let Some(path) = kept {
            let asked = digest::of_parts(&[
                hasher.finish().as_bytes(),
                identity.unwrap_or_default().as_bytes(),
                &self.temperature.to_le_bytes(),
                self.split.identity().as_bytes(),
            ]);
            let data = format!("{asked} versions {versions}");
            let n = training.len() * versions * n_classes;
            if is_known {
                let all = Teaching::load(&path, &data)?.map(|kept| kept.probabilities);
                let mut all = all
                    .filter(|all| all.len() == n + validation.len() * n_classes)
                    .ok_or_else(|| other_checkpoint(&path))?;
                validation_rows = all.split_off(n);
                training_rows = all;
            } else {
                let folder = path.parent().unwrap_or(&path);
                std::fs::create_dir_all(folder).map_err(riptide_files::FileError::on("create", folder))?;
                training_rows.extend_from_slice(&validation_rows);
                let teaching = Teaching {
                    probabilities: training_rows,
                };
                teaching.save(&path, &data)?;
                training_rows = teaching.probabilities;
                training_rows.truncate(n);
            }
        }
        let mut named: Vec<_> = reference.places.iter().copied().zip(reference_files).collect();
        named.sort_unstable();
        let (reference, _) = reference.finish(size, n_classes, &class_names)?;
        let (others, _) = match self.config.shrink {
            // They are as large as they were.
            1 => (validation.slice(0..validation.len().min(self.n_full))?, Vec::new()),
            _ => others.finish(size, n_classes, &class_names)?,
        };
        Ok(Gathered {
            training,
            training_rows,
            validation: Some(validation).filter(|set| !set.is_empty()),
            validation_rows,
            reference,
            reference_files: named.into_iter().map(|(_, file)| file).collect(),
            others,
        })
    }
}

fn other_checkpoint(path: &std::path::Path) -> Error {
    Error::malformed(
        path,
        "belongs to a checkpoint of other images, another classifier or other options; name another folder",
    )
}

impl Collected {
    /// Adds images whose places were noted; made smaller as a network does it, if one is given.
    fn add(&mut self, images: &ImageSet, config: Option<&DistilledCnnConfig>) -> Result<()> {
        match config.filter(|config| config.shrink > 1) {
            Some(config) => self.pixels.extend(config.shrink_images(images.pixels())?),
            None => self.pixels.extend_from_slice(images.pixels()),
        }
        self.labels.extend_from_slice(images.labels().unwrap_or_default());
        Ok(())
    }

    /// Keeps what was logged with images, which is all that is known of their classifier's answers.
    fn log(&mut self, images: &ImageSet) {
        let rows = images.probabilities().map_or(&[][..], |(_, rows)| rows);
        self.logged.extend_from_slice(rows);
    }

    /// The images in the order of their places, and all versions' answers, one version after the other.
    fn finish(
        self,
        (height, width): (usize, usize),
        n_classes: usize,
        class_names: &[String],
    ) -> Result<(ImageSet, Vec<f32>)> {
        let Self {
            places,
            mut pixels,
            mut labels,
            mut rows,
            mut logged,
        } = self;
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|&index| places.get(index).copied());
        arrange(&mut pixels, 3 * height * width, &order);
        rows.iter_mut().for_each(|rows| arrange(rows, n_classes, &order));
        let mut versions = rows.into_iter();
        let mut all = versions.next().unwrap_or_default();
        for rows in versions {
            all.extend(rows);
        }
        let set = if labels.len() == places.len() && !labels.is_empty() {
            arrange(&mut labels, 1, &order);
            ImageSet::new(pixels, height, width, labels, class_names.to_vec())?
        } else {
            ImageSet::unlabelled(pixels, height, width)?
        };
        if logged.is_empty() {
            return Ok((set, all));
        }
        arrange(&mut logged, n_classes, &order);
        Ok((set.with_probabilities(n_classes, logged)?, all))
    }
}

/// Puts records of `len` values into another order, in place: record `order[i]` comes to place i.
fn arrange<T: Copy>(values: &mut [T], len: usize, order: &[usize]) {
    let mut is_done = vec![false; order.len()];
    for start in 0..order.len() {
        if is_done[start] {
            continue;
        }
        // Around the circle of places that begins here; its first record is overwritten first.
        let held = values[start * len..(start + 1) * len].to_vec();
        let mut to = start;
        loop {
            is_done[to] = true;
            let from = order[to];
            if from == start {
                values[to * len..(to + 1) * len].copy_from_slice(&held);
                break;
            }
            values.copy_within(from * len..(from + 1) * len, to * len);
            to = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_to_their_places() {
        let order = [3, 0, 4, 1, 2, 5];
        let mut values: Vec<u32> = (0..12).collect();
        arrange(&mut values, 2, &order);
        let expected: Vec<u32> = order.iter().flat_map(|&i| [2 * i as u32, 2 * i as u32 + 1]).collect();
        assert_eq!(values, expected);
        arrange::<u32>(&mut [], 3, &[]);
    }
}
