//! A small writer of SVG: shapes with a class and a colour each, so that a page can recolour them.

use std::fmt::Write;

use crate::paint::Paint;

/// What marks a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// A filled circle.
    Dot,
    /// A square outline, filled with the paper's colour.
    Hollow,
    /// A filled square.
    Square,
    /// A triangle that stands on its base.
    Triangle,
    /// A square that stands on a corner.
    Diamond,
    /// Two crossed lines.
    Cross,
    /// A triangle that stands on its tip.
    Falling,
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// Size of ordinary text, in user units.
pub const TEXT: f64 = 14.0;
/// Width of a sheet of pictures.
pub const SHEET_WIDTH: f64 = 960.0;
/// Size of headings.
pub const HEADING: f64 = 16.0;

/// A drawing in the making. Lengths are in user units; y grows downwards.
///
/// ```
/// use riptide_draw::{Paint, Svg};
///
/// let mut svg = Svg::new(120.0, 40.0, "A line");
/// svg.line(&[(10.0, 30.0), (110.0, 10.0)], Paint::INK, 2.0, "");
/// assert!(svg.file().contains("<polyline points=\"10,30 110,10\""));
/// ```
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

/// A number with at most two digits after the point.
fn n(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn escape(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .fold(String::with_capacity(text.len()), |mut out, c| {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                c => out.push(c),
            }
            out
        })
}

/// An upper bound of the width of a text in the font of the drawings.
pub fn text_width(text: &str, size: f64) -> f64 {
    0.64 * size * text.chars().count() as f64
}

