//! Accuracy of each corruption at each severity, as a map.

use super::legend::head;
use super::svg::{Anchor, Paint, Svg, TEXT, text_width};
use super::{Figure, Part};
use crate::summary::Summary;

/// Stops of the map cividis (Nuñez, Anderton & Renslow 2018), from dark to light, evenly spaced.
const STOPS: [[u8; 3]; 10] = [
    [0, 34, 78],
    [18, 53, 112],
    [59, 73, 108],
    [87, 93, 109],
    [112, 113, 115],
    [138, 134, 120],
    [165, 156, 116],
    [195, 179, 105],
    [225, 204, 85],
    [254, 232, 56],
];

/// Colours of a text on a tile, dark or light whatever the page.
const DARK: &str = "#10161c";
const LIGHT: &str = "#ffffff";

/// The colour of `value`, 0 to 1.
fn colour(value: f64) -> [u8; 3] {
    let place = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let stop = (place as usize).min(STOPS.len() - 2);
    let part = place - stop as f64;
    let (from, to) = (STOPS[stop], STOPS[stop + 1]);
    std::array::from_fn(|c| (f64::from(from[c]) * (1.0 - part) + f64::from(to[c]) * part).round() as u8)
}

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
        let [r, g, b] = colour(self.place(value));
        let text = if self.place(value) > 0.5 { DARK } else { LIGHT };
        (format!("#{r:02x}{g:02x}{b:02x}"), text)
    }
}

/// A tile with its value in it.
fn tile(svg: &mut Svg, area: [f64; 4], value: f64, range: Range) {
    svg.tile(area, colour(range.place(value)));
    let middle = (area[0] + area[2] / 2.0, area[1] + area[3] / 2.0 + 0.35 * TEXT);
    svg.text_on_tile(middle, &format!("{:.1}", 100.0 * value), range.style(value).1);
}

/// The map, with the clean accuracy above it and the mean of each severity below it.
pub(crate) fn accuracy(summary: &Summary) -> Figure {
    const CELL: (f64, f64) = (84.0, 32.0);
    const BAR: usize = 60;
    let params = &summary.protocol;
    let title = "Accuracy by corruption and severity, in percent";
    let names: Vec<String> = params.corruptions.iter().map(|c| c.name().replace('_', " ")).collect();
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
        svg.tile([x, y, 16.0, tall], colour((step as f64 + 0.5) / BAR as f64));
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
    Figure {
        name: "accuracy".to_owned(),
        part: Part::Accuracy,
        title: title.to_owned(),
        caption: "Percentage of images that the classifier gets right, by corruption and severity.".to_owned(),
        sheet: svg.file(),
        keys: Vec::new(),
        panels: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_runs_from_dark_to_light() {
        assert_eq!((colour(-1.0), colour(0.0), colour(1.0)), (STOPS[0], STOPS[0], STOPS[9]));
        let light = |value: f64| colour(value).iter().map(|&c| u32::from(c)).sum::<u32>();
        assert!((1..=9).all(|step| light(f64::from(step) / 9.0) > light(f64::from(step - 1) / 9.0)));
    }
}
