//! Numbers as colours.

/// Stops of the map cividis (Nuñez, Anderton & Renslow 2018), from dark to light, evenly spaced.
const STOPS: [[u8; 3]; 10] = [
    [0, 34, 78],
    [18, 53, 112],
    [59, 73, 108],
    [87, 93, 109],
    [112, 113, 115],
    [138, 134, 120],
    [165, 156, 116],
    [195, 179, 105],
    [225, 204, 85],
    [254, 232, 56],
];

/// Colours of a text on a tile, dark or light whatever the page.
const DARK: &str = "#10161c";
const LIGHT: &str = "#ffffff";

/// The colour of `value`, 0 to 1, as red, green and blue: the map cividis, which reads the same to the colour-blind.
pub fn cividis(value: f64) -> [u8; 3] {
    // A value that is no number is drawn as the smallest.
    let value = if value.is_nan() { 0.0 } else { value };
    let place = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let stop = (place as usize).min(STOPS.len() - 2);
    let part = place - stop as f64;
    let (from, to) = (STOPS[stop], STOPS[stop + 1]);
    std::array::from_fn(|c| (f64::from(from[c]) * (1.0 - part) + f64::from(to[c]) * part).round() as u8)
}

/// The colour of a text that is read on [`cividis`] of `value`, as a style sheet writes it.
pub fn text_on_cividis(value: f64) -> &'static str {
    if value > 0.5 { DARK } else { LIGHT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_runs_from_dark_to_light() {
        let ends = (cividis(-1.0), cividis(0.0), cividis(1.0), cividis(f64::NAN));
        assert_eq!(ends, (STOPS[0], STOPS[0], STOPS[9], STOPS[0]));
        let light = |value: f64| cividis(value).iter().map(|&c| u32::from(c)).sum::<u32>();
        assert!((1..=9).all(|step| light(f64::from(step) / 9.0) > light(f64::from(step - 1) / 9.0)));
    }
}
