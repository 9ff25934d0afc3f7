//! Draws three images under all thirty-five families at five severities: a row for each family, the clean image in front.
//!
//!     cargo run --release -p riptide-corruptions --example contact_sheet -- OUT.png [FIRST_IMAGE] [FROST_FOLDER] [CIFAR_FOLDER]
//!
//! Images are the built-in shapes or, if a folder is given, the test images of CIFAR-10.

use std::error::Error;

use riptide_corruptions::{Corruptor, Family, FrostTextures, Severity};
use riptide_datasets::cifar10::{self, Split};
use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX};

/// Each pixel becomes a square of this side.
const SCALE: u32 = 2;
/// Pixels between images.
const GAP: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "contact_sheet.png".to_owned());
    let first: usize = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let corruptor = match arguments.next().filter(|folder| !folder.is_empty()) {
        Some(folder) => Corruptor::new(0).with_frost(FrostTextures::load(folder)?),
        None => Corruptor::new(0),
    };
    let images = match arguments.next() {
        Some(folder) => cifar10::load(folder, Split::Test)?.slice(first..first + 3)?,
        None => Shapes::new(0).generate(TEST_FIRST_INDEX + first as u64, 3),
    };
    let (height, width) = (images.height() as u32, images.width() as u32);
    let cell = |n: u32| n * SCALE + GAP;
    let columns = 6 * images.len() as u32;
    let mut sheet = image::RgbImage::from_pixel(
        GAP + columns * cell(width),
        GAP + Family::all().count() as u32 * cell(height),
        image::Rgb([255, 255, 255]),
    );
    let mut draw = |pixels: &[u8], row: u32, column: u32| {
        for y in 0..height * SCALE {
            for x in 0..width * SCALE {
                let at = (((y / SCALE) * width + x / SCALE) * 3) as usize;
                let colour = image::Rgb([pixels[at], pixels[at + 1], pixels[at + 2]]);
                sheet.put_pixel(GAP + column * cell(width) + x, GAP + row * cell(height) + y, colour);
            }
        }
    };
    for (row, family) in (0..).zip(Family::all()) {
        for (image, group) in images.images().zip(0..) {
            draw(image, row, 6 * group);
        }
        for (severity, column) in Severity::ALL.into_iter().zip(1..) {
            let corrupted = corruptor.apply(&images, family, severity)?;
            for (image, group) in corrupted.images().zip(0..) {
                draw(image, row, 6 * group + column);
            }
        }
        println!("row {}: {family}", row + 1);
    }
    sheet.save(&path)?;
    println!("{path}, frost textures: {}", corruptor.frost().source());
    Ok(())
}
