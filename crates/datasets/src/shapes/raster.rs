//! Exact-area anti-aliasing of polygons on the picture's grid.

use super::SIZE;

/// A point in pixels (or, before it is placed, in units of the object's radius): `[x, y]`, x to the right, y down.
pub(super) type Point = [f32; 2];

/// A value for each pixel, row by row.
pub(super) type Plane = [f32; SIZE * SIZE];

const STRIDE: usize = SIZE + 2;

/// The part of each pixel that the closed contours cover, 0 to 1.
///
/// Every edge adds the signed area that lies to its right within its rows; the running sum along a row is the
/// coverage. The sum's magnitude is used, so a contour that runs against another one inside it cuts a hole.
pub(super) fn coverage(contours: &[Vec<Point>]) -> Plane {
    let mut sums = [0.0_f32; STRIDE * SIZE];
    for contour in contours {
        let mut from = match contour.last() {
            Some(&last) => last,
            None => continue,
        };
        for &to in contour {
            add_edge(&mut sums, from, to);
            from = to;
        }
    }
    let mut plane = [0.0; SIZE * SIZE];
    for (row, out) in sums.chunks_exact(STRIDE).zip(plane.chunks_exact_mut(SIZE)) {
        let mut total = 0.0;
        for (pixel, step) in out.iter_mut().zip(row) {
            total += step;
            *pixel = total.abs().min(1.0);
        }
    }
    plane
}

fn add_edge(sums: &mut [f32; STRIDE * SIZE], from: Point, to: Point) {
    if from[1] == to[1] {
        return;
    }
    let (sign, top, bottom) = if from[1] < to[1] {
        (1.0, from, to)
    } else {
        (-1.0, to, from)
    };
    let slope = (bottom[0] - top[0]) / (bottom[1] - top[1]);
    let first_row = top[1].max(0.0) as usize;
    let end = bottom[1].min(SIZE as f32);
    for row in first_row..SIZE {
        let y0 = top[1].max(row as f32);
        let y1 = end.min((row + 1) as f32);
        if y1 <= y0 {
            break;
        }
        let x0 = top[0] + (y0 - top[1]) * slope;
        let x1 = top[0] + (y1 - top[1]) * slope;
        let height = sign * (y1 - y0);
        add_span(
            &mut sums[row * STRIDE..(row + 1) * STRIDE],
            x0.min(x1),
            x0.max(x1),
            height,
        );
    }
}

/// Adds an edge that falls by `height` within one row while it runs from `left` to `right`.
fn add_span(row: &mut [f32], left: f32, right: f32, height: f32) {
    let limit = SIZE as f32;
    if right <= 0.0 {
        row[0] += height;
        return;
    }
    if left >= limit {
        return;
    }
    if left < 0.0 || right > limit {
        // Only the piece inside the frame needs shape; what lies left of it covers the whole row.
        let width = right - left;
        let (inner_left, inner_right) = (left.max(0.0), right.min(limit));
        row[0] += height * ((inner_left - left) / width);
        add_span(
            row,
            inner_left,
            inner_right,
            height * ((inner_right - inner_left) / width),
        );
        return;
    }
    let first = (left as usize).min(SIZE - 1);
    let last = (right as usize).min(SIZE - 1);
    if first == last {
        // The mean distance to the pixel's right edge is the part of the pixel that is covered.
        let covered = height * ((first + 1) as f32 - 0.5 * (left + right));
        row[first] += covered;
        row[first + 1] += height - covered;
        return;
    }
    let per_pixel = height / (right - left);
    for column in first..=last {
        let a = left.max(column as f32);
        let b = right.min((column + 1) as f32);
        let part = per_pixel * (b - a);
        let covered = part * ((column + 1) as f32 - 0.5 * (a + b));
        row[column] += covered;
        row[column + 1] += part - covered;
    }
}

/// The mean over a square window of `2 radius + 1` pixels, applied twice (a smooth bump); outside the frame is 0.
pub(super) fn soften(plane: &Plane, radius: usize) -> Plane {
    let mut out = *plane;
    for _ in 0..2 {
        out = transpose(&box_rows(&out, radius));
        out = transpose(&box_rows(&out, radius));
    }
    out
}

