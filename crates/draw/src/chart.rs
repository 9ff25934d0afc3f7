//! Charts of small panels: composed side by side on one sheet for a file, each by itself for a page of any width.

use crate::axes::{Axis, Plot};
use crate::legend::{Entry, Key, head};
use crate::paint::Paint;
use crate::svg::{Anchor, HEADING, Svg, TEXT};

/// Room around a panel's plot: left, top, right, foot.
const ROOM: [f64; 4] = [72.0, 40.0, 30.0, 60.0];
/// Narrowest sheet, so that titles fit.
const NARROWEST: f64 = 640.0;

/// A finished drawing: a sheet for a file, and what a page of any width shows in its place.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// What stands above it.
    pub title: String,
    /// The SVG of the file.
    pub sheet: String,
    /// The legend of the page's panels.
    pub keys: Vec<Key>,
    /// SVG elements for the page; none if the page shows something else in their place.
    pub panels: Vec<String>,
}

/// Panels of one size that share a title and a legend.
///
/// ```
/// use riptide_draw::{Axis, Chart, Paint};
///
/// let mut chart = Chart::new("Alarms", Vec::new(), 1);
/// chart.panel("severity 1", (Axis::percent(), "harmful"), (Axis::percent(), "alarms"), |svg, plot| {
///     svg.line(&[plot.at(0.0, 0.05), plot.at(1.0, 0.9)], Paint::HARMFUL, 2.0, "");
/// });
/// assert_eq!(chart.finish().panels.len(), 1);
/// ```
#[derive(Debug)]
pub struct Chart {
    title: String,
    legend: Vec<Entry>,
    size: (f64, f64),
    columns: usize,
    panels: Vec<Svg>,
}

/// What an axis is: its scale and its name.
pub type Named<'a> = (Axis, &'a str);

impl Chart {
    /// A chart of `count` panels, at most three side by side on a sheet.
    pub fn new(title: impl Into<String>, legend: Vec<Entry>, count: usize) -> Self {
        Self {
            title: title.into(),
            legend,
            size: if count > 2 { (320.0, 290.0) } else { (400.0, 310.0) },
            columns: count.clamp(1, 3),
            panels: Vec::new(),
        }
    }

    /// Adds a panel with its axes; `fill` draws what is in it.
    pub fn panel(&mut self, title: &str, x: Named<'_>, y: Named<'_>, fill: impl FnOnce(&mut Svg, &Plot)) {
        let (width, height) = self.size;
        let mut svg = Svg::new(width, height, &format!("{}: {title}", self.title));
        let [before, above, after, below] = ROOM;
        let area = [before, above, width - before - after, height - above - below];
        let heading = (area[0], area[1] - 14.0);
        svg.text(heading, title, HEADING, Anchor::Start, Paint::INK);
        let foot = (area[0] + area[2] / 2.0, area[1] + area[3] + 46.0);
        svg.text(foot, x.1, TEXT, Anchor::Middle, Paint::SOFT);
        svg.upright((17.0, area[1] + area[3] / 2.0), y.1, Paint::SOFT);
        let plot = Plot { area, x: x.0, y: y.0 };
        plot.draw(&mut svg);
        fill(&mut svg, &plot);
        self.panels.push(svg);
    }

    /// All panels on one sheet.
    pub fn sheet(&self) -> Svg {
        let (wide, tall) = self.size;
        let width = (wide * self.columns as f64).max(NARROWEST);
        // The head's height is needed for the sheet's.
        let top = head(&mut Svg::new(width, 0.0, ""), &self.title, &self.legend);
        let rows = self.panels.len().div_ceil(self.columns).max(1);
        let mut svg = Svg::new(width, top + rows as f64 * tall + 4.0, &self.title);
        head(&mut svg, &self.title, &self.legend);
        let left = (width - wide * self.columns as f64) / 2.0;
        for (place, panel) in self.panels.iter().enumerate() {
            let (column, row) = (place % self.columns, place / self.columns);
            svg.place((left + column as f64 * wide, top + row as f64 * tall), panel);
        }
        svg
    }

    /// The sheet and the panels.
    pub fn finish(self) -> Drawing {
        Drawing {
            sheet: self.sheet().file(),
            keys: self.legend.iter().map(Entry::key).collect(),
            panels: self.panels.iter().map(Svg::inline).collect(),
            title: self.title,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(count: usize) -> Drawing {
        let mut chart = Chart::new("A title", Vec::new(), count);
        for panel in 0..count {
            let axes = ((Axis::unit(), "x"), (Axis::unit(), "y"));
            chart.panel(&format!("panel {panel}"), axes.0, axes.1, |svg, plot| {
                svg.text(plot.at(0.5, 0.5), "inside", TEXT, Anchor::Middle, Paint::INK);
            });
        }
        chart.finish()
    }

    #[test]
    fn every_panel_is_on_the_sheet_and_on_the_page() {
        for (count, width, height) in [
            (1, 640.0, 358.0),
            (2, 800.0, 358.0),
            (3, 960.0, 338.0),
            (5, 960.0, 628.0),
        ] {
            let figure = chart(count);
            let sheet = roxmltree::Document::parse(&figure.sheet).unwrap();
            let size = |name| sheet.root_element().attribute(name).unwrap().parse::<f64>().unwrap();
            assert_eq!((size("width"), size("height")), (width, height));
            let inside = |text: &str| text.matches(">inside<").count();
            assert_eq!((inside(&figure.sheet), figure.panels.len()), (count, count));
            assert!(figure.panels.iter().all(|panel| inside(panel) == 1));
        }
    }
}
