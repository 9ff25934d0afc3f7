//! Class probabilities that were logged, in place of a classifier.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use riptide::datasets::Framing;
use riptide::datasets::table::ProbabilityRows;
use riptide::{Classifier, ClassifierFacts, Error, Images, Monitor};

use super::{Reading, hint};

/// The options of a classifier of which only the answers are known.
#[derive(Debug, Clone, clap::Args)]
pub struct LoggedArgs {
    /// In place of --classifier, the class probabilities that it gave the images, row for row: a .npy file of floats (N, classes),
    /// a .csv file of numbers, or a column of lists in a .parquet file
    #[arg(long, value_name = "FILE", conflicts_with = "classifier")]
    pub probabilities: Option<PathBuf>,

    /// Height and width at which the distilled network sees the images, with --probabilities [default: their own]
    #[arg(long, value_name = "HxW", value_parser = super::size, requires = "probabilities")]
    pub input_size: Option<(usize, usize)>,
}

impl LoggedArgs {
    /// The classifier, and the images with its answers.
    pub fn open(
        &self,
        probabilities: &Path,
        reading: &Reading,
        images: &Path,
    ) -> anyhow::Result<(Classifier, Images<'static>)> {
        let rows = read(probabilities)?;
        let images = match self.input_size {
            Some(size) => reading.open(images, size, Framing::Keep)?,
            None => reading.open_as_they_are(images)?,
        };
        let size = self.input_size.or_else(|| images.image_size());
        let size = size.context("the size of the images is not known beforehand: add --input-size HxW and --resize")?;
        let classifier = Classifier::logged(rows.n_classes(), size);
        Ok((classifier, images.with_probabilities(rows)))
    }
}

/// The images with the classifier's answers, if the monitor needs them.
pub fn with_logged<'a>(
    images: Images<'a>,
    monitor: &Monitor,
    probabilities: Option<&Path>,
    option: &str,
) -> anyhow::Result<Images<'a>> {
    match (&monitor.facts().classifier, probabilities) {
        (ClassifierFacts::Logged, Some(path)) => Ok(images.with_probabilities(read(path)?)),
        (ClassifierFacts::Logged, None) => {
            bail!("the monitor was fitted to logged probabilities: add {option} FILE with those of these images")
        }
        (_, Some(_)) => bail!("the monitor has its classifier, which is asked itself: leave out {option}"),
        (_, None) => Ok(images),
    }
}

fn read(path: &Path) -> anyhow::Result<ProbabilityRows> {
    hint(ProbabilityRows::open(path).map_err(Error::from))
}
