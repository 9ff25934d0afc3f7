//! The outlines of the ten classes, in units of the object's radius, each varied at random.
//!
//! Arcs are made by halving the angle between two directions (a sum and a square root), and regular polygons from
//! constants, so that no outline depends on a platform's sine and cosine.

use super::random::Random;
use super::raster::Point;

/// The closed contours of one outline: the outer one, then any hole (running the other way round).
pub(super) type Contours = Vec<Vec<Point>>;

const PENTAGON: [Point; 5] = [
    [0.0, -1.0],
    [0.951_056_5, -0.309_017],
    [0.587_785_25, 0.809_017],
    [-0.587_785_25, 0.809_017],
    [-0.951_056_5, -0.309_017],
];
const HEXAGON: [Point; 6] = [
    [1.0, 0.0],
    [0.5, 0.866_025_4],
    [-0.5, 0.866_025_4],
    [-1.0, 0.0],
    [-0.5, -0.866_025_4],
    [0.5, -0.866_025_4],
];

/// An outline of the class with this label, an index into [`super::CLASS_NAMES`].
pub(super) fn of_class(label: u32, random: &mut Random) -> Contours {
    match label {
        0 => vec![circle([0.0, 0.0], 0.92)],
        1 => ring(random),
        2 => crescent(random),
        3 => triangle(random),
        4 => square(random),
        5 => hexagon(random),
        6 => star(random),
        7 => cross(random),
        8 => heart(random),
        _ => arrow(random),
    }
}

/// A thick ring, its hole somewhat off the centre: at its thinnest it is easily taken for a crescent.
fn ring(random: &mut Random) -> Contours {
    let hole = random.range(0.42, 0.66);
    let aside = random.range(0.0, 0.96 - hole - 0.17);
    let mut inner = circle([aside, 0.0], hole);
    inner.reverse();
    vec![circle([0.0, 0.0], 0.96), inner]
}

/// A disk with a second disk taken away, which reaches over the border and leaves an opening.
fn crescent(random: &mut Random) -> Contours {
    let radius = random.range(0.62, 0.86);
    let aside = 1.0 - radius + random.range(0.14, 0.34);
    // The two circles meet where x satisfies both equations.
    let x = (aside * aside + 1.0 - radius * radius) / (2.0 * aside);
    let y = (1.0 - x * x).max(0.0).sqrt();
    let mut outline = Vec::new();
    arc(&mut outline, [0.0, 0.0], 1.0, [x, y], [-1.0, 0.0], 4);
    arc(&mut outline, [0.0, 0.0], 1.0, [-1.0, 0.0], [x, -y], 4);
    let tip = normalised([x - aside, y]);
    arc(&mut outline, [aside, 0.0], radius, [tip[0], -tip[1]], [-1.0, 0.0], 4);
    arc(&mut outline, [aside, 0.0], radius, [-1.0, 0.0], tip, 4);
    // The mass lies to the left: bring it to the middle.
    outline.iter_mut().for_each(|p| p[0] += 0.15);
    vec![outline]
}

fn triangle(random: &mut Random) -> Contours {
    let tip = random.spread(0.3);
    let points = [[tip, -0.98], [0.95, 0.72], [-0.95, 0.72]];
    vec![rounded(&jittered(&points, 0.05, random), random.range(0.0, 0.2))]
}

fn square(random: &mut Random) -> Contours {
    let wide = random.range(0.68, 0.9);
    let high = random.range(0.68, 0.9);
    let points = [[-wide, -high], [wide, -high], [wide, high], [-wide, high]];
    vec![rounded(&jittered(&points, 0.05, random), random.range(0.0, 0.22))]
}

fn hexagon(random: &mut Random) -> Contours {
    vec![rounded(&jittered(&HEXAGON, 0.05, random), random.range(0.0, 0.2))]
}

fn star(random: &mut Random) -> Contours {
    let inner = random.range(0.4, 0.56);
    let mut points = Vec::with_capacity(10);
    for (i, &[x, y]) in PENTAGON.iter().enumerate() {
        points.push([1.05 * x, 1.05 * y]);
        // The corner between two points of the star lies opposite the third one on.
        let [opposite_x, opposite_y] = PENTAGON[(i + 3) % 5];
        points.push([-inner * opposite_x, -inner * opposite_y]);
    }
    vec![rounded(&jittered(&points, 0.04, random), random.range(0.0, 0.2))]
}

fn cross(random: &mut Random) -> Contours {
    let arm = random.range(0.24, 0.42);
    let points = [
        [-arm, -1.0],
        [arm, -1.0],
        [arm, -arm],
        [1.0, -arm],
        [1.0, arm],
        [arm, arm],
        [arm, 1.0],
        [-arm, 1.0],
        [-arm, arm],
        [-1.0, arm],
        [-1.0, -arm],
        [-arm, -arm],
    ];
    vec![rounded(&jittered(&points, 0.04, random), random.range(0.0, 0.2))]
}

fn heart(random: &mut Random) -> Contours {
    let notch = random.range(-0.56, -0.36);
    let waist = random.range(0.3, 0.5);
    let half = [
        [[0.0, 0.95], [-0.45, waist], [-1.0, 0.15], [-1.0, -0.38]],
        [[-1.0, -0.38], [-1.0, -0.72], [-0.76, -0.9], [-0.5, -0.9]],
        [[-0.5, -0.9], [-0.25, -0.9], [-0.08, -0.74], [0.0, notch]],
    ];
    let mut outline = Vec::with_capacity(48);
    for curve in &half {
        bezier(&mut outline, curve);
    }
    let mirrored: Vec<Point> = outline.iter().rev().map(|&[x, y]| [-x, y]).collect();
    outline.push([0.0, notch]);
    outline.extend(mirrored);
    vec![outline]
}

