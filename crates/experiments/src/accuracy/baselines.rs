//! Published ways to estimate accuracy without labels, from one network's largest probability.

/// Fitted on clean, labelled images.
#[derive(Debug)]
pub(crate) struct Baselines {
    /// Average thresholded confidence: the share of clean images with a confidence below it is the clean error rate.
    threshold: f64,
    accuracy: f64,
    mean: f64,
    /// Confidence -> chance of a right answer, by isotonic regression: rising steps (confidence from which, chance).
    steps: Vec<(f64, f64)>,
}

/// The names, in the order of [`Baselines::estimate`].
pub(crate) const NAMES: [&str; 4] = ["average confidence", "difference of confidences", "ATC", "CBPE"];

impl Baselines {
    pub(crate) fn new(confidence: &[f64], right: &[bool]) -> Self {
        let n = confidence.len().max(1) as f64;
        let accuracy = right.iter().filter(|&&right| right).count() as f64 / n;
        let mut order: Vec<(f64, f64)> = confidence
            .iter()
            .zip(right)
            .map(|(&confidence, &right)| (confidence, f64::from(u8::from(right))))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let below = ((1.0 - accuracy) * n).round() as usize;
        let threshold = order.get(below).map_or(f64::INFINITY, |entry| entry.0);
        Self {
            threshold,
            accuracy,
            mean: confidence.iter().sum::<f64>() / n,
            steps: isotonic(&order),
        }
    }

    /// Accuracy of a batch: average confidence; the clean accuracy less the difference of confidences (Guillory et al. 2021);
    /// the share of images above the threshold (Garg et al. 2022); the mean calibrated confidence (the form of NannyML's CBPE).
    pub(crate) fn estimate(&self, confidence: &[f64]) -> [f64; 4] {
        let n = confidence.len().max(1) as f64;
        let mean = confidence.iter().sum::<f64>() / n;
        let above = confidence.iter().filter(|&&c| c >= self.threshold).count() as f64 / n;
        let calibrated = confidence.iter().map(|&c| self.calibrated(c)).sum::<f64>() / n;
        [mean, self.accuracy - (self.mean - mean), above, calibrated]
    }

    fn calibrated(&self, confidence: f64) -> f64 {
        let place = self.steps.partition_point(|step| step.0 <= confidence);
        let step = self.steps.get(place.saturating_sub(1));
        step.map_or(confidence, |step| step.1)
    }
}

/// Isotonic least squares by pooling adjacent violators (Ayer et al. 1955), of values sorted by their place.
fn isotonic(sorted: &[(f64, f64)]) -> Vec<(f64, f64)> {
    // (from, sum, weight)
    let mut blocks: Vec<(f64, f64, f64)> = Vec::new();
    for &(place, value) in sorted {
        let mut block = (place, value, 1.0);
        while let Some(&last) = blocks.last() {
            if last.1 / last.2 < block.1 / block.2 {
                break;
            }
            block = (last.0, last.1 + block.1, last.2 + block.2);
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks
        .into_iter()
        .map(|(from, sum, weight)| (from, sum / weight))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isotonic_regression_pools_violators() {
        // scikit-learn's IsotonicRegression gives 1, 2.5, 2.5, 4.
        let steps = isotonic(&[(0.0, 1.0), (1.0, 3.0), (2.0, 2.0), (3.0, 4.0)]);
        assert_eq!(steps, [(0.0, 1.0), (1.0, 2.5), (3.0, 4.0)]);
    }

    #[test]
    fn the_clean_images_get_their_own_accuracy() {
        let confidence: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
        let right: Vec<bool> = (0..100).map(|i| i % 10 > 1).collect();
        let baselines = Baselines::new(&confidence, &right);
        let [_, difference, threshold, calibrated] = baselines.estimate(&confidence);
        for estimate in [difference, threshold, calibrated] {
            assert!((estimate - 0.8).abs() < 1e-12, "{estimate}");
        }
    }
}
