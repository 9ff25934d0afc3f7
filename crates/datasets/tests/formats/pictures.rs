//! Decoding and framing, against Pillow and torchvision, and on damaged files.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, RgbImage};
use riptide_datasets::picture::{self, Framing, Orient, PictureError, PictureOptions};
use serde_json::Value;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pictures");
    std::fs::read(folder.join(name)).unwrap()
}

fn golden() -> Value {
    serde_json::from_slice(&fixture("golden.json")).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// The picture of fixtures/pictures/make.py.
fn drawn(height: u32, width: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |c: u32| {
            let wave = ((x * (3 + c) + y * (5 - c)) % 256) as u8;
            if (x / 9 + y / 7) % 4 == 0 { 255 - wave } else { wave }
        };
        image::Rgb([wave(0), wave(1), wave(2)])
    })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.into().write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn decode(bytes: &[u8]) -> Result<picture::Picture, PictureError> {
    picture::decode(bytes, &PictureOptions::default())
}

#[test]
fn framing_is_pillows_and_torchvisions() {
    let golden = golden();
    let cases = golden["framings"].as_array().unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let size = |side: &str| u32::try_from(case[side].as_u64().unwrap()).unwrap();
        let framing: Framing = serde_json::from_value(case["framing"].clone()).unwrap();
        let file = encoded(drawn(size("height"), size("width")), ImageFormat::Png);
        let picture = picture::decode(&file, &PictureOptions::default().framing(framing)).unwrap();
        let (height, width) = framing.output().unwrap();
        assert_eq!((picture.height(), picture.width()), (height as usize, width as usize));
        let expected = hex(&case["pixels"]);
        assert_eq!(expected.len(), picture.pixels().len());
        let largest = picture
            .pixels()
            .iter()
            .zip(&expected)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(largest <= Some(1), "{}: off by {largest:?}", case["framing"]);
    }
}

