//! Scores of harmful and harmless images.

use riptide_detectors::ScoreKind;
use riptide_draw::{Anchor, Axis, Chart, Entry, Mark, Paint, Plot, Shape, Svg, TEXT};
use riptide_stats::summary::percentile;

use super::figure::{Figure, Findings, Part};
use super::look::paint;
use crate::harmfulness::{CorruptedPass, Kind, pool};
use crate::summary::{Moments, Summary};

/// Mean scores by severity with their deviation, and the accuracy beside them.
pub(crate) fn bars(summary: &Summary, column: usize, score: ScoreKind) -> Figure {
    let legend = vec![
        Entry::new(Mark::Swatch, Paint::CLEAN, "score, clean"),
        Entry::new(Mark::Swatch, Paint::HARMLESS, "score, harmless"),
        Entry::new(Mark::Swatch, Paint::HARMFUL, "score, harmful"),
        Entry::new(Mark::Line("", Some(Shape::Dot)), Paint::ACCURACY, "accuracy"),
    ];
    let title = format!("Scores and accuracy by severity ({score})");
    let mut chart = Chart::new(title, legend, 2);
    let found: Vec<_> = summary
        .severities
        .iter()
        .filter_map(|severity| Some((severity, severity.scores.get(column)?)))
        .collect();
    let clean = summary.clean.get(column);
    let reach = |moments: &Moments| moments.mean.unwrap_or(0.0) + moments.std.unwrap_or(0.0);
    let high = found
        .iter()
        .flat_map(|(_, scores)| [reach(&scores.harmful), reach(&scores.harmless)])
        .chain(clean.map(reach))
        .fold(0.0, f64::max);
    let groups = || {
        let severities = found.iter().map(|(severity, _)| severity.severity.to_string());
        Axis::categories(std::iter::once("clean".to_owned()).chain(severities))
    };
    let axes = ((groups(), "severity"), (Axis::from_zero(high), "mean score"));
    chart.panel("mean score", axes.0, axes.1, |svg, plot| {
        let wide = (plot.area[2] / (found.len() + 1) as f64 * 0.34).min(40.0);
        if let Some(clean) = clean {
            bar(svg, plot, plot.x(0.5) - wide / 2.0, wide, clean, Paint::CLEAN);
        }
        for (group, (_, scores)) in found.iter().enumerate() {
            let middle = plot.x(group as f64 + 1.5);
            bar(svg, plot, middle - wide - 1.0, wide, &scores.harmless, Paint::HARMLESS);
            bar(svg, plot, middle + 1.0, wide, &scores.harmful, Paint::HARMFUL);
        }
    });
    let axes = ((groups(), "severity"), (Axis::percent(), "accuracy"));
    chart.panel("accuracy of the classifier", axes.0, axes.1, |svg, plot| {
        let mut line = vec![plot.at(0.5, summary.accuracy)];
        for (group, (severity, _)) in found.iter().enumerate() {
            let x = group as f64 + 1.5;
            let (low, high) = (
                plot.y(severity.accuracy - severity.accuracy_std),
                plot.y(severity.accuracy + severity.accuracy_std),
            );
            svg.whisker(plot.x(x), (low, high), 5.0, Paint::ACCURACY);
            line.push(plot.at(x, severity.accuracy));
        }
        svg.line(&line, Paint::ACCURACY, 2.2, "");
        for point in line {
            svg.mark(point, Shape::Dot, 4.5, Paint::ACCURACY);
        }
    });
    let caption = format!(
        "Mean score ({score}) of clean, harmless and harmful images with one standard deviation either way, cut at 0, and \
         the classifier's accuracy with its standard deviation over the corruptions."
    );
    Figure::new("scores", Part::Scores, chart, caption)
}

fn bar(svg: &mut Svg, plot: &Plot, left: f64, wide: f64, moments: &Moments, paint: Paint) {
    let (Some(mean), Some(std)) = (moments.mean, moments.std) else {
        let place = (left + wide / 2.0, plot.y(0.0) - 6.0);
        svg.text(place, "none", TEXT, Anchor::Middle, paint);
        return;
    };
    let (top, foot) = (plot.y(mean), plot.y(0.0));
    svg.rect([left, top, wide, foot - top], paint, 0.85);
    let ends = (plot.y(mean - std), plot.y(mean + std));
    svg.whisker(left + wide / 2.0, ends, wide.min(10.0) / 2.0 - 1.0, Paint::INK);
}

/// Where a score falls among the bins.
struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

const BINS: usize = 36;

impl Scale {
    /// Fits all `scores` but the outermost; a wide spread of scores above 0 is shown by its logarithm.
    fn new(scores: &[f64]) -> Self {
        let at = |percent| percentile(scores, percent).unwrap_or(0.0);
        let high = at(99.5);
        if at(2.0) > 0.0 && at(95.0) > 20.0 * at(25.0) {
            // Whole powers of ten, so that the ticks stand at both ends.
            let low = at(1.0).max(1e-6).log10().floor();
            return Self {
                low,
                high: high.log10().ceil().max(low + 1.0),
                log: true,
            };
        }
        Self {
            low: 0.0,
            high: if high > 0.0 { high } else { 1.0 },
            log: false,
        }
    }

