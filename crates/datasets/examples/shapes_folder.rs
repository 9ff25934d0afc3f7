//! Writes pictures of the embedded data set as PNG files, one folder a class.
//!
//! Run: `cargo run --release -p riptide-datasets --example shapes_folder -- FOLDER [COUNT] [train|test]`

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use image::RgbImage;
use riptide_datasets::shapes::{CLASS_NAMES, SIZE, Shapes, TEST_FIRST_INDEX, TRAIN_FIRST_INDEX};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("give a folder to write into")?);
    let count: usize = arguments.next().map_or(Ok(1000), |count| count.parse())?;
    let first = match arguments.next().as_deref() {
        Some("test") => TEST_FIRST_INDEX,
        None | Some("train") => TRAIN_FIRST_INDEX,
        Some(other) => return Err(format!("{other}: give train or test").into()),
    };
    for name in CLASS_NAMES {
        fs::create_dir_all(folder.join(name))?;
    }
    let images = Shapes::new(0).generate(first, count);
    let side = SIZE as u32;
    for ((image, &label), index) in images.images().zip(images.labels().unwrap_or_default()).zip(0..) {
        let picture = RgbImage::from_raw(side, side, image.to_vec()).ok_or("a picture of another size")?;
        let class = CLASS_NAMES.get(label as usize).ok_or("a label that is no class")?;
        picture.save(folder.join(class).join(format!("{index:05}.png")))?;
    }
    println!(
        "{count} pictures of {} classes in {}",
        CLASS_NAMES.len(),
        folder.display()
    );
    Ok(())
}
