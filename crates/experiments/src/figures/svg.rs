//! A small writer of SVG: shapes with a class and a colour each, so that a page can recolour them.

use std::fmt::Write;

/// How a shape is painted: its class, and the colour that it has where no style sheet says otherwise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    name: &'static str,
    colour: &'static str,
}

impl Paint {
    pub(crate) const INK: Self = Self::new("ink", "#1d2329");
    pub(crate) const SOFT: Self = Self::new("soft", "#58626c");
    pub(crate) const GRID: Self = Self::new("grid", "#dfe3e7");
    // The palette of Okabe and Ito (2008), safe for the colour-blind.
    pub(crate) const HARMFUL: Self = Self::new("harmful", "#d55e00");
    pub(crate) const HARMLESS: Self = Self::new("harmless", "#0072b2");
    pub(crate) const ACCURACY: Self = Self::new("accuracy", "#007a58");
    pub(crate) const CLEAN: Self = Self::new("clean", "#7a838c");

    const fn new(name: &'static str, colour: &'static str) -> Self {
        Self { name, colour }
    }

    fn fill(self) -> String {
        format!("class=\"f-{}\" fill=\"{}\"", self.name, self.colour)
    }

    fn stroke(self) -> String {
        format!("class=\"s-{}\" fill=\"none\" stroke=\"{}\"", self.name, self.colour)
    }
}

/// Style of the figures inside a page that is light or dark; it outranks the colours in the drawings.
pub(crate) const CSS: &str = "\
.drawing svg text { font-family: inherit; }
.drawing .paper { fill: none; }
.drawing .f-ink { fill: var(--fg); } .drawing .s-ink { stroke: var(--fg); }
.drawing .f-soft { fill: var(--muted); } .drawing .s-soft { stroke: var(--muted); }
.drawing .s-grid { stroke: var(--line); }
.drawing .hollow { fill: var(--panel); }
@media (prefers-color-scheme: dark) {
  .drawing .f-harmful { fill: #f5883a; } .drawing .s-harmful { stroke: #f5883a; }
  .drawing .f-harmless { fill: #56b4e9; } .drawing .s-harmless { stroke: #56b4e9; }
  .drawing .f-accuracy { fill: #3fc9a0; } .drawing .s-accuracy { stroke: #3fc9a0; }
  .drawing .f-clean { fill: #9aa4ad; } .drawing .s-clean { stroke: #9aa4ad; }
}
";

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

    pub(crate) fn dot(&mut self, (x, y): (f64, f64), radius: f64, paint: Paint) {
        let (x, y, radius, fill) = (n(x), n(y), n(radius), paint.fill());
        self.put(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" {fill}/>"));
    }

    /// A square outline, filled with the paper's colour.
    pub(crate) fn hollow(&mut self, (x, y): (f64, f64), radius: f64, paint: Paint) {
        let (x, y, side) = (n(x - radius), n(y - radius), n(2.0 * radius));
        let Paint { name, colour } = paint;
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" class=\"s-{name} hollow\" fill=\"#ffffff\" \
             stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        ));
    }

    pub(crate) fn text(&mut self, (x, y): (f64, f64), text: &str, size: f64, anchor: Anchor, paint: Paint) {
        self.write_text((x, y), text, size, anchor, &paint.fill(), "");
    }

    /// A text on a tile, dark or light whatever the page.
    pub(crate) fn text_on_tile(&mut self, (x, y): (f64, f64), text: &str, dark: bool) {
        let fill = if dark { "fill=\"#10161c\"" } else { "fill=\"#ffffff\"" };
        self.write_text((x, y), text, TEXT, Anchor::Middle, fill, "");
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

    /// The whole drawing.
    pub(crate) fn finish(self) -> String {
        let (width, height, title) = (n(self.width), n(self.height), escape(&self.title));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"'DejaVu Sans', Verdana, sans-serif\">\n\
             <title>{title}</title>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
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
        let text = svg.finish();
        let document = roxmltree::Document::parse(&text).unwrap();
        let found: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
        assert!(found.contains(&"a < b & \"c\"") && found.contains(&"x > y"), "{text}");
        assert!(text.contains("x=\"0.33\" y=\"0\""), "{text}");
    }
}
