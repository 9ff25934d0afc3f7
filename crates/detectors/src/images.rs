//! A checked view of raw images.

use std::borrow::Cow;

use crate::error::DetectorError;

/// Raw images: u8, (N, H, W, 3), row-major, borrowed or owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images<'a> {
    pixels: Cow<'a, [u8]>,
    shape: [usize; 3],
}

impl<'a> Images<'a> {
    /// Takes `pixels` as images of `shape` = `[n, height, width]` with three channels.
    ///
    /// # Errors
    /// [`DetectorError::Shape`] unless there are exactly n * height * width * 3 values.
    ///
    /// ```
    /// use riptide_detectors::Images;
    /// let pixels = vec![0_u8; 2 * 4 * 4 * 3];
    /// assert_eq!(Images::new(&pixels[..], [2, 4, 4])?.len(), 2);
    /// assert!(Images::new(&pixels[..], [3, 4, 4]).is_err());
    /// # Ok::<(), riptide_detectors::DetectorError>(())
    /// ```
    pub fn new(pixels: impl Into<Cow<'a, [u8]>>, shape: [usize; 3]) -> Result<Self, DetectorError> {
        let pixels = pixels.into();
        let [n, height, width] = shape;
        let expected = n
            .checked_mul(height)
            .and_then(|v| v.checked_mul(width))
            .and_then(|v| v.checked_mul(3));
        if expected != Some(pixels.len()) {
            return Err(DetectorError::shape(
                "pixels",
                format!("{n} x {height} x {width} x 3 values"),
                format!("{} values", pixels.len()),
            ));
        }
        Ok(Self { pixels, shape })
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[n, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// All pixels, row-major (N, H, W, 3).
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Values in one image: H * W * 3.
    #[must_use]
    pub fn image_len(&self) -> usize {
        self.shape[1] * self.shape[2] * 3
    }

    /// Consecutive batches of at most `batch_size` images, in order.
    pub fn batches(&self, batch_size: usize) -> impl Iterator<Item = Images<'_>> {
        let [n, height, width] = self.shape;
        let (batch_size, image_len) = (batch_size.max(1), self.image_len());
        (0..n).step_by(batch_size).map(move |start| {
            let end = start.saturating_add(batch_size).min(n);
            Images {
                pixels: Cow::Borrowed(&self.pixels[start * image_len..end * image_len]),
                shape: [end - start, height, width],
            }
        })
    }
}

impl Images<'_> {
    /// Copies the images at `indices`, which the caller keeps in range.
    pub(crate) fn select(&self, indices: &[usize]) -> Images<'static> {
        let image_len = self.image_len();
        let mut pixels = Vec::with_capacity(indices.len() * image_len);
        for &i in indices {
            pixels.extend_from_slice(&self.pixels[i * image_len..(i + 1) * image_len]);
        }
        Images {
            pixels: Cow::Owned(pixels),
            shape: [indices.len(), self.shape[1], self.shape[2]],
        }
    }
}
