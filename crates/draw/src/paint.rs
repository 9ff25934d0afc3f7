//! Colours, on light and on dark paper.

use std::fmt::Write;

/// How a shape is painted: its class, and its colours on light and on dark paper. A drawing by itself is light; a page
/// changes the colours by the class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paint {
    pub(crate) name: &'static str,
    pub(crate) light: &'static str,
    dark: &'static str,
}

impl Paint {
    /// Text and axes that matter.
    pub const INK: Self = Self::new("ink", "#1d2329", "#e7ebee");
    /// Text beside it.
    pub const SOFT: Self = Self::new("soft", "#58626c", "#a3adb6");
    /// The grid behind a plot.
    pub const GRID: Self = Self::new("grid", "#dfe3e7", "#38424b");
    // The palette of Okabe and Ito (2008), safe for the colour-blind, darker on light paper and lighter on dark.
    /// What does harm: vermilion.
    pub const HARMFUL: Self = Self::new("harmful", "#d55e00", "#f5883a");
    /// What does none: blue.
    pub const HARMLESS: Self = Self::new("harmless", "#0072b2", "#56b4e9");
    /// Accuracies: green.
    pub const ACCURACY: Self = Self::new("accuracy", "#007a58", "#3fc9a0");
    /// What nothing was done to: grey.
    pub const CLEAN: Self = Self::new("clean", "#6f7881", "#9aa4ad");
    /// The first of several things beside each other; give each a [`Shape`](crate::Shape) of its own besides.
    pub const BLACK: Self = Self::new("black", "#1d2329", "#f2f4f6");
    /// Another of several things.
    pub const GREEN: Self = Self::new("green", "#007a58", "#2fb98f");
    /// Another of several things.
    pub const ORANGE: Self = Self::new("orange", "#c07000", "#e69f00");
    /// Another of several things.
    pub const SKY: Self = Self::new("sky", "#2f86c4", "#7cc8f2");
    /// Another of several things.
    pub const PURPLE: Self = Self::new("purple", "#b0458f", "#e089c4");
    /// Another of several things.
    pub const YELLOW: Self = Self::new("yellow", "#857a00", "#e3d64a");

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

    pub(crate) fn fill(self) -> String {
        format!("class=\"f-{}\" fill=\"{}\"", self.name, self.light)
    }

    pub(crate) fn stroke(self) -> String {
        format!("class=\"s-{}\" fill=\"none\" stroke=\"{}\"", self.name, self.light)
    }
}

/// The style sheet of drawings inside a page that may be light or dark; it outranks the colours in the drawings.
///
/// The drawings must lie in elements of the class `drawing`, and the page must define the colours `--fg`, `--muted`, `--line`
/// and `--panel`.
pub fn css() -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
