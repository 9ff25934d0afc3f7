//! Scoring more images than fit in memory.

use super::detector::ModelDistillation;
use crate::error::{BoxError, DetectorError};
use crate::images::Images;
use crate::networks::ScoringNetworks;

impl<N: ScoringNetworks> ModelDistillation<N> {
    /// The scores of each batch that `batches` gives, computed as the iterator is drawn from: one batch in memory at a
    /// time. After an error the iterator ends.
    ///
    /// ```
    /// # use riptide_detectors::{BoxError, Images, ModelDistillation, Probabilities, ScoringNetworks};
    /// # struct Toy;
    /// # impl ScoringNetworks for Toy {
    /// #     fn n_classes(&self) -> usize { 2 }
    /// #     fn predict_proba(&self, _: &[u8], [n, _, _]: [usize; 3]) -> Result<Probabilities, BoxError> {
    /// #         Ok(Probabilities::new(vec![0.5; n * 2], vec![0.5; n * 2], 2)?)
    /// #     }
    /// # }
    /// let detector = ModelDistillation::builder(Toy).build()?;
    /// let batches = (0..3).map(|_| Ok(Images::new(vec![0_u8; 2 * 3], [2, 1, 1])?));
    /// let scores: Result<Vec<_>, _> = detector.score_stream(batches).collect();
    /// assert_eq!(scores?.concat(), [0.0; 6]);
    /// # Ok::<(), riptide_detectors::DetectorError>(())
    /// ```
    pub fn score_stream<'a, I>(&'a self, batches: I) -> impl Iterator<Item = Result<Vec<f32>, DetectorError>> + 'a
    where
        I: IntoIterator<Item = Result<Images<'a>, BoxError>>,
        I::IntoIter: 'a,
    {
        let mut failed = false;
        batches.into_iter().enumerate().map_while(move |(index, batch)| {
            if failed {
                return None;
            }
            let scores = match batch {
                Ok(images) => self.score(&images),
                Err(source) => Err(DetectorError::Stream { index, source }),
            };
            failed = scores.is_err();
            Some(scores)
        })
    }
}
