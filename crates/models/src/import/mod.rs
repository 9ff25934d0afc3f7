//! Reading networks that other programs wrote.

pub mod keras;
mod keras_file;
