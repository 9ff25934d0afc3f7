//! Textures and colours: smooth noise, stripes, checks and dots over a colour gradient.

use super::SIZE;
use super::random::Random;
use super::raster::{Plane, Point};

/// Red, green and blue, each 0 (dark) to 1.
pub(super) type Colour = [f32; 3];

/// A colour for each pixel, a plane a channel.
pub(super) type Picture = [Plane; 3];

/// The colour of a hue (in turns, 0 red, 1/3 green, 2/3 blue), a saturation and a value.
pub(super) fn hsv(hue: f32, saturation: f32, value: f32) -> Colour {
    let channel = |turn: f32| {
        let wheel = hue + turn;
        let wheel = (wheel - wheel.floor()) * 6.0;
        let full = ((wheel - 3.0).abs() - 1.0).clamp(0.0, 1.0);
        value * (1.0 - saturation + saturation * full)
    };
    [channel(0.0), channel(2.0 / 3.0), channel(1.0 / 3.0)]
}

/// How far two colours lie apart, 0 to 1: mostly the difference of their brightness, partly that of their channels.
pub(super) fn contrast(a: Colour, b: Colour) -> f32 {
    let [dr, dg, db] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    let luma = (0.3 * dr + 0.59 * dg + 0.11 * db).abs();
    0.65 * luma + 0.35 * ((dr * dr + dg * dg + db * db) / 3.0).sqrt()
}

/// A surface: a gradient between two colours with a pattern of lighter and darker places over it.
pub(super) fn surface(low: Colour, high: Colour, strength: f32, random: &mut Random) -> Picture {
    let slope = ramp(random.direction());
    let pattern = pattern(random);
    let mut picture = [[0.0; SIZE * SIZE]; 3];
    for (channel, plane) in picture.iter_mut().enumerate() {
        let (from, to) = (low[channel], high[channel]);
        for (pixel, (t, tone)) in plane.iter_mut().zip(slope.iter().zip(&pattern)) {
            *pixel = (from + (to - from) * t) * (1.0 + strength * tone);
        }
    }
    picture
}

/// From 0 to 1 across the frame in a direction.
fn ramp([dx, dy]: Point) -> Plane {
    let mut plane = [0.0; SIZE * SIZE];
    let middle = 0.5 * (SIZE - 1) as f32;
    let scale = 0.9 / SIZE as f32;
    for (y, row) in plane.chunks_exact_mut(SIZE).enumerate() {
        let down = (y as f32 - middle) * dy;
        for (x, value) in row.iter_mut().enumerate() {
            *value = (0.5 + ((x as f32 - middle) * dx + down) * scale).clamp(0.0, 1.0);
        }
    }
    plane
}

/// A pattern of tones from -1 to 1 of a kind drawn at random.
fn pattern(random: &mut Random) -> Plane {
    let mut plane = [0.0; SIZE * SIZE];
    match random.below(6) {
        0 => {
            let [dx, dy] = random.direction();
            let period = random.range(3.2, 9.0);
            let phase = random.unit();
            each_pixel(&mut plane, |x, y| wave((x * dx + y * dy) / period + phase));
        }
        1 => {
            let [dx, dy] = random.direction();
            let period = random.range(5.0, 11.0);
            let (across, along) = (random.unit(), random.unit());
            each_pixel(&mut plane, |x, y| {
                let u = wave((x * dx + y * dy) / period + across);
                let v = wave((y * dx - x * dy) / period + along);
                (3.0 * u * v).clamp(-1.0, 1.0)
            });
        }
        2 => {
            let [dx, dy] = random.direction();
            let period = random.range(3.6, 7.5);
            let (across, along) = (random.unit(), random.unit());
            let sign = if random.chance(0.5) { 1.0 } else { -1.0 };
            each_pixel(&mut plane, |x, y| {
                let u = wave((x * dx + y * dy) / period + across);
                let v = wave((y * dx - x * dy) / period + along);
                sign * (2.0 * (u + v) - 1.2).clamp(-1.0, 1.0)
            });
        }
        3 => noise(&mut plane, &[(7.0, 0.8), (3.1, 0.5)], random),
        4 => noise(&mut plane, &[(11.0, 0.9), (5.0, 0.4), (2.0, 0.35)], random),
        _ => noise(&mut plane, &[(13.0, 1.0)], random),
    }
    plane
}

