//! Picture files of every format: never a panic, never more memory than the options allow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use riptide_datasets::picture::{self, Framing, Orient, PictureOptions};

fuzz_target!(|bytes: &[u8]| {
    let options = PictureOptions::default()
        .max_pixels(1 << 20)
        .framing(Framing::crop(20, 16, 16))
        .orient(Orient::Upright);
    if let Ok(picture) = picture::decode(bytes, &options) {
        assert_eq!((picture.height(), picture.width()), (16, 16));
        // What is whole is not whole any more without its end.
        assert_eq!(picture.pixels().len(), 16 * 16 * 3);
    }
});
