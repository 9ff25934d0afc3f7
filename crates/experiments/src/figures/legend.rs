//! Titles and legends.

use super::svg::{Anchor, HEADING, Paint, Svg, TEXT, text_width};

/// How an entry of a legend looks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    /// A line with this dash pattern, and what sits on it.
    Line(&'static str, Point),
    /// A filled square.
    Swatch,
    /// An outline of this width.
    Outline(f64),
}

/// What sits on a line's points.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Point {
    None,
    Dot,
    Hollow,
}

/// Draws the title and, below it, the legend in as many rows as it needs; gives the height that both take.
pub(crate) fn head(svg: &mut Svg, width: f64, title: &str, entries: &[(Mark, Paint, &str)]) -> f64 {
    const MARGIN: f64 = 16.0;
    const SAMPLE: f64 = 30.0;
    svg.text(
        (MARGIN, 16.0 + HEADING * 0.7),
        title,
        HEADING + 1.0,
        Anchor::Start,
        Paint::INK,
    );
    if entries.is_empty() {
        return 44.0;
    }
    let (mut x, mut y) = (MARGIN, 54.0);
    for &(mark, paint, label) in entries {
        let wide = SAMPLE + 8.0 + text_width(label, TEXT) + 16.0;
        if x > MARGIN && x + wide > width {
            x = MARGIN;
            y += 24.0;
        }
        let middle = (x + SAMPLE / 2.0, y);
        match mark {
            Mark::Line(dashes, point) => {
                svg.line(&[(x, y), (x + SAMPLE, y)], paint, 2.0, dashes);
                match point {
                    Point::None => {}
                    Point::Dot => svg.dot(middle, 3.5, paint),
                    Point::Hollow => svg.hollow(middle, 3.0, paint),
                }
            }
            Mark::Swatch => svg.rect([x + 8.0, y - 7.0, 14.0, 14.0], paint, 0.85),
            Mark::Outline(width) => svg.frame([x + 8.0, y - 7.0, 14.0, 14.0], paint, width, ""),
        }
        svg.text(
            (x + SAMPLE + 8.0, y + 0.35 * TEXT),
            label,
            TEXT,
            Anchor::Start,
            Paint::INK,
        );
        x += wide;
    }
    y + 18.0
}
