//! Fitting: what is kept apart, what is handed on, from where images may come, and trainings that fail.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use riptide::datasets::shapes::{CLASS_NAMES, Shapes, TRAIN_FIRST_INDEX};
use riptide::models::{NetworkConfig, train::Augmentation};
use riptide::prelude::*;
use riptide::{Error, Fitted, pretrained, shipped_networks};

/// Two classes by brightness, which counts the images that it is asked about.
fn by_brightness(size: (usize, usize), asked: &Arc<AtomicUsize>) -> Classifier {
    let asked = asked.clone();
    Classifier::from_fn(2, size, move |images| {
        asked.fetch_add(images.len(), Ordering::Relaxed);
        let p = |image: &[u8]| {
            let mean = image.iter().map(|&v| f32::from(v)).sum::<f32>() / (255.0 * image.len() as f32);
            1.0 / (1.0 + (20.0 * (0.5 - mean)).exp())
        };
        Ok(images.images().flat_map(|image| [p(image), 1.0 - p(image)]).collect())
    })
}

/// Images between dark and bright, each with a pattern of its own.
fn grey(n: usize, (height, width): (usize, usize)) -> ImageSet {
    let pixel = |i: usize, j: usize| (40 + (i * 7919) % 150 + (i * 31 + j * 17 + j * j) % 50) as u8;
    let bytes = 3 * height * width;
    let pixels = (0..n).flat_map(|i| (0..bytes).map(move |j| pixel(i, j))).collect();
    ImageSet::unlabelled(pixels, height, width).unwrap()
}

fn quick() -> Fit {
    Fit::default().epochs(2).filters(8)
}

fn fitted(fit: &Fit, classifier: impl Into<Classifier>, images: &ImageSet) -> Fitted {
    fit.run_with(classifier, images, None, &mut Silent).unwrap()
}

/// An unknown number of images, a few at a time.
struct Stream<S>(S);

impl<S: ImageSource> ImageSource for Stream<S> {
    fn next_chunk(&mut self, max: usize) -> riptide::datasets::Result<Option<ImageSet>> {
        self.0.next_chunk(max.min(7))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

#[test]
fn what_is_held_out_is_chosen_by_the_seed_and_handed_on() {
    let (classifier, _) = shipped_networks(&pretrained::SHAPES).unwrap();
    let images = Shapes::new(0).generate(TRAIN_FIRST_INDEX, 100);
    let fit = quick().seed(5);
    let Fitted { monitor, held_out, .. } = fitted(&fit, classifier, &images);
    let mut order: Vec<usize> = (0..100).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(5));
    assert_eq!(held_out.reference, images.select(&order[..20]).unwrap());
    assert_eq!(held_out.others, images.select(&order[20..40]).unwrap());
    let scores = monitor.score(&held_out.reference).unwrap().scores;
    let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
    assert_eq!(scores, monitor.reference_scores());
    let facts = monitor.facts().training.as_ref().unwrap();
    assert_eq!((facts.n_images, facts.n_validation), (60, 20));
    assert_eq!(held_out.reference.class_names(), CLASS_NAMES);
}

#[test]
fn large_images_are_made_smaller_and_asked_about_once_a_version() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (size, n) = ((90, 131), 60);
    let images = grey(n, size);
    let fit = quick().n_held_out(18);
    let fitted = fitted(&fit, by_brightness(size, &asked), &images);
    let NetworkConfig::DistilledCnn(config) = fitted.monitor.distilled().config() else {
        panic!("a distilled network")
    };
    assert_eq!((config.shrink, config.inner_size()), (4, (23, 33)));
    assert_eq!(fitted.monitor.input_size(), size);
    // 36 to learn from and their mirror images, 12 to choose the epoch by; the reference when it is scored, as the monitor's probe, and
    // twice to measure the cost.
    assert_eq!(asked.load(Ordering::Relaxed), 2 * 36 + 12 + 12 + 12 + 2 * 12);
    let held_out = &fitted.held_out;
    assert_eq!((held_out.reference.len(), held_out.others.len()), (12, 6));
    assert_eq!((held_out.others.height(), held_out.others.width()), size);
    assert!(fitted.relative_cost.unwrap() > 0.0);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("monitor");
    fitted.monitor.save(&dir).unwrap();
    let loaded = Monitor::load_with(&dir, by_brightness(size, &asked)).unwrap();
    let scores = loaded.score(&held_out.others).unwrap();
    assert_eq!(scores, fitted.monitor.score(&held_out.others).unwrap());
}

