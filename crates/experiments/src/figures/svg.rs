//! A small writer of SVG: shapes with a class and a colour each, so that a page can recolour them.

use std::fmt::Write;

use riptide_detectors::ScoreKind;

/// How a shape is painted: its class, and its colours on light and on dark paper. A drawing by itself is light; a page
/// changes the colours by the class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Paint {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
}

impl Paint {
    pub(crate) const INK: Self = Self::new("ink", "#1d2329", "#e7ebee");
    pub(crate) const SOFT: Self = Self::new("soft", "#58626c", "#a3adb6");
    pub(crate) const GRID: Self = Self::new("grid", "#dfe3e7", "#38424b");
    // The palette of Okabe and Ito (2008), safe for the colour-blind, darker on light paper and lighter on dark.
    pub(crate) const HARMFUL: Self = Self::new("harmful", "#d55e00", "#f5883a");
    pub(crate) const HARMLESS: Self = Self::new("harmless", "#0072b2", "#56b4e9");
    pub(crate) const ACCURACY: Self = Self::new("accuracy", "#007a58", "#3fc9a0");
    pub(crate) const CLEAN: Self = Self::new("clean", "#6f7881", "#9aa4ad");
    // The scores beside each other; each has a mark of its own besides.
    const BLACK: Self = Self::new("black", "#1d2329", "#f2f4f6");
    const GREEN: Self = Self::new("green", "#007a58", "#2fb98f");
    const ORANGE: Self = Self::new("orange", "#c07000", "#e69f00");
    const SKY: Self = Self::new("sky", "#2f86c4", "#7cc8f2");
    const PURPLE: Self = Self::new("purple", "#b0458f", "#e089c4");
    const YELLOW: Self = Self::new("yellow", "#857a00", "#e3d64a");

    const DATA: [Self; 10] = [
        Self::HARMFUL,
        Self::HARMLESS,
        Self::ACCURACY,
        Self::CLEAN,
        Self::BLACK,
        Self::GREEN,
        Self::ORANGE,
        Self::SKY,
        Self::PURPLE,
        Self::YELLOW,
    ];

    const fn new(name: &'static str, light: &'static str, dark: &'static str) -> Self {
        Self { name, light, dark }
    }

    /// The colour of a score, the same in every figure and every run.
    pub(crate) const fn of_score(score: ScoreKind) -> Self {
        match score {
            ScoreKind::Distillation => Self::BLACK,
            ScoreKind::MaxProbability => Self::GREEN,
            ScoreKind::Entropy => Self::ORANGE,
            ScoreKind::Margin => Self::SKY,
            ScoreKind::Surprise => Self::PURPLE,
            ScoreKind::Energy => Self::YELLOW,
        }
    }

    fn fill(self) -> String {
        format!("class=\"f-{}\" fill=\"{}\"", self.name, self.light)
    }

    fn stroke(self) -> String {
        format!("class=\"s-{}\" fill=\"none\" stroke=\"{}\"", self.name, self.light)
    }
}

/// Style of the drawings inside a page that is light or dark; it outranks the colours in the drawings.
pub(crate) fn css() -> String {
    let mut css = String::from(
        ".drawing text { font-family: inherit; }\n\
         .drawing .f-ink { fill: var(--fg); } .drawing .s-ink { stroke: var(--fg); }\n\
         .drawing .f-soft { fill: var(--muted); } .drawing .s-soft { stroke: var(--muted); }\n\
         .drawing .s-grid { stroke: var(--line); }\n\
         .drawing .hollow { fill: var(--panel); }\n\
         @media screen and (prefers-color-scheme: dark) {\n",
    );
    for Paint { name, dark, .. } in Paint::DATA {
        // Writing to a String cannot fail.
        let _ = writeln!(
            css,
            "  .drawing .f-{name} {{ fill: {dark}; }} .drawing .s-{name} {{ stroke: {dark}; }}"
        );
    }
    css.push_str("}\n");
    css
}

/// What marks a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    Dot,
    /// A square outline, filled with the paper's colour.
    Hollow,
    Square,
    Triangle,
    Diamond,
    Cross,
    /// A triangle that stands on its tip.
    Falling,
}

impl Shape {
    /// The mark of a score, the same in every figure and every run.
    pub(crate) const fn of_score(score: ScoreKind) -> Self {
        match score {
            ScoreKind::Distillation => Self::Dot,
            ScoreKind::MaxProbability => Self::Square,
            ScoreKind::Entropy => Self::Triangle,
            ScoreKind::Margin => Self::Cross,
            ScoreKind::Surprise => Self::Diamond,
            ScoreKind::Energy => Self::Falling,
        }
    }
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Size of ordinary text, in user units.
pub(crate) const TEXT: f64 = 14.0;
/// Size of headings.
pub(crate) const HEADING: f64 = 16.0;

/// A drawing in the making.
#[derive(Debug)]
pub(crate) struct Svg {
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

/// Width of a text in the vendored font, rounded up.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    0.64 * size * text.chars().count() as f64
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Self {
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

    pub(crate) fn rect(&mut self, [x, y, w, h]: [f64; 4], paint: Paint, opacity: f64) {
        let (x, y, w, h, fill, opacity) = (n(x), n(y), n(w), n(h), paint.fill(), n(opacity));
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" {fill} fill-opacity=\"{opacity}\"/>"
        ));
    }

