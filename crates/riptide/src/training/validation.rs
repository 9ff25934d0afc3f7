//! How good a network is on images that it was not trained on.

use riptide_datasets::ImageSet;
use riptide_detectors::argmax;
use riptide_models::Network;

use crate::error::Result;

/// Mean loss, and the share of images whose most probable class is the target's: the label, or the classifier's answer.
pub(super) fn validate(network: &Network, images: &ImageSet, outputs: Option<&[f32]>) -> Result<(f64, f64)> {
    let classes = network.n_classes();
    let rows = network.predict_proba(images.pixels(), |_| ())?;
    let rows = rows.chunks_exact(classes);
    let (mut loss, mut right) = (0.0, 0);
    match outputs {
        Some(outputs) => {
            for (p, y) in rows.zip(outputs.chunks_exact(classes)) {
                for (y, p) in y.iter().zip(p).filter(|(y, _)| **y > 0.0) {
                    loss += f64::from(*y) * (f64::from(*y).ln() - f64::from(*p).max(1e-30).ln());
                }
                right += usize::from(argmax(p) == argmax(y));
            }
        }
        None => {
            for (p, label) in rows.zip(images.labels().unwrap_or_default()) {
                let label = *label as usize;
                loss -= f64::from(p.get(label).copied().unwrap_or_default()).max(1e-30).ln();
                right += usize::from(argmax(p) == label);
            }
        }
    }
    let n = images.len() as f64;
    Ok((loss / n, f64::from(right as u32) / n))
}
