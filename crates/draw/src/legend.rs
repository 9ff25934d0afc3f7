//! Titles and legends.

use serde::Serialize;

use crate::paint::Paint;
use crate::svg::{Anchor, HEADING, Shape, Svg, TEXT, text_width};

/// How an entry of a legend looks.
#[derive(Debug, Clone, Copy)]
pub enum Mark {
    /// A line with this dash pattern, and what sits on it.
    Line(&'static str, Option<Shape>),
    /// A point without a line.
    Point(Shape),
    /// A filled square.
    Swatch,
    /// An outline of this width.
    Outline(f64),
}

/// An entry of a legend.
#[derive(Debug, Clone)]
pub struct Entry {
    mark: Mark,
    paint: Paint,
    label: String,
}

/// An entry of a legend as the page shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Key {
    /// Its sample, an SVG element.
    pub drawing: String,
    /// Its words.
    pub label: String,
}

/// Width of an entry's sample.
const SAMPLE: f64 = 30.0;

impl Entry {
    /// An entry with these words.
    pub fn new(mark: Mark, paint: Paint, label: impl Into<String>) -> Self {
        let label = label.into();
        Self { mark, paint, label }
    }

    fn draw(&self, svg: &mut Svg, (x, y): (f64, f64)) {
        let (middle, paint) = ((x + SAMPLE / 2.0, y), self.paint);
        match self.mark {
            Mark::Line(dashes, point) => {
                svg.line(&[(x, y), (x + SAMPLE, y)], paint, 2.0, dashes);
                if let Some(shape) = point {
                    svg.mark(middle, shape, 3.5, paint);
                }
            }
            Mark::Point(shape) => svg.mark(middle, shape, 4.5, paint),
            Mark::Swatch => svg.rect([x + 8.0, y - 7.0, 14.0, 14.0], paint, 0.85),
            Mark::Outline(width) => svg.frame([x + 8.0, y - 6.0, 13.0, 13.0], paint, width, ""),
        }
    }

    /// The entry for a page.
    pub fn key(&self) -> Key {
        let mut svg = Svg::new(SAMPLE, 18.0, &self.label);
        self.draw(&mut svg, (0.0, 9.0));
        Key {
            drawing: svg.inline(),
            label: self.label.clone(),
        }
    }
}

/// Draws the title and, below it, the legend in as many rows as it needs; gives the height that both take.
pub fn head(svg: &mut Svg, title: &str, entries: &[Entry]) -> f64 {
    const MARGIN: f64 = 16.0;
    let width = svg.size().0;
    let (title_size, title_y) = (HEADING + 1.0, 16.0 + HEADING * 0.7);
    svg.text((MARGIN, title_y), title, title_size, Anchor::Start, Paint::INK);
    if entries.is_empty() {
        return 44.0;
    }
    let (mut x, mut y) = (MARGIN, 54.0);
    for entry in entries {
        let wide = SAMPLE + 8.0 + text_width(&entry.label, TEXT) + 16.0;
        if x > MARGIN && x + wide > width {
            x = MARGIN;
            y += 24.0;
        }
        entry.draw(svg, (x, y));
        let place = (x + SAMPLE + 8.0, y + 0.35 * TEXT);
        svg.text(place, &entry.label, TEXT, Anchor::Start, Paint::INK);
        x += wide;
    }
    y + 18.0
}
