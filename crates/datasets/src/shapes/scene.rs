//! One picture: a lit, textured object of its class over a background with clutter, partly hidden.

use super::SIZE;
use super::outline::{self, Contours};
use super::random::Random;
use super::raster::{Plane, Point, coverage, soften};
use super::texture::{Colour, Picture, contrast, hsv, surface};

/// The largest part of the object that things in front of it may hide.
const MOST_HIDDEN: f32 = 0.3;

/// Draws the picture of an object of the class with this label: (`SIZE`, `SIZE`, 3), row-major.
pub(super) fn draw(label: u32, random: &mut Random, pixels: &mut [u8]) {
    let light = random.direction();
    let hue = random.unit();
    let low = hsv(hue, random.range(0.1, 0.65), random.range(0.2, 0.8));
    let high = hsv(
        hue + random.spread(0.14),
        random.range(0.1, 0.65),
        random.range(0.2, 0.8),
    );
    let mut picture = surface(low, high, random.range(0.05, 0.32), random);
    let middle = halfway(low, high);

    let pose = Pose::of_object(random);
    for _ in 0..random.below(6) {
        add_fragment(&mut picture, middle, random);
    }
    let object = coverage(&pose.place(&outline::of_class(label, random)));
    let relief = soften(&object, 1);
    cast_shadow(&mut picture, &soften(&object, 2), light, random.range(0.0, 0.5));
    let skin = object_surface(middle, random);
    paint(
        &mut picture,
        &object,
        &shaded(skin, &relief, light, random),
        random.range(0.86, 1.0),
    );

    let hidden_parts = random.below(3);
    for _ in 0..hidden_parts {
        add_occluder(&mut picture, &object, &pose, middle, random);
    }
    finish(&picture, random, pixels);
}

fn halfway(a: Colour, b: Colour) -> Colour {
    [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1]), 0.5 * (a[2] + b[2])]
}

/// Where an outline lies in the frame: a projective map from its own units to pixels.
struct Pose {
    centre: Point,
    radius: f32,
    /// The images of the outline's x and y axes, in pixels.
    axes: [Point; 2],
    /// How fast each axis recedes.
    tilt: Point,
}

impl Pose {
    fn of_object(random: &mut Random) -> Self {
        let radius = random.range(7.5, 13.0);
        let play = (15.0 - 0.95 * radius).max(1.0);
        let centre = [16.0 + random.spread(play), 16.0 + random.spread(play)];
        let mut pose = Self::new(centre, radius, random);
        pose.tilt = [random.spread(0.22), random.spread(0.22)];
        pose
    }

    /// A pose of random turn, squeeze and shear, without perspective.
    fn new(centre: Point, radius: f32, random: &mut Random) -> Self {
        let [c, s] = random.direction();
        let squeeze = random.range(0.76, 1.0);
        let shear = random.spread(0.25);
        let mirror = if random.chance(0.5) { 1.0 } else { -1.0 };
        let [squash_c, squash_s] = random.direction();
        // Squeeze along one direction and shear along it, then turn.
        let squash = |[x, y]: Point| {
            let along = x * squash_c + y * squash_s;
            let across = (y * squash_c - x * squash_s) * squeeze;
            let along = along + shear * across;
            [
                along * squash_c - across * squash_s,
                along * squash_s + across * squash_c,
            ]
        };
        let turn = |[x, y]: Point| [radius * (x * c - y * s), radius * (x * s + y * c)];
        let axes = [turn(squash([mirror, 0.0])), turn(squash([0.0, 1.0]))];
        Self {
            centre,
            radius,
            axes,
            tilt: [0.0, 0.0],
        }
    }

    fn place(&self, contours: &Contours) -> Contours {
        let [[ax, ay], [bx, by]] = self.axes;
        let at = |&[x, y]: &Point| {
            let depth = 1.0 + self.tilt[0] * x + self.tilt[1] * y;
            [
                self.centre[0] + (ax * x + bx * y) / depth,
                self.centre[1] + (ay * x + by * y) / depth,
            ]
        };
        contours
            .iter()
            .map(|contour| contour.iter().map(at).collect())
            .collect()
    }
}

/// Two colours that stand out from the background, some barely, with a texture over them.
fn object_surface(background: Colour, random: &mut Random) -> Picture {
    let wanted = random.range(0.13, 0.42);
    let mut best = (f32::MAX, background);
    for _ in 0..8 {
        let colour = hsv(random.unit(), random.range(0.15, 0.95), random.range(0.25, 0.98));
        let miss = (contrast(colour, background) - wanted).abs();
        if miss < best.0 {
            best = (miss, colour);
        }
    }
    let [r, g, b] = best.1;
    let change = random.range(0.78, 1.25);
    let other = [
        r * change,
        g * change + random.spread(0.06),
        b * change + random.spread(0.06),
    ];
    surface(best.1, other, random.range(0.0, 0.26), random)
}

