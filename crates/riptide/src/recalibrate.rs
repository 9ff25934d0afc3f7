//! Calibrating a monitor that exists.

use riptide_files::Progress;

use crate::calibration::{Calibrate, Clean, Sampling};
use crate::error::Result;
use crate::images::Images;
use crate::monitor::Monitor;

impl Monitor {
    /// Calibrates the monitor on clean images that neither of its networks was trained on, labelled or not; an older calibration is
    /// replaced. The images are split, image by image, into those that are corrupted and those that batches are compared with.
    ///
    /// Memory is bounded by the images that are corrupted, and by the class probabilities of all.
    ///
    /// # Errors
    /// [`Error::TooFew`](crate::Error::TooFew) for fewer than 40 images, [`Error::Calibration`](crate::Error::Calibration) if labels are asked for and cannot be used,
    /// [`Error::Option`](crate::Error::Option) for an option out of range, [`Error::Detector`](crate::Error::Detector) if the classifier is never or always wrong, and as
    /// [`score`](Self::score).
    pub fn calibrate<'a>(
        self,
        images: impl Into<Images<'a>>,
        config: &Calibrate,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        config.check()?;
        let config = config.clone().required(true);
        let clean = Clean::read(
            self.pair(),
            images.into(),
            config.views,
            Some(Sampling::of(&config)),
            "passing clean images",
            progress,
        )?;
        let names = self.facts().class_names.clone();
        let calibrated = clean.calibrate(self.pair(), Some(&names), &config, progress)?;
        self.with_calibration(calibrated)
    }
}
