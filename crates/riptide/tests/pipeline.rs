//! What images go through before a classifier: read from files, chosen by accuracy, kept by a monitor, compared.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use riptide::datasets::Framing;
use riptide::datasets::shapes::{CLASS_NAMES, Shapes, TEST_FIRST_INDEX};
use riptide::models::preprocess::{PixelRange, Pixels};
use riptide::pipeline::{Input, candidates, choose};
use riptide::prelude::*;
use riptide::{Error, Expected, check, check_candidates, pretrained, shipped_networks};
use serde_json::Value;

fn shapes(first: u64, n: usize) -> ImageSet {
    Shapes::new(0).generate(TEST_FIRST_INDEX + first, n)
}

fn classifier() -> Network {
    shipped_networks(&pretrained::SHAPES).unwrap().0
}

fn quick() -> Fit {
    Fit::default().epochs(1).filters(Some(8))
}

/// Two classes by brightness, and NaN for an image whose first byte is 255.
fn brightness() -> Classifier {
    Classifier::from_fn(2, (8, 8), |images| {
        let mean = |image: &[u8]| image.iter().map(|&v| f32::from(v)).sum::<f32>() / (255.0 * image.len() as f32);
        let row = |image: &[u8]| match image.first() {
            Some(255) => [f32::NAN; 2],
            _ => [mean(image), 1.0 - mean(image)],
        };
        Ok(images.images().flat_map(row).collect())
    })
}

fn grey(n: usize, spoiled: Option<usize>) -> ImageSet {
    let mut pixels: Vec<u8> = (0..n * 8 * 8 * 3).map(|i| (i * i % 251) as u8).collect();
    if let Some(image) = spoiled {
        pixels[image * 8 * 8 * 3] = 255;
    }
    ImageSet::unlabelled(pixels, 8, 8).unwrap()
}

#[test]
fn a_pipeline_that_makes_another_size_is_refused() {
    let pipeline = Preset::Imagenet.pipeline((224, 224)).unwrap();
    let text = pipeline.check((32, 32)).unwrap_err().to_string();
    assert!(text.contains("(224, 224)") && text.contains("(32, 32)"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    classifier().save(folder.path()).unwrap();
    let open = |input: Input| Classifier::open_with(folder.path(), &ClassifierOptions::default().input(input));
    assert!(matches!(open(pipeline.into()), Err(Error::Mismatch { .. })));
    let of_its_size = open(Preset::Imagenet.into()).unwrap();
    assert_eq!(of_its_size.framing(), Framing::crop(36, 32, 32));
    assert_eq!(of_its_size.preprocessing(), Some(Preset::Imagenet.preprocessing()));
    let text = open(Input::File("image-net".into())).unwrap_err().to_string();
    assert!(text.contains("imagenet") && text.contains("image-net"), "{text}");
}

#[test]
fn the_accuracy_of_the_shipped_classifier_speaks_for_its_own_preprocessing() {
    let wrong = classifier()
        .with_preprocessing(Preset::Keras255.preprocessing())
        .unwrap();
    let choice = choose(&wrong, &shapes(0, 512), candidates(3)).unwrap();
    assert_eq!(choice.chosen.name, "scale-by-instance");
    assert_eq!(choice.tried.len(), candidates(3).len());
    // Of few images nothing can be said, and the candidates are named.
    let text = choose(&wrong, &shapes(0, 8), candidates(3)).unwrap_err().to_string();
    assert!(
        text.contains("8 labelled images") && text.contains("keras-caffe"),
        "{text}"
    );
}

#[test]
fn a_classifier_that_is_hardly_ever_right_is_refused_unless_forced() {
    let images = shapes(0, 150);
    let fitted = quick().run_with(classifier(), &images, None, &mut Silent).unwrap();
    let accuracy = fitted.input.accuracy.unwrap();
    assert!(
        accuracy.n_images == 150 && accuracy.accuracy.estimate > 0.8,
        "{accuracy:?}"
    );

    let wrong = || {
        classifier()
            .with_preprocessing(Preset::Keras255.preprocessing())
            .unwrap()
    };
    let error = quick().run(wrong(), &images).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::LowAccuracy { .. }), "{text}");
    assert!(
        text.contains("of 150 labelled images") && text.contains("0 to 255"),
        "{text}"
    );
    let forced = quick()
        .force(true)
        .run_with(wrong(), &images, None, &mut Silent)
        .unwrap();
    assert!(forced.input.accuracy.unwrap().is_low());
    // A network that is trained on numbers up to 255 would learn nothing.
    let distilled = forced.monitor.facts().distilled_preprocessing;
    assert_eq!(distilled, Pixels::default().range(PixelRange::Signed).into());

    // The classes in another order than the folders': wrong, until their names say so.
    let mut reversed = CLASS_NAMES.map(String::from).to_vec();
    reversed.reverse();
    let labels: Vec<u32> = images.labels().unwrap().iter().map(|label| 9 - label).collect();
    let sorted_otherwise = images.clone().with_labels(labels, reversed).unwrap();
    assert!(matches!(
        quick().run(classifier(), &sorted_otherwise),
        Err(Error::LowAccuracy { .. })
    ));
    let names = Some(CLASS_NAMES.map(String::from).to_vec());
    let named = quick()
        .class_names(names)
        .run_with(classifier(), &sorted_otherwise, None, &mut Silent);
    assert_eq!(named.unwrap().input.accuracy, Some(accuracy));
    // Labels that cannot be matched are not used, and it is said.
    let other = Some((0..10).map(|i| format!("c{i}")).collect());
    let unused = quick()
        .class_names(other)
        .run_with(classifier(), &images, None, &mut Silent)
        .unwrap();
    assert!(unused.input.accuracy.is_none() && unused.input.unused_labels.unwrap().contains("disk"));
}

