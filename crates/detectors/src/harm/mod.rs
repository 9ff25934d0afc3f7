//! Does the batch hold harmful instances, and how many?
//!
//! A two-sample test answers whether two distributions differ. Whoever runs a classifier asks something else: a huge batch
//! differs from the reference by trifles, and a batch that is easier than the reference differs too. [`HarmTest`] alarms only
//! if the scores are significantly *larger* than the reference's and at least a chosen fraction of the batch lies in
//! excess of it.
//!
//! # The excess fraction
//!
//! Let a fraction π of the batch be harmful, with scores from a distribution G, and the rest be scored as the reference,
//! F = (1 − π) F_ref + π G. At a score c (a quantile of the reference's scores, the median by default)
//!
//! ```text
//! π_c = 1 − F(c) / F_ref(c) = π (1 − G(c) / F_ref(c)) ≤ π.
//! ```
//!
//! π_c is the *excess fraction*: the least fraction of the batch that cannot have come from the reference, judged at c. It
//! equals π if no harmful instance scores below c. The estimate puts the two empirical distribution functions in place of F and
//! F_ref. With the instances' ranks in the reference as p-values this is the estimator of the proportion of false null
//! hypotheses of Schweder & Spjøtvoll (1982) and Storey (2002) with λ = 1 − F_ref(c); that no estimator can do better than
//! such a lower bound without knowing G is shown by Blanchard, Lee & Scott (2010). The interval is the score interval for
//! the ratio of two binomial proportions (Koopman 1984; Miettinen & Nurminen 1985), cut to 0..=1.
//!
//! # Assumptions
//!
//! 1. Instances are drawn independently; reference and batch are different instances.
//! 2. c does not depend on the batch (it comes from the reference).
//! 3. If the excess fraction is read as the harmful fraction: harmful instances score above c, and harmless ones as the
//!    reference. Harmful scores below c make it too small; a harmless change that raises scores is counted as excess,
//!    for from the scores alone the two cannot be told apart.
//!
//! A higher quantile for c makes the estimate less noisy and more biased towards 0.
//!
//! # What simulation shows
//!
//! `cargo run --release -p riptide-detectors --example harm_simulation` prints this table.
//!
//! 2,000 batches a row, references of 1,000 scores, the defaults of [`HarmConfig`] (level 0.05, at least 10 % in excess, 95 %
//! intervals at the median). Clean scores are lognormal(0, 1); harmful ones lognormal(4, 0.5) if they lie apart and
//! lognormal(1.5, 1) if they overlap; the easier batch is lognormal(-0.5, 1). *Coverage* counts the intervals that hold the true
//! excess fraction at c, *lower end holds* those whose lower end does not exceed the harmful fraction.
//!
//! | harmful scores | harmful fraction | n | true excess | mean estimate | coverage of 95 % | lower end holds | alarms |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | apart | 0 | 30 | 0.000 | 0.076 | 0.972 | 0.972 | 0.0560 |
//! | apart | 0 | 100 | 0.000 | 0.040 | 0.982 | 0.982 | 0.0380 |
//! | apart | 0 | 1000 | 0.000 | 0.017 | 0.977 | 0.977 | 0.0105 |
//! | apart | 0.1 | 30 | 0.100 | 0.136 | 0.930 | 0.965 | 0.2000 |
//! | apart | 0.1 | 100 | 0.100 | 0.107 | 0.958 | 0.982 | 0.3440 |
//! | apart | 0.1 | 1000 | 0.100 | 0.100 | 0.957 | 0.978 | 0.4785 |
//! | apart | 0.3 | 30 | 0.300 | 0.307 | 0.941 | 0.971 | 0.8375 |
//! | apart | 0.3 | 100 | 0.300 | 0.298 | 0.946 | 0.976 | 0.9700 |
//! | apart | 0.3 | 1000 | 0.300 | 0.300 | 0.951 | 0.978 | 1.0000 |
//! | apart | 0.6 | 30 | 0.600 | 0.604 | 0.966 | 0.987 | 0.9985 |
//! | apart | 0.6 | 100 | 0.600 | 0.599 | 0.943 | 0.979 | 1.0000 |
//! | apart | 0.6 | 1000 | 0.600 | 0.599 | 0.944 | 0.976 | 1.0000 |
//! | overlapping | 0.1 | 30 | 0.087 | 0.127 | 0.956 | 0.970 | 0.1400 |
//! | overlapping | 0.1 | 100 | 0.087 | 0.096 | 0.945 | 0.989 | 0.2225 |
//! | overlapping | 0.1 | 1000 | 0.087 | 0.087 | 0.953 | 0.988 | 0.3540 |
//! | overlapping | 0.3 | 30 | 0.260 | 0.269 | 0.958 | 0.979 | 0.5630 |
//! | overlapping | 0.3 | 100 | 0.260 | 0.258 | 0.940 | 0.991 | 0.9090 |
//! | overlapping | 0.3 | 1000 | 0.260 | 0.260 | 0.952 | 0.998 | 1.0000 |
//! | overlapping | 0.6 | 30 | 0.520 | 0.525 | 0.943 | 0.998 | 0.9840 |
//! | overlapping | 0.6 | 100 | 0.520 | 0.518 | 0.955 | 0.997 | 1.0000 |
//! | overlapping | 0.6 | 1000 | 0.520 | 0.520 | 0.950 | 1.000 | 1.0000 |
//! | none, batch easier | 0 | 30 | 0.000 | 0.001 | 1.000 | 1.000 | 0.0000 |
//! | none, batch easier | 0 | 100 | 0.000 | 0.000 | 1.000 | 1.000 | 0.0000 |
//! | none, batch easier | 0 | 1000 | 0.000 | 0.000 | 1.000 | 1.000 | 0.0000 |

mod by_class;
mod config;
mod fraction;
mod test;

pub use by_class::{ClassExcess, PairExcess, Scored, excess_by_class, excess_by_pair};
pub use config::HarmConfig;
pub(crate) use fraction::check_confidence;
pub use fraction::excess_fraction;
pub use test::{HarmData, HarmOutcome, HarmTest};