fn box_rows(plane: &Plane, radius: usize) -> Plane {
    let scale = 1.0 / (2 * radius + 1) as f32;
    let mut out = [0.0; SIZE * SIZE];
    for (row, result) in plane.chunks_exact(SIZE).zip(out.chunks_exact_mut(SIZE)) {
        let mut sum: f32 = row[..radius].iter().sum();
        for x in 0..SIZE {
            if let Some(entering) = row.get(x + radius) {
                sum += entering;
            }
            result[x] = sum * scale;
            if x >= radius {
                sum -= row[x - radius];
            }
        }
    }
    out
}

fn transpose(plane: &Plane) -> Plane {
    let mut out = [0.0; SIZE * SIZE];
    for (y, row) in plane.chunks_exact(SIZE).enumerate() {
        for (x, value) in row.iter().enumerate() {
            out[x * SIZE + y] = *value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(contours: &[Vec<Point>]) -> f32 {
        coverage(contours).iter().sum()
    }

    #[test]
    fn a_polygon_covers_its_area_either_way_round() {
        let mut triangle = vec![[3.3, 4.1], [20.7, 9.2], [8.4, 27.9]];
        let exact = 0.5
            * ((triangle[1][0] - triangle[0][0]) * (triangle[2][1] - triangle[0][1])
                - (triangle[2][0] - triangle[0][0]) * (triangle[1][1] - triangle[0][1])) as f32;
        assert!((area(std::slice::from_ref(&triangle)) - exact).abs() < 1e-3);
        triangle.reverse();
        assert!((area(&[triangle]) - exact).abs() < 1e-3);
    }

    #[test]
    fn one_known_pixel_is_covered_by_a_quarter() {
        let square = vec![[4.0, 6.0], [4.5, 6.0], [4.5, 6.5], [4.0, 6.5]];
        let plane = coverage(&[square]);
        assert!((plane[6 * SIZE + 4] - 0.25).abs() < 1e-6);
        assert!((plane.iter().sum::<f32>() - 0.25).abs() < 1e-6);
    }

    #[test]
    fn what_lies_outside_the_frame_is_cut_off() {
        let huge = vec![[-50.0, -50.0], [90.0, -50.0], [90.0, 90.0], [-50.0, 90.0]];
        assert!(coverage(&[huge]).iter().all(|&c| c == 1.0));
        let half = vec![[-10.0, 0.0], [16.0, 0.0], [16.0, 40.0], [-10.0, 40.0]];
        assert!((area(&[half]) - 512.0).abs() < 1e-2);
        let diamond = vec![[0.0, -16.0], [48.0, 16.0], [0.0, 48.0], [-48.0, 16.0]];
        let plane = coverage(&[diamond]);
        assert!(plane.iter().all(|c| (0.0..=1.0).contains(c)));
        assert!((plane.iter().sum::<f32>() - 1024.0).abs() < 60.0);
        let outside = vec![[40.0, 3.0], [60.0, 3.0], [50.0, 20.0]];
        assert!(area(&[outside]).abs() < 1e-4);
    }

    #[test]
    fn an_opposite_contour_cuts_a_hole() {
        let outer = vec![[4.0, 4.0], [28.0, 4.0], [28.0, 28.0], [4.0, 28.0]];
        let inner = vec![[8.0, 8.0], [8.0, 12.0], [12.0, 12.0], [12.0, 8.0]];
        assert!((area(&[outer, inner]) - (24.0 * 24.0 - 16.0)).abs() < 1e-3);
    }

    #[test]
    fn softening_keeps_the_sum_away_from_the_border() {
        let square = vec![[12.0, 12.0], [18.0, 12.0], [18.0, 18.0], [12.0, 18.0]];
        let plane = coverage(&[square]);
        let soft = soften(&plane, 2);
        assert!((soft.iter().sum::<f32>() - 36.0).abs() < 1e-2);
        assert!(soft.iter().copied().fold(0.0, f32::max) < 1.0);
    }
}
