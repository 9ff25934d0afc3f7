//! How `predict` may renew the reference.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::samples::Samples;
use crate::error::DetectorError;

/// How the reference follows the batches that `predict` sees, after each decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ReferenceUpdate {
    /// Keep the last `n` rows of the reference followed by the batch.
    Last {
        /// Rows to keep, at least 1.
        n: usize,
    },
    /// Keep a uniform random sample of `n` of all rows ever seen (Vitter 1985, algorithm R): fill up to `n`, then row
    /// number k takes a random place with probability n / k, k counting every row ever seen, the reference's included.
    ReservoirSampling {
        /// Rows to keep, at least 1.
        n: usize,
        /// Row k draws from stream k of the ChaCha8 generator of this seed, so that the reference depends neither on how the rows
        /// are cut into batches nor on whether the test was saved and loaded in between.
        seed: u64,
    },
}

impl ReferenceUpdate {
    pub(crate) fn check(self) -> Result<(), DetectorError> {
        let (Self::Last { n } | Self::ReservoirSampling { n, .. }) = self;
        if n == 0 {
            return Err(DetectorError::option("reference_update's n", n, "at least 1"));
        }
        Ok(())
    }

    /// The reference after `batch`; `n_seen` counts the rows seen before it, the reference's included.
    pub(crate) fn apply(self, reference: &Samples<'_>, batch: &Samples<'_>, n_seen: u64) -> Samples<'static> {
        let n_features = reference.n_features();
        let values = match self {
            Self::Last { n } => last(reference.values(), batch.values(), n.saturating_mul(n_features)),
            Self::ReservoirSampling { n, seed } => {
                let mut reservoir = Reservoir {
                    values: Vec::new(),
                    n,
                    n_features,
                    seed,
                };
                // A reference longer than the reservoir goes through it first; a shorter one just fills it.
                let kept = reference.len().min(n);
                let n_before = if reference.len() > n { kept as u64 } else { n_seen };
                reservoir
                    .values
                    .extend_from_slice(&reference.values()[..kept * n_features]);
                let late = reference.values()[kept * n_features..].chunks_exact(n_features);
                late.zip(n_before + 1..).for_each(|(row, k)| reservoir.offer(row, k));
                batch
                    .values()
                    .chunks_exact(n_features)
                    .zip(n_seen + 1..)
                    .for_each(|(row, k)| reservoir.offer(row, k));
                reservoir.values
            }
        };
        Samples::new(values, n_features).unwrap_or_else(|_| reference.clone().into_owned())
    }
}

fn last(reference: &[f64], batch: &[f64], n_values: usize) -> Vec<f64> {
    let from_batch = batch.len().min(n_values);
    let from_reference = reference.len().min(n_values - from_batch);
    let mut values = reference[reference.len() - from_reference..].to_vec();
    values.extend_from_slice(&batch[batch.len() - from_batch..]);
    values
}

struct Reservoir {
    values: Vec<f64>,
    n: usize,
    n_features: usize,
    seed: u64,
}

impl Reservoir {
    /// Offers row number `k`, counted from 1.
    fn offer(&mut self, row: &[f64], k: u64) {
        if self.values.len() < self.n * self.n_features {
            self.values.extend_from_slice(row);
            return;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(k);
        let slot = rng.random_range(0..k);
        if slot < self.n as u64 {
            let start = slot as usize * self.n_features;
            self.values[start..start + self.n_features].copy_from_slice(row);
        }
    }
}
