//! Images on their way into a plan: preprocessed, interleaved, with zeros around them.

use riptide_kernels::ImageShape;

use crate::error::ModelError;
use crate::preprocess::Preprocessing;
use crate::shrink::Shrink;

/// What a plan takes and gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    /// The images that the first layer takes.
    pub(super) image: ImageShape,
    /// What raw images go through before.
    pub(super) shrink: Shrink,
    pub(super) n_classes: usize,
    pub(super) preprocessing: Preprocessing,
    /// Images that go through the layers together.
    pub(super) group: usize,
}

/// Images of either kind, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Images<'a> {
    /// u8 (n, height, width, 3), to be made smaller and preprocessed.
    Raw(&'a [u8]),
    /// f32 (n, 3, inner height, inner width), preprocessed.
    Scaled(&'a [f32]),
}

impl Images<'_> {
    /// How many images there are.
    pub(super) fn count(&self, geometry: &Geometry) -> Result<usize, ModelError> {
        let (len, size, layout) = match self {
            Self::Raw(bytes) => (bytes.len(), geometry.shrink.input_len(), "bytes"),
            Self::Scaled(floats) => (floats.len(), geometry.shrink.output_len(), "floats"),
        };
        if len % size == 0 {
            return Ok(len / size);
        }
        Err(ModelError::Images {
            found: format!("slice of {len} {layout}"),
            expected: format!("a multiple of the {size} {layout} of an image"),
        })
    }

    /// Writes `count` images from `first` on into interleaved ones; their halo stays as it is.
    pub(super) fn fill(&self, geometry: &Geometry, first: usize, count: usize, floats: &mut [f32]) {
        let shrink = geometry.shrink;
        let mut small = vec![0; if shrink.factor == 1 { 0 } else { shrink.output_len() }];
        let range = |n: usize, size: usize| (first + n) * size..(first + n + 1) * size;
        for (n, image) in floats.chunks_exact_mut(geometry.image.len()).take(count).enumerate() {
            match self {
                Self::Raw(bytes) if shrink.factor == 1 => {
                    fill_raw(geometry, &bytes[range(n, shrink.input_len())], image);
                }
                Self::Raw(bytes) => {
                    shrink.apply(&bytes[range(n, shrink.input_len())], &mut small);
                    fill_raw(geometry, &small, image);
                }
                Self::Scaled(floats) => {
                    fill_scaled(geometry.image, &floats[range(n, shrink.output_len())], image);
                }
            }
        }
    }
}

fn fill_raw(geometry: &Geometry, bytes: &[u8], image: &mut [f32]) {
    // A byte becomes one of 256 floats of its channel, so the scaling is done once for each value, not for each pixel.
    let bytes = geometry.preprocessing.arrange(bytes);
    let [red, green, blue] = geometry.preprocessing.table(&bytes);
    let line = 3 * geometry.image.width;
    for (y, row) in bytes.chunks_exact(line).enumerate() {
        let start = geometry.image.index(y, 0);
        for (pixel, out) in row
            .as_chunks::<3>()
            .0
            .iter()
            .zip(image[start..start + line].as_chunks_mut::<3>().0)
        {
            *out = [
                red[usize::from(pixel[0])],
                green[usize::from(pixel[1])],
                blue[usize::from(pixel[2])],
            ];
        }
    }
}

fn fill_scaled(shape: ImageShape, floats: &[f32], image: &mut [f32]) {
    for (c, plane) in floats.chunks_exact(shape.height * shape.width).enumerate() {
        for (y, row) in plane.chunks_exact(shape.width).enumerate() {
            let start = shape.index(y, 0);
            let pixels = image[start..start + 3 * shape.width].chunks_exact_mut(3);
            for (pixel, value) in pixels.zip(row) {
                pixel[c] = *value;
            }
        }
    }
}