#[test]
fn nan_names_the_classifier_and_the_image_among_all() {
    for image in [0, 37, 59] {
        let text = quick()
            .n_validation(Some(10))
            .run(brightness(), grey(60, Some(image)))
            .unwrap_err()
            .to_string();
        assert!(
            text.contains(&format!("the classifier gave NaN for image {image}")),
            "{text}"
        );
        assert!(!text.contains("learning rate"), "{text}");
    }
    let text = quick()
        .run_with(
            brightness(),
            grey(60, None),
            Some((&grey(30, Some(29))).into()),
            &mut Silent,
        )
        .unwrap_err()
        .to_string();
    assert!(text.contains("NaN for image 29"), "{text}");
    let monitor = quick().run(brightness(), grey(60, None)).unwrap();
    let batch = grey(700, Some(655));
    for error in [
        monitor.detect(&batch).unwrap_err(),
        monitor.score(&batch).unwrap_err(),
        monitor.detect_batches(&batch, 700).find_map(Result::err).unwrap(),
        brightness().predict_proba(&batch, |_| ()).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("the classifier gave NaN for image 655"),
            "{error}"
        );
    }
}

#[test]
fn a_picture_that_gives_nan_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (i, value) in [10u8, 20, 255, 40].iter().enumerate() {
        // A binary PPM of one colour.
        let bytes = [b"P6 8 8 255\n".as_slice(), &[*value; 8 * 8 * 3]].concat();
        std::fs::write(folder.path().join(format!("{i}.ppm")), bytes).unwrap();
    }
    let monitor = quick().run(brightness(), grey(60, None)).unwrap();
    let text = monitor
        .detect(Images::open(folder.path()).unwrap())
        .unwrap_err()
        .to_string();
    assert!(text.contains("image 2 (") && text.contains("2.ppm)"), "{text}");
}

fn pictures(folder: &Path, n: usize) -> PathBuf {
    let path = folder.join("pictures");
    std::fs::create_dir(&path).unwrap();
    for i in 0..n {
        let pixels: Vec<u8> = (0..12 * 20 * 3).map(|k| ((k * (i + 3)) % 240) as u8).collect();
        std::fs::write(
            path.join(format!("{i:02}.ppm")),
            [b"P6 20 12 255\n".as_slice(), &pixels].concat(),
        )
        .unwrap();
    }
    path
}

#[test]
fn a_monitor_keeps_the_framing_of_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let path = pictures(folder.path(), 20);
    let framing = Framing::crop(10, 8, 8);
    let open = |framing| Images::open_with(&path, OpenOptions::default().framing(framing)).unwrap();
    let monitor = quick().run(brightness(), open(framing)).unwrap();
    assert_eq!(monitor.framing(), framing);
    let dir = folder.path().join("monitor");
    monitor.save(&dir).unwrap();
    let loaded = Monitor::load_with(&dir, brightness()).unwrap();
    assert_eq!(loaded.framing(), framing);
    assert!(loaded.score(open(loaded.framing())).is_ok());
    // In another way they would have other scores.
    assert!(matches!(
        loaded.score(open(Framing::stretch(8, 8))),
        Err(Error::Mismatch { .. })
    ));
    // Pictures as they are have another size.
    assert!(matches!(
        loaded.score(open(Framing::Keep)),
        Err(Error::ImageSize { .. })
    ));

    let manifest = dir.join("monitor.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["facts"]["framing"]["crop"]["resize"] = 9.into();
    std::fs::write(&manifest, value.to_string()).unwrap();
    let text = Monitor::load_with(&dir, brightness()).unwrap_err().to_string();
    assert!(text.contains("framing"), "{text}");
}

#[test]
fn answers_are_compared_with_those_of_another_program() {
    let (classifier, images) = (classifier(), shapes(0, 40));
    let mut rows = classifier.predict_proba(images.pixels(), |_| ()).unwrap();
    let classifier = Classifier::from(classifier);
    let same = check(
        &classifier,
        &images,
        &Expected::new(rows.clone(), 10).unwrap(),
        &mut Silent,
    )
    .unwrap();
    assert_eq!(
        (same.n_images, same.n_same_class, same.largest_difference),
        (40, 40, 0.0)
    );
    assert!(same.is_within(0.0));

    // The candidates are told apart by the answers alone.
    let expected = Expected::new(rows.clone(), 10).unwrap();
    let tried = check_candidates(&classifier, &images, &expected, &mut Silent).unwrap();
    assert_eq!(tried[0].0.name, "scale-by-instance");
    assert!(
        tried[0].1.is_within(1e-6) && !tried[1].1.is_within(0.01),
        "{:?}",
        tried[1]
    );

    rows[17 * 10] += 0.25;
    rows[17 * 10 + 1..18 * 10].iter_mut().for_each(|p| *p *= 0.75);
    rows[170..180]
        .iter_mut()
        .for_each(|p| *p = if p.is_finite() { 0.1 } else { *p });
    let other = check(&classifier, &images, &Expected::new(rows, 10).unwrap(), &mut Silent).unwrap();
    assert_eq!((other.image, other.expected), (17, 0.1));
    assert!(other.largest_difference > 0.1 && other.n_same_class >= 39, "{other:?}");

    // Too many, too few, logits.
    for n in [39, 41] {
        let error = check(
            &classifier,
            &images,
            &Expected::new(vec![0.1; n * 10], 10).unwrap(),
            &mut Silent,
        )
        .unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    }
    assert!(
        Expected::new(vec![3.0; 20], 10)
            .unwrap_err()
            .to_string()
            .contains("class probabilities")
    );
    assert!(Expected::new(vec![0.1; 19], 10).is_err());
}