#[test]
fn a_stream_of_unknown_length_gives_the_same_monitor() {
    let asked = Arc::default();
    let size = (12, 10);
    let images = grey(80, size);
    let fit = quick();
    let known = fitted(&fit, by_brightness(size, &asked), &images);
    let stream = Images::named("a stream", Stream(images.source()));
    let unknown = fit
        .run_with(by_brightness(size, &asked), stream, None, &mut Silent)
        .unwrap();
    assert_eq!(unknown.monitor.facts(), known.monitor.facts());
    assert_eq!(unknown.held_out, known.held_out);
}

#[test]
fn a_reference_of_its_own_is_sampled() {
    let asked = Arc::default();
    let size = (12, 10);
    let (images, apart) = (grey(60, size), grey(100, size));
    let fit = quick().n_held_out(30);
    let reference = Some(Images::from(&apart));
    let classifier = by_brightness(size, &asked);
    let fitted = fit.run_with(classifier, &images, reference, &mut Silent).unwrap();
    assert_eq!(fitted.monitor.reference_scores().len(), 100);
    // Thirty of them, none twice, in their order.
    let sample = &fitted.held_out.reference;
    assert_eq!(sample.len(), 30);
    let mut rest = apart.pixels().chunks_exact(12 * 10 * 3);
    for image in sample.pixels().chunks_exact(12 * 10 * 3) {
        assert!(rest.any(|other| other == image));
    }
    assert_eq!(fitted.held_out.others.len(), 12);
}

#[test]
fn a_training_that_learned_nothing_is_no_monitor() {
    let (classifier, _) = shipped_networks(&pretrained::SHAPES).unwrap();
    let images = Shapes::new(0).generate(TRAIN_FIRST_INDEX, 120);
    for n_validation in [0, 20] {
        let fit = quick()
            .learning_rate(1e3)
            .n_validation(n_validation)
            .best_epoch(n_validation > 0);
        match fit.run(classifier.clone(), &images) {
            Err(Error::NothingLearned { began, ended }) => assert!(ended > began, "{began} {ended}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn outputs_that_are_kept_are_not_asked_for_again_nor_taken_for_others() {
    let asked = Arc::new(AtomicUsize::new(0));
    let size = (12, 10);
    let images = grey(60, size);
    let folder = tempfile::tempdir().unwrap();
    let fit = quick().checkpoint(folder.path().join("kept"));
    let first = fitted(&fit, by_brightness(size, &asked), &images);
    let after_first = asked.swap(0, Ordering::Relaxed);
    let again = fitted(&fit, by_brightness(size, &asked), &images);
    assert_eq!(again.monitor.facts(), first.monitor.facts());
    assert_eq!(asked.load(Ordering::Relaxed), after_first - (2 * 36 + 12));
    let others = grey(61, size);
    for (fit, images) in [
        (fit.clone(), &others),
        (fit.clone().temperature(2.0), &images),
        (fit.clone().seed(1), &images),
        (fit.clone().augmentation(Augmentation::None), &images),
    ] {
        let error = fit.run(by_brightness(size, &asked), images).unwrap_err().to_string();
        assert!(error.contains("checkpoint") && error.contains("kept"), "{error}");
    }
}

#[test]
fn few_images_are_told_with_how_many_would_do() {
    let (classifier, _) = shipped_networks(&pretrained::SHAPES).unwrap();
    let images = Shapes::new(0).generate(TRAIN_FIRST_INDEX, 60);
    let few = fitted(&quick(), classifier, &images).few_images.unwrap();
    assert_eq!(few.n_images, 36);
    assert!(few.n_enough.is_none_or(|n| n > 60), "{few:?}");
}