fn arrow(random: &mut Random) -> Contours {
    let neck = random.range(-0.05, 0.3);
    let head = random.range(0.62, 0.86);
    let shaft = random.range(0.18, 0.34);
    let points = [
        [1.0, 0.0],
        [neck, head],
        [neck, shaft],
        [-1.0, shaft],
        [-1.0, -shaft],
        [neck, -shaft],
        [neck, -head],
    ];
    vec![rounded(&jittered(&points, 0.03, random), random.range(0.0, 0.15))]
}

/// A fragment of clutter: a bar, a splinter, a pebble, or a piece of a ring.
pub(super) fn fragment(random: &mut Random) -> Contours {
    match random.below(4) {
        0 => {
            let half = random.range(0.12, 0.3);
            vec![rounded(
                &[[-1.2, -half], [1.2, -half], [1.2, half], [-1.2, half]],
                random.range(0.0, 0.4),
            )]
        }
        1 => vec![jittered(&[[0.0, -0.9], [0.7, 0.7], [-0.5, 0.6]], 0.4, random)],
        2 => vec![rounded(&jittered(&PENTAGON, 0.3, random), 0.5)],
        _ => {
            let mut outline = Vec::new();
            let inner = random.range(0.55, 0.75);
            arc(&mut outline, [0.0, 0.0], 1.0, [-1.0, 0.0], [0.0, -1.0], 3);
            arc(&mut outline, [0.0, 0.0], 1.0, [0.0, -1.0], [0.8, -0.6], 2);
            arc(&mut outline, [0.0, 0.0], inner, [0.8, -0.6], [0.0, -1.0], 2);
            arc(&mut outline, [0.0, 0.0], inner, [0.0, -1.0], [-1.0, 0.0], 3);
            vec![outline]
        }
    }
}

fn circle(centre: Point, radius: f32) -> Vec<Point> {
    let quarters = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];
    let mut outline = Vec::with_capacity(32);
    for i in 0..4 {
        arc(&mut outline, centre, radius, quarters[i], quarters[(i + 1) % 4], 3);
        outline.pop(); // the next quarter begins there
    }
    outline
}

/// Appends the points of an arc of less than half a turn, from one direction to another, both ends included.
fn arc(outline: &mut Vec<Point>, centre: Point, radius: f32, from: Point, to: Point, halvings: u32) {
    let at = |direction: Point| [centre[0] + radius * direction[0], centre[1] + radius * direction[1]];
    outline.push(at(from));
    halve(outline, &at, from, to, halvings);
    outline.push(at(to));
}

fn halve(outline: &mut Vec<Point>, at: &dyn Fn(Point) -> Point, from: Point, to: Point, halvings: u32) {
    if halvings == 0 {
        return;
    }
    let middle = normalised([from[0] + to[0], from[1] + to[1]]);
    halve(outline, at, from, middle, halvings - 1);
    outline.push(at(middle));
    halve(outline, at, middle, to, halvings - 1);
}

fn normalised([x, y]: Point) -> Point {
    let length = (x * x + y * y).sqrt().max(1e-6);
    [x / length, y / length]
}

fn jittered(points: &[Point], amount: f32, random: &mut Random) -> Vec<Point> {
    points
        .iter()
        .map(|&[x, y]| [x + random.spread(amount), y + random.spread(amount)])
        .collect()
}

/// The polygon with each corner replaced by a parabola that leaves and joins its sides at `part` of their lengths
/// (0 keeps the corners, 0.5 leaves no straight piece).
fn rounded(points: &[Point], part: f32) -> Vec<Point> {
    const STEPS: usize = 4;
    if part < 0.03 {
        return points.to_vec();
    }
    let n = points.len();
    let mut outline = Vec::with_capacity(n * (STEPS + 1));
    for i in 0..n {
        let corner = points[i];
        let before = mix(corner, points[(i + n - 1) % n], part);
        let after = mix(corner, points[(i + 1) % n], part);
        for step in 0..=STEPS {
            let t = step as f32 / STEPS as f32;
            outline.push(mix(mix(before, corner, t), mix(corner, after, t), t));
        }
    }
    outline
}

/// Appends a cubic Bézier curve, its end left out.
fn bezier(outline: &mut Vec<Point>, [a, b, c, d]: &[Point; 4]) {
    const STEPS: usize = 8;
    for step in 0..STEPS {
        let t = step as f32 / STEPS as f32;
        let (ab, bc, cd) = (mix(*a, *b, t), mix(*b, *c, t), mix(*c, *d, t));
        outline.push(mix(mix(ab, bc, t), mix(bc, cd, t), t));
    }
}

fn mix(a: Point, b: Point, t: f32) -> Point {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    #[test]
    fn outlines_stay_near_the_unit_disk_and_have_an_area() {
        for label in 0..10 {
            for stream in 0..200 {
                let mut random = Random::new(3, Purpose::Picture, stream);
                let contours = of_class(label, &mut random);
                let mut area = 0.0;
                for contour in &contours {
                    for (i, [x, y]) in contour.iter().enumerate() {
                        assert!(x * x + y * y < 1.75, "class {label}: ({x}, {y})");
                        let [next_x, next_y] = contour[(i + 1) % contour.len()];
                        area += 0.5 * (x * next_y - next_x * y);
                    }
                }
                assert!((0.7..3.4).contains(&area.abs()), "class {label}: area {area}");
                assert_eq!(contours.len(), if label == 1 { 2 } else { 1 });
            }
        }
    }

    #[test]
    fn a_circle_is_round() {
        let outline = circle([0.0, 0.0], 2.0);
        assert_eq!(outline.len(), 32);
        assert!(outline.iter().all(|[x, y]| ((x * x + y * y).sqrt() - 2.0).abs() < 1e-5));
    }
}
