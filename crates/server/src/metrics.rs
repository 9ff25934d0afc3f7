//! What Prometheus is told.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::time::Millis;

/// Which monitor a series is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfModel {
    pub(crate) model: String,
}

/// Which verdict the newest window has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfVerdict {
    pub(crate) model: String,
    pub(crate) verdict: String,
}

/// Why something was not taken, or how an event was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfReason {
    pub(crate) reason: &'static str,
}

/// Which request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfRoute {
    pub(crate) route: String,
    pub(crate) status: u16,
}

/// Which sink, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfSink {
    pub(crate) sink: String,
    pub(crate) outcome: &'static str,
}

type Number = Gauge<f64, AtomicU64>;
type Whole = Gauge<i64, AtomicI64>;
type Times = fn() -> Histogram;

/// All series.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) images: Family<OfModel, Counter>,
    pub(crate) scores: Family<OfModel, Histogram, Times>,
    pub(crate) errors: Family<OfModel, Histogram, Times>,
    pub(crate) p_value: Family<OfModel, Number>,
    pub(crate) accuracy: Family<OfModel, Number>,
    pub(crate) accuracy_lower: Family<OfModel, Number>,
    pub(crate) accuracy_upper: Family<OfModel, Number>,
    pub(crate) realised_accuracy: Family<OfModel, Number>,
    pub(crate) excess: Family<OfModel, Number>,
    pub(crate) verdict: Family<OfVerdict, Whole>,
    pub(crate) window_images: Family<OfModel, Whole>,
    pub(crate) window_end: Family<OfModel, Number>,
    pub(crate) alarm: Family<OfModel, Whole>,
    pub(crate) late: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) exchanges: Family<OfReason, Counter>,
    pub(crate) rejected: Family<OfReason, Counter>,
    pub(crate) failed: Counter,
    pub(crate) queue_images: Whole,
    pub(crate) queue_bytes: Whole,
    pub(crate) requests: Family<OfRoute, Histogram, Times>,
    pub(crate) scoring: Histogram,
    pub(crate) judging: Histogram,
    pub(crate) notices: Family<OfSink, Counter>,
    pub(crate) database_bytes: Whole,
}

fn request_times() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0])
}

fn probabilities() -> Histogram {
    Histogram::new((1..=20).map(|step| f64::from(step) / 20.0))
}

