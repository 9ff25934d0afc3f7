//! The thread that judges closed windows, one after the other.

use std::time::{Duration, Instant};

use riptide::Outcome;
use riptide::detectors::drift::Correction;
use riptide::detectors::harm::{self, ClassExcess, PairExcess, excess_by_class, excess_by_pair};
use riptide::detectors::{Answers, SequentialTest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::appearance::Change;
use crate::metrics::OfModel;
use crate::shared::{Served, Shared};
use crate::store::{self, Change as Became, Contents, Judged, Signal, WindowRow};

/// Findings that are kept by class and by pair.
const MOST: usize = 10;

/// What was found out about a window, as it is kept in the database and told by the API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// `harmful`, `fit`, `undecided`, `outside` or `too few`.
    pub(crate) verdict: String,
    /// What `riptide detect` says of the same images, if there are enough of them.
    pub(crate) outcome: Option<Value>,
    /// The evidence of this window and those before it, if the monitor is calibrated.
    #[serde(default)]
    pub(crate) sequential: Option<Evidence>,
    /// The classes that the classifier gave, against those of the reference.
    pub(crate) classes: Option<ClassMix>,
    /// Where the excess sits, by the classifier's answer, most significant first.
    #[serde(default)]
    pub(crate) by_class: Vec<ClassExcess>,
    /// Where it sits by what both networks answered, if they disagree, most significant first.
    #[serde(default)]
    pub(crate) by_pair: Vec<PairExcess>,
    /// What the images look like, compared with the reference's, if images of it were given.
    #[serde(default)]
    pub(crate) change: Option<Change>,
    /// Mean of the classifier's largest probabilities, 0 to 1.
    pub(crate) mean_confidence: f64,
    /// Share of the images about which both networks agree, 0 to 1.
    pub(crate) agreement: f64,
}

/// The evidence that the accuracy is below what is tolerated.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Evidence {
    /// Natural logarithm of the e-value.
    pub(crate) log_e: f64,
    /// Whether it has reached its bound, in this window or before.
    pub(crate) alarm: bool,
    /// Windows that it is made of.
    pub(crate) n_windows: u64,
}

/// The classes that the classifier gave a window, compared with the reference by Pearson's chi-square test of homogeneity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClassMix {
    /// How often each class was given.
    pub(crate) counts: Vec<u64>,
    /// How often each was given in the reference.
    pub(crate) reference: Vec<u64>,
    /// Sum over both rows and all classes of (observed - expected)^2 / expected.
    pub(crate) chi_square: f64,
    /// Classes that occur, less one.
    pub(crate) degrees_of_freedom: u64,
    /// The p-value.
    pub(crate) p_value: f64,
}

impl ClassMix {
    fn of(predictions: &[u32], reference: &[usize], n_classes: usize) -> Self {
        let count = |classes: &mut dyn Iterator<Item = usize>| {
            let mut counts = vec![0_u64; n_classes];
            classes.for_each(|class| {
                if let Some(count) = counts.get_mut(class) {
                    *count += 1;
                }
            });
            counts
        };
        let counts = count(&mut predictions.iter().map(|&class| class as usize));
        let reference = count(&mut reference.iter().copied());
        let (n, m) = (counts.iter().sum::<u64>() as f64, reference.iter().sum::<u64>() as f64);
        let (mut chi_square, mut occurring) = (0.0, 0_u64);
        for (&a, &b) in counts.iter().zip(&reference) {
            let (a, b) = (a as f64, b as f64);
            if a + b == 0.0 {
                continue;
            }
            occurring += 1;
            for (observed, size) in [(a, n), (b, m)] {
                let expected = (a + b) * size / (n + m);
                chi_square += if expected > 0.0 {
                    (observed - expected).powi(2) / expected
                } else {
                    0.0
                };
            }
        }
        let degrees_of_freedom = occurring.saturating_sub(1);
        let law = ChiSquared::new(degrees_of_freedom as f64);
        Self {
            counts,
            reference,
            chi_square,
            degrees_of_freedom,
            // With one class there is nothing to compare.
            p_value: law.map_or(1.0, |law| law.sf(chi_square)),
        }
    }
}

/// Judges until the service stops.
pub(crate) fn run(shared: &Shared) {
    while !shared.is_stopping() {
        match shared.reader.read(store::to_judge) {
            Ok(Some(window)) => {
                let started = Instant::now();
                if let Err(error) = judge(shared, &window) {
                    tracing::error!("window {} is not judged yet: {error}", window.id);
                    shared.judge.sleep(Duration::from_secs(1));
                }
                shared.metrics.judging.observe(started.elapsed().as_secs_f64());
            }
            Ok(None) => shared.judge.sleep(Duration::from_secs(1)),
            Err(error) => {
                tracing::error!("cannot read which windows are to be judged: {error}");
                shared.judge.sleep(Duration::from_secs(1));
            }
        }
    }
}

