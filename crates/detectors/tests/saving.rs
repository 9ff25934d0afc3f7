//! Detector folders: what comes back, what is refused, and what a failure leaves behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use riptide_detectors::drift::{Correction, ReferenceUpdate};
use riptide_detectors::saving::{Answers, MANIFEST, Preprocessing};
use riptide_detectors::{
    BoxError, CvmDrift, Detector, DetectorError, DetectorSettings, KsDrift, Probabilities, Samples, Score, ScoreKind,
};
use riptide_stats::ks::Alternative;
use serde_json::{Value, json};
use tempfile::TempDir;

fn scores(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 * 0.618_033_988_749).fract() / 3.0).collect()
}

fn write_network(dir: &Path, content: &str) -> Result<(), BoxError> {
    fs::write(dir.join("config.json"), "{}")?;
    Ok(fs::write(dir.join("model.safetensors"), content)?)
}

fn save(detector: &Detector, dir: &Path, content: &'static str) -> Result<(), DetectorError> {
    detector.save(
        dir,
        &(
            move |dir: &Path| write_network(dir, content),
            move |dir: &Path| write_network(dir, content),
        ),
    )
}

fn load(dir: &Path) -> Result<(Detector, [String; 2]), DetectorError> {
    Detector::load(dir, |classifier, distilled| {
        let read = |dir: &Path| fs::read_to_string(dir.join("model.safetensors"));
        Ok([read(classifier)?, read(distilled)?])
    })
}

fn detector() -> Detector {
    let mut settings = DetectorSettings::new([32, 32], vec!["cat".into(), "dog".into()]);
    settings.temperature = 1.0 / 3.0;
    settings.threshold = Some(2.173_265_285_491_942_8);
    settings.preprocessing = Preprocessing::MeanStd {
        mean: [0.49, 0.48, 0.45],
        std: [0.25, 0.24, 0.26],
    };
    settings.drift.p_val = 0.01;
    settings.harm.min_fraction = 0.2;
    Detector::new(settings, scores(50)).unwrap()
}

/// Names in a folder, hidden ones included, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn edit(dir: &Path, change: impl FnOnce(&mut Value)) {
    let path = dir.join(MANIFEST);
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

#[test]
fn a_detector_comes_back_as_it_was() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("deep/er/detector");
    let detector = detector();
    save(&detector, &dir, "first").unwrap();
    assert_eq!(
        load(&dir).unwrap(),
        (detector.clone(), ["first".to_owned(), "first".to_owned()])
    );
    assert_eq!(names(&dir), ["classifier", MANIFEST, "distilled", "x_ref.npy"]);
    let json: Value = serde_json::from_str(&fs::read_to_string(dir.join(MANIFEST)).unwrap()).unwrap();
    assert_eq!(
        (json["format"].as_str(), json["version"].as_u64()),
        (Some("riptide-detector"), Some(1))
    );
    assert_eq!(json["score"], "distillation");
    assert_eq!(json["preprocessing"]["kind"], "mean_std");
    assert_eq!(json["files"].as_object().unwrap().len(), 5);

    let mut changed = detector.settings().clone();
    changed.alternative = Alternative::TwoSided;
    let changed = Detector::new(changed, scores(60)).unwrap();
    save(&changed, &dir, "second").unwrap();
    assert_eq!(
        load(&dir).unwrap(),
        (changed, ["second".to_owned(), "second".to_owned()])
    );
    assert_eq!(
        names(dir.parent().unwrap()),
        ["detector"],
        "nothing is left beside the folder"
    );
}

#[test]
fn answers_to_the_reference_come_back_and_must_be_classes() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("detector");
    let probabilities = Probabilities::new([0.9, 0.1].repeat(50), [0.2, 0.8].repeat(50), 2).unwrap();
    let answers = Answers::from(&probabilities);
    assert_eq!((answers.classifier[49], answers.distilled[49]), (0, 1));
    let detector = detector().with_answers(answers.clone()).unwrap();
    save(&detector, &dir, "net").unwrap();
    let (loaded, _) = load(&dir).unwrap();
    assert_eq!((&loaded, loaded.answers()), (&detector, Some(&answers)));

    let mut unknown = answers.clone();
    unknown.distilled[7] = 2;
    assert!(detector.clone().with_answers(unknown).is_err());
    let mut few = answers;
    few.classifier.pop();
    assert!(detector.with_answers(few).is_err());
}

#[test]
fn settings_choose_the_score() {
    let mut settings = detector().settings().clone();
    let probabilities = Probabilities::new(vec![0.9, 0.1], vec![0.2, 0.8], 2).unwrap();
    let tempered = settings.score_probabilities(&probabilities).unwrap();
    settings.temperature = 1.0;
    let kld = settings.score_probabilities(&probabilities).unwrap();
    assert_eq!(kld, ScoreKind::Distillation.score((&probabilities).into()).unwrap());
    assert_ne!(kld, tempered);
    settings.score = ScoreKind::Margin;
    let margin = settings.score_probabilities(&probabilities).unwrap();
    assert!((margin[0] - 0.2).abs() < 1e-6, "{margin:?}");
}

