//! What processing does to a picture: brightness, contrast, saturation, elastic deformation, pixelation, JPEG.

mod colour;
mod dct;
mod elastic;
mod jpeg;
mod pixelate;

pub(crate) use colour::{Brightness, Contrast, Saturate, in_hsv};
pub(crate) use elastic::ElasticTransform;
pub(crate) use jpeg::JpegCompression;
pub(crate) use pixelate::Pixelate;
