//! Images from tables and streams, batches as windows, and classifiers of which only the answers are known.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::io::Read;
use std::rc::Rc;
use std::sync::OnceLock;

use riptide::corruptions::{Corruption, Corruptor, Severity};
use riptide::datasets::npy::NpyStream;
use riptide::datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide::datasets::table::ProbabilityRows;
use riptide::files::npy::{encode, encode_header};
use riptide::models::train::Augmentation;
use riptide::prelude::*;
use riptide::{ClassifierFacts, Error, pretrained, shipped_networks};

fn clean(first: u64, n: usize) -> ImageSet {
    Shapes::new(0).generate(TEST_FIRST_INDEX + first, n)
}

/// A monitor of the shipped networks for Shapes.
fn shapes() -> &'static Monitor {
    static MONITOR: OnceLock<Monitor> = OnceLock::new();
    MONITOR.get_or_init(|| {
        let (classifier, distilled) = shipped_networks(&pretrained::SHAPES).unwrap();
        Import::default()
            .run(classifier, distilled, clean(0, 200), &mut Silent)
            .unwrap()
    })
}

fn bytes(images: &ImageSet, announced: u64) -> Vec<u8> {
    [encode_header("|u1", &[announced, 32, 32, 3]), images.pixels().to_vec()].concat()
}

/// Counts what has been read of it.
struct Counted<'a>(&'a [u8], Rc<Cell<usize>>);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.set(self.1.get() + read);
        Ok(read)
    }
}

#[test]
fn a_live_batch_is_told_when_its_last_image_has_come() {
    let images = clean(200, 70);
    let stream = bytes(&images, 70);
    let read = Rc::new(Cell::new(0));
    let source = NpyStream::new(Counted(&stream, read.clone()), "camera").unwrap();
    let mut outcomes = shapes().detect_batches(Images::named("camera", source), 30);
    for batch in 1..=2 {
        let outcome = outcomes.next().unwrap().unwrap();
        assert_eq!(outcome.n_images, 30);
        assert_eq!(
            read.get(),
            stream.len() - images.pixels().len() + batch * 30 * 32 * 32 * 3,
            "nothing is read ahead"
        );
    }
    assert_eq!(outcomes.next().unwrap().unwrap().n_images, 10);
    assert!(outcomes.next().is_none());
    let whole: Vec<Outcome> = shapes().detect_batches(&images, 30).map(Result::unwrap).collect();
    let source = NpyStream::new(&stream[..], "camera").unwrap();
    let live: Vec<Outcome> = shapes()
        .detect_batches(Images::named("camera", source), 30)
        .map(Result::unwrap)
        .collect();
    assert_eq!(live, whole);
}

#[test]
fn whole_batches_are_told_before_the_error() {
    let images = clean(200, 70);
    let stream = bytes(&images, 90);
    let source = NpyStream::new(&stream[..], "camera").unwrap();
    let outcomes: Vec<_> = shapes().detect_batches(Images::named("camera", source), 30).collect();
    assert_eq!(outcomes.len(), 3);
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok());
    assert!(
        outcomes[2]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("camera: truncated")
    );
}

