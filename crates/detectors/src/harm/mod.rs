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
//! F = (1 − π) F_ref + π G. At a score c, a quantile of the reference's scores,
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
//! # At which score
//!
//! Every c gives a lower bound of π, and which one gives the largest depends on G. If harmful instances score both lower
//! and higher than the reference, as those of an image without contrast may, F and F_ref cross, and at the crossing π_c
//! is 0 whatever the harm. So π_c is judged at several c, the [`QUANTILES`] of the reference's scores, each interval at the
//! level 1 − (1 − confidence) / m for m of them (Bonferroni). All m intervals hold together with at least the chosen
//! confidence; the one with the largest lower end is reported (the lowest quantile of equals), with its c. One quantile
//! can be chosen instead ([`HarmConfig::quantile`]); its interval is then narrower, and the blind spot is back.
//!
//! # Assumptions
//!
//! 1. Instances are drawn independently; reference and batch are different instances.
//! 2. c does not depend on the batch (it comes from the reference).
//! 3. If the excess fraction is read as the harmful fraction: harmful instances score above c, and harmless ones as the
//!    reference. Harmful scores below c make it too small; a harmless change that raises scores is counted as excess,
//!    for from the scores alone the two cannot be told apart.
//!
//! A higher quantile for c makes the estimate less noisy and more biased towards 0. Choosing among several makes it noisier
//! on clean batches and larger if there is harm; what that does to the alarms shows below.
//!
//! # What simulation shows
//!
//! `cargo run --release -p riptide-detectors --example harm_simulation` prints this table.
//!
//! 2,000 batches a row, references of 1,000 scores, the defaults of [`HarmConfig`] (level 0.05, at least 10 % in excess, 95 %
//! intervals). Clean scores are lognormal(0, 1); harmful ones lognormal(4, 0.5) if they lie apart and
//! lognormal(1.5, 1) if they overlap, lognormal(0, 3) if they are spread wider, so that both distribution functions cross at
//! the median; the easier batch is lognormal(-0.5, 1). *Coverage* counts the intervals that hold the true
//! excess fraction at c, *lower end holds* those whose lower end does not exceed the harmful fraction.
//!
//! | harmful scores | harmful fraction | n | true excess | mean estimate | coverage of 95 % | lower end holds | alarms |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | apart | 0 | 30 | 0.000 | 0.075 | 0.963 | 0.963 | 0.0560 |
//! | apart | 0 | 100 | 0.000 | 0.040 | 0.974 | 0.974 | 0.0360 |
//! | apart | 0 | 1000 | 0.000 | 0.017 | 0.979 | 0.979 | 0.0090 |
//! | apart | 0.1 | 30 | 0.100 | 0.139 | 0.980 | 0.983 | 0.2245 |
//! | apart | 0.1 | 100 | 0.100 | 0.115 | 0.979 | 0.981 | 0.4645 |
//! | apart | 0.1 | 1000 | 0.100 | 0.108 | 0.970 | 0.975 | 0.5955 |
//! | apart | 0.3 | 30 | 0.300 | 0.329 | 0.984 | 0.985 | 0.9195 |
//! | apart | 0.3 | 100 | 0.300 | 0.318 | 0.985 | 0.986 | 1.0000 |
//! | apart | 0.3 | 1000 | 0.300 | 0.308 | 0.975 | 0.979 | 1.0000 |
//! | apart | 0.6 | 30 | 0.600 | 0.624 | 0.991 | 0.994 | 1.0000 |
//! | apart | 0.6 | 100 | 0.600 | 0.615 | 0.988 | 0.989 | 1.0000 |
//! | apart | 0.6 | 1000 | 0.600 | 0.606 | 0.982 | 0.986 | 1.0000 |
//! | overlapping | 0.1 | 30 | 0.081 | 0.125 | 0.967 | 0.995 | 0.1465 |
//! | overlapping | 0.1 | 100 | 0.074 | 0.091 | 0.974 | 0.995 | 0.2100 |
//! | overlapping | 0.1 | 1000 | 0.061 | 0.075 | 0.978 | 0.997 | 0.1885 |
//! | overlapping | 0.3 | 30 | 0.197 | 0.242 | 0.975 | 0.998 | 0.5850 |
//! | overlapping | 0.3 | 100 | 0.190 | 0.229 | 0.986 | 0.999 | 0.9275 |
//! | overlapping | 0.3 | 1000 | 0.238 | 0.252 | 0.988 | 0.999 | 1.0000 |
//! | overlapping | 0.6 | 30 | 0.404 | 0.473 | 0.990 | 1.000 | 0.9860 |
//! | overlapping | 0.6 | 100 | 0.473 | 0.501 | 0.994 | 1.000 | 1.0000 |
//! | overlapping | 0.6 | 1000 | 0.520 | 0.520 | 0.984 | 1.000 | 1.0000 |
//! | wider | 0.3 | 30 | 0.026 | 0.091 | 0.979 | 1.000 | 0.1110 |
//! | wider | 0.3 | 100 | 0.055 | 0.079 | 0.977 | 1.000 | 0.2140 |
//! | wider | 0.3 | 1000 | 0.077 | 0.082 | 0.980 | 1.000 | 0.1135 |
//! | wider | 0.6 | 30 | 0.114 | 0.159 | 0.987 | 1.000 | 0.3455 |
//! | wider | 0.6 | 100 | 0.153 | 0.162 | 0.986 | 1.000 | 0.8415 |
//! | wider | 0.6 | 1000 | 0.154 | 0.158 | 0.981 | 1.000 | 1.0000 |
//! | wider | 0.9 | 30 | 0.216 | 0.245 | 0.984 | 1.000 | 0.6935 |
//! | wider | 0.9 | 100 | 0.230 | 0.240 | 0.985 | 1.000 | 0.9950 |
//! | wider | 0.9 | 1000 | 0.232 | 0.236 | 0.985 | 1.000 | 1.0000 |
//! | none, batch easier | 0 | 30 | 0.000 | 0.001 | 1.000 | 1.000 | 0.0000 |
//! | none, batch easier | 0 | 100 | 0.000 | 0.000 | 1.000 | 1.000 | 0.0000 |
//! | none, batch easier | 0 | 1000 | 0.000 | 0.000 | 1.000 | 1.000 | 0.0000 |

mod by_class;
mod config;
mod fraction;
mod test;

pub use by_class::{ClassExcess, PairExcess, Scored, excess_by_class, excess_by_pair};
pub use config::{HarmConfig, QUANTILES};
pub(crate) use fraction::check_confidence;
pub use fraction::excess_fraction;
pub use test::{HarmData, HarmOutcome, HarmTest};
