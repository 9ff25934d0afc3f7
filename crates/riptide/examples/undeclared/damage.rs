//! Fourteen kinds of damage that no monitor declares: in none of CIFAR-10-C's nineteen, nor in this library's sixteen.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide::datasets::{DatasetError, ImageSet};

/// A kind of damage at severities 1 to 5.
#[derive(Debug, Clone, Copy)]
pub struct Damage {
    pub name: &'static str,
    apply: fn(&Picture<'_>, f64, &mut ChaCha8Rng) -> Vec<u8>,
}

/// All fourteen. Each takes a strength from 0.2 to 1.
pub const ALL: [Damage; 14] = [
    damage("solarized", solarized),
    damage("swapped channels", swapped),
    damage("grey", grey),
    damage("sheared", sheared),
    damage("shaken rows", shaken),
    damage("shuffled tiles", shuffled),
    damage("dithered", dithered),
    damage("barrel", barrel),
    damage("rain", rain),
    damage("dust", dust),
    damage("flare", flare),
    damage("interlaced", interlaced),
    damage("eroded", eroded),
    damage("colour fringes", fringes),
];

const fn damage(name: &'static str, apply: fn(&Picture<'_>, f64, &mut ChaCha8Rng) -> Vec<u8>) -> Damage {
    Damage { name, apply }
}

impl Damage {
    /// Damages every image, with labels and class names kept.
    pub fn apply(self, images: &ImageSet, severity: u8) -> Result<ImageSet, DatasetError> {
        let strength = f64::from(severity) / 5.0;
        let mut pixels = Vec::with_capacity(images.pixels().len());
        for (index, bytes) in images.images().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(index as u64 * 8 + u64::from(severity));
            let picture = Picture {
                bytes,
                height: images.height(),
                width: images.width(),
            };
            pixels.extend((self.apply)(&picture, strength, &mut rng));
        }
        images.with_pixels(pixels)
    }
}

/// One RGB image.
struct Picture<'a> {
    bytes: &'a [u8],
    height: usize,
    width: usize,
}

impl Picture<'_> {
    /// A channel at a place, the border's outside it.
    fn at(&self, y: f64, x: f64, channel: usize) -> f64 {
        let inside = |value: f64, length: usize| (value.round().max(0.0) as usize).min(length - 1);
        let (y, x) = (inside(y, self.height), inside(x, self.width));
        f64::from(self.bytes[(y * self.width + x) * 3 + channel])
    }

    /// The shorter side, in 32nds.
    fn unit(&self) -> f64 {
        self.height.min(self.width) as f64 / 32.0
    }

    fn middle(&self) -> (f64, f64) {
        (self.height as f64 / 2.0 - 0.5, self.width as f64 / 2.0 - 0.5)
    }

    /// A picture from the value of each place and channel.
    fn map(&self, mut value: impl FnMut(f64, f64, usize) -> f64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        for y in 0..self.height {
            for x in 0..self.width {
                for channel in 0..3 {
                    out.push(value(y as f64, x as f64, channel).round().clamp(0.0, 255.0) as u8);
                }
            }
        }
        out
    }
}

fn mix(from: f64, to: f64, share: f64) -> f64 {
    from + share * (to - from)
}

/// Values above a limit inverted.
fn solarized(picture: &Picture<'_>, strength: f64, _: &mut ChaCha8Rng) -> Vec<u8> {
    let limit = 255.0 - 150.0 * strength;
    picture.map(|y, x, c| {
        let value = picture.at(y, x, c);
        if value > limit { 255.0 - value } else { value }
    })
}

/// Red and blue exchanged.
fn swapped(picture: &Picture<'_>, strength: f64, _: &mut ChaCha8Rng) -> Vec<u8> {
    picture.map(|y, x, c| mix(picture.at(y, x, c), picture.at(y, x, 2 - c), strength))
}

fn grey(picture: &Picture<'_>, strength: f64, _: &mut ChaCha8Rng) -> Vec<u8> {
    picture.map(|y, x, c| {
        let mean = (picture.at(y, x, 0) + picture.at(y, x, 1) + picture.at(y, x, 2)) / 3.0;
        mix(picture.at(y, x, c), mean, strength)
    })
}

fn sheared(picture: &Picture<'_>, strength: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let slope = 0.6 * strength * if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let (middle, _) = picture.middle();
    picture.map(|y, x, c| picture.at(y, x + slope * (y - middle), c))
}

/// Each row moved by itself.
fn shaken(picture: &Picture<'_>, strength: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let most = 4.0 * strength * picture.unit();
    let shifts: Vec<f64> = (0..picture.height).map(|_| rng.random_range(-most..most)).collect();
    picture.map(|y, x, c| picture.at(y, x + shifts[y as usize], c))
}