fn judge(shared: &Shared, window: &WindowRow) -> Result<(), Box<dyn std::error::Error>> {
    let (contents, models) = shared
        .reader
        .read(|c| Ok((store::contents(c, window.id)?, store::model_rows(c)?)))?;
    let served = shared.served_by_id(window.model);
    let n = contents.scores.len();
    let is_enough = n as u64 >= shared.config.window.min_images;
    let mut findings = match served {
        Some(served) if is_enough => findings(served, &contents)?,
        _ => too_few(&contents),
    };
    // A revision takes nothing back of what was evidence at its time.
    let value = contents.value.as_ref().filter(|_| is_enough && window.revision == 0);
    let (mut is_proven, mut state) = (false, None);
    if let (Some(served), Some(value)) = (served, value)
        && served.monitor.calibration().is_some()
    {
        let kept = models
            .iter()
            .find(|model| model.id == window.model)
            .and_then(|model| model.sequential.as_deref());
        // What was kept by other options (a wider tolerated drop) is no evidence under these.
        let fresh = served.monitor.sequential()?;
        let kept = kept.and_then(|text| serde_json::from_str::<SequentialTest>(text).ok());
        let mut test = kept
            .filter(|kept| kept.bound() == fresh.bound() && kept.config() == fresh.config())
            .unwrap_or(fresh);
        test.update(value.mean_error())?;
        is_proven = test.alarm_at() == Some(test.len());
        findings.sequential = Some(Evidence {
            log_e: test.log_e_value(),
            alarm: test.alarm(),
            n_windows: test.len(),
        });
        state = Some(serde_json::to_string(&test)?);
    }
    let is_calibrated = served.is_some_and(|served| served.monitor.calibration().is_some());
    let signal = match findings.verdict.as_str() {
        "harmful" | "outside" => Signal::Harmful,
        "fit" => Signal::Harmless,
        // Without a calibration, small windows are never shown to be fit; an alarm would last for ever.
        "undecided" if !is_calibrated => Signal::Harmless,
        _ => Signal::Unknown,
    };
    let name = served.map_or("?", |served| served.name.as_str());
    let mut scores = contents.scores;
    scores.sort_unstable_by(f32::total_cmp);
    let judged = Judged {
        window: window.id,
        revision: window.revision,
        model: window.model,
        n: n as i64,
        verdict: findings.verdict.clone(),
        findings: serde_json::to_string(&findings)?,
        scores,
        signal,
        is_proven,
        summary: summary(name, &findings, n),
        sequential: state,
    };
    let (rules, now) = (shared.alarm_rules(), shared.clock.now());
    let change = shared.writer.write(move |c| store::judged(c, &judged, &rules, now))?;
    if change != Became::Outdated {
        show(shared, name, window, &findings);
    }
    let of = OfModel { model: name.to_owned() };
    match change {
        Became::Raised => {
            tracing::warn!(model = name, window = window.id, "alarm raised: harmful drift");
            shared.metrics.alarm.get_or_create(&of).set(1);
            shared.outbox.call();
        }
        Became::Resolved => {
            tracing::info!(model = name, window = window.id, "alarm resolved");
            shared.metrics.alarm.get_or_create(&of).set(0);
            shared.outbox.call();
        }
        Became::Quiet | Became::Outdated => {}
    }
    Ok(())
}

/// Everything that is said of a window: what [`Monitor::detect`](riptide::Monitor::detect) says of the same images, and more.
fn findings(served: &Served, contents: &Contents) -> riptide::Result<Findings> {
    let monitor = &served.monitor;
    let scores: Vec<f64> = contents.scores.iter().copied().map(f64::from).collect();
    let outcome = monitor.detect_kept(&contents.scores, &contents.confidences, contents.value.clone())?;
    let answers = Answers {
        classifier: contents.predictions.iter().map(|&class| class as usize).collect(),
        distilled: contents.distilled.iter().map(|&class| class as usize).collect(),
    };
    let (mut by_class, mut by_pair, mut classes) = (Vec::new(), Vec::new(), None);
    if let Some(known) = monitor.reference_answers() {
        let n_classes = monitor.n_classes();
        let reference = harm::Scored {
            scores: monitor.reference_scores(),
            answers: known,
        };
        let batch = harm::Scored {
            scores: &scores,
            answers: &answers,
        };
        let config = monitor.harm_test().config();
        by_class = excess_by_class(reference, batch, n_classes, config, Correction::Fdr)?;
        by_pair = excess_by_pair(known, &answers, n_classes, config, Correction::Fdr)?;
        by_class.truncate(MOST);
        by_pair.truncate(MOST);
        classes = Some(ClassMix::of(&contents.predictions, &known.classifier, n_classes));
    }
    Ok(Findings {
        verdict: verdict(served, &outcome).to_owned(),
        outcome: serde_json::to_value(&outcome).ok(),
        sequential: None,
        classes,
        by_class,
        by_pair,
        change: served
            .appearance
            .as_ref()
            .and_then(|appearance| appearance.change(&contents.properties)),
        mean_confidence: mean(&contents.confidences),
        agreement: agreement(contents),
    })
}