impl Svg {
    /// An empty drawing; `title` is what a screen reader says.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Self {
            width,
            height,
            title: title.to_owned(),
            body: String::new(),
        }
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// A filled rectangle (left, top, width, height).
    pub fn rect(&mut self, [x, y, w, h]: [f64; 4], paint: Paint, opacity: f64) {
        let (x, y, w, h, fill, opacity) = (n(x), n(y), n(w), n(h), paint.fill(), n(opacity));
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" {fill} fill-opacity=\"{opacity}\"/>"
        ));
    }

    /// A rectangle of a colour that no page changes.
    pub fn tile(&mut self, [x, y, w, h]: [f64; 4], [r, g, b]: [u8; 3]) {
        let (x, y, w, h) = (n(x), n(y), n(w), n(h));
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"#{r:02x}{g:02x}{b:02x}\"/>"
        ));
    }

    /// The outline of a rectangle; `dashes` is a dash pattern as SVG writes it, or nothing.
    pub fn frame(&mut self, [x, y, w, h]: [f64; 4], paint: Paint, width: f64, dashes: &str) {
        let (x, y, w, h, stroke, width) = (n(x), n(y), n(w), n(h), paint.stroke(), n(width));
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" {stroke} stroke-width=\"{width}\"{}/>",
            dash(dashes)
        ));
    }

    /// A line through two or more points; fewer draw nothing.
    pub fn line(&mut self, points: &[(f64, f64)], paint: Paint, width: f64, dashes: &str) {
        if points.len() < 2 {
            return;
        }
        let (path, stroke, width) = (path(points), paint.stroke(), n(width));
        self.put(format_args!(
            "<polyline points=\"{path}\" {stroke} stroke-width=\"{width}\" stroke-linejoin=\"round\"{}/>",
            dash(dashes)
        ));
    }

    /// A filled polygon of three or more corners; fewer draw nothing.
    pub fn area(&mut self, points: &[(f64, f64)], paint: Paint, opacity: f64) {
        if points.len() < 3 {
            return;
        }
        let (path, fill, opacity) = (path(points), paint.fill(), n(opacity));
        self.put(format_args!(
            "<polygon points=\"{path}\" {fill} fill-opacity=\"{opacity}\"/>"
        ));
    }

    /// A mark about 2 `radius` wide.
    pub fn mark(&mut self, (x, y): (f64, f64), shape: Shape, radius: f64, paint: Paint) {
        let around = |corners: &[(f64, f64)]| -> String {
            let corners: Vec<_> = corners
                .iter()
                .map(|(right, down)| (x + right * radius, y + down * radius))
                .collect();
            path(&corners)
        };
        let corners = match shape {
            Shape::Dot => {
                let (x, y, radius, fill) = (n(x), n(y), n(radius), paint.fill());
                self.put(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" {fill}/>"));
                return;
            }
            Shape::Hollow => {
                let (x, y, side) = (n(x - radius), n(y - radius), n(2.0 * radius));
                let Paint { name, light, .. } = paint;
                self.put(format_args!(
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" class=\"s-{name} hollow\" fill=\"#ffffff\" \
                     stroke=\"{light}\" stroke-width=\"1.5\"/>"
                ));
                return;
            }
            Shape::Cross => {
                let (from, to) = (around(&[(-1.0, -1.0), (1.0, 1.0)]), around(&[(-1.0, 1.0), (1.0, -1.0)]));
                let stroke = paint.stroke();
                for points in [from, to] {
                    self.put(format_args!(
                        "<polyline points=\"{points}\" {stroke} stroke-width=\"2\"/>"
                    ));
                }
                return;
            }
            Shape::Square => around(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Shape::Triangle => around(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]),
            Shape::Falling => around(&[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)]),
            Shape::Diamond => around(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
        };
        let fill = paint.fill();
        self.put(format_args!("<polygon points=\"{corners}\" {fill}/>"));
    }

    /// A line up and down from `low` to `high` with a foot at each end.
    pub fn whisker(&mut self, x: f64, (low, high): (f64, f64), foot: f64, paint: Paint) {
        self.line(&[(x, low), (x, high)], paint, 1.4, "");
        for y in [low, high] {
            self.line(&[(x - foot, y), (x + foot, y)], paint, 1.4, "");
        }
    }

    /// Another drawing, its upper left corner at `(x, y)`.
    pub fn place(&mut self, (x, y): (f64, f64), drawing: &Self) {
        let (x, y, body) = (n(x), n(y), &drawing.body);
        self.put(format_args!("<g transform=\"translate({x} {y})\">\n{body}</g>"));
    }

    /// A text on the baseline at `(x, y)`.
    pub fn text(&mut self, (x, y): (f64, f64), text: &str, size: f64, anchor: Anchor, paint: Paint) {
        self.write_text((x, y), text, size, anchor, &paint.fill(), "");
    }

    /// A text of a colour that no page changes.
    pub fn text_on_tile(&mut self, (x, y): (f64, f64), text: &str, colour: &str) {
        let fill = format!("fill=\"{colour}\"");
        self.write_text((x, y), text, TEXT, Anchor::Middle, &fill, "");
    }

    /// A text that reads upwards.
    pub fn upright(&mut self, (x, y): (f64, f64), text: &str, paint: Paint) {
        let turn = format!(" transform=\"rotate(-90 {} {})\"", n(x), n(y));
        self.write_text((x, y), text, TEXT, Anchor::Middle, &paint.fill(), &turn);
    }

    fn write_text(&mut self, (x, y): (f64, f64), text: &str, size: f64, anchor: Anchor, fill: &str, more: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, size, text) = (n(x), n(y), n(size), escape(text));
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" {fill}{more}>{text}</text>"
        ));
    }

    /// A picture, given as a data URI.
    pub fn picture(&mut self, [x, y, w, h]: [f64; 4], uri: &str) {
        let (x, y, w, h) = (n(x), n(y), n(w), n(h));
        self.put(format_args!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" image-rendering=\"optimizeSpeed\" \
             style=\"image-rendering:pixelated\" preserveAspectRatio=\"xMidYMid meet\" href=\"{uri}\"/>"
        ));
    }

    /// Width and height, in user units.
    pub fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    /// The whole drawing on white paper, as a file.
    pub fn file(&self) -> String {
        let (width, height) = (n(self.width), n(self.height));
        let paper = format!("<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n");
        self.element(
            " xmlns=\"http://www.w3.org/2000/svg\" font-family=\"'DejaVu Sans', Verdana, sans-serif\"",
            &paper,
        )
    }

    /// The drawing as an element of a page, on the page's own paper.
    pub fn inline(&self) -> String {
        self.element("", "")
    }

    fn element(&self, attributes: &str, paper: &str) -> String {
        let (width, height, title) = (n(self.width), n(self.height), escape(&self.title));
        format!(
            "<svg{attributes} width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
             <title>{title}</title>\n{paper}{}</svg>\n",
            self.body
        )
    }
}

fn dash(dashes: &str) -> String {
    if dashes.is_empty() {
        String::new()
    } else {
        format!(" stroke-dasharray=\"{dashes}\"")
    }
}

fn path(points: &[(f64, f64)]) -> String {
    points
        .iter()
        .map(|&(x, y)| format!("{},{}", n(x), n(y)))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_numbers_are_short() {
        let mut svg = Svg::new(10.0, 20.0, "a < b & \"c\"");
        svg.text((1.0 / 3.0, -0.001), "x > y", TEXT, Anchor::End, Paint::INK);
        let text = svg.file();
        let document = roxmltree::Document::parse(&text).unwrap();
        let found: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
        assert!(found.contains(&"a < b & \"c\"") && found.contains(&"x > y"), "{text}");
        assert!(text.contains("x=\"0.33\" y=\"0\""), "{text}");
    }
}
