//! A monitor of networks that exist already.

use riptide_datasets::ImageSet;
use riptide_detectors::{Answers, Score, ScoreKind};
use riptide_files::Progress;
use riptide_models::Network;

use crate::batch::confidences;
use crate::calibration::{Calibrate, Clean, Sampling, is_about_images};
use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::facts::TrainingFacts;
use crate::images::Images;
use crate::monitor::{Monitor, Parts, facts_of};
use crate::options::Options;
use crate::pair::Pair;

/// Makes a [`Monitor`] of a classifier and a distilled network that already exist.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Import {
    /// The classes' names in the order of the classifier's outputs; by default those of the reference's images if the
    /// classifier gets most of them right, else numbers.
    pub class_names: Option<Vec<String>>,
    /// How the monitor judges scores.
    pub options: Options,
    /// How the monitor is calibrated, on a part of the reference's images; `None` leaves it without a calibration.
    pub calibration: Option<Calibrate>,
}

impl Default for Import {
    fn default() -> Self {
        Self {
            class_names: None,
            options: Options::default(),
            calibration: Some(Calibrate::default()),
        }
    }
}

/// The images that a monitor is calibrated on.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A part of the reference's.
    Reference,
    /// These; and so many of the reference's are wanted for something else.
    Others(&'a ImageSet, usize),
}

impl Import {
    setters! {
        /// Sets the classes' names.
        class_names: Option<Vec<String>>;
        /// Sets how the monitor judges scores.
        options: Options;
        /// Sets how the monitor is calibrated, or that it is not.
        calibration: Option<Calibrate>;
    }

    /// Scores a reference of clean images that the distilled network was not trained on.
    ///
    /// # Errors
    /// [`Error::Network`] or [`Error::Mismatch`] if the networks do not belong together, and as [`Fit::run`](crate::Fit::run).
    pub fn run<'a>(
        &self,
        classifier: impl Into<Classifier>,
        distilled: Network,
        reference: impl Into<Images<'a>>,
        progress: &mut dyn Progress,
    ) -> Result<Monitor> {
        let mut classifier = classifier.into();
        check_names(self.class_names.as_ref(), classifier.n_classes())?;
        if let Some(config) = &self.calibration {
            config.check()?;
        }
        let reference = reference.into();
        reference.verify(&mut classifier)?;
        let pair = Pair::new(classifier, distilled)?;
        Ok(self.judge(pair, reference, None, Source::Reference, progress)?.0)
    }

    /// Scores the reference, puts the monitor together and calibrates it. Also gives a sample of the reference's images, if one is
    /// asked for.
    pub(super) fn judge(
        &self,
        pair: Pair,
        reference: Images<'_>,
        training: Option<TrainingFacts>,
        from: Source<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(Monitor, ImageSet)> {
        let pair_size = pair.input_size();
        let n_classes = pair.distilled().n_classes();
        // A calibration asks the classifier about corrupted images.
        let config = self.calibration.as_ref().filter(|_| !pair.is_logged());
        let sampling = match from {
            Source::Reference => config.map(Sampling::of),
            Source::Others(_, n) => (n > 0).then(|| Sampling::new(n, 0)),
        };
        let views = config.map_or(1, |config| config.views);
        let framing = reference.framing();
        let mut clean = Clean::read(&pair, reference, views, sampling, "scoring the reference", progress)?;
        let all = &clean.probabilities;
        let answers = Answers::from(all);
        // Folders are sorted by name; whether the classifier has its classes in that order, its answers tell.
        let right = answers
            .classifier
            .iter()
            .zip(&clean.labels)
            .filter(|(a, b)| **a == **b as usize)
            .count();
        let of_images = Some(&clean.class_names).filter(|names| names.len() == n_classes && 2 * right > all.len());
        let class_names = match &self.class_names {
            Some(names) => names.clone(),
            None => of_images
                .cloned()
                .unwrap_or_else(|| (0..n_classes).map(|class| class.to_string()).collect()),
        };
        let scores = ScoreKind::default().score(all.into())?;
        let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
        let certain: Vec<f32> = confidences(&all.classifier, n_classes).collect();
        let probe = clean.probe.take();
        let mut facts = facts_of(
            &pair,
            class_names.clone(),
            &scores,
            Some(&answers),
            Some(&certain),
            probe.as_ref(),
            training,
        );
        facts.framing = framing;
        let monitor = Monitor::from_parts(Parts {
            facts,
            options: self.options.clone(),
            pair,
            scores,
            answers: Some(answers),
            confidences: Some(certain),
            calibration: None,
            probe,
        })?;
        let sample = match from {
            Source::Reference => ImageSet::unlabelled(Vec::new(), pair_size.0, pair_size.1)?,
            Source::Others(_, n) => clean.take_sample(n)?,
        };
        let Some(config) = config else {
            let error = || Error::Logged {
                name: "calibration".into(),
                reason: "only logged probabilities of the classifier are known, and none of corrupted images".into(),
            };
            return match &self.calibration {
                Some(config) if config.required => Err(error()),
                Some(_) => Ok((monitor.with_note(error().to_string()), sample)),
                None => Ok((monitor, sample)),
            };
        };
        let calibrated = match from {
            Source::Reference => clean.calibrate(monitor.pair(), Some(&class_names), config, progress),
            Source::Others(images, _) => {
                clean.calibrate_on(monitor.pair(), images, Some(&class_names), config, progress)
            }
        };
        let monitor = match calibrated {
            Ok(calibrated) => monitor.with_calibration(calibrated)?,
            Err(error) if !config.required && is_about_images(&error) => monitor.with_note(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok((monitor, sample))
    }
}

pub(super) fn check_names(names: Option<&Vec<String>>, n_classes: usize) -> Result<()> {
    match names {
        Some(names) if names.len() != n_classes => Err(Error::mismatch("class names", n_classes, names.len())),
        _ => Ok(()),
    }
}
