//! The loop through the library: fit, save, load, judge, and what a changed folder is told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use riptide::corruptions::{Corruption, Corruptor, Severity};
use riptide::datasets::shapes::{CLASS_NAMES, Shapes, TEST_FIRST_INDEX};
use riptide::prelude::*;
use riptide::{Error, pretrained, shipped_networks};
use serde_json::{Value, json};
use tempfile::TempDir;

fn clean(first: u64, n: usize) -> ImageSet {
    Shapes::new(0).generate(TEST_FIRST_INDEX + first, n)
}

fn noisy(images: &ImageSet) -> ImageSet {
    let severity = Severity::new(5).unwrap();
    Corruptor::new(0)
        .apply(images, Corruption::GaussianNoise, severity)
        .unwrap()
}

/// A monitor of the shipped networks for Shapes.
fn shapes() -> &'static Monitor {
    static MONITOR: OnceLock<Monitor> = OnceLock::new();
    MONITOR.get_or_init(|| {
        let (classifier, distilled) = shipped_networks(&pretrained::SHAPES).unwrap();
        Import::default()
            .class_names(Some(CLASS_NAMES.map(String::from).to_vec()))
            .run(classifier, distilled, clean(0, 200), &mut Silent)
            .unwrap()
    })
}

fn saved() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("monitor");
    shapes().save(&dir).unwrap();
    (folder, dir)
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
}

#[test]
fn a_loaded_monitor_judges_as_the_saved_one() {
    let (_folder, dir) = saved();
    let loaded = Monitor::load(&dir).unwrap();
    let batch = noisy(&clean(200, 100));
    assert_eq!(loaded.facts(), shapes().facts());
    assert_eq!(loaded.detect(&batch).unwrap(), shapes().detect(&batch).unwrap());
    assert!(loaded.detect(&batch).unwrap().is_harmful);
    assert!(!loaded.detect(clean(300, 100)).unwrap().is_drift);
    assert_eq!(loaded.reference_answers(), shapes().reference_answers());
    // Saving again replaces it.
    loaded.save(&dir).unwrap();
    assert_eq!(Monitor::load(&dir).unwrap().facts(), shapes().facts());
}

#[test]
fn batches_of_a_stream_are_the_batches_of_the_set() {
    let images = noisy(&clean(200, 130));
    let outcomes: Vec<Outcome> = shapes().detect_batches(&images, 50).map(Result::unwrap).collect();
    let sizes: Vec<_> = outcomes.iter().map(|o| (o.batch, o.first_image, o.n_images)).collect();
    assert_eq!(sizes, [(0, 0, 50), (1, 50, 50), (2, 100, 30)]);
    let second = shapes().detect(images.slice(50..100).unwrap()).unwrap();
    assert_eq!(outcomes[1].p_value, second.p_value);
    let scores = shapes().score(&images).unwrap();
    assert_eq!(scores.len(), 130);
    let decisions = shapes().predict(&images).unwrap();
    let flagged = decisions.iter().filter(|decision| decision.flagged).count();
    let above = scores
        .scores
        .iter()
        .filter(|score| f64::from(**score) > shapes().threshold());
    assert_eq!(flagged, above.count());
    assert!(matches!(
        shapes().detect_batches(images.slice(0..0).unwrap(), 10).next(),
        Some(Err(Error::TooFew { .. }))
    ));
}

#[test]
fn images_of_another_size_are_refused() {
    let images = ImageSet::unlabelled(vec![0; 2 * 16 * 16 * 3], 16, 16).unwrap();
    assert!(matches!(shapes().detect(&images), Err(Error::ImageSize { .. })));
}

