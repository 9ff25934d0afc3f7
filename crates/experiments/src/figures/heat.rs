//! Accuracy of each corruption at each severity, as a map.

use riptide_draw::{Anchor, Paint, Svg, TEXT, cividis, head, text_on_cividis, text_width};

use super::figure::{Figure, Part};
use crate::format::spaced;
use crate::summary::Summary;

/// The accuracies that the map's ends stand for, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    low: f64,
    high: f64,
}

impl Range {
    /// From the worst to the best accuracy of a run, outwards to tenths.
    pub(crate) fn new(summary: &Summary) -> Self {
        let values = || summary.accuracies.iter().map(|found| found.accuracy);
        let low = values().fold(summary.accuracy, f64::min);
        let high = values().fold(summary.accuracy, f64::max);
        let low = ((low * 10.0).floor() / 10.0).clamp(0.0, 0.9);
        let high = ((high * 10.0).ceil() / 10.0).max(low + 0.1);
        Self { low, high }
    }

    fn place(self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The colour of `value`, as a style sheet writes it, and that of a text on it.
    pub(crate) fn style(self, value: f64) -> (String, &'static str) {
        let [r, g, b] = cividis(self.place(value));
        (format!("#{r:02x}{g:02x}{b:02x}"), text_on_cividis(self.place(value)))
    }
}

/// A tile with its value in it.
fn tile(svg: &mut Svg, area: [f64; 4], value: f64, range: Range) {
    svg.tile(area, cividis(range.place(value)));
    let middle = (area[0] + area[2] / 2.0, area[1] + area[3] / 2.0 + 0.35 * TEXT);
    svg.text_on_tile(middle, &format!("{:.1}", 100.0 * value), range.style(value).1);
}

/// The map, with the clean accuracy above it and the mean of each severity below it.
pub(crate) fn accuracy(summary: &Summary) -> Figure {
    const CELL: (f64, f64) = (84.0, 32.0);
    const BAR: usize = 60;
    let params = &summary.protocol;
    let title = "Accuracy by corruption and severity, in percent";
    let names: Vec<String> = params
        .corruptions
        .iter()
        .map(|&corruption| spaced(corruption))
        .collect();
    let label = names
        .iter()
        .map(|name| text_width(name, TEXT))
        .fold(text_width("mean of the severity", TEXT), f64::max);
    let range = Range::new(summary);

    let (left, columns) = (16.0 + label + 12.0, params.severities.len());
    let map = columns as f64 * CELL.0;
    let width = (left + map + 120.0).max(32.0 + text_width(title, 17.0));
    let clean_top = 50.0;
    let top = clean_top + CELL.1 + 36.0;
    let foot = top + names.len() as f64 * CELL.1;
    let mut svg = Svg::new(width, foot + CELL.1 + 26.0, title);
    head(&mut svg, title, &[]);

    let name = |svg: &mut Svg, top: f64, name: &str| {
        let place = (left - 12.0, top + CELL.1 / 2.0 + 0.35 * TEXT);
        svg.text(place, name, TEXT, Anchor::End, Paint::INK);
    };
    name(&mut svg, clean_top, "clean");
    tile(
        &mut svg,
        [left, clean_top, map - 2.0, CELL.1 - 2.0],
        summary.accuracy,
        range,
    );
    for (column, severity) in params.severities.iter().enumerate() {
        let middle = left + (column as f64 + 0.5) * CELL.0;
        svg.text(
            (middle, top - 10.0),
            &format!("severity {severity}"),
            TEXT,
            Anchor::Middle,
            Paint::SOFT,
        );
    }
    for (row, (&corruption, label)) in params.corruptions.iter().zip(&names).enumerate() {
        let y = top + row as f64 * CELL.1;
        name(&mut svg, y, label);
        for (column, &severity) in params.severities.iter().enumerate() {
            let found = summary
                .accuracies
                .iter()
                .find(|a| a.corruption == corruption && a.severity == severity);
            if let Some(found) = found {
                let area = [left + column as f64 * CELL.0, y, CELL.0 - 2.0, CELL.1 - 2.0];
                tile(&mut svg, area, found.accuracy, range);
            }
        }
    }
    name(&mut svg, foot + 10.0, "mean of the severity");
    for (column, severity) in summary.severities.iter().enumerate() {
        let area = [left + column as f64 * CELL.0, foot + 10.0, CELL.0 - 2.0, CELL.1 - 2.0];
        tile(&mut svg, area, severity.accuracy, range);
    }

    // The scale, along the right side of the map.
    let (x, tall) = (
        left + map + 26.0,
        (foot - top - 2.0).max(90.0).min(foot + CELL.1 + 8.0 - top),
    );
    for step in 0..BAR {
        let part = step as f64 / BAR as f64;
        let y = top + tall * (1.0 - part - 1.0 / BAR as f64);
        // A little taller than its share, so that no seam shows.
        let tall = if step == 0 {
            tall / BAR as f64
        } else {
            tall / BAR as f64 + 0.5
        };
        svg.tile([x, y, 16.0, tall], cividis((step as f64 + 0.5) / BAR as f64));
    }
    for (place, value) in [
        (1.0, range.high),
        (0.5, (range.low + range.high) / 2.0),
        (0.0, range.low),
    ] {
        let y = top + tall * (1.0 - place);
        svg.line(&[(x + 16.0, y), (x + 21.0, y)], Paint::SOFT, 1.0, "");
        let text = format!("{} %", (1000.0 * value).round() / 10.0);
        svg.text((x + 25.0, y + 0.35 * TEXT), &text, TEXT, Anchor::Start, Paint::SOFT);
    }
    let caption = "Percentage of images that the classifier gets right, by corruption and severity.".to_owned();
    Figure::sheet("accuracy", Part::Accuracy, title.to_owned(), svg.file(), caption)
}
