//! Says what images a path holds, reading them in chunks, however many there are.
//!
//! ```text
//! cargo run --release -p riptide-datasets --example inspect -- PATH
//! ```
//!
//! PATH is a `.npy` file, CIFAR-10 (a folder or the `.tar.gz`), a folder of images, a glob pattern, or `-` for a `.npy` array
//! on standard input. Without PATH, it looks at a few generated images.

use std::error::Error;

use riptide_datasets::ImageSource;
use riptide_datasets::shapes::Shapes;
use riptide_datasets::{OpenOptions, open};

fn main() -> Result<(), Box<dyn Error>> {
    let mut source: Box<dyn ImageSource> = match std::env::args_os().nth(1) {
        Some(path) => open(path, OpenOptions::default())?,
        None => Box::new(Shapes::new(0).generate(0, 1000).into_source()),
    };
    let (mut len, mut sum, mut size) = (0u64, 0u64, None);
    let mut per_class: Vec<(String, u64)> = Vec::new();
    while let Some(images) = source.next_chunk(1024)? {
        len += images.len() as u64;
        sum += images.pixels().iter().map(|&value| u64::from(value)).sum::<u64>();
        size = Some((images.height(), images.width()));
        if per_class.is_empty() {
            per_class = images.class_names().iter().map(|name| (name.clone(), 0)).collect();
        }
        for &label in images.labels().unwrap_or_default() {
            if let Some((_, count)) = per_class.get_mut(label as usize) {
                *count += 1;
            }
        }
    }
    let Some((height, width)) = size else {
        println!("no images");
        return Ok(());
    };
    let values = len * (height * width * 3) as u64;
    println!(
        "{len} images of {height} x {width} pixels, mean value {:.3}",
        sum as f64 / values as f64
    );
    for (name, count) in per_class {
        println!("{count:>8}  {name}");
    }
    Ok(())
}