#[test]
fn the_same_detector_gives_the_same_bytes() {
    let root = TempDir::new().unwrap();
    for name in ["a", "b"] {
        save(&detector(), &root.path().join(name), "net").unwrap();
    }
    for file in [MANIFEST, "x_ref.npy"] {
        assert_eq!(
            fs::read(root.path().join("a").join(file)).unwrap(),
            fs::read(root.path().join("b").join(file)).unwrap()
        );
    }
}

/// The original's second fault: the count of instances, on which reservoir sampling rests, must survive.
#[test]
fn a_loaded_drift_detector_goes_on_as_if_nothing_had_happened() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("drift");
    let mut running = KsDrift::builder(Samples::new(scores(60), 3).unwrap())
        .p_val(0.1)
        .alternative(Alternative::Greater)
        .correction(Correction::Fdr)
        .update_x_ref(ReferenceUpdate::ReservoirSampling { n: 25, seed: 5 })
        .build()
        .unwrap();
    running.predict(Samples::new(scores(90), 3).unwrap()).unwrap();
    running.save(&dir).unwrap();
    let mut loaded = KsDrift::load(&dir).unwrap();
    assert_eq!((loaded.n_seen(), loaded.alternative()), (50, Alternative::Greater));
    assert_eq!(loaded.config(), running.config());
    for n in [30, 300] {
        let batch = Samples::new(scores(n).iter().map(|x| x * 1.1).collect::<Vec<_>>(), 3).unwrap();
        assert_eq!(loaded.predict(&batch).unwrap(), running.predict(&batch).unwrap());
        assert_eq!(loaded.reference(), running.reference());
    }
    assert!(
        matches!(CvmDrift::load(&dir), Err(DetectorError::BadFormat { .. })),
        "another kind of detector"
    );
    let cvm = CvmDrift::builder(scores(20)).build().unwrap();
    cvm.save(&dir).unwrap();
    assert_eq!(CvmDrift::load(&dir).unwrap().reference(), cvm.reference());
}

#[test]
fn a_preprocessed_reference_is_not_preprocessed_again() {
    let negate = |rows: &Samples<'_>| -> Result<Samples<'static>, BoxError> {
        Ok(rows.values().iter().map(|x| -x).collect::<Vec<f64>>().into())
    };
    let root = TempDir::new().unwrap();
    for at_init in [true, false] {
        let dir = root.path().join(format!("at-init-{at_init}"));
        let builder = KsDrift::builder(scores(40))
            .preprocess(negate)
            .preprocess_at_init(at_init);
        let mut running = builder.update_x_ref(ReferenceUpdate::Last { n: 30 }).build().unwrap();
        running.predict(scores(10)).unwrap();
        running.save(&dir).unwrap();
        let error = KsDrift::load(&dir).unwrap_err().to_string();
        assert!(error.contains("load_with_preprocess"), "{error}");
        let mut loaded = KsDrift::load_with_preprocess(&dir, negate).unwrap();
        assert_eq!(loaded.reference_is_raw(), !at_init);
        let batch = scores(25);
        assert_eq!(loaded.predict(&batch).unwrap(), running.predict(&batch).unwrap());
        assert_eq!(loaded.reference(), running.reference());
    }
}

#[test]
fn the_state_of_a_running_test_can_be_kept() {
    let mut settings = detector().settings().clone();
    settings.drift.update_x_ref = Some(ReferenceUpdate::Last { n: 40 });
    let detector = Detector::new(settings, scores(50)).unwrap();
    let mut running = detector.ks_drift().unwrap();
    running.predict(scores(30)).unwrap();
    let kept = detector.with_state_of(&running).unwrap();
    let root = TempDir::new().unwrap();
    save(&kept, &root.path().join("d"), "net").unwrap();
    let (loaded, _) = load(&root.path().join("d")).unwrap();
    assert_eq!((loaded.n_seen(), loaded.reference()), (80, running.reference()));
    assert_eq!(loaded.ks_drift().unwrap().n_seen(), 80);
}

#[test]
fn changed_missing_and_foreign_files_are_refused() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("d");
    let fresh = || save(&detector(), &dir, "net").unwrap();
    for file in ["x_ref.npy", "classifier/model.safetensors", "distilled/config.json"] {
        fresh();
        let path = dir.join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = load(&dir).unwrap_err();
        assert!(
            matches!(&error, DetectorError::DigestMismatch { path: named, .. } if *named == path),
            "{error}"
        );
        fs::remove_file(&path).unwrap();
        assert!(matches!(load(&dir), Err(DetectorError::Io { action: "read", .. })));
    }
    fresh();
    fs::write(dir.join("classifier/extra.h5"), "x").unwrap();
    let error = load(&dir).unwrap_err().to_string();
    assert!(error.contains("extra.h5"), "{error}");
    fresh();
    assert!(load(&dir).is_ok(), "saving again removes what does not belong");
}

