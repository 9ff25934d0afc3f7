//! Writes pictures as a classifier sees them before their bytes become floats, for a look at them: u8 (N, SIZE, SIZE, 3).
//!
//! `cargo run --release -p riptide-drift --example framed -- PICTURES PRESET SIZE OUT.npy`

use std::error::Error;

use riptide::datasets::npy::write_images;
use riptide::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pictures, preset, size, out] = arguments.as_slice() else {
        return Err("give PICTURES PRESET SIZE OUT.npy".into());
    };
    let size = (size.parse()?, size.parse()?);
    let pipeline = preset.parse::<Preset>()?.pipeline(size)?;
    let images = Images::open_with(pictures, OpenOptions::default().framing(pipeline.framing))?;
    write_images(out, &images.read_all(size)?)?;
    Ok(())
}
