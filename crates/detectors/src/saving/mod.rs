//! Detectors as folders that a person can read: JSON, .npy and the networks' own files, versioned, digests checked.

mod answers;
mod detector;
mod drift;
mod folder;
mod npy;

pub use answers::Answers;
pub use detector::{Detector, DetectorSettings, Preprocessing, SaveNetworks};
pub use folder::{FORMAT_VERSION, MANIFEST, check_replaceable};
