//! Whole runs with a small network on generated pictures: the files, their bytes, and what happens when a run is cut off.

#![allow(clippy::unwrap_used, clippy::result_large_err)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use riptide_corruptions::{Corruption, Corruptor, Severity};
use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide_experiments::{ExperimentError, Networks, Observer, Protocol, ProtocolParams, Silent, TestImages, run};
use riptide_models::train::{Recipe, Targets, Trainer, TrainingSet};
use riptide_models::{DistilledCnn, DistilledCnnConfig, Network, ResNet, ResNetConfig};

/// A small network that knows a little about the pictures, and an untrained one beside it.
fn networks() -> Networks {
    static CLASSIFIER: OnceLock<Network> = OnceLock::new();
    let classifier = CLASSIFIER.get_or_init(|| {
        let config = ResNetConfig {
            depth: 8,
            n_filters1: 8,
            ..Default::default()
        };
        let images = Shapes::new(0).generate(0, 1500);
        let network = ResNet::random(config, 0).unwrap().into();
        let mut trainer = Trainer::new(&network, Recipe::classifier(4)).unwrap();
        while !trainer.is_finished() {
            let targets = Targets::Labels(images.labels().unwrap());
            let pixels = images.pixels();
            trainer.epoch(TrainingSet { pixels, targets }, |_| ()).unwrap();
        }
        trainer.network().unwrap()
    });
    let config = DistilledCnnConfig {
        n_filters1: 8,
        ..Default::default()
    };
    Networks::new(classifier.clone(), DistilledCnn::random(config, 1).unwrap().into()).unwrap()
}

fn images() -> TestImages {
    let clean = Shapes::new(0).generate(TEST_FIRST_INDEX, 700);
    TestImages::generated("Shapes", clean, Corruptor::new(0)).unwrap()
}

fn protocol() -> Protocol {
    let params = ProtocolParams {
        n_ref: 100,
        batch_size: 20,
        batches: 6,
        corruptions: vec![Corruption::GaussianNoise, Corruption::Contrast],
        severities: vec![Severity::ALL[2], Severity::ALL[4]],
        resamples: 50,
        ..Default::default()
    };
    params.check().unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)),
            );
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{name} differs");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let outer = tempfile::tempdir().unwrap();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let out = outer.path().join(threads.to_string());
        pool.install(|| run(&networks(), &images(), &protocol(), &out, &mut Silent).unwrap());
    }
    assert_same(&outer.path().join("1"), &outer.path().join("2"));
    assert_same(&outer.path().join("1"), &outer.path().join("5"));
}

/// Stops the run as kill -9 would, as far as its files go, when the third set begins.
struct Stop(usize);

impl Observer for Stop {
    fn set(&mut self, _name: &str) {
        self.0 += 1;
        assert!(self.0 < 3, "stopped on purpose");
    }
}

/// Counts how many images are scored and how many were kept.
#[derive(Default)]
struct Count {
    scored: usize,
    kept: usize,
}

impl Observer for Count {
    fn scored(&mut self, images: usize) {
        self.scored += images;
    }
    fn kept(&mut self, images: usize) {
        self.kept += images;
    }
}

#[test]
fn a_run_cut_off_goes_on_and_ends_with_the_same_bytes() {
    let outer = tempfile::tempdir().unwrap();
    let (whole, cut) = (outer.path().join("whole"), outer.path().join("cut"));
    run(&networks(), &images(), &protocol(), &whole, &mut Silent).unwrap();
    let stopped = std::panic::catch_unwind(|| run(&networks(), &images(), &protocol(), &cut, &mut Stop(0)).map(|_| ()));
    assert!(stopped.is_err());
    assert!(!cut.join("report.html").exists());
    let mut count = Count::default();
    run(&networks(), &images(), &protocol(), &cut, &mut count).unwrap();
    assert_eq!((count.kept, count.scored), (2 * 700, 3 * 700));
    assert_same(&whole, &cut);
}

#[test]
fn a_damaged_pass_is_made_again() {
    let outer = tempfile::tempdir().unwrap();
    let (whole, damaged) = (outer.path().join("whole"), outer.path().join("damaged"));
    run(&networks(), &images(), &protocol(), &whole, &mut Silent).unwrap();
    run(&networks(), &images(), &protocol(), &damaged, &mut Silent).unwrap();
    let pass = files(&damaged.join("passes")).into_keys().next().unwrap();
    let path = damaged.join("passes").join(pass);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    run(&networks(), &images(), &protocol(), &damaged, &mut Silent).unwrap();
    assert_same(&whole, &damaged);
}

#[test]
fn figures_and_report_are_whole() {
    let outer = tempfile::tempdir().unwrap();
    run(&networks(), &images(), &protocol(), outer.path(), &mut Silent).unwrap();
    let all = files(outer.path());
    let figures: Vec<&String> = all.keys().filter(|name| name.starts_with("figures/")).collect();
    assert!(figures.len() >= 12, "{figures:?}");
    for name in figures {
        if name.ends_with(".png") {
            let picture = image::load_from_memory(&all[name]).unwrap().into_rgba8();
            let first = *picture.get_pixel(0, 0);
            assert!(
                picture.width() > 600 && picture.pixels().any(|pixel| *pixel != first),
                "{name}"
            );
            continue;
        }
        let text = std::str::from_utf8(&all[name]).unwrap();
        let drawing = roxmltree::Document::parse(text).unwrap();
        let size: Vec<f64> = drawing
            .root_element()
            .attribute("viewBox")
            .unwrap()
            .split(' ')
            .map(|n| n.parse().unwrap())
            .collect();
        let words: Vec<_> = drawing.descendants().filter(|node| node.has_tag_name("text")).collect();
        assert!(!words.is_empty(), "{name} has no words");
        for word in words {
            let at = |axis: &str| word.attribute(axis).and_then(|value| value.parse::<f64>().ok());
            if let (Some(x), Some(y)) = (at("x"), at("y")) {
                assert!(
                    (0.0..=size[2]).contains(&x) && (0.0..=size[3]).contains(&y),
                    "{name}: {word:?}"
                );
            }
        }
    }
    let report = std::str::from_utf8(&all["report.html"]).unwrap();
    assert!(report.len() < 5_000_000);
    for outside in ["src=\"http", "href=\"http", "url(http", "<link", "<script src"] {
        assert!(!report.contains(outside), "{outside}");
    }
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let outer = tempfile::tempdir().unwrap();
    let out = outer.path().join("out");
    let few = TestImages::generated("few", Shapes::new(0).generate(0, 50), Corruptor::new(0)).unwrap();
    let error = run(&networks(), &few, &protocol(), &out, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("120 images but there are 50"), "{error}");
    let pixels = vec![0; 200 * 16 * 16 * 3];
    let small = riptide_datasets::ImageSet::unlabelled(pixels, 16, 16).unwrap();
    let names = (0..10).map(|class| class.to_string()).collect();
    let small = small.with_labels(vec![0; 200], names).unwrap();
    let small = TestImages::generated("small", small, Corruptor::new(0)).unwrap();
    let error = run(&networks(), &small, &protocol(), &out, &mut Silent).unwrap_err();
    assert!(matches!(error, ExperimentError::Mismatch(_)), "{error}");
}
