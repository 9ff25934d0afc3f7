//! Whether a classifier is right often enough for its input to be what it was trained on.

use riptide_datasets::ImageSet;
use riptide_detectors::argmax;
use serde::Serialize;

use super::{Choice, candidates, choose};
use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::images::Images;
use crate::tried::Accuracy;

/// Labelled images that are looked at, at most.
const SAMPLE: usize = 512;
/// What labelled images say about a classifier's input.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct InputCheck {
    /// The preprocessing that was chosen, if the classifier's was not known.
    pub choice: Option<Choice>,
    /// The classifier's accuracy, if the images have labels that can be used.
    pub accuracy: Option<Accuracy>,
    /// Why the images' labels cannot be used, if they have any.
    pub unused_labels: Option<String>,
}

/// Chooses the preprocessing of a classifier that is undecided, and measures its accuracy, on a sample of the images.
///
/// `class_names` are the classifier's, in the order of its outputs.
pub(crate) fn vet(
    mut classifier: Classifier,
    images: &Images<'_>,
    class_names: Option<&[String]>,
    force: bool,
) -> Result<(Classifier, InputCheck)> {
    let n_classes = classifier.n_classes();
    let mut check = InputCheck::default();
    let sample = images.labelled_sample(SAMPLE, classifier.input_size())?;
    let usable = sample.and_then(|(places, sample)| {
        let labels = labels(&sample, class_names.or(classifier.class_names()), n_classes);
        labels
            .map_err(|reason| check.unused_labels = Some(reason))
            .ok()
            .flatten()
            .map(|labels| (places, sample, labels))
    });
    let Some((places, sample, labels)) = usable else {
        if classifier.is_settled {
            return Ok((classifier, check));
        }
        return Err(classifier.undecided(match check.unused_labels {
            Some(reason) => format!("the images' labels, which would tell, cannot be used: {reason}"),
            None => "the images have no labels, which would tell".into(),
        }));
    };
    let names = (0..n_classes).map(|class| class.to_string()).collect();
    let sample = sample.with_labels(labels.clone(), names)?;
    if !classifier.is_settled
        && let Some(network) = classifier.network()
    {
        let choice = choose(network, &sample, candidates(network.channels()))?;
        classifier = classifier.with_preprocessing(choice.chosen.preprocessing)?;
        check.choice = Some(choice);
    }
    let rows = classifier.predict_proba(&sample, |_| ()).map_err(|error| {
        error.at(
            |image| places.get(image).copied().unwrap_or(image),
            |image| sample.files()?.get(image).cloned(),
        )
    })?;
    let answers: Vec<usize> = rows.chunks_exact(n_classes.max(1)).map(argmax).collect();
    let accuracy = Accuracy::of(&answers, &labels, n_classes);
    check.accuracy = Some(accuracy);
    if accuracy.is_low() && !force {
        return Err(Error::LowAccuracy {
            accuracy,
            preprocessing: classifier
                .preprocessing()
                .map(|preprocessing| preprocessing.to_string()),
        });
    }
    Ok((classifier, check))
}