/// Lights the object: brighter where its rounded border faces the light, darker where it turns away.
fn shaded(mut skin: Picture, relief: &Plane, [lx, ly]: Point, random: &mut Random) -> Picture {
    let strength = random.range(0.2, 1.1);
    for y in 0..SIZE {
        for x in 0..SIZE {
            let value = |x: usize, y: usize| relief[y * SIZE + x];
            let dx = value((x + 1).min(SIZE - 1), y) - value(x.saturating_sub(1), y);
            let dy = value(x, (y + 1).min(SIZE - 1)) - value(x, y.saturating_sub(1));
            // The relief rises inwards, so its gradient points away from the side it faces.
            let tone = 1.0 - strength * (dx * lx + dy * ly);
            for plane in &mut skin {
                plane[y * SIZE + x] *= tone;
            }
        }
    }
    skin
}

fn paint(picture: &mut Picture, mask: &Plane, skin: &Picture, opacity: f32) {
    for (plane, colours) in picture.iter_mut().zip(skin) {
        for (pixel, (cover, colour)) in plane.iter_mut().zip(mask.iter().zip(colours)) {
            *pixel += (colour - *pixel) * (cover * opacity);
        }
    }
}

fn cast_shadow(picture: &mut Picture, mask: &Plane, [lx, ly]: Point, strength: f32) {
    let (dx, dy) = ((2.0 * lx).round() as isize, (2.0 * ly).round() as isize);
    for y in 0..SIZE {
        for x in 0..SIZE {
            let from = (x.checked_add_signed(dx), y.checked_add_signed(dy));
            let (Some(from_x), Some(from_y)) = from else { continue };
            if from_x < SIZE && from_y < SIZE {
                let tone = 1.0 - strength * mask[from_y * SIZE + from_x];
                for plane in picture.iter_mut() {
                    plane[y * SIZE + x] *= tone;
                }
            }
        }
    }
}

/// Paints a small piece of clutter somewhere, in a colour of any contrast.
fn add_fragment(picture: &mut Picture, background: Colour, random: &mut Random) {
    let centre = [random.range(0.0, SIZE as f32), random.range(0.0, SIZE as f32)];
    let radius = random.range(2.0, 5.5);
    let mask = coverage(&Pose::new(centre, radius, random).place(&outline::fragment(random)));
    let colour = plain_colour(background, random);
    let opacity = random.range(0.5, 1.0);
    paint_plain(picture, &mask, colour, opacity);
}

/// Paints a piece in front of the object's border, made smaller until it hides no more than it may.
fn add_occluder(picture: &mut Picture, object: &Plane, pose: &Pose, background: Colour, random: &mut Random) {
    let [dx, dy] = random.direction();
    let away = pose.radius * random.range(0.45, 1.1);
    let centre = [pose.centre[0] + away * dx, pose.centre[1] + away * dy];
    let mut front = Pose::new(centre, pose.radius * random.range(0.3, 0.62), random);
    let contours = outline::fragment(random);
    let colour = plain_colour(background, random);
    let visible: f32 = object.iter().sum();
    for _ in 0..4 {
        let mask = coverage(&front.place(&contours));
        let hidden: f32 = mask.iter().zip(object).map(|(a, b)| a * b).sum();
        if hidden <= 0.5 * MOST_HIDDEN * visible {
            cast_shadow(picture, &soften(&mask, 1), [0.5, 0.5], 0.2);
            paint_plain(picture, &mask, colour, 1.0);
            return;
        }
        for axis in &mut front.axes {
            *axis = [0.75 * axis[0], 0.75 * axis[1]];
        }
    }
}

fn plain_colour(background: Colour, random: &mut Random) -> Colour {
    let colour = hsv(random.unit(), random.range(0.1, 0.8), random.range(0.2, 0.95));
    let towards = random.range(0.0, 0.6);
    [0, 1, 2].map(|i| colour[i] + (background[i] - colour[i]) * towards)
}

fn paint_plain(picture: &mut Picture, mask: &Plane, colour: Colour, opacity: f32) {
    for (plane, value) in picture.iter_mut().zip(colour) {
        for (pixel, cover) in plane.iter_mut().zip(mask) {
            *pixel += (value - *pixel) * (cover * opacity);
        }
    }
}

/// Lights the whole picture from one side, gives it an exposure, and rounds it to bytes.
fn finish(picture: &Picture, random: &mut Random, pixels: &mut [u8]) {
    let [dx, dy] = random.direction();
    let slope = random.range(0.0, 0.3) / SIZE as f32;
    let exposure = random.range(0.82, 1.12);
    let middle = 0.5 * (SIZE - 1) as f32;
    for (i, rgb) in pixels.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((i % SIZE) as f32 - middle, (i / SIZE) as f32 - middle);
        let lit = exposure * (1.0 + slope * (x * dx + y * dy)) * 255.0;
        for (byte, plane) in rgb.iter_mut().zip(picture) {
            // A cast saturates: what is too bright becomes 255.
            *byte = (plane[i] * lit + 0.5) as u8;
        }
    }
}
