//! Axes: from values to places on the paper.

use crate::paint::Paint;
use crate::svg::{Anchor, Svg, TEXT};

/// A linear axis with its ticks.
#[derive(Debug, Clone)]
pub struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From `low` to `high`, with a tick at each value.
    pub fn new(low: f64, high: f64, ticks: Vec<(f64, String)>) -> Self {
        Self { low, high, ticks }
    }

    /// From 0 to at least `high`, with three to six ticks at round values.
    pub fn from_zero(high: f64) -> Self {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let (step, digits) = round_step(high / 5.0);
        let count = (high / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=count as usize)
            .map(|tick| (tick as f64 * step, format!("{:.digits$}", tick as f64 * step)))
            .collect();
        Self::new(0.0, count * step, ticks)
    }

    /// From tenth to tenth around `low..=high`, within 0 to 1, as a fraction.
    pub fn tenths(low: f64, high: f64) -> Self {
        let low = (low * 10.0 + 1e-9).floor().clamp(0.0, 9.0);
        let high = (high * 10.0 - 1e-9).ceil().clamp(low + 1.0, 10.0);
        let step = if high - low > 6.0 { 2 } else { 1 };
        let ticks = (low as usize..=high as usize).step_by(step);
        let ticks = ticks.map(|tick| (tick as f64 / 10.0, format!("{:.1}", tick as f64 / 10.0)));
        Self::new(low / 10.0, high / 10.0, ticks.collect())
    }

    /// Categories side by side, the first at 0.5.
    pub fn categories(names: impl IntoIterator<Item = String>) -> Self {
        let ticks: Vec<_> = names
            .into_iter()
            .enumerate()
            .map(|(place, name)| (place as f64 + 0.5, name))
            .collect();
        Self::new(0.0, (ticks.len() as f64).max(1.0), ticks)
    }

    /// 0 to 1 in fifths, as a fraction.
    pub fn unit() -> Self {
        let ticks = (0..=5).map(|tick| (f64::from(tick) / 5.0, format!("{:.1}", f64::from(tick) / 5.0)));
        Self::new(0.0, 1.0, ticks.collect())
    }

    /// 0 to 100 % in quarters.
    pub fn percent() -> Self {
        let ticks = (0..=4).map(|tick| (f64::from(tick) / 4.0, format!("{} %", 25 * tick)));
        Self::new(0.0, 1.0, ticks.collect())
    }

    fn place(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// The round step (1, 2 or 5 times a power of ten) not below `least`, and the digits that write it.
fn round_step(least: f64) -> (f64, usize) {
    let power = least.log10().floor();
    let base = 10f64.powf(power);
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * base >= least * (1.0 - 1e-9))
        .unwrap_or(10.0);
    let power = if factor == 10.0 { power + 1.0 } else { power };
    (factor * base, (-power).max(0.0) as usize)
}

/// A rectangle with an axis along its foot and one along its left side.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Left, top, width and height of the rectangle.
    pub area: [f64; 4],
    /// The axis along the foot.
    pub x: Axis,
    /// The axis along the left side.
    pub y: Axis,
}

impl Plot {
    /// How far to the right a value lies; values beyond an end lie at that end.
    pub fn x(&self, value: f64) -> f64 {
        self.area[0] + self.area[2] * self.x.place(value)
    }

    /// How far down a value lies; values beyond an end lie at that end.
    pub fn y(&self, value: f64) -> f64 {
        self.area[1] + self.area[3] * (1.0 - self.y.place(value))
    }

    /// The place of a pair of values.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x(x), self.y(y))
    }

    /// Grid, foot and tick labels.
    pub fn draw(&self, svg: &mut Svg) {
        let [left, top, width, height] = self.area;
        for (value, label) in &self.y.ticks {
            let y = self.y(*value);
            svg.line(&[(left, y), (left + width, y)], Paint::GRID, 1.0, "");
            svg.text((left - 8.0, y + 0.35 * TEXT), label, TEXT, Anchor::End, Paint::SOFT);
        }
        let foot = top + height;
        svg.line(&[(left, foot), (left + width, foot)], Paint::SOFT, 1.0, "");
        for (value, label) in &self.x.ticks {
            let x = self.x(*value);
            svg.line(&[(x, foot), (x, foot + 5.0)], Paint::SOFT, 1.0, "");
            svg.text((x, foot + 8.0 + TEXT), label, TEXT, Anchor::Middle, Paint::SOFT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_top() {
        for (high, labels) in [
            (0.83, vec!["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (12.0, vec!["0", "5", "10", "15"]),
            (0.01, vec!["0.000", "0.002", "0.004", "0.006", "0.008", "0.010"]),
        ] {
            let axis = Axis::from_zero(high);
            assert_eq!(
                axis.ticks.iter().map(|tick| tick.1.as_str()).collect::<Vec<_>>(),
                labels
            );
            assert!(axis.high >= high);
        }
    }

    #[test]
    fn values_outside_an_axis_stay_on_the_paper() {
        let plot = Plot {
            area: [10.0, 20.0, 100.0, 50.0],
            x: Axis::unit(),
            y: Axis::unit(),
        };
        assert_eq!(plot.at(2.0, -1.0), (110.0, 70.0));
        assert_eq!(plot.at(0.5, 0.5), (60.0, 45.0));
    }

    #[test]
    fn tenths_hold_what_they_are_given() {
        let labels = |axis: &Axis| axis.ticks.iter().map(|tick| tick.1.clone()).collect::<Vec<_>>();
        assert_eq!(labels(&Axis::tenths(0.68, 0.96)), ["0.6", "0.7", "0.8", "0.9", "1.0"]);
        assert_eq!(
            labels(&Axis::tenths(0.0, 1.0)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(&Axis::tenths(0.5, 0.5)), ["0.5", "0.6"]);
        let axis = Axis::categories(["a".to_owned(), "b".to_owned()]);
        assert_eq!((axis.place(0.5), axis.place(1.5)), (0.25, 0.75));
    }
}
