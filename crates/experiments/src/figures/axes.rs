//! Axes: from values to places on the paper.

use super::svg::{Anchor, Paint, Svg, TEXT};

/// A linear axis with its ticks.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From `low` to `high`, with a tick at each value.
    pub(crate) fn new(low: f64, high: f64, ticks: Vec<(f64, String)>) -> Self {
        Self { low, high, ticks }
    }

    /// From 0 to at least `high`, with three to six ticks at round values.
    pub(crate) fn from_zero(high: f64) -> Self {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let (step, digits) = round_step(high / 5.0);
        let count = (high / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=count as usize)
            .map(|tick| (tick as f64 * step, format!("{:.digits$}", tick as f64 * step)))
            .collect();
        Self::new(0.0, count * step, ticks)
    }

    /// 0 to 1 in fifths, as a fraction.
    pub(crate) fn unit() -> Self {
        let ticks = (0..=5).map(|tick| (f64::from(tick) / 5.0, format!("{:.1}", f64::from(tick) / 5.0)));
        Self::new(0.0, 1.0, ticks.collect())
    }

    /// 0 to 100 % in quarters.
    pub(crate) fn percent() -> Self {
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
pub(crate) struct Plot {
    pub(crate) area: [f64; 4],
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

impl Plot {
    pub(crate) fn x(&self, value: f64) -> f64 {
        self.area[0] + self.area[2] * self.x.place(value)
    }

    pub(crate) fn y(&self, value: f64) -> f64 {
        self.area[1] + self.area[3] * (1.0 - self.y.place(value))
    }

    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x(x), self.y(y))
    }

    /// Grid, foot and tick labels.
    pub(crate) fn draw(&self, svg: &mut Svg) {
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

    /// Tick labels of a second axis along the right side.
    pub(crate) fn draw_right(&self, svg: &mut Svg, axis: &Axis, paint: Paint) {
        let right = self.area[0] + self.area[2];
        for (value, label) in &axis.ticks {
            let y = self.area[1] + self.area[3] * (1.0 - axis.place(*value));
            svg.line(&[(right, y), (right + 5.0, y)], paint, 1.0, "");
            svg.text((right + 9.0, y + 0.35 * TEXT), label, TEXT, Anchor::Start, paint);
        }
    }
}

/// Panels of one size in rows: `columns` of them side by side, places from left to right and top to bottom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panels {
    columns: usize,
    pub(crate) rows: usize,
    size: (f64, f64),
    top: f64,
}

/// Room around each panel's plot: left, top, right, foot.
const ROOM: [f64; 4] = [62.0, 40.0, 30.0, 60.0];

impl Panels {
    /// Room for `count` panels on paper of `width`, below `top`.
    pub(crate) fn new(count: usize, width: f64, top: f64) -> Self {
        let columns = count.clamp(1, 3);
        let rows = count.div_ceil(columns).max(1);
        let height = if columns == 1 { 380.0 } else { 290.0 };
        Self {
            columns,
            rows,
            size: (width / columns as f64, height),
            top,
        }
    }

    /// Height of the paper.
    pub(crate) fn height(&self) -> f64 {
        self.top + self.rows as f64 * self.size.1 + 4.0
    }

    /// The plot of one panel, titled and with the names of its axes.
    pub(crate) fn plot(&self, svg: &mut Svg, place: usize, title: &str, x: (Axis, &str), y: (Axis, &str)) -> Plot {
        let (column, row) = (place % self.columns, place / self.columns);
        let (width, height) = self.size;
        let (left, top) = (column as f64 * width, self.top + row as f64 * height);
        let [before, above, after, below] = ROOM;
        let area = [
            left + before,
            top + above,
            width - before - after,
            height - above - below,
        ];
        svg.text(
            (area[0], area[1] - 14.0),
            title,
            super::svg::HEADING,
            Anchor::Start,
            Paint::INK,
        );
        let plot = Plot { area, x: x.0, y: y.0 };
        plot.draw(svg);
        svg.text(
            (area[0] + area[2] / 2.0, area[1] + area[3] + 46.0),
            x.1,
            TEXT,
            Anchor::Middle,
            Paint::SOFT,
        );
        if column == 0 {
            svg.upright((left + 16.0, area[1] + area[3] / 2.0), y.1, Paint::SOFT);
        }
        plot
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
}
