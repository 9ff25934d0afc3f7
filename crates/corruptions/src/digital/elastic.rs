//! Elastic transform.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::Severity;
use crate::effect::{CHANNELS, Effect, Scratch, Size, UNIT, take, truncate};
use crate::filter::{Border, Gaussian, corners, weights};

/// Three points moved at random, the image stretched to fit, then every pixel displaced a little by smoothed noise
/// (Simard, Steinkraus and Platt, 2003).
///
/// (amplitude of the displacements, their smoothing sigma, movement of the points) = (0, 0, 2.56) (1.6, 6.4, 2.24)
/// (2.56, 1.92, 1.92) (3.2, 1.28, 1.6) (3.2, .96, .96) pixels. The points lie a third of the shorter side from the middle.
/// Source positions of the stretching are rounded to 1/32 pixel, as in OpenCV 4.
pub(crate) struct ElasticTransform {
    amplitude: f64,
    smoothing: Gaussian,
    movement: f64,
    size: Size,
}

impl ElasticTransform {
    pub(crate) fn new(severity: Severity, size: Size) -> Self {
        let (amplitude, sigma, movement) = severity.of([
            (0.0, 0.0, 2.56),
            (1.6, 6.4, 2.24),
            (2.56, 1.92, 1.92),
            (3.2, 1.28, 1.6),
            (3.2, 0.96, 0.96),
        ]);
        Self {
            amplitude,
            smoothing: Gaussian::new(sigma, Border::HalfSample, 3.0),
            movement,
            size,
        }
    }

    /// The map from output to source positions, `[xx, xy, x0]` and `[yx, yy, y0]`.
    fn random_map(&self, rng: &mut ChaCha8Rng) -> [[f64; 3]; 2] {
        let Size { height, width } = self.size;
        let (x, y) = ((width / 2) as f64, (height / 2) as f64);
        let reach = (height.min(width) / 3).max(1) as f64;
        let from = [[x + reach, y + reach], [x + reach, y - reach], [x - reach, y - reach]];
        let to = from.map(|point| {
            point.map(|coordinate| {
                let moved = coordinate + self.movement * (2.0 * rng.random::<f64>() - 1.0);
                f64::from(moved as f32)
            })
        });
        // The map that takes the moved points back to where they were.
        let [a, b, c] = to;
        let (u, v) = ([a[0] - c[0], a[1] - c[1]], [b[0] - c[0], b[1] - c[1]]);
        let area = u[0] * v[1] - u[1] * v[0];
        let scale = if area == 0.0 { 0.0 } else { 1.0 / area };
        std::array::from_fn(|axis| {
            let (at_u, at_v) = (from[0][axis] - from[2][axis], from[1][axis] - from[2][axis]);
            let by_x = (at_u * v[1] - at_v * u[1]) * scale;
            let by_y = (at_v * u[0] - at_u * v[0]) * scale;
            [by_x, by_y, from[2][axis] - by_x * c[0] - by_y * c[1]]
        })
    }

    /// The image stretched by a map from output to source positions, by linear interpolation, mirrored at the border.
    fn stretch(&self, image: &[u8], map: [[f64; 3]; 2], out: &mut [f32]) {
        /// Positions are summed in 1/1024 pixel and then rounded to 1/32.
        const SUM: f64 = 1024.0;
        let Size { height, width } = self.size;
        for (y, row) in out.chunks_exact_mut(width * CHANNELS).enumerate() {
            let starts = map.map(|[_, by_y, start]| ((by_y * y as f64 + start) * SUM).round_ties_even() as i64 + 16);
            for (x, out) in row.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
                let at = |axis: usize| (starts[axis] + (map[axis][0] * x as f64 * SUM).round_ties_even() as i64) >> 5;
                let (at_x, at_y) = (at(0), at(1));
                let (fraction_x, fraction_y) = ((at_x & 31) as f32 / 32.0, (at_y & 31) as f32 / 32.0);
                let corners = corners(at_y >> 5, at_x >> 5, self.size, Border::Reflect101);
                let weights = weights(fraction_y, fraction_x);
                for channel in 0..CHANNELS {
                    let value = |corner: usize| UNIT[usize::from(image[corners[corner] + channel])] as f32;
                    out[channel] = (0..4).map(|corner| value(corner) * weights[corner]).sum();
                }
            }
        }
        debug_assert_eq!(out.len(), height * width * CHANNELS);
    }
}

impl Effect for ElasticTransform {
    fn apply(&self, image: &[u8], out: &mut [u8], rng: &mut ChaCha8Rng, scratch: &mut Scratch) {
        let Size { height, width } = self.size;
        let map = self.random_map(rng);
        let stretched = take(&mut scratch.sum, self.size.bytes());
        self.stretch(image, map, stretched);
        if self.amplitude == 0.0 {
            for (out, &value) in out.iter_mut().zip(stretched.iter()) {
                *out = truncate(f64::from(value.clamp(0.0, 1.0) * 255.0));
            }
            return;
        }
        let across = take(&mut scratch.field, self.size.pixels());
        let down = take(&mut scratch.field2, self.size.pixels());
        for field in [&mut *across, &mut *down] {
            for value in field.iter_mut() {
                *value = 2.0 * rng.random::<f64>() - 1.0;
            }
            self.smoothing
                .apply(field, [height, width, 1], &mut scratch.padded, &mut scratch.rows);
        }
        let displacements = across.iter().zip(down.iter());
        for (pixel, (out, (&dx, &dy))) in out
            .as_chunks_mut::<CHANNELS>()
            .0
            .iter_mut()
            .zip(displacements)
            .enumerate()
        {
            let (y, x) = (
                (pixel / width) as f64 + dy * self.amplitude,
                (pixel % width) as f64 + dx * self.amplitude,
            );
            let (top, left) = (y.floor(), x.floor());
            let corners = corners(top as i64, left as i64, self.size, Border::HalfSample);
            let weights = weights((y - top) as f32, (x - left) as f32);
            for channel in 0..CHANNELS {
                let value: f32 = (0..4)
                    .map(|corner| stretched[corners[corner] + channel] * weights[corner])
                    .sum();
                out[channel] = truncate(f64::from(value.clamp(0.0, 1.0) * 255.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn without_movement_the_map_is_the_identity() {
        let size = Size { height: 20, width: 32 };
        let still = ElasticTransform {
            movement: 0.0,
            ..ElasticTransform::new(Severity::ALL[0], size)
        };
        let map = still.random_map(&mut ChaCha8Rng::seed_from_u64(0));
        for (got, want) in map.as_flattened().iter().zip([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]) {
            assert!((got - want).abs() < 1e-12, "{map:?}");
        }
        let image: Vec<u8> = (0..size.bytes()).map(|i| (i * 7 % 256) as u8).collect();
        let mut out = vec![0.0; size.bytes()];
        still.stretch(&image, map, &mut out);
        assert!(
            out.iter()
                .zip(&image)
                .all(|(got, &want)| (got * 255.0 - f32::from(want)).abs() < 1e-4)
        );
    }
}