/// The verdict. Without a calibration, fit is a window whose excess fraction lies below the tolerated one with its whole interval;
/// that no harm was found is not enough.
fn verdict(served: &Served, outcome: &Outcome) -> &'static str {
    match outcome.verdict {
        Some(verdict) => verdict.name(),
        None if outcome.is_harmful => "harmful",
        None if outcome.excess_fraction.upper < served.monitor.options().least_excess_fraction => "fit",
        None => "undecided",
    }
}

fn too_few(contents: &Contents) -> Findings {
    Findings {
        verdict: "too few".into(),
        outcome: None,
        sequential: None,
        classes: None,
        by_class: Vec::new(),
        by_pair: Vec::new(),
        change: None,
        mean_confidence: mean(&contents.confidences),
        agreement: agreement(contents),
    }
}

fn mean(values: &[f32]) -> f64 {
    values.iter().copied().map(f64::from).sum::<f64>() / values.len().max(1) as f64
}

fn agreement(contents: &Contents) -> f64 {
    let pairs = contents.predictions.iter().zip(&contents.distilled);
    pairs.filter(|(a, b)| a == b).count() as f64 / contents.predictions.len().max(1) as f64
}

/// What a person is told when a window raises an alarm.
fn summary(model: &str, findings: &Findings, n: usize) -> String {
    let number = |key: &str| findings.outcome.as_ref()?.pointer(key)?.as_f64();
    let percent = |fraction: f64| format!("{:.1} %", 100.0 * fraction);
    if let Some(reason) = findings
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.get("outside")?.as_str())
    {
        return format!("{model}: {n} images lie outside what can be judged: {reason}");
    }
    match (
        number("/accuracy/estimate"),
        number("/accuracy/reference"),
        number("/excess_fraction/lower"),
        number("/excess_fraction/estimate"),
    ) {
        (Some(accuracy), Some(reference), ..) => format!(
            "{model}: harmful drift. The accuracy on {n} images is estimated at {}; on the reference it is {}",
            percent(accuracy),
            percent(reference)
        ),
        (.., Some(lower), Some(estimate)) => format!(
            "{model}: harmful drift. At least {} of {n} images ({} estimated) are harder for the classifier than those of the reference",
            percent(lower),
            percent(estimate)
        ),
        _ => format!("{model}: {} ({n} images)", findings.verdict),
    }
}

/// Tells Prometheus of a window.
pub(crate) fn show(shared: &Shared, name: &str, window: &WindowRow, findings: &Findings) {
    let of = OfModel { model: name.to_owned() };
    let number = |key: &str| findings.outcome.as_ref()?.pointer(key)?.as_f64();
    let metrics = &shared.metrics;
    metrics.show_window(name, window.n, window.last_time, &findings.verdict);
    for (family, key) in [
        (&metrics.p_value, "/p_value"),
        (&metrics.excess, "/excess_fraction/estimate"),
        (&metrics.accuracy, "/accuracy/estimate"),
        (&metrics.accuracy_lower, "/accuracy/lower"),
        (&metrics.accuracy_upper, "/accuracy/upper"),
    ] {
        if let Some(value) = number(key) {
            family.get_or_create(&of).set(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_mixes_are_compared_as_by_scipy() {
        let classes = |counts: &[usize]| {
            counts
                .iter()
                .enumerate()
                .flat_map(|(class, &n)| vec![class; n])
                .collect::<Vec<_>>()
        };
        let batch: Vec<u32> = classes(&[30, 10, 0, 20])
            .into_iter()
            .map(|class| class as u32)
            .collect();
        let mix = ClassMix::of(&batch, &classes(&[100, 100, 0, 50]), 4);
        // scipy.stats.chi2_contingency([[30, 10, 20], [100, 100, 50]], correction=False)
        assert!(
            (mix.chi_square - 12.387_612_387_612_39).abs() < 1e-9,
            "{}",
            mix.chi_square
        );
        assert!((mix.p_value - 0.002_042_039_544_598).abs() < 1e-9, "{}", mix.p_value);
        assert_eq!(
            (mix.degrees_of_freedom, mix.counts, mix.reference),
            (2, vec![30, 10, 0, 20], vec![100, 100, 0, 50])
        );
        assert_eq!(ClassMix::of(&[0, 0], &[0], 2).p_value, 1.0);
    }
}
