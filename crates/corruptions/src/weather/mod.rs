//! Snow, frost, fog and spatter: weather and dirt between the object and the sensor.

mod fog;
mod frost;
mod ice;
mod snow;
mod spatter;
mod splash;
mod textures;

pub(crate) use fog::Fog;
pub(crate) use frost::Frost;
pub(crate) use snow::Snow;
pub(crate) use spatter::Spatter;
pub use textures::{FrostSource, FrostTextures};
