//! Writes a contact sheet of the embedded data set: a row a class, enlarged without smoothing.
//!
//! Run: `cargo run --release -p riptide-datasets --example shapes_sheet -- shapes.png [columns] [seed]`

use std::process::ExitCode;

use image::{ImageError, Rgb, RgbImage};
use riptide_datasets::shapes::{CLASS_NAMES, SIZE, Shapes, TEST_FIRST_INDEX};

const ZOOM: u32 = 2;
const GAP: u32 = 4;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "shapes.png".to_string());
    let columns = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(14);
    let seed = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    match sheet(seed, columns)
        .save(&path)
        .map_err(|error: ImageError| error.to_string())
    {
        Ok(()) => {
            println!("{path}: rows from the top: {}", CLASS_NAMES.join(", "));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot write {path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn sheet(seed: u64, columns: u32) -> RgbImage {
    let side = SIZE as u32 * ZOOM;
    let step = side + GAP;
    let rows = CLASS_NAMES.len() as u32;
    let mut sheet = RgbImage::from_pixel(columns * step + GAP, rows * step + GAP, Rgb([255; 3]));
    let images = Shapes::new(seed).generate(TEST_FIRST_INDEX, (columns * rows) as usize);
    let mut filled = vec![0; CLASS_NAMES.len()];
    for (image, &label) in images.images().zip(images.labels().unwrap_or_default()) {
        let (left, top) = (GAP + filled[label as usize] * step, GAP + label * step);
        filled[label as usize] += 1;
        for y in 0..side {
            for x in 0..side {
                let at = ((y / ZOOM) as usize * SIZE + (x / ZOOM) as usize) * 3;
                sheet.put_pixel(left + x, top + y, Rgb([image[at], image[at + 1], image[at + 2]]));
            }
        }
    }
    sheet
}
