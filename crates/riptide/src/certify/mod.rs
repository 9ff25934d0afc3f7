//! What a monitor can promise about its own alarms.

mod page;
mod requirement;

use riptide_detectors::certificate::{self, Certificate, CertifyConfig};

use crate::error::{Error, Result};
use crate::monitor::Monitor;

pub use page::certificate_page;
pub use requirement::Requirement;

impl Monitor {
    /// The options of a certificate of this monitor, as it judges now.
    #[must_use]
    pub fn certify_config(&self) -> CertifyConfig {
        let mut config = CertifyConfig::default().options(self.options().accuracy());
        config.sequential = self.options().sequential();
        config
    }

    /// Certifies the monitor from what its calibration kept: which drops of accuracy it finds in batches of which size, and how
    /// often it alarms for nothing. No image goes through a network. Each family of corruptions is judged by a model that did
    /// not see it.
    ///
    /// # Errors
    /// [`Error::NotCalibrated`], [`Error::Detector`] for an option out of range.
    pub fn certify(&self, config: &CertifyConfig) -> Result<Certificate> {
        let calibration = self.calibration().ok_or(Error::NotCalibrated)?;
        Ok(certificate::certify(calibration.evidence(), config)?)
    }
}
