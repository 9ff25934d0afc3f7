//! Streams as a camera sends them: `.npy` messages, pictures behind their lengths, raw frames.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use riptide_datasets::frames::RawFrames;
use riptide_datasets::npy::{ArrayOptions, NpyStream};
use riptide_datasets::{ImageSource, PictureOptions, PictureStream};

/// Reads at most a hundred chunks, as whoever watches a stream would.
fn read(source: &mut dyn ImageSource) {
    for _ in 0..100 {
        match source.next_chunk(7) {
            Ok(Some(chunk)) => assert!(!chunk.is_empty() && chunk.len() <= 7),
            _ => return,
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let input = || Cursor::new(bytes.to_vec());
    if let Ok(mut stream) = NpyStream::with(input(), "input", ArrayOptions::default()) {
        read(&mut stream);
    }
    if let Ok(mut stream) = PictureStream::new(input(), "input", PictureOptions::default().max_pixels(1 << 16)) {
        read(&mut stream);
    }
    if let Ok(mut stream) = RawFrames::new(input(), "input", 3, 5) {
        read(&mut stream);
    }
});