#[test]
fn manifests_of_other_versions_and_other_things_are_refused() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("d");
    let refused = |change: &dyn Fn(&mut Value)| {
        save(&detector(), &dir, "net").unwrap();
        edit(&dir, |value| change(value));
        load(&dir).unwrap_err()
    };
    let newer = refused(&|value| value["version"] = json!(2));
    assert!(matches!(
        newer,
        DetectorError::UnsupportedVersion {
            found: 2,
            supported: 1,
            ..
        }
    ));
    assert!(newer.to_string().contains("update"), "{newer}");
    let older = refused(&|value| value["version"] = json!(0)).to_string();
    assert!(older.contains("save the detector again"), "{older}");
    let bad = |change: &dyn Fn(&mut Value)| matches!(refused(change), DetectorError::BadFormat { .. });
    assert!(bad(&|value| value["version"] = json!("one")));
    assert!(bad(&|value| value["format"] = json!("other")));
    assert!(bad(&|value| value["kind"] = json!("KsDrift")));
    assert!(bad(&|value| value["loss"] = json!("hinge")));
    assert!(bad(&|value| value["files"]["../../etc/passwd"] = json!("00")));
    assert!(bad(&|value| value["files"]["/etc/passwd"] = json!("00")));
    assert!(bad(&|value| drop(value.as_object_mut().unwrap().remove("temperature"))));
    assert!(bad(&|value| *value = json!([1, 2])));
    assert!(matches!(
        refused(&|value| value["drift"]["p_val"] = json!(2.0)),
        DetectorError::InvalidOption { .. }
    ));
    assert!(matches!(
        refused(&|value| value["n_seen"] = json!(3)),
        DetectorError::InvalidOption { .. }
    ));
    fs::write(dir.join(MANIFEST), "{ not json").unwrap();
    assert!(matches!(load(&dir), Err(DetectorError::BadFormat { .. })));
    fs::write(dir.join(MANIFEST), [0xff, 0xfe]).unwrap();
    assert!(matches!(load(&dir), Err(DetectorError::Io { .. })));
    assert!(matches!(
        load(&root.path().join("nowhere")),
        Err(DetectorError::Io { .. })
    ));
}

#[test]
fn a_failed_save_leaves_the_old_folder_whole() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("d");
    save(&detector(), &dir, "old").unwrap();
    let half = |dir: &Path| -> Result<(), BoxError> {
        fs::write(dir.join("half"), "written")?;
        Err("the disk is full".into())
    };
    let error = detector().save(&dir, &(half, half)).unwrap_err();
    assert!(
        matches!(
            error,
            DetectorError::NetworkStore {
                action: "save",
                network: "classifier",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(load(&dir).unwrap().1[0], "old");
    assert_eq!(names(root.path()), ["d"]);
    let failing = Detector::load(&dir, |_, _| -> Result<(), BoxError> { Err("no such layer".into()) });
    assert!(failing.unwrap_err().to_string().contains("no such layer"));
}

#[test]
fn a_folder_of_something_else_is_never_replaced() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("photos");
    fs::create_dir(&dir).unwrap();
    save(&detector(), &dir, "net").unwrap();
    fs::remove_file(dir.join(MANIFEST)).unwrap();
    assert!(matches!(
        save(&detector(), &dir, "net"),
        Err(DetectorError::BadFormat { .. })
    ));
    assert_eq!(names(&dir), ["classifier", "distilled", "x_ref.npy"]);
    let file = root.path().join("file");
    fs::write(&file, "text").unwrap();
    assert!(save(&detector(), &file, "net").is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
    assert!(save(&detector(), Path::new("/"), "net").is_err());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let settings = || DetectorSettings::new([32, 32], vec!["a".into()]);
    let refused = |settings| Detector::new(settings, scores(10)).is_err();
    assert!(!refused(settings()));
    assert!(refused(DetectorSettings {
        input_size: [0, 32],
        ..settings()
    }));
    assert!(refused(DetectorSettings {
        class_names: vec![],
        ..settings()
    }));
    let preprocessing = Preprocessing::MeanStd {
        mean: [0.0; 3],
        std: [1.0, 0.0, 1.0],
    };
    assert!(refused(DetectorSettings {
        preprocessing,
        ..settings()
    }));
    assert!(Detector::new(settings(), Samples::new(scores(10), 2).unwrap()).is_err());
    assert!(Detector::new(settings(), vec![1.0, f64::NAN]).is_err());
}