/// Divergences: from a thousandth to beyond what any image has.
fn scores() -> Histogram {
    Histogram::new([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("riptide");
        let mut metrics = Self {
            registry: Registry::default(),
            images: Family::default(),
            scores: Family::new_with_constructor(scores),
            errors: Family::new_with_constructor(probabilities),
            p_value: Family::default(),
            accuracy: Family::default(),
            accuracy_lower: Family::default(),
            accuracy_upper: Family::default(),
            realised_accuracy: Family::default(),
            excess: Family::default(),
            verdict: Family::default(),
            window_images: Family::default(),
            window_end: Family::default(),
            alarm: Family::default(),
            late: Counter::default(),
            duplicates: Counter::default(),
            exchanges: Family::default(),
            rejected: Family::default(),
            failed: Counter::default(),
            queue_images: Whole::default(),
            queue_bytes: Whole::default(),
            requests: Family::new_with_constructor(request_times),
            scoring: Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
            judging: Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
            notices: Family::default(),
            database_bytes: Whole::default(),
        };
        // Counters get their ending `_total` from the encoder.
        registry.register("images", "Images scored", metrics.images.clone());
        registry.register("score", "Scores of images", metrics.scores.clone());
        registry.register(
            "error_probability",
            "Error probabilities of images",
            metrics.errors.clone(),
        );
        registry.register(
            "window_p_value",
            "p-value of the newest window's Kolmogorov-Smirnov test",
            metrics.p_value.clone(),
        );
        registry.register(
            "window_estimated_accuracy",
            "Estimated accuracy of the newest window, 0 to 1",
            metrics.accuracy.clone(),
        );
        registry.register(
            "window_estimated_accuracy_lower",
            "Lower end of its interval",
            metrics.accuracy_lower.clone(),
        );
        registry.register(
            "window_estimated_accuracy_upper",
            "Upper end of its interval",
            metrics.accuracy_upper.clone(),
        );
        registry.register(
            "window_realised_accuracy",
            "Accuracy of the newest window that has labels, 0 to 1",
            metrics.realised_accuracy.clone(),
        );
        registry.register(
            "window_excess_fraction",
            "Least fraction of the newest window in excess of the reference",
            metrics.excess.clone(),
        );
        registry.register(
            "window_verdict",
            "1 for the verdict of the newest window",
            metrics.verdict.clone(),
        );
        registry.register(
            "window_images",
            "Images of the newest window",
            metrics.window_images.clone(),
        );
        registry.register_with_unit(
            "window_end_timestamp",
            "Event time at which the newest window ends",
            Unit::Seconds,
            metrics.window_end.clone(),
        );
        registry.register("alarm", "1 while an alarm lasts", metrics.alarm.clone());
        registry.register(
            "late_images",
            "Images that came after their window was closed",
            metrics.late.clone(),
        );
        registry.register(
            "duplicate_events",
            "Events that came again and were not counted again",
            metrics.duplicates.clone(),
        );
        registry.register(
            "exchanges",
            "Logged requests and responses, by whose answer was taken",
            metrics.exchanges.clone(),
        );
        registry.register(
            "rejected",
            "Requests that were not taken, by reason",
            metrics.rejected.clone(),
        );
        registry.register(
            "failed_events",
            "Events that were taken and could not be scored",
            metrics.failed.clone(),
        );
        registry.register(
            "queue_images",
            "Images that wait to be scored",
            metrics.queue_images.clone(),
        );
        registry.register_with_unit(
            "queue",
            "Pixels that wait to be scored",
            Unit::Bytes,
            metrics.queue_bytes.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from request to answer",
            Unit::Seconds,
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "scoring_duration",
            "Time to score what is scored together",
            Unit::Seconds,
            metrics.scoring.clone(),
        );
        registry.register_with_unit(
            "judging_duration",
            "Time to judge a window",
            Unit::Seconds,
            metrics.judging.clone(),
        );
        registry.register(
            "notices",
            "Attempts to tell a sink of an alarm",
            metrics.notices.clone(),
        );
        registry.register_with_unit(
            "database",
            "Size of the database",
            Unit::Bytes,
            metrics.database_bytes.clone(),
        );
        registry.register(
            "build",
            "What is running",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        metrics.registry = registry;
        metrics
    }

    /// Counts a request that was not taken.
    pub(crate) fn reject(&self, reason: &'static str) {
        self.rejected.get_or_create(&OfReason { reason }).inc();
    }

    /// Shows the newest window of a model.
    pub(crate) fn show_window(&self, model: &str, n: i64, end: Option<Millis>, verdict: &str) {
        let of = OfModel {
            model: model.to_owned(),
        };
        self.window_images.get_or_create(&of).set(n);
        if let Some(end) = end {
            self.window_end.get_or_create(&of).set(end as f64 / 1000.0);
        }
        for known in VERDICTS {
            let of = OfVerdict {
                model: model.to_owned(),
                verdict: (*known).to_owned(),
            };
            self.verdict.get_or_create(&of).set(i64::from(*known == verdict));
        }
    }

    /// All series as text.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Every verdict that a window may have.
pub(crate) const VERDICTS: &[&str] = &["harmful", "fit", "undecided", "outside", "too few"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_documented() {
        let metrics = Metrics::new();
        let of = OfModel { model: "a\"b".into() };
        metrics.images.get_or_create(&of).inc_by(3);
        metrics.late.inc();
        metrics.reject("malformed");
        metrics.scores.get_or_create(&of).observe(0.2);
        metrics.show_window("m", 5, Some(1500), "fit");
        let text = metrics.text().unwrap();
        for line in [
            "riptide_images_total{model=\"a\\\"b\"} 3",
            "riptide_late_images_total 1",
            "riptide_rejected_total{reason=\"malformed\"} 1",
            "riptide_score_bucket{le=\"0.3\",model=\"a\\\"b\"} 1",
            "riptide_window_verdict{model=\"m\",verdict=\"fit\"} 1",
            "riptide_window_verdict{model=\"m\",verdict=\"harmful\"} 0",
            "riptide_window_end_timestamp_seconds{model=\"m\"} 1.5",
            "riptide_queue_images 0",
            "riptide_queue_bytes 0",
            "riptide_build_info{version=",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
