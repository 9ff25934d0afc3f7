//! Naming the image that a network gave no probabilities for, among all images.

use std::path::PathBuf;

use riptide_detectors::DetectorError;
use riptide_models::ModelError;

use crate::error::Error;

impl Error {
    /// The same error with an image's index among all images in place of its index in the rows that were at hand, and with its
    /// file; both are told for the latter. Errors that are about no image stay.
    pub(crate) fn at(self, place: impl Fn(usize) -> usize, file: impl Fn(usize) -> Option<PathBuf>) -> Self {
        let (network, image, found) = match self {
            Self::Detector(DetectorError::InvalidProbability {
                network,
                instance,
                value,
                ..
            }) => (network, instance, of_value(value)),
            Self::Detector(DetectorError::NotNormalized { network, instance, sum }) => (network, instance, of_sum(sum)),
            Self::Network(error) => match *error {
                ModelError::NotProbabilities { image, sum } => ("classifier", image, of_sum(sum)),
                ModelError::NotFinite { image } => ("classifier", image, of_value(f32::NAN)),
                other => return Self::Network(Box::new(other.renumbered(&place))),
            },
            Self::Answer {
                network,
                image,
                file: None,
                found,
            } => (network, image, found),
            other => return other,
        };
        Self::Answer {
            network,
            image: place(image),
            file: file(image),
            found,
        }
    }

    /// As [`at`](Self::at) for images that come after `first` others, with the files of these images if there are any.
    pub(crate) fn after(self, first: usize, files: Option<&[PathBuf]>) -> Self {
        self.at(
            |image| image.saturating_add(first),
            |image| files.and_then(|files| files.get(image)).cloned(),
        )
    }

    /// The same error with the name of the input that the image came from, if the image is not a file of its own.
    pub(crate) fn of_input(self, name: &str) -> Self {
        match self {
            Self::Answer {
                network,
                image,
                file: None,
                found,
            } => Self::Answer {
                network,
                image,
                file: Some(match name {
                    "-" => "standard input".into(),
                    name => name.into(),
                }),
                found,
            },
            other => other,
        }
    }
}

fn of_value(value: f32) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        value => format!("{value} as a probability"),
    }
}

fn of_sum(sum: f64) -> String {
    match sum {
        sum if sum.is_nan() => "NaN".to_owned(),
        sum => format!("probabilities that add up to {sum}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_its_place_among_all_and_its_file() {
        let error = Error::from(DetectorError::InvalidProbability {
            network: "classifier",
            instance: 3,
            class: 0,
            value: f32::NAN,
        });
        let files: Vec<PathBuf> = (0..20).map(|i| format!("{i}.png").into()).collect();
        // Twice, as when a chunk of a chunk fails; the files are those of the larger one.
        let error = error.after(2, None).after(10, Some(&files));
        let text = error.to_string();
        assert!(
            text.starts_with("the classifier gave NaN for image 15 (5.png)"),
            "{text}"
        );
        let error = Error::from(ModelError::NotProbabilities { image: 1, sum: 3.5 }).after(4, None);
        let text = error.to_string();
        assert!(text.contains("add up to 3.5 for image 5"), "{text}");
        let error = Error::from(ModelError::NotFinite { image: 1 }).after(4, None);
        let text = error.of_input("today.npy").to_string();
        assert!(text.contains("NaN for image 5 (today.npy)"), "{text}");
    }
}