/// Every fact, and a value that it might be edited to.
#[test]
fn a_changed_fact_is_refused_by_name() {
    let edits = [
        ("score", json!("entropy")),
        ("loss", json!("xent")),
        ("temperature", json!(2.0)),
        ("input_size", json!([64, 64])),
        ("class_names", json!(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"])),
        ("preprocessing", json!("none")),
        ("distilled_preprocessing", json!("none")),
        ("classifier", json!({"network": "0".repeat(64)})),
        ("distilled", json!("0".repeat(64))),
        (
            "reference",
            json!({"n_images": 199, "scores": "0", "answers": null, "agreement": null}),
        ),
        (
            "training",
            json!({"n_images": 1, "n_validation": 0, "epoch": 1, "temperature": 1.0, "loss": 0.5, "agreement": 0.5, "seed": 0}),
        ),
        (
            "calibration",
            json!({
                "n_images": 1, "n_reference": 1, "families": ["fog"], "views": 1, "target": "errors", "accuracy": 1.0, "seed": 0,
                "model": "0", "evidence": "0"
            }),
        ),
    ];
    let facts = serde_json::to_value(shapes().facts()).unwrap();
    assert_eq!(facts.as_object().unwrap().len(), edits.len(), "one edit for each fact");
    for (fact, value) in edits {
        let (_folder, dir) = saved();
        let path = dir.join("monitor.json");
        edit(&path, |manifest| {
            assert_ne!(manifest["facts"][fact], value);
            manifest["facts"][fact] = value;
        });
        match Monitor::load(&dir) {
            Err(Error::FactChanged {
                fact: named, reason, ..
            }) => {
                assert_eq!(named, fact);
                let text = reason.to_string();
                assert!(text.contains("fit again") && !text.contains('\n'), "{text}");
                if fact == "score" {
                    assert_eq!(
                        text,
                        "the reference was scored with distillation; fit again to use entropy"
                    );
                }
            }
            other => panic!("{fact}: {other:?}"),
        }
    }
}

#[test]
fn options_are_free_to_edit_and_checked() {
    let (_folder, dir) = saved();
    let path = dir.join("options.json");
    edit(&path, |options| {
        options["level"] = json!(0.01);
        options["alternative"] = json!("greater");
    });
    let loaded = Monitor::load(&dir).unwrap();
    assert_eq!(
        (loaded.options().level, loaded.options().alternative),
        (0.01, Alternative::Greater)
    );
    edit(&path, |options| options["level"] = json!(1.5));
    assert!(Monitor::load(&dir).unwrap_err().to_string().contains("level"));
    edit(&path, |options| {
        options["level"] = json!(0.05);
        options["threshhold"] = json!(3.0);
    });
    let error = Monitor::load(&dir).unwrap_err().to_string();
    assert!(
        error.contains("options.json") && error.contains("threshhold"),
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    assert_eq!(Monitor::load(&dir).unwrap().options(), &Options::default());
}

#[test]
fn a_changed_added_or_missing_file_is_named() {
    type Change = fn(&Path);
    let cases: [(&str, Change); 4] = [
        ("reference_scores.npy", |dir| {
            let path = dir.join("reference_scores.npy");
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("config.json", |dir| {
            edit(&dir.join("classifier/config.json"), |config| {
                config["res_net"]["bn_epsilon"] = json!(0.1);
            });
        }),
        ("notes.txt", |dir| fs::write(dir.join("notes.txt"), "mine").unwrap()),
        ("model.safetensors", |dir| {
            fs::remove_file(dir.join("distilled/model.safetensors")).unwrap()
        }),
    ];
    for (name, change) in cases {
        let (_folder, dir) = saved();
        change(&dir);
        let error = Monitor::load(&dir).unwrap_err().to_string();
        assert!(error.contains(name), "{name}: {error}");
    }
}

#[test]
fn only_a_monitor_is_replaced() {
    let (folder, dir) = saved();
    fs::write(dir.join("thesis.tex"), "years of work").unwrap();
    let error = shapes().save(&dir).unwrap_err().to_string();
    assert!(
        error.contains("thesis.tex") && error.contains("not replaced"),
        "{error}"
    );
    assert!(dir.join("thesis.tex").exists());
    for name in ["monitor.json", "detector.json"] {
        let other = folder.path().join("other");
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join(name), "{}").unwrap();
        fs::write(other.join("photograph.png"), "p").unwrap();
        assert!(shapes().save(&other).is_err());
        assert_eq!(fs::read_dir(&other).unwrap().count(), 2);
        fs::remove_dir_all(&other).unwrap();
    }
}

#[test]
fn a_function_is_given_again_and_checked() {
    let brightness = |slope: f32| {
        Classifier::from_fn(2, (8, 8), move |images| {
            let p = move |image: &[u8]| {
                let mean = image.iter().map(|&v| f32::from(v)).sum::<f32>() / (255.0 * image.len() as f32);
                1.0 / (1.0 + (slope * (0.5 - mean)).exp())
            };
            Ok(images.images().flat_map(|image| [p(image), 1.0 - p(image)]).collect())
        })
    };
    let pixels = (0..100 * 8 * 8 * 3_u32)
        .map(|i| (i.wrapping_mul(i) % 251) as u8)
        .collect();
    let images = ImageSet::unlabelled(pixels, 8, 8).unwrap();
    let monitor = Fit::default()
        .epochs(2)
        .filters(8)
        .run(brightness(4.0), &images)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("monitor");
    monitor.save(&dir).unwrap();
    assert!(Monitor::load(&dir).unwrap_err().to_string().contains("function"));
    let loaded = Monitor::load_with(&dir, brightness(4.0)).unwrap();
    assert_eq!(loaded.score(&images).unwrap(), monitor.score(&images).unwrap());
    let error = Monitor::load_with(&dir, brightness(4.5)).unwrap_err();
    assert!(
        matches!(error, Error::FactChanged { fact: "classifier", .. }),
        "{error}"
    );
    let logits = Classifier::from_fn(2, (8, 8), |images| Ok(vec![3.0; images.len() * 2]));
    let error = Fit::default().epochs(1).run(logits, &images).unwrap_err().to_string();
    assert!(error.contains("softmax"), "{error}");
}

#[test]
fn a_fit_that_was_stopped_goes_on_to_the_same_monitor() {
    let (classifier, _) = shipped_networks(&pretrained::SHAPES).unwrap();
    let images = clean(0, 120);
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let fit = |epochs| Fit::default().epochs(epochs).filters(8).n_validation(20);
    let whole = fit(3).run(classifier.clone(), &images).unwrap();
    let kept_fit = fit(3).checkpoint(Some(kept.clone()));
    let first = kept_fit.run(classifier.clone(), &images).unwrap();
    assert_eq!(first.facts(), whole.facts());
    // All three epochs are done: the second run takes them from the folder.
    let again = kept_fit.run(classifier.clone(), &images).unwrap();
    assert_eq!(again.facts(), whole.facts());
    let error = fit(3)
        .seed(1)
        .checkpoint(Some(kept))
        .run(classifier, &images)
        .unwrap_err();
    assert!(error.to_string().contains("checkpoint"), "{error}");
}

#[test]
fn patience_stops_a_fit_early() {
    let (classifier, _) = shipped_networks(&pretrained::SHAPES).unwrap();
    let images = clean(0, 60);
    let fit = Fit::default()
        .epochs(12)
        .filters(8)
        .n_validation(10)
        .learning_rate(0.1)
        .patience(Some(1));
    let fitted = fit.run_with(classifier.clone(), &images, None, &mut Silent).unwrap();
    assert!(fitted.epochs.len() < 12, "{:?}", fitted.epochs);
    let training = fitted.monitor.facts().training.as_ref().unwrap();
    let least = fitted
        .epochs
        .iter()
        .map(|epoch| epoch.validation_loss)
        .fold(f64::INFINITY, f64::min);
    assert_eq!(fitted.epochs[training.epoch as usize - 1].validation_loss, least);
    let error = Fit::default()
        .n_validation(0)
        .patience(Some(1))
        .run(classifier, &images)
        .unwrap_err();
    assert!(error.to_string().contains("validation"), "{error}");
}

/// The same monitor as format version 1 had it: facts and options in one file without seals.
fn as_version_1(dir: &Path) {
    use riptide::files::{digest, npy};
    fs::create_dir_all(dir).unwrap();
    shapes().classifier().unwrap().save(dir.join("classifier")).unwrap();
    shapes().distilled().save(dir.join("distilled")).unwrap();
    let scores = shapes().reference_scores();
    fs::write(
        dir.join("x_ref.npy"),
        npy::encode(&[scores.len(), 1], scores.iter().copied()),
    )
    .unwrap();
    let answers = shapes().reference_answers().unwrap();
    let pairs = answers.classifier.iter().zip(&answers.distilled);
    let pairs = pairs.flat_map(|(&a, &b)| [a as f64, b as f64]);
    fs::write(dir.join("x_ref_answers.npy"), npy::encode(&[scores.len(), 2], pairs)).unwrap();
    let names = [
        "classifier/config.json",
        "classifier/model.safetensors",
        "distilled/config.json",
        "distilled/model.safetensors",
        "x_ref.npy",
        "x_ref_answers.npy",
    ];
    let files: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), digest::of_file(dir.join(name)).unwrap().into()))
        .collect();
    let manifest = json!({
        "format": "riptide-detector", "version": 1, "kind": "HarmfulDrift", "created_by": "riptide-detectors 0.1.0",
        "score": "distillation", "loss": "kld", "temperature": 1.0, "threshold": 5.0, "alternative": "greater",
        "drift": {
            "p_val": 0.01, "correction": "bonferroni", "drift_type": "batch", "update_x_ref": null,
            "x_ref_preprocessed": false, "preprocess_at_init": true, "data_type": "image"
        },
        "harm": {"p_val": 0.01, "min_fraction": 0.2, "confidence": 0.9, "quantile": 0.4},
        "preprocessing": {"kind": "scale_by_instance"}, "input_size": [32, 32], "class_names": CLASS_NAMES,
        "n_seen": scores.len(), "files": files,
    });
    fs::write(dir.join("detector.json"), manifest.to_string()).unwrap();
}

#[test]
fn format_version_1_is_read_if_its_facts_are_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("old");
    as_version_1(&dir);
    let loaded = Monitor::load(&dir).unwrap();
    let options = loaded.options();
    assert_eq!(
        (options.level, options.alternative, options.threshold),
        (0.01, Alternative::Greater, Some(5.0))
    );
    assert_eq!(
        (options.least_excess_fraction, options.confidence, options.quantile),
        (0.2, 0.9, Some(0.4))
    );
    let batch = noisy(&clean(200, 100));
    let same = shapes().clone().with_options(options.clone()).unwrap();
    let mut expected = same.detect(&batch).unwrap();
    // The reference's confidences are not in such a folder.
    assert!(expected.confidence.take().is_some());
    assert_eq!(loaded.detect(&batch).unwrap(), expected);
    for (fact, value) in [
        ("score", json!("entropy")),
        ("loss", json!("xent")),
        ("temperature", json!(3.0)),
        ("preprocessing", json!({"kind": "none"})),
        ("input_size", json!([16, 16])),
    ] {
        as_version_1(&dir);
        edit(&dir.join("detector.json"), |manifest| manifest[fact] = value);
        match Monitor::load(&dir) {
            Err(Error::FactChanged { fact: named, .. }) => assert_eq!(named, fact),
            other => panic!("{fact}: {other:?}"),
        }
    }
    // Saved again it has the present form, in the same place.
    as_version_1(&dir);
    Monitor::load(&dir).unwrap().save(&dir).unwrap();
    assert!(dir.join("monitor.json").exists() && !dir.join("detector.json").exists());
}
