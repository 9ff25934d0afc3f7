//! How scores, kinds and rates look: the same in every figure and every run.

use riptide_detectors::ScoreKind;
use riptide_draw::{Entry, Mark, Paint, Plot, Shape, Svg};
use riptide_stats::Interval;

use crate::harmfulness::Kind;

/// The colour of a kind.
pub(crate) const fn paint(kind: Kind) -> Paint {
    match kind {
        Kind::Harmful => Paint::HARMFUL,
        Kind::Harmless => Paint::HARMLESS,
    }
}

/// The mark of each kind, besides its colour.
pub(crate) const fn shape(kind: Kind) -> Shape {
    match kind {
        Kind::Harmful => Shape::Dot,
        Kind::Harmless => Shape::Square,
    }
}

/// The colour of a score.
pub(crate) const fn paint_of(score: ScoreKind) -> Paint {
    match score {
        ScoreKind::Distillation => Paint::BLACK,
        ScoreKind::MaxProbability => Paint::GREEN,
        ScoreKind::Entropy => Paint::ORANGE,
        ScoreKind::Margin => Paint::SKY,
        ScoreKind::Surprise => Paint::PURPLE,
        ScoreKind::Energy => Paint::YELLOW,
    }
}

/// The mark of a score.
pub(crate) const fn shape_of(score: ScoreKind) -> Shape {
    match score {
        ScoreKind::Distillation => Shape::Dot,
        ScoreKind::MaxProbability => Shape::Square,
        ScoreKind::Entropy => Shape::Triangle,
        ScoreKind::Margin => Shape::Cross,
        ScoreKind::Surprise => Shape::Diamond,
        ScoreKind::Energy => Shape::Falling,
    }
}

/// Dashes of the level of the test.
const LEVEL: &str = "2 3";

/// The level of the test, across the plot.
pub(crate) fn draw_level(svg: &mut Svg, plot: &Plot, level: f64) {
    svg.line(&[plot.at(0.0, level), plot.at(1.0, level)], Paint::INK, 1.5, LEVEL);
}

pub(crate) fn level_entry(level: f64) -> Entry {
    Entry::new(Mark::Line(LEVEL, None), Paint::INK, format!("level {level}"))
}

/// A line of estimates over the band of their intervals, which has the given opacity.
pub(crate) fn band(svg: &mut Svg, plot: &Plot, values: &[(f64, Interval)], look: (Paint, Shape, f64)) {
    let (paint, shape, opacity) = look;
    let upper = values.iter().map(|&(x, interval)| plot.at(x, interval.upper));
    let lower = values.iter().rev().map(|&(x, interval)| plot.at(x, interval.lower));
    svg.area(&upper.chain(lower).collect::<Vec<_>>(), paint, opacity);
    let line: Vec<_> = values
        .iter()
        .map(|&(x, interval)| plot.at(x, interval.estimate))
        .collect();
    svg.line(&line, paint, 2.0, "");
    for &point in &line {
        svg.mark(point, shape, 3.5, paint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_has_a_colour_and_a_mark_of_its_own() {
        for (i, &a) in ScoreKind::ALL.iter().enumerate() {
            for &b in &ScoreKind::ALL[i + 1..] {
                assert!(paint_of(a) != paint_of(b) && shape_of(a) != shape_of(b));
            }
        }
    }
}
