//! The five blurs: loss of detail by optics or movement.

mod defocus;
mod gaussian;
mod glass;
mod motion;
mod zoom;

pub(crate) use defocus::DefocusBlur;
pub(crate) use gaussian::GaussianBlur;
pub(crate) use glass::GlassBlur;
pub(crate) use motion::{MotionBlur, Streak};
pub(crate) use zoom::{Zoom, ZoomBlur};