#[test]
fn windows_are_batches_by_group_and_by_time() {
    let noise = Corruptor::new(0);
    let dull = noise
        .apply(&clean(260, 60), Corruption::GaussianNoise, Severity::new(5).unwrap())
        .unwrap();
    let mut images = clean(200, 60);
    images.append(&dull).unwrap();
    // The second half is from camera b, and times go back and forth.
    let cameras = (0..120).map(|i| if i < 60 { "a" } else { "b" }.to_owned()).collect();
    let times = (0..120)
        .map(|i| {
            if i % 2 == 0 {
                "2024-05-01 13:10:00"
            } else {
                "2024-05-01T12:59:59Z"
            }
            .to_owned()
        })
        .collect();
    let images = images
        .with_column("camera", cameras)
        .unwrap()
        .with_column("time", times)
        .unwrap();
    let monitor = shapes();

    let by_camera = monitor.detect_windows(&images, &Windows::by_group("camera")).unwrap();
    let names: Vec<_> = by_camera
        .iter()
        .map(|o| (o.window.as_ref().unwrap().group.as_deref().unwrap(), o.is_harmful))
        .collect();
    assert_eq!(names, [("a", false), ("b", true)]);
    assert_eq!(by_camera[1].p_value, monitor.detect(&dull).unwrap().p_value);
    assert_eq!((by_camera[1].first_image, by_camera[1].n_images), (60, 60));

    let both = Windows::by_time("time", "1h").unwrap().group_by("camera");
    assert_eq!(both.columns(), ["camera", "time"]);
    let outcomes = monitor.detect_windows(&images, &both).unwrap();
    let texts: Vec<String> = outcomes
        .iter()
        .map(|outcome| outcome.window.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(
        texts,
        [
            "2024-05-01T12:00:00Z a",
            "2024-05-01T12:00:00Z b",
            "2024-05-01T13:00:00Z a",
            "2024-05-01T13:00:00Z b"
        ]
    );
    assert_eq!(
        outcomes[0].window.as_ref().unwrap().end.as_deref(),
        Some("2024-05-01T13:00:00Z")
    );
    assert!(outcomes.iter().all(|outcome| outcome.n_images == 30));
    let odd = images.select(&(61..120).step_by(2).collect::<Vec<_>>()).unwrap();
    assert_eq!(outcomes[1].p_value, monitor.detect(&odd).unwrap().p_value);

    let error = monitor
        .detect_windows(&images, &Windows::by_group("place"))
        .unwrap_err();
    assert!(
        matches!(&error, Error::Column { .. }) && error.to_string().contains("column place"),
        "{error}"
    );
    let error = monitor
        .detect_windows(&images, &Windows::by_time("camera", "1h").unwrap())
        .unwrap_err();
    assert!(
        error.to_string().contains("image 0: camera is \"a\", which is no time"),
        "{error}"
    );
}

#[test]
fn logged_probabilities_stand_in_for_the_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let (classifier, _) = shipped_networks(&pretrained::SHAPES).unwrap();
    let log = |name: &str, images: &ImageSet| {
        let rows = classifier.predict_proba(images.pixels(), |_| ()).unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, encode(&[images.len(), 10], rows)).unwrap();
        move || ProbabilityRows::open(&path).unwrap()
    };
    let training = clean(0, 120);
    let fit_rows = log("train.npy", &training);
    // Only unvaried images have logged answers of their own.
    let fit = Fit::default()
        .epochs(1)
        .filters(8)
        .n_reference(24)
        .augmentation(Augmentation::None);
    let logged = || Classifier::logged(10, (32, 32));
    let images = || Images::from(&training);
    let monitor = fit.run(logged(), images().with_probabilities(fit_rows())).unwrap();
    assert_eq!(monitor.facts().classifier, ClassifierFacts::Logged);

    // It is the monitor that the classifier itself would have.
    let asked = fit.run(classifier.clone(), &training).unwrap();
    assert_eq!(monitor.facts().distilled, asked.facts().distilled);
    assert_eq!(monitor.reference_scores(), asked.reference_scores());

    let dir = folder.path().join("monitor");
    monitor.save(&dir).unwrap();
    let monitor = Monitor::load(&dir).unwrap();
    let today = clean(200, 50);
    let rows = log("today.npy", &today);
    let outcome = monitor.detect(Images::from(&today).with_probabilities(rows())).unwrap();
    assert_eq!(outcome, asked.detect(&today).unwrap());

    for (images, words) in [
        (Images::from(&today), "come without any"),
        (
            Images::from(clean(200, 49)).with_probabilities(rows()),
            "not as many rows as the 49 images",
        ),
        (
            Images::from(clean(200, 51)).with_probabilities(rows()),
            "50 rows, but there are more images",
        ),
    ] {
        let error = monitor.detect(images).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(Monitor::load_with(&dir, logged()).is_err());
    let other = Classifier::logged(9, (32, 32));
    assert!(fit.run(other, images().with_probabilities(fit_rows())).is_err());
}