    /// A rectangle of a colour that no page changes.
    pub(crate) fn tile(&mut self, [x, y, w, h]: [f64; 4], [r, g, b]: [u8; 3]) {
        let (x, y, w, h) = (n(x), n(y), n(w), n(h));
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"#{r:02x}{g:02x}{b:02x}\"/>"
        ));
    }

    pub(crate) fn frame(&mut self, [x, y, w, h]: [f64; 4], paint: Paint, width: f64, dashes: &str) {
        let (x, y, w, h, stroke, width) = (n(x), n(y), n(w), n(h), paint.stroke(), n(width));
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" {stroke} stroke-width=\"{width}\"{}/>",
            dash(dashes)
        ));
    }

    pub(crate) fn line(&mut self, points: &[(f64, f64)], paint: Paint, width: f64, dashes: &str) {
        if points.len() < 2 {
            return;
        }
        let (path, stroke, width) = (path(points), paint.stroke(), n(width));
        self.put(format_args!(
            "<polyline points=\"{path}\" {stroke} stroke-width=\"{width}\" stroke-linejoin=\"round\"{}/>",
            dash(dashes)
        ));
    }

    pub(crate) fn area(&mut self, points: &[(f64, f64)], paint: Paint, opacity: f64) {
        if points.len() < 3 {
            return;
        }
        let (path, fill, opacity) = (path(points), paint.fill(), n(opacity));
        self.put(format_args!(
            "<polygon points=\"{path}\" {fill} fill-opacity=\"{opacity}\"/>"
        ));
    }

    /// A mark about 2 `radius` wide.
    pub(crate) fn mark(&mut self, (x, y): (f64, f64), shape: Shape, radius: f64, paint: Paint) {
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
    pub(crate) fn whisker(&mut self, x: f64, (low, high): (f64, f64), foot: f64, paint: Paint) {
        self.line(&[(x, low), (x, high)], paint, 1.4, "");
        for y in [low, high] {
            self.line(&[(x - foot, y), (x + foot, y)], paint, 1.4, "");
        }
    }

    /// Another drawing, its upper left corner at `(x, y)`.
    pub(crate) fn place(&mut self, (x, y): (f64, f64), drawing: &Self) {
        let (x, y, body) = (n(x), n(y), &drawing.body);
        self.put(format_args!("<g transform=\"translate({x} {y})\">\n{body}</g>"));
    }

    pub(crate) fn text(&mut self, (x, y): (f64, f64), text: &str, size: f64, anchor: Anchor, paint: Paint) {
        self.write_text((x, y), text, size, anchor, &paint.fill(), "");
    }

    /// A text of a colour that no page changes.
    pub(crate) fn text_on_tile(&mut self, (x, y): (f64, f64), text: &str, colour: &str) {
        let fill = format!("fill=\"{colour}\"");
        self.write_text((x, y), text, TEXT, Anchor::Middle, &fill, "");
    }

    /// A text that reads upwards.
    pub(crate) fn upright(&mut self, (x, y): (f64, f64), text: &str, paint: Paint) {
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
    pub(crate) fn picture(&mut self, [x, y, w, h]: [f64; 4], uri: &str) {
        let (x, y, w, h) = (n(x), n(y), n(w), n(h));
        self.put(format_args!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" image-rendering=\"optimizeSpeed\" \
             style=\"image-rendering:pixelated\" preserveAspectRatio=\"xMidYMid meet\" href=\"{uri}\"/>"
        ));
    }

    /// Width and height, in user units.
    pub(crate) fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    /// The whole drawing on white paper, as a file.
    pub(crate) fn file(&self) -> String {
        let (width, height) = (n(self.width), n(self.height));
        let paper = format!("<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n");
        self.element(
            " xmlns=\"http://www.w3.org/2000/svg\" font-family=\"'DejaVu Sans', Verdana, sans-serif\"",
            &paper,
        )
    }

    /// The drawing as an element of a page, on the page's own paper.
    pub(crate) fn inline(&self) -> String {
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

    /// Relative luminance and contrast as WCAG 2.2 defines them.
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |colour: &str| {
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.04045 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn colours_stand_out_from_both_papers() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        for paint in Paint::DATA {
            // 3 is what WCAG 2.2 asks of graphics.
            assert!(contrast(paint.light, "#ffffff") >= 3.0, "{paint:?}");
            assert!(contrast(paint.dark, "#1b2126") >= 3.0, "{paint:?}");
        }
        // 4.5 is what it asks of text.
        for paint in [Paint::INK, Paint::SOFT] {
            assert!(contrast(paint.light, "#ffffff") >= 4.5 && contrast(paint.dark, "#1b2126") >= 4.5);
        }
    }

    #[test]
    fn every_score_has_a_colour_and_a_mark_of_its_own() {
        for (i, &a) in ScoreKind::ALL.iter().enumerate() {
            for &b in &ScoreKind::ALL[i + 1..] {
                assert!(Paint::of_score(a) != Paint::of_score(b) && Shape::of_score(a) != Shape::of_score(b));
            }
        }
    }
}
