//! Smaller images: the mean over areas.

/// How the images of a network become smaller before anything else looks at them.
///
/// Height and width are divided by the factor and rounded up. Each value of the smaller image is the mean over the area of the image that
/// it covers, pixels at the area's edges counted by their share, and rounded to the nearest byte. The sums are exact integers, so the same
/// image gives the same bytes everywhere, and a mirrored image the mirrored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shrink {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// At least 1; 1 leaves images as they are.
    pub(crate) factor: usize,
}

/// The part of a line that one value of the smaller image covers.
struct Span {
    /// The first pixel, and its share of the whole, in units of 1 / (length of the smaller line).
    first: (usize, u32),
    /// The pixels that are covered whole.
    whole: std::ops::Range<usize>,
    /// The pixel at the end, likewise; with a share of 0 there is none.
    last: (usize, u32),
}

impl Shrink {
    /// Leaves images as they are.
    pub(crate) fn none(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            factor: 1,
        }
    }

    /// Height and width of the smaller image.
    pub(crate) fn output_size(&self) -> (usize, usize) {
        (self.height.div_ceil(self.factor), self.width.div_ceil(self.factor))
    }

    /// Bytes of an image.
    pub(crate) fn input_len(&self) -> usize {
        3 * self.height * self.width
    }

    /// Bytes of a smaller image.
    pub(crate) fn output_len(&self) -> usize {
        let (height, width) = self.output_size();
        3 * height * width
    }

    /// One image, (height, width, 3), to the smaller one.
    pub(crate) fn apply(&self, image: &[u8], out: &mut [u8]) {
        if self.factor == 1 {
            out.copy_from_slice(image);
            return;
        }
        let (rows, columns) = self.output_size();
        let line = 3 * self.width;
        let columns: Vec<Span> = spans(self.width, columns).collect();
        let unit = rows as u32;
        let total = 1.0 / (self.height * self.width) as f64;
        let mut sums = vec![0u32; line];
        let row = |y: usize| &image[y * line..(y + 1) * line];
        for (span, out) in spans(self.height, rows).zip(out.chunks_exact_mut(3 * columns.len())) {
            sums.fill(0);
            // Rows that are covered whole are most of them: they are only added, and weighed together.
            for y in span.whole {
                sums.iter_mut().zip(row(y)).for_each(|(sum, v)| *sum += u32::from(*v));
            }
            sums.iter_mut().for_each(|sum| *sum *= unit);
            for (y, share) in [span.first, span.last] {
                if share > 0 {
                    sums.iter_mut()
                        .zip(row(y))
                        .for_each(|(sum, v)| *sum += share * u32::from(*v));
                }
            }
            let pixels = sums.as_chunks::<3>().0;
            for (span, out) in columns.iter().zip(out.as_chunks_mut::<3>().0) {
                let mut sum = [0u64; 3];
                for pixel in &pixels[span.whole.clone()] {
                    for (sum, v) in sum.iter_mut().zip(pixel) {
                        *sum += u64::from(*v);
                    }
                }
                sum = sum.map(|sum| sum * columns.len() as u64);
                for (x, share) in [span.first, span.last] {
                    if share > 0 {
                        for (sum, v) in sum.iter_mut().zip(&pixels[x]) {
                            *sum += u64::from(share) * u64::from(*v);
                        }
                    }
                }
                *out = sum.map(|sum| (sum as f64 * total + 0.5) as u8);
            }
        }
    }
}

/// What each value of a line of `to` values covers of one of `from`. In units of 1 / `to`, a pixel is `to` long and a value covers `from`.
fn spans(from: usize, to: usize) -> impl Iterator<Item = Span> {
    (0..to).map(move |i| {
        let (start, end) = (i * from, (i + 1) * from);
        let whole = start.div_ceil(to)..end / to;
        Span {
            first: (start / to, (whole.start * to - start) as u32),
            last: (end / to, (end - whole.end * to) as u32),
            whole,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(height: usize, width: usize, seed: u32) -> Vec<u8> {
        let next = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8;
        (0..(3 * height * width) as u32).map(next).collect()
    }

    fn mirrored(image: &[u8], width: usize) -> Vec<u8> {
        let rows = image.chunks_exact(3 * width);
        rows.flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten().copied())
            .collect()
    }

    proptest! {
        /// The mean over the area, by its definition.
        #[test]
        fn a_value_is_the_mean_over_its_area(height in 1usize..30, width in 1usize..30, factor in 1usize..9, seed: u32) {
            let shrink = Shrink { height, width, factor };
            let image = image(height, width, seed);
            let mut out = vec![0; shrink.output_len()];
            shrink.apply(&image, &mut out);
            let (rows, columns) = shrink.output_size();
            let share = |i: usize, p: usize, from: usize, to: usize| {
                let (low, high) = (i as f64 * from as f64 / to as f64, (i + 1) as f64 * from as f64 / to as f64);
                (high.min(p as f64 + 1.0) - low.max(p as f64)).max(0.0)
            };
            for y in 0..rows {
                for x in 0..columns {
                    for c in 0..3 {
                        let (mut sum, mut area) = (0.0, 0.0);
                        for py in 0..height {
                            for px in 0..width {
                                let w = share(y, py, height, rows) * share(x, px, width, columns);
                                sum += w * f64::from(image[(py * width + px) * 3 + c]);
                                area += w;
                            }
                        }
                        let found = f64::from(out[(y * columns + x) * 3 + c]);
                        prop_assert!((found - sum / area).abs() <= 0.5 + 1e-9, "{found} {}", sum / area);
                    }
                }
            }
        }

        #[test]
        fn a_mirrored_image_gives_the_mirrored_one(height in 1usize..40, width in 1usize..40, factor in 2usize..7, seed: u32) {
            let shrink = Shrink { height, width, factor };
            let image = image(height, width, seed);
            let (mut out, mut other) = (vec![0; shrink.output_len()], vec![0; shrink.output_len()]);
            shrink.apply(&image, &mut out);
            shrink.apply(&mirrored(&image, width), &mut other);
            prop_assert_eq!(mirrored(&out, shrink.output_size().1), other);
        }
    }

    #[test]
    fn an_image_of_one_value_keeps_it() {
        for value in [0, 1, 128, 255] {
            let shrink = Shrink {
                height: 299,
                width: 224,
                factor: 5,
            };
            let mut out = vec![7; shrink.output_len()];
            shrink.apply(&vec![value; shrink.input_len()], &mut out);
            assert_eq!(out, vec![value; 3 * 60 * 45]);
        }
    }
}
