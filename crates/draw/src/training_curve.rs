//! How a training went, epoch by epoch.

use crate::axes::{Axis, Plot};
use crate::chart::Chart;
use crate::legend::{Entry, Mark};
use crate::paint::Paint;
use crate::svg::{Shape, Svg};

/// What one epoch of a training came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// The epoch, from 1.
    pub epoch: u32,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Mean loss over the training images.
    pub loss: f64,
    /// Accuracy on the training images, 0 to 1.
    pub accuracy: f64,
    /// Mean loss over the validation images.
    pub validation_loss: f64,
    /// Accuracy on the validation images, 0 to 1.
    pub validation_accuracy: f64,
}

/// One quantity by epoch.
type Value = fn(&CurvePoint) -> f64;

const TRAINING: Paint = Paint::HARMLESS;
const VALIDATION: Paint = Paint::HARMFUL;
const TRAINING_DASHES: &str = "5 4";
const BEST_DASHES: &str = "2 3";
/// With more epochs than this, points would hide the line that they sit on.
const MOST_POINTS: usize = 40;

/// Draws loss, accuracy and learning rate by epoch, as the text of an SVG file; `png` makes pixels of it.
///
/// The same points give the same bytes. Values that are not finite are left out.
///
/// ```
/// use riptide_draw::{CurvePoint, training_curve};
///
/// let point = |epoch: u32| CurvePoint {
///     epoch,
///     learning_rate: 0.1,
///     loss: 1.0 / f64::from(epoch),
///     accuracy: 0.5,
///     validation_loss: 1.2 / f64::from(epoch),
///     validation_accuracy: 0.4,
/// };
/// let svg = training_curve("An example", &[point(1), point(2), point(3)]);
/// assert!(svg.contains("least validation loss: epoch 3"));
/// ```
pub fn training_curve(title: &str, points: &[CurvePoint]) -> String {
    let best = points
        .iter()
        .min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss))
        .map(|point| point.epoch);
    let mut legend = vec![
        Entry::new(Mark::Line(TRAINING_DASHES, None), TRAINING, "training"),
        Entry::new(Mark::Line("", Some(Shape::Dot)), VALIDATION, "validation"),
    ];
    if let Some(epoch) = best {
        let label = format!("least validation loss: epoch {epoch}");
        legend.push(Entry::new(Mark::Line(BEST_DASHES, None), Paint::INK, label));
    }
    let mut chart = Chart::new(title, legend, 3);
    let last = points.iter().map(|point| point.epoch).max().unwrap_or(1);
    let largest = |values: &[Value]| {
        let all = points.iter().flat_map(|point| values.iter().map(|value| value(point)));
        all.filter(|value| value.is_finite()).fold(0.0, f64::max)
    };
    let losses: [Value; 2] = [|p| p.loss, |p| p.validation_loss];
    let accuracies: [Value; 2] = [|p| p.accuracy, |p| p.validation_accuracy];
    let rate: Value = |p| p.learning_rate;
    let mark_best = |svg: &mut Svg, plot: &Plot| {
        if let Some(epoch) = best {
            let x = plot.x(f64::from(epoch));
            let [_, top, _, height] = plot.area;
            svg.line(&[(x, top), (x, top + height)], Paint::INK, 1.5, BEST_DASHES);
        }
    };
    let panels = [
        ("loss", Axis::from_zero(largest(&losses)), losses),
        ("accuracy", Axis::percent(), accuracies),
    ];
    for (name, axis, [training, validation]) in panels {
        let axes = ((epochs(last), "epoch"), (axis, "mean over the images"));
        chart.panel(name, axes.0, axes.1, |svg, plot| {
            mark_best(svg, plot);
            svg.line(&line(plot, points, training), TRAINING, 2.0, TRAINING_DASHES);
            let line = line(plot, points, validation);
            svg.line(&line, VALIDATION, 2.2, "");
            if points.len() <= MOST_POINTS {
                for &point in &line {
                    svg.mark(point, Shape::Dot, 3.0, VALIDATION);
                }
            }
        });
    }
    let axes = ((epochs(last), "epoch"), (Axis::from_zero(largest(&[rate])), ""));
    chart.panel("learning rate", axes.0, axes.1, |svg, plot| {
        svg.line(&line(plot, points, rate), Paint::INK, 2.0, "");
    });
    chart.sheet().file()
}

