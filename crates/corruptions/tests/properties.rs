//! What holds for every corruption, whatever the images.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use riptide_corruptions::{Corruption, CorruptionError, Corruptor, Family, Severity};
use riptide_datasets::ImageSet;

fn images() -> impl Strategy<Value = ImageSet> {
    (1..6_usize, 1..40_usize, 1..40_usize).prop_flat_map(|(n, height, width)| {
        prop::collection::vec(any::<u8>(), n * height * width * 3)
            .prop_map(move |pixels| ImageSet::unlabelled(pixels, height, width).unwrap())
    })
}

fn cases() -> impl Strategy<Value = (Family, Severity)> {
    let families = prop::sample::select(Family::all().collect::<Vec<_>>());
    (families, prop::sample::select(Severity::ALL.to_vec()))
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(work)
}

fn constant(level: u8, height: usize, width: usize) -> ImageSet {
    ImageSet::unlabelled(vec![level; 2 * height * width * 3], height, width).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_shape_stays(images in images(), (corruption, severity) in cases(), seed in any::<u64>()) {
        let out = Corruptor::new(seed).apply(&images, corruption, severity).unwrap();
        prop_assert_eq!(out.shape(), images.shape());
    }

    #[test]
    fn only_random_corruptions_depend_on_the_seed_and_the_place(
        images in images(), (corruption, severity) in cases(), seeds in any::<[u64; 2]>(), first in any::<u32>(),
    ) {
        prop_assume!(!corruption.is_random());
        let here = Corruptor::new(seeds[0]).apply(&images, corruption, severity).unwrap();
        let there = Corruptor::new(seeds[1]).apply_from(&images, u64::from(first), corruption, severity).unwrap();
        prop_assert_eq!(here, there);
    }

    #[test]
    fn an_image_comes_out_the_same_in_any_company(
        images in images(), (corruption, severity) in cases(), seed in any::<u64>(),
        at in any::<prop::sample::Index>(),
    ) {
        let corruptor = Corruptor::new(seed);
        let whole = corruptor.apply(&images, corruption, severity).unwrap();
        let at = at.index(images.len());
        let alone = images.slice(at..at + 1).unwrap();
        let alone = corruptor.apply_from(&alone, at as u64, corruption, severity).unwrap();
        prop_assert_eq!(alone.image(0), whole.image(at));
    }

    #[test]
    fn other_severities_do_not_exist(severity in any::<u8>()) {
        match Severity::new(severity) {
            Ok(found) => prop_assert!((1..=5).contains(&severity) && found.get() == severity),
            Err(error) => {
                prop_assert!(!(1..=5).contains(&severity));
                prop_assert!(matches!(error, CorruptionError::Severity(found) if found == i64::from(severity)));
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    // More than the images that a thread takes at a time, and no multiple of them.
    let pixels = (0..53 * 32 * 32 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    let images = ImageSet::unlabelled(pixels.collect(), 32, 32).unwrap();
    let corruptor = Corruptor::new(11);
    for corruption in Family::all() {
        for severity in Severity::ALL {
            let run = |threads| on_threads(threads, || corruptor.apply(&images, corruption, severity).unwrap());
            let one = run(1);
            for threads in [2, 7] {
                assert!(run(threads) == one, "{corruption} {severity}, {threads} threads");
            }
        }
    }
}

#[test]
fn random_corruptions_differ_between_seeds_and_images() {
    let one: Vec<u8> = (0..32 * 32 * 3_u32).map(|i| (i * 7 % 200) as u8 + 20).collect();
    let images = ImageSet::unlabelled([one.clone(), one].concat(), 32, 32).unwrap();
    for corruption in Family::all().filter(|corruption| corruption.is_random()) {
        let run = |seed| {
            Corruptor::new(seed)
                .apply(&images, corruption, Severity::ALL[4])
                .unwrap()
        };
        let out = run(0);
        assert!(out.image(0) != out.image(1), "{corruption}");
        assert!(out != run(1), "{corruption}");
    }
}

#[test]
fn blurs_and_maps_keep_constant_images() {
    let keeping = [
        Corruption::DefocusBlur,
        Corruption::GlassBlur,
        Corruption::MotionBlur,
        Corruption::ZoomBlur,
        Corruption::GaussianBlur,
        Corruption::Contrast,
        Corruption::ElasticTransform,
        Corruption::Pixelate,
        Corruption::JpegCompression,
    ];
    for (height, width) in [(32, 32), (1, 1), (5, 17)] {
        for level in [0, 1, 127, 254, 255] {
            for corruption in keeping {
                for severity in Severity::ALL {
                    let out = Corruptor::new(2).apply(&constant(level, height, width), corruption, severity);
                    // Truncation may cost a level; JPEG's coarser steps more.
                    let off = if corruption == Corruption::JpegCompression {
                        3
                    } else {
                        1
                    };
                    let out = out.unwrap();
                    let largest = out.pixels().iter().map(|value| value.abs_diff(level)).max();
                    assert!(largest <= Some(off), "{corruption} {severity} of {level}: {largest:?}");
                }
            }
        }
    }
}

#[test]
fn black_and_white_come_out_as_they_must() {
    let run = |level, corruption| {
        let out = Corruptor::new(2).apply(&constant(level, 32, 32), corruption, Severity::ALL[4]);
        out.unwrap().into_pixels()
    };
    // Nothing there to scatter, to multiply or to colour; the brightest value stays the brightest.
    for corruption in [Corruption::ShotNoise, Corruption::SpeckleNoise, Corruption::Fog] {
        assert!(run(0, corruption).iter().all(|&value| value == 0), "{corruption}");
    }
    assert!(run(255, Corruption::Brightness).iter().all(|&value| value == 255));
    assert!(run(0, Corruption::Brightness).iter().all(|&value| value == 76));
    for corruption in [Corruption::Snow, Corruption::Frost, Corruption::Spatter] {
        let bright = run(0, corruption).iter().filter(|&&value| value > 0).count();
        assert!(bright > 100, "{corruption}: {bright}");
    }
}