/// The picture cut into 4 x 4 tiles, pairs of which are exchanged.
fn shuffled(picture: &Picture<'_>, strength: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut tiles: Vec<usize> = (0..16).collect();
    for _ in 0..(8.0 * strength).round() as usize {
        tiles.swap(rng.random_range(0..16), rng.random_range(0..16));
    }
    let (high, wide) = (picture.height as f64 / 4.0, picture.width as f64 / 4.0);
    picture.map(|y, x, c| {
        let (row, column) = ((y / high).floor(), (x / wide).floor());
        let from = tiles[row as usize * 4 + column as usize] as f64;
        let (from_row, from_column) = ((from / 4.0).floor(), from % 4.0);
        picture.at(y + (from_row - row) * high, x + (from_column - column) * wide, c)
    })
}

/// Black and white by a 2 x 2 pattern of limits.
fn dithered(picture: &Picture<'_>, strength: f64, _: &mut ChaCha8Rng) -> Vec<u8> {
    let limits = [[51.0, 153.0], [204.0, 102.0]];
    picture.map(|y, x, c| {
        let value = picture.at(y, x, c);
        let limit: f64 = limits[y as usize % 2][x as usize % 2];
        mix(value, if value > limit { 255.0 } else { 0.0 }, 0.8 * strength)
    })
}

/// Drawn in towards the middle, the more the further out.
fn barrel(picture: &Picture<'_>, strength: f64, _: &mut ChaCha8Rng) -> Vec<u8> {
    let (cy, cx) = picture.middle();
    picture.map(|y, x, c| {
        let (dy, dx) = ((y - cy) / cy, (x - cx) / cx);
        let factor = 1.0 + 0.6 * strength * (dy * dy + dx * dx);
        picture.at(cy + (y - cy) * factor, cx + (x - cx) * factor, c)
    })
}

/// Thin bright streaks, all in one direction.
fn rain(picture: &Picture<'_>, strength: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let slant = rng.random_range(-0.5..0.5);
    let mut light = vec![0.0; picture.height * picture.width];
    for _ in 0..(30.0 * strength) as usize {
        let (y, x) = (rng.random_range(0..picture.height), rng.random_range(0..picture.width));
        for step in 0..(9.0 * picture.unit()) as usize {
            let column = (x as f64 + slant * step as f64).round() as usize % picture.width;
            light[(y + step) % picture.height * picture.width + column] = 0.7;
        }
    }
    picture.map(|y, x, c| {
        mix(
            picture.at(y, x, c),
            230.0,
            light[y as usize * picture.width + x as usize],
        )
    })
}

/// A place in the picture.
fn spot(picture: &Picture<'_>, rng: &mut ChaCha8Rng) -> (f64, f64) {
    (
        rng.random_range(0.0..picture.height as f64),
        rng.random_range(0.0..picture.width as f64),
    )
}

/// Dark specks.
fn dust(picture: &Picture<'_>, strength: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let specks: Vec<((f64, f64), f64)> = (0..(25.0 * strength) as usize)
        .map(|_| (spot(picture, rng), picture.unit() * rng.random_range(0.6..1.8)))
        .collect();
    picture.map(|y, x, c| {
        let covered = specks.iter().any(|&((sy, sx), radius)| (y - sy).hypot(x - sx) < radius);
        if covered { 40.0 } else { picture.at(y, x, c) }
    })
}

/// A bright spot that fades outwards.
fn flare(picture: &Picture<'_>, strength: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let (sy, sx) = spot(picture, rng);
    let reach = (5.0 + 8.0 * strength) * picture.unit();
    picture.map(|y, x, c| {
        let light = (-((y - sy).hypot(x - sx) / reach).powi(2)).exp();
        mix(picture.at(y, x, c), 255.0, light)
    })
}

/// Every other row from a picture that has moved on.
fn interlaced(picture: &Picture<'_>, strength: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let shift = 6.0 * strength * picture.unit() * if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    picture.map(|y, x, c| picture.at(y, if y as usize % 2 == 1 { x + shift } else { x }, c))
}

/// The darkest neighbour.
fn eroded(picture: &Picture<'_>, strength: f64, _: &mut ChaCha8Rng) -> Vec<u8> {
    picture.map(|y, x, c| {
        let around = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.0, -1.0), (-1.0, 0.0)];
        let least = around.iter().map(|(dy, dx)| picture.at(y + dy, x + dx, c));
        mix(picture.at(y, x, c), least.fold(255.0, f64::min), strength)
    })
}

/// Red moved to one side and blue to the other.
fn fringes(picture: &Picture<'_>, strength: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let shift = 4.0 * strength * picture.unit() * if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    picture.map(|y, x, c| picture.at(y, x + shift * (c as f64 - 1.0), c))
}