fn each_pixel(plane: &mut Plane, tone: impl Fn(f32, f32) -> f32) {
    for (y, row) in plane.chunks_exact_mut(SIZE).enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            *value = tone(x as f32, y as f32);
        }
    }
}

/// A smooth wave of period 1 from -1 to 1 (two parabolas).
fn wave(t: f32) -> f32 {
    let part = t - t.floor();
    if part < 0.5 {
        16.0 * part * (0.5 - part)
    } else {
        -16.0 * (part - 0.5) * (1.0 - part)
    }
}

/// Adds value noise: for each (cell size in pixels, amplitude), a lattice of random values, joined smoothly.
fn noise(plane: &mut Plane, octaves: &[(f32, f32)], random: &mut Random) {
    const MOST: usize = SIZE / 2 + 3;
    for &(cell, amplitude) in octaves {
        let (shift_x, shift_y) = (random.unit(), random.unit());
        let nodes = (SIZE as f32 / cell) as usize + 3;
        let mut lattice = [[0.0_f32; MOST]; MOST];
        for row in lattice.iter_mut().take(nodes) {
            for node in row.iter_mut().take(nodes) {
                *node = random.spread(amplitude);
            }
        }
        // The lattice is first joined along x for its own rows, then along y.
        let mut wide = [[0.0_f32; SIZE]; MOST];
        for (row, nodes_of_row) in wide.iter_mut().zip(&lattice).take(nodes) {
            for (x, value) in row.iter_mut().enumerate() {
                let (node, t) = smooth_step(x, cell, shift_x);
                *value = nodes_of_row[node] + (nodes_of_row[node + 1] - nodes_of_row[node]) * t;
            }
        }
        for (y, out) in plane.chunks_exact_mut(SIZE).enumerate() {
            let (node, t) = smooth_step(y, cell, shift_y);
            for (value, (above, below)) in out.iter_mut().zip(wide[node].iter().zip(&wide[node + 1])) {
                *value += above + (below - above) * t;
            }
        }
    }
}

/// The lattice node before a pixel and how far the pixel is, smoothly, on its way to the next one.
fn smooth_step(pixel: usize, cell: f32, shift: f32) -> (usize, f32) {
    let position = pixel as f32 / cell + shift;
    let node = position.floor();
    let t = position - node;
    (node as usize, t * t * (3.0 - 2.0 * t))
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    #[test]
    fn hues_are_where_they_should_be() {
        assert_eq!(hsv(0.0, 1.0, 1.0), [1.0, 0.0, 0.0]);
        let [r, g, b] = hsv(1.0 / 3.0, 1.0, 0.5);
        assert!(r < 1e-5 && (g - 0.5).abs() < 1e-5 && b < 1e-5);
        let [r, g, b] = hsv(2.0 / 3.0, 1.0, 1.0);
        assert!(r < 1e-5 && g < 1e-5 && (b - 1.0).abs() < 1e-5);
        assert_eq!(hsv(0.3, 0.0, 0.4), [0.4; 3]);
    }

    #[test]
    fn contrast_is_a_distance_between_0_and_1() {
        assert_eq!(contrast([0.2, 0.4, 0.6], [0.2, 0.4, 0.6]), 0.0);
        assert!((contrast([0.0; 3], [1.0; 3]) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn patterns_are_bounded_and_vary() {
        for stream in 0..300 {
            let plane = pattern(&mut Random::new(5, Purpose::Picture, stream));
            let most = plane.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
            assert!(most > 0.05 && most < 1.8, "{most}");
        }
    }
}