#[test]
fn jpeg_files_of_every_kind_are_read_as_pillow_reads_them() {
    let golden = golden();
    for (name, expected) in golden["files"].as_object().unwrap() {
        let file = fixture(name);
        let picture = decode(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let values: Vec<u8> = picture.pixels().iter().copied().step_by(5).collect();
        let wanted = hex(&expected["values"]);
        assert_eq!(values.len(), wanted.len());
        let largest = values.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max();
        // Decoders may round the cosine transform and the chroma differently.
        assert!(largest <= Some(2), "{name}: off by {largest:?}");
        let upright = picture::decode(&file, &PictureOptions::default().orient(Orient::Upright)).unwrap();
        assert_eq!(
            serde_json::json!([upright.height(), upright.width()]),
            expected["upright"]
        );
        // Cameras and web servers leave bytes behind the end.
        for junk in [&[0_u8; 1][..], b"\r\n", &[0xff; 5], b"\xff\xd8\xff\xe1 another picture"] {
            let longer = [&file, junk].concat();
            assert_eq!(decode(&longer).unwrap(), picture, "{name}");
        }
    }
}

#[test]
fn a_file_that_is_cut_is_unreadable_in_every_format() {
    let image = drawn(40, 52);
    let mut files: Vec<(String, Vec<u8>)> = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Pnm,
    ]
    .map(|format| (format!("{format:?}"), encoded(image.clone(), format)))
    .into();
    let names: Vec<String> = golden()["files"].as_object().unwrap().keys().cloned().collect();
    files.extend(names.into_iter().map(|name| (name.clone(), fixture(&name))));
    for (name, file) in files {
        let whole = decode(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(whole.height() > 20);
        for percent in 10..100 {
            let cut = &file[..file.len() * percent / 100];
            match decode(cut) {
                Ok(_) => panic!("{name} cut at {percent} % was read"),
                Err(error) => assert!(!error.to_string().contains('\n'), "{name}: {error}"),
            }
            // As a transfer leaves it that reserved the whole length.
            let mut zeroed = file.clone();
            zeroed[file.len() * percent / 100..].fill(0);
            if percent <= 95 && !matches!(&*name, "Bmp" | "Tiff" | "Pnm") {
                assert!(decode(&zeroed).is_err(), "{name} with zeros from {percent} % was read");
            }
        }
    }
}

#[test]
fn a_jpeg_that_was_cut_and_closed_is_unreadable() {
    for name in golden()["files"].as_object().unwrap().keys() {
        let file = fixture(name);
        for percent in 30..95 {
            let mut cut = file[..file.len() * percent / 100].to_vec();
            cut.extend_from_slice(&[0xff, 0xd9]);
            assert!(decode(&cut).is_err(), "{name} closed at {percent} % was read");
        }
    }
}

/// A PNG file that claims to have other sides.
fn claiming(height: u32, width: u32) -> Vec<u8> {
    let mut file = encoded(drawn(8, 8), ImageFormat::Png);
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    file
}

#[test]
fn sizes_are_limited_before_anything_is_decoded() {
    for (height, width) in [(32_000, 32_000), (1, 100_000), (10_001, 10_000)] {
        match decode(&claiming(height, width)) {
            Err(PictureError::TooLarge { limit: 100_000_000, .. }) => {}
            // The checksum of the changed header may be told first.
            Err(PictureError::Damaged { .. }) => {}
            other => panic!("{height} x {width}: {other:?}"),
        }
    }
    let file = encoded(drawn(20, 30), ImageFormat::Bmp);
    let with = |pixels| picture::decode(&file, &PictureOptions::default().max_pixels(pixels));
    assert_eq!(with(600).unwrap().height(), 20);
    let error = with(599).unwrap_err();
    assert!(
        matches!(
            error,
            PictureError::TooLarge {
                height: 20,
                width: 30,
                limit: 599
            }
        ),
        "{error}"
    );
    // A thin picture whose shorter side is enlarged would be longer than any picture.
    let thin = encoded(RgbImage::new(1, 5000), ImageFormat::Png);
    let error = picture::decode(&thin, &PictureOptions::default().framing(Framing::crop(256, 224, 224))).unwrap_err();
    assert!(matches!(error, PictureError::TooLarge { .. }), "{error}");
    assert!(picture::decode(&thin, &PictureOptions::default().framing(Framing::letterbox(224, 224))).is_ok());
    let error = picture::decode(&thin, &PictureOptions::default().framing(Framing::crop(100, 224, 224))).unwrap_err();
    assert!(
        matches!(error, PictureError::InvalidOption { option: "framing", .. }),
        "{error}"
    );
}

#[test]
fn damaged_files_neither_panic_nor_take_long() {
    let golden = golden();
    let mut seed = 7_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let mut files: Vec<Vec<u8>> = [
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Pnm,
    ]
    .map(|format| encoded(drawn(17, 21), format))
    .into();
    files.extend(golden["files"].as_object().unwrap().keys().map(|name| fixture(name)));
    let options = PictureOptions::default()
        .framing(Framing::crop(9, 8, 9))
        .max_pixels(1 << 20);
    let rounds = std::env::var("RIPTIDE_DAMAGES").map_or(60, |rounds| rounds.parse().unwrap());
    for file in &files {
        for _ in 0..rounds {
            let mut damaged = file.clone();
            for _ in 0..=random(4) {
                let at = random(damaged.len());
                match random(4) {
                    0 => damaged[at] = random(256) as u8,
                    1 => damaged[at] ^= 1 << random(8),
                    2 => {
                        let end = (at + random(64)).min(damaged.len());
                        damaged[at..end].fill([0, 255][random(2)]);
                    }
                    _ => {
                        let end = (at + random(16)).min(damaged.len());
                        damaged.drain(at..end);
                    }
                }
            }
            if let Ok(picture) = picture::decode(&damaged, &options) {
                assert_eq!((picture.height(), picture.width()), (8, 9));
            }
        }
    }
}