/// Each image's class as the classifier numbers it; `None` if there are no labels. The error says why they cannot be used.
fn labels(images: &ImageSet, names: Option<&[String]>, n_classes: usize) -> Result<Option<Vec<u32>>, String> {
    let Some(labels) = images.labels() else {
        return Ok(None);
    };
    let of_images = images.class_names();
    let place = |name: &String| names.and_then(|names| names.iter().position(|known| known == name));
    let numbers: Option<Vec<usize>> = of_images
        .iter()
        .map(|name| name.parse().ok().filter(|class| *class < n_classes))
        .collect();
    let map: Vec<usize> = match (names, numbers) {
        (Some(names), _) if of_images.iter().all(|name| names.contains(name)) => {
            of_images.iter().filter_map(place).collect()
        }
        // Folders 0, 1, 10, 2 are sorted as text, but what they say is numbers.
        (_, Some(numbers)) => numbers,
        (Some(_), None) => {
            let unknown = of_images.iter().find(|name| place(name).is_none()).cloned();
            let unknown = unknown.unwrap_or_default();
            return Err(format!("the images' class {unknown:?} is none of the classifier's"));
        }
        (None, None) if of_images.len() == n_classes => (0..n_classes).collect(),
        (None, None) => {
            return Err(format!(
                "the images have {} classes and the classifier {n_classes}; name the classifier's in the order of its outputs",
                of_images.len()
            ));
        }
    };
    let map: Vec<u32> = map
        .into_iter()
        .map(|class| u32::try_from(class).unwrap_or(u32::MAX))
        .collect();
    let labels = labels.iter().map(|label| map.get(*label as usize).copied());
    let labels: Option<Vec<u32>> = labels.collect();
    labels.map(Some).ok_or_else(|| "a label has no class name".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(labels: Vec<u32>, names: &[&str]) -> ImageSet {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        ImageSet::new(vec![0; labels.len() * 3], 1, 1, labels, names).unwrap()
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn labels_follow_the_names_of_the_classes() {
        let images = set(vec![0, 1, 2, 0], &["cat", "dog", "eel"]);
        let names = owned(&["dog", "eel", "fox", "cat"]);
        assert_eq!(labels(&images, Some(&names), 4).unwrap(), Some(vec![3, 0, 1, 3]));
        assert_eq!(labels(&images, None, 3).unwrap(), Some(vec![0, 1, 2, 0]));
        let reason = labels(&images, None, 10).unwrap_err();
        assert!(reason.contains("3 classes") && reason.contains("10"), "{reason}");
        let reason = labels(&images, Some(&owned(&["cat", "dog", "fox"])), 3).unwrap_err();
        assert!(reason.contains("eel"), "{reason}");
        let unlabelled = ImageSet::unlabelled(vec![0; 3], 1, 1).unwrap();
        assert_eq!(labels(&unlabelled, Some(&names), 4).unwrap(), None);
    }

    #[test]
    fn folders_that_are_numbers_are_class_numbers() {
        let images = set(vec![0, 1, 2, 3], &["0", "1", "10", "2"]);
        assert_eq!(labels(&images, None, 11).unwrap(), Some(vec![0, 1, 10, 2]));
        // Even if there are as many as the classifier has.
        let images = set(vec![0, 1, 2], &["0", "01", "2"]);
        assert_eq!(labels(&images, None, 3).unwrap(), Some(vec![0, 1, 2]));
    }

    #[test]
    fn chance_is_what_shuffled_labels_give() {
        let labels = [0, 0, 0, 1];
        let always = Accuracy::of(&[0; 4], &labels, 2);
        assert_eq!((always.n_right, always.chance), (3, 0.75));
        let labels: Vec<u32> = (0..400).map(|i| i % 10).collect();
        let right: Vec<usize> = labels.iter().map(|label| *label as usize).collect();
        let perfect = Accuracy::of(&right, &labels, 10);
        assert!((perfect.chance - 0.1).abs() < 1e-12 && (perfect.least - 0.4).abs() < 1e-12);
        assert!(!perfect.is_low());
    }

    #[test]
    fn an_accuracy_is_low_if_it_is_surely_below_a_third_of_the_way() {
        // Of 500 images of ten classes: right about every third, and answering at random otherwise.
        let labels: Vec<u32> = (0..500).map(|i| i % 10).collect();
        let answers = |share: u32| -> Vec<usize> {
            let one = |i: u32| {
                if i % 100 < share {
                    i % 10
                } else {
                    (i + 1 + i / 100) % 10
                }
            };
            (0..500).map(|i| one(i) as usize).collect()
        };
        assert!(Accuracy::of(&answers(33), &labels, 10).is_low());
        assert!(!Accuracy::of(&answers(45), &labels, 10).is_low());
        // A rare class that is never seen makes a high accuracy without merit.
        let rare: Vec<u32> = (0..2000).map(|i| u32::from(i % 20 == 0)).collect();
        assert!(Accuracy::of(&[0; 2000], &rare, 2).accuracy.estimate > 0.94);
        assert!(Accuracy::of(&[0; 2000], &rare, 2).is_low());
        // So few images that nothing is sure.
        assert!(!Accuracy::of(&[1, 1, 2], &[1, 2, 0], 3).is_low());
    }
}
