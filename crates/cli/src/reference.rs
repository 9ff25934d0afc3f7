//! From networks and clean images to a saved detector: what `fit` and `import` share.

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use riptide_detectors::saving::{Answers, check_replaceable};
use riptide_detectors::{Detector, DetectorSettings, Probabilities};
use riptide_models::NetworkPair;
use riptide_stats::ks::Alternative;
use riptide_stats::summary::{mean, percentile};
use serde::Serialize;

use crate::args::{Images, alternative, inside_unit, names, percentile as percentile_value};
use crate::monitor;
use crate::output::{Output, percent};

/// The options of a new detector.
#[derive(Debug, Clone, clap::Args)]
pub struct NewArgs {
    /// Where the detector goes, a folder; an existing detector is replaced
    #[arg(long, value_name = "DETECTOR")]
    pub out: PathBuf,

    /// Level of the tests
    #[arg(long, value_name = "P", value_parser = inside_unit, default_value = "0.05")]
    p_val: f64,

    /// What counts as drift of the scores; greater: they are larger, the harmful direction
    #[arg(long, value_parser = alternative(), default_value = "two-sided")]
    alternative: Alternative,

    /// The percentile of the reference's scores that becomes the threshold of single images
    #[arg(long, value_name = "Q", value_parser = percentile_value, default_value = "99")]
    percentile: f64,

    /// The classes' names in the order of the classifier's outputs, separated by commas, or @FILE with one a line [default:
    /// those of the images where the classifier gets most of them right, else numbers]
    #[arg(long, value_name = "NAMES", value_parser = names_list)]
    classes: Option<Names>,
}

/// A list that is one value of the command line.
#[derive(Debug, Clone)]
struct Names(Vec<String>);

fn names_list(text: &str) -> Result<Names, String> {
    names(text).map(Names)
}

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made {
    pub out: PathBuf,
    pub classifier_digest: String,
    pub distilled_digest: String,
    pub n_classes: usize,
    pub n_reference: usize,
    /// Share of the reference's images that both networks give the same class.
    pub agreement: f64,
    pub score_mean: f64,
    pub threshold: f64,
    pub p_val: f64,
    pub alternative: Alternative,
}

impl NewArgs {
    /// Whether a detector of a classifier of `n_classes` classes could be saved, before any long work.
    pub fn check(&self, n_classes: usize) -> anyhow::Result<()> {
        check_replaceable(&self.out)?;
        self.class_names(n_classes, &[]).map(drop)
    }

    /// Scores the reference and saves the detector.
    pub fn make(&self, networks: &NetworkPair, reference: &mut Images, bar: &ProgressBar) -> anyhow::Result<Made> {
        let pair = networks;
        let (height, width) = pair.classifier().input_size();
        let mut settings = DetectorSettings::new([height, width], self.class_names(networks.n_classes(), &[])?);
        settings.alternative = self.alternative;
        settings.drift.p_val = self.p_val;
        settings.harm.p_val = self.p_val;
        settings.preprocessing = monitor::to_saved(pair.classifier().preprocessing());
        let mut all = Probabilities {
            n_classes: networks.n_classes(),
            ..Default::default()
        };
        let (mut scores, mut labels, mut class_names) = (Vec::new(), Vec::new(), Vec::new());
        monitor::pass(networks, &settings, reference, bar, |scored, _| {
            scores.extend(scored.scores.iter().copied().map(f64::from));
            all.extend(&scored.probabilities)?;
            labels.extend_from_slice(scored.images.labels().unwrap_or_default());
            class_names = scored.images.class_names().to_vec();
            Ok(())
        })?;
        let answers = Answers::from(&all);
        // Folders are sorted by name; whether the classifier has its classes in that order, its answers tell.
        let right = answers
            .classifier
            .iter()
            .zip(&labels)
            .filter(|(a, b)| **a == **b as usize)
            .count();
        if 2 * right <= scores.len() {
            class_names.clear();
        }
        settings.class_names = self.class_names(networks.n_classes(), &class_names)?;
        let threshold = percentile(&scores, self.percentile)?;
        settings.threshold = Some(threshold);
        let same = answers
            .classifier
            .iter()
            .zip(&answers.distilled)
            .filter(|(a, b)| a == b)
            .count();
        let made = Made {
            out: self.out.clone(),
            classifier_digest: pair.classifier().digest(),
            distilled_digest: pair.distilled().digest(),
            n_classes: networks.n_classes(),
            n_reference: scores.len(),
            agreement: same as f64 / scores.len() as f64,
            score_mean: mean(&scores)?,
            threshold,
            p_val: self.p_val,
            alternative: self.alternative,
        };
        let save = (
            |folder: &Path| Ok(pair.classifier().save(folder)?),
            |folder: &Path| Ok(pair.distilled().save(folder)?),
        );
        Detector::new(settings, scores)?
            .with_answers(answers)?
            .save(&self.out, &save)?;
        Ok(made)
    }

    /// The names asked for, else the images' where there is one a class, else numbers.
    fn class_names(&self, n_classes: usize, of_images: &[String]) -> anyhow::Result<Vec<String>> {
        match &self.classes {
            Some(Names(names)) if names.len() == n_classes => Ok(names.clone()),
            Some(Names(names)) => anyhow::bail!(
                "--classes has {} names, but the classifier tells {n_classes} classes apart",
                names.len()
            ),
            None if of_images.len() == n_classes => Ok(of_images.to_vec()),
            None => Ok((0..n_classes).map(|class| class.to_string()).collect()),
        }
    }
}

impl Made {
    /// Prints what was made.
    pub fn tell(&self, out: &mut Output) -> anyhow::Result<()> {
        out.line(format_args!(
            "reference   {} images; both networks agree on {}",
            self.n_reference,
            percent(self.agreement)
        ))?;
        out.line(format_args!(
            "score       mean {:.4}; threshold of single images {:.4}",
            self.score_mean, self.threshold
        ))?;
        out.line(format_args!("drift test  {} at {}", self.alternative, self.p_val))?;
        out.line(format_args!("detector    {}", self.out.display()))
    }
}
