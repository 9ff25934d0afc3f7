//! What can go wrong in a drawing.

/// A drawing could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// The bytes of a picture do not fit its size.
    #[error("{bytes} bytes are no picture of {height} x {width} pixels; three bytes a pixel are needed, {} in all", height * width * 3)]
    Picture {
        /// How many bytes there are.
        bytes: usize,
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
    },
    /// A picture could not be encoded.
    #[error("a picture cannot be encoded: {0}")]
    Encode(#[from] image::ImageError),
    /// A drawing could not be turned into pixels.
    #[error("the drawing cannot be made into a PNG: {0}")]
    Raster(String),
}