fn line(plot: &Plot, points: &[CurvePoint], value: Value) -> Vec<(f64, f64)> {
    let finite = points.iter().filter(|point| value(point).is_finite());
    finite
        .map(|point| plot.at(f64::from(point.epoch), value(point)))
        .collect()
}

/// From 0 to the last epoch, with at most six ticks at whole epochs.
fn epochs(last: u32) -> Axis {
    let last = last.max(1);
    let powers = (0..9).map(|power| 10_u32.pow(power));
    let steps = powers.flat_map(|power| [power, 2 * power, 5 * power.min(u32::MAX / 5)]);
    let step = steps.into_iter().find(|step| last / step <= 5).unwrap_or(last);
    let ticks = (0..=last / step).map(|tick| (f64::from(tick * step), (tick * step).to_string()));
    Axis::new(0.0, f64::from(last), ticks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(epoch: u32, validation_loss: f64) -> CurvePoint {
        CurvePoint {
            epoch,
            learning_rate: 0.1,
            loss: 1.0,
            accuracy: 0.5,
            validation_loss,
            validation_accuracy: 0.5,
        }
    }

    fn texts(svg: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(svg).unwrap();
        let texts = document.descendants().filter(|node| node.has_tag_name("text"));
        texts.filter_map(|node| node.text().map(str::to_owned)).collect()
    }

    #[test]
    fn the_figure_names_its_panels_and_the_best_epoch() {
        let svg = training_curve("A < B", &[point(1, 3.0), point(2, 0.5), point(3, 0.7)]);
        let found = texts(&svg);
        for text in [
            "A < B",
            "loss",
            "accuracy",
            "learning rate",
            "least validation loss: epoch 2",
        ] {
            assert!(found.iter().any(|found| found == text), "{text} in {found:?}");
        }
        let epochs: Vec<_> = ["0", "1", "2", "3"]
            .into_iter()
            .filter(|tick| found.iter().any(|found| found == tick))
            .collect();
        assert_eq!(epochs.len(), 4);
    }

    #[test]
    fn a_lower_loss_is_drawn_lower() {
        let first_y = |loss: f64| {
            let svg = training_curve("", &[point(1, loss), point(2, 4.0)]);
            let document = roxmltree::Document::parse(&svg).unwrap();
            let dot = document.descendants().filter(|node| node.has_tag_name("circle")).nth(1);
            dot.and_then(|dot| dot.attribute("cy")?.parse::<f64>().ok()).unwrap()
        };
        // Paper's y grows downwards.
        assert!(first_y(1.0) > first_y(3.0) + 50.0);
    }

    #[test]
    fn no_epochs_one_epoch_and_values_that_are_not_finite_are_drawn() {
        for points in [
            vec![],
            vec![point(1, 1.0)],
            vec![point(1, f64::INFINITY), point(2, f64::NAN)],
        ] {
            let svg = training_curve("", &points);
            assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
            roxmltree::Document::parse(&svg).unwrap();
        }
    }

    #[test]
    fn long_trainings_have_few_ticks_at_whole_epochs() {
        for (last, expected) in [(1, "0 1"), (7, "0 2 4 6"), (182, "0 50 100 150"), (30, "0 10 20 30")] {
            let axis = format!("{:?}", epochs(last));
            for tick in expected.split(' ') {
                assert!(axis.contains(&format!("\"{tick}\"")), "{last}: {axis}");
            }
        }
    }
}