    fn axis(&self) -> Axis {
        if !self.log {
            return Axis::from_zero(self.high);
        }
        let (low, high) = (self.low as i32, self.high as i32);
        let step = ((high - low) as usize).div_ceil(4).max(1);
        let ticks = (low..=high)
            .step_by(step)
            .map(|power| {
                let label = match power {
                    -2..=0 => format!("{:.*}", (-power) as usize, 10f64.powi(power)),
                    1..=3 => format!("{:.0}", 10f64.powi(power)),
                    _ => format!("1e{power}"),
                };
                (f64::from(power), label)
            })
            .collect();
        Axis::new(self.low, self.high, ticks)
    }

    /// The fraction of `scores` in each bin; scores beyond an end fall into the bin at that end.
    fn bins(&self, scores: &[f64]) -> [f64; BINS] {
        let mut bins = [0.0; BINS];
        for &score in scores {
            let value = if self.log { score.max(1e-12).log10() } else { score };
            let place = (value - self.low) / (self.high - self.low);
            let bin = ((place * BINS as f64).max(0.0) as usize).min(BINS - 1);
            bins[bin] += 1.0 / scores.len() as f64;
        }
        bins
    }

    fn edge(&self, bin: usize) -> f64 {
        self.low + (self.high - self.low) * bin as f64 / BINS as f64
    }
}

/// Histograms of the scores of clean, harmless and harmful images, a panel a severity.
pub(crate) fn histograms(found: &Findings<'_>, column: usize, score: ScoreKind) -> Figure {
    let summary = found.summary;
    let values = |scores: Option<&Vec<f32>>| -> Vec<f64> {
        scores.into_iter().flatten().map(|&score| f64::from(score)).collect()
    };
    let clean = values(found.clean.scores.get(column));
    let panels: Vec<_> = summary
        .protocol
        .severities
        .iter()
        .map(|&severity| {
            let twins: Vec<&CorruptedPass> = found
                .corrupted
                .iter()
                .filter(|twin| twin.severity == severity)
                .collect();
            let scores = |kind| -> Vec<f64> {
                pool(found.clean, &twins, kind)
                    .into_iter()
                    .filter_map(|(place, image)| twins.get(place)?.pass.scores.get(column)?.get(image))
                    .map(|&score| f64::from(score))
                    .collect()
            };
            (severity, scores(Kind::Harmless), scores(Kind::Harmful))
        })
        .collect();
    let every: Vec<f64> = panels
        .iter()
        .flat_map(|(_, harmless, harmful)| harmless.iter().chain(harmful))
        .chain(&clean)
        .copied()
        .collect();
    let scale = Scale::new(&every);
    let binned: Vec<_> = panels
        .iter()
        .map(|(severity, harmless, harmful)| (severity, scale.bins(harmless), scale.bins(harmful)))
        .collect();
    let clean = scale.bins(&clean);
    let high = binned
        .iter()
        .flat_map(|(_, harmless, harmful)| harmless.iter().chain(harmful))
        .chain(&clean)
        .copied()
        .fold(0.0, f64::max);

    let legend = vec![
        Entry::new(Mark::Line("5 4", None), Paint::CLEAN, "clean images"),
        Entry::new(Mark::Swatch, Paint::HARMLESS, "harmless images"),
        Entry::new(Mark::Swatch, Paint::HARMFUL, "harmful images"),
    ];
    let title = format!("Distribution of the scores ({score})");
    let mut chart = Chart::new(title, legend, binned.len());
    let name = if scale.log { "score (logarithmic)" } else { "score" };
    for (severity, harmless, harmful) in &binned {
        let axes = ((scale.axis(), name), (Axis::from_zero(high), "fraction of images"));
        chart.panel(&format!("severity {severity}"), axes.0, axes.1, |svg, plot| {
            for (bins, kind) in [(harmless, Kind::Harmless), (harmful, Kind::Harmful)] {
                let steps = steps(plot, &scale, bins);
                svg.area(&steps, paint(kind), 0.22);
                svg.line(&steps, paint(kind), 1.8, "");
            }
            svg.line(&steps(plot, &scale, &clean), Paint::CLEAN, 1.8, "5 4");
        });
    }
    let caption = format!(
        "Scores ({score}) of clean, harmless and harmful images, each as fractions of its own number; the bins at both ends \
         hold what lies beyond them. The less the two colours overlap, the better the score tells harmful images from harmless ones."
    );
    Figure::new("histograms", Part::Scores, chart, caption)
}

fn steps(plot: &Plot, scale: &Scale, bins: &[f64; BINS]) -> Vec<(f64, f64)> {
    let mut points = vec![plot.at(scale.edge(0), 0.0)];
    for (bin, &fraction) in bins.iter().enumerate() {
        points.push(plot.at(scale.edge(bin), fraction));
        points.push(plot.at(scale.edge(bin + 1), fraction));
    }
    points.push(plot.at(scale.edge(BINS), 0.0));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_falls_into_a_bin() {
        let even: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        let scale = Scale::new(&even);
        assert!(!scale.log);
        let bins = scale.bins(&[-1.0, 0.5, 0.5, 7.0]);
        assert_eq!((bins[0], bins[18], bins[BINS - 1]), (0.25, 0.5, 0.25));

        let wide: Vec<f64> = (0..1000).map(|i| 10f64.powf(f64::from(i) / 250.0 - 3.0)).collect();
        let scale = Scale::new(&wide);
        assert!(
            scale.log && scale.low == -3.0 && scale.high == 1.0,
            "{} {}",
            scale.low,
            scale.high
        );
        assert!((scale.bins(&wide).iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
