//! Calibrating a monitor, saving it, and what it then says of batches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::OnceLock;

use riptide::corruptions::{Corruption, Corruptor, Extended, Family, Severity};
use riptide::datasets::shapes::{CLASS_NAMES, Shapes, TEST_FIRST_INDEX};
use riptide::detectors::Verdict;
use riptide::detectors::accuracy::Target;
use riptide::prelude::*;
use riptide::{AuditPick, Error, Requirement, certificate_page, pretrained, shipped_networks};

fn clean(first: u64, n: usize) -> ImageSet {
    Shapes::new(0).generate(TEST_FIRST_INDEX + first, n)
}

fn unlabelled(images: &ImageSet) -> ImageSet {
    ImageSet::unlabelled(images.pixels().to_vec(), images.height(), images.width()).unwrap()
}

fn corrupted(images: &ImageSet, family: impl Into<Family>, severity: u8) -> ImageSet {
    let severity = Severity::new(severity).unwrap();
    Corruptor::new(9).apply(images, family, severity).unwrap()
}

fn families() -> Vec<Family> {
    vec![
        Corruption::ShotNoise.into(),
        Corruption::DefocusBlur.into(),
        Corruption::Contrast.into(),
        Corruption::Fog.into(),
        Extended::Gamma.into(),
        Extended::Stripes.into(),
    ]
}

fn quick() -> Calibrate {
    Calibrate::default().n_images(80).families(families()).required(true)
}

/// The shipped networks for Shapes on 240 images.
fn import(images: &ImageSet, calibrate: Option<Calibrate>) -> Result<Monitor, Error> {
    let (classifier, distilled) = shipped_networks(&pretrained::SHAPES).unwrap();
    Import::default()
        .class_names(Some(CLASS_NAMES.map(String::from).to_vec()))
        .calibration(calibrate)
        .run(classifier, distilled, images, &mut Silent)
}

fn calibrated() -> &'static Monitor {
    static MONITOR: OnceLock<Monitor> = OnceLock::new();
    MONITOR.get_or_init(|| import(&clean(0, 240), Some(quick())).unwrap())
}

#[test]
fn a_calibrated_monitor_tells_harm_from_none() {
    let monitor = calibrated();
    let facts = monitor.facts().calibration.as_ref().unwrap();
    assert_eq!(
        (facts.n_images, facts.n_reference, facts.target),
        (80, 160, Target::Errors)
    );
    assert!(facts.accuracy > 0.9 && facts.families == families());

    let fresh = clean(1000, 300);
    let fine = monitor.detect(&fresh).unwrap();
    assert_ne!(fine.verdict, Some(Verdict::Harmful));
    assert!(
        !fine.is_alarming() || fine.verdict == Some(Verdict::Outside),
        "{fine:?}"
    );
    let harmed = monitor.detect(corrupted(&fresh, Corruption::GaussianNoise, 5)).unwrap();
    assert!(harmed.is_alarming(), "{harmed:?}");
    assert_eq!(harmed.confidence, None);

    // Black frames and noise are like nothing that was declared; from so few images and families it may only tell that they harm.
    let black = ImageSet::unlabelled(vec![0; 100 * 32 * 32 * 3], 32, 32).unwrap();
    let noise = (0..100 * 32 * 32 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    let noise = ImageSet::unlabelled(noise.collect(), 32, 32).unwrap();
    for images in [black, noise] {
        let outcome = monitor.detect(&images).unwrap();
        assert!(outcome.is_alarming(), "{outcome:?}");
        assert_eq!(outcome.accuracy.is_none(), outcome.outside.is_some());
        assert_eq!(outcome.outside.is_some(), outcome.verdict == Some(Verdict::Outside));
    }
}

#[test]
fn a_saved_calibration_judges_and_certifies_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("monitor");
    calibrated().save(&dir).unwrap();
    let loaded = Monitor::load(&dir).unwrap();
    assert_eq!(loaded.facts(), calibrated().facts());
    assert!(loaded.calibration() == calibrated().calibration());
    let batch = corrupted(&clean(1000, 120), Corruption::Snow, 3);
    assert_eq!(loaded.detect(&batch).unwrap(), calibrated().detect(&batch).unwrap());
    loaded.save(&dir).unwrap();
    assert!(Monitor::load(&dir).unwrap().calibration() == loaded.calibration());

    for name in ["calibration.json", "calibration.npy"] {
        calibrated().save(&dir).unwrap();
        let path = dir.join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = Monitor::load(&dir).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("SHA-256"), "{error}");
    }
}

#[test]
fn batches_of_a_stream_are_judged_as_the_batches_of_the_set() {
    let images = corrupted(&clean(1000, 130), Corruption::GaussianNoise, 3);
    let monitor = calibrated();
    let outcomes: Vec<Outcome> = monitor.detect_batches(&images, 50).map(Result::unwrap).collect();
    for (outcome, range) in outcomes.iter().zip([0..50, 50..100, 100..130]) {
        let alone = monitor.detect(images.slice(range).unwrap()).unwrap();
        assert_eq!((&outcome.verdict, &outcome.accuracy), (&alone.verdict, &alone.accuracy));
        assert_eq!(outcome.outside, alone.outside);
        assert!(outcome.sequential.is_some() && alone.sequential.is_none());
    }
    // An alarm that is continued is the one that was never interrupted.
    let mut first = monitor.detect_batches(images.slice(0..50).unwrap(), 50);
    first.by_ref().for_each(|outcome| drop(outcome.unwrap()));
    let state = serde_json::to_string(first.sequential().unwrap()).unwrap();
    let rest = images.slice(50..130).unwrap();
    let rest = monitor
        .detect_batches(&rest, 50)
        .continue_from(serde_json::from_str(&state).unwrap());
    let continued: Vec<_> = rest.map(|outcome| outcome.unwrap().sequential).collect();
    let whole: Vec<_> = outcomes.iter().skip(1).map(|outcome| outcome.sequential).collect();
    assert_eq!(continued, whole);
}

#[test]
fn error_probabilities_come_with_scores() {
    let images = clean(1000, 30);
    let scores = calibrated().score(&images).unwrap();
    let errors = scores.error_probabilities.as_ref().unwrap();
    assert!(errors.len() == 30 && errors.iter().all(|error| (0.0..=1.0).contains(error)));
    let decisions = calibrated().predict(&images).unwrap();
    assert!(decisions.iter().all(|decision| decision.error_probability.is_some()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.csv");
    scores.write(&path).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        text.lines().next().unwrap().ends_with("confidence,error_probability"),
        "{text}"
    );
}

#[test]
fn a_calibration_that_was_stopped_goes_on_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let images = clean(0, 90);
    let config = quick().n_images(40).families(families()[..3].to_vec());
    let whole = import(&images, Some(config.clone())).unwrap();
    let resumable = config.checkpoint(Some(kept.clone()));
    let first = import(&images, Some(resumable.clone())).unwrap();
    // Each with its digest.
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1 + 2 * 3 * 5);
    std::fs::remove_file(kept.join("contrast-5.npy")).unwrap();
    let again = import(&images, Some(resumable.clone())).unwrap();
    assert_eq!((first.facts(), again.facts()), (whole.facts(), whole.facts()));
    let error = import(&images, Some(resumable.seed(1))).unwrap_err().to_string();
    assert!(error.contains("kept") && error.contains("another folder"), "{error}");
    let one = rayon_of_one(|| import(&images, Some(quick().n_images(40).families(families()[..3].to_vec()))).unwrap());
    assert_eq!(one.facts(), whole.facts(), "one thread");
}

fn rayon_of_one<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap()
        .install(work)
}

#[test]
fn without_labels_it_learns_from_changed_answers() {
    let images = clean(0, 160);
    let config = quick().n_images(60).families(families()[..4].to_vec());
    let target = |monitor: &Monitor| monitor.facts().calibration.as_ref().unwrap().target;
    let flips = import(&unlabelled(&images), Some(config.clone())).unwrap();
    assert_eq!((target(&flips), flips.note()), (Target::Flips, None));
    assert_eq!(flips.facts().calibration.as_ref().unwrap().accuracy, 1.0);
    // Labels in an order of their own say nothing, and that is told.
    let turned: Vec<u32> = images.labels().unwrap().iter().map(|label| (label + 3) % 10).collect();
    let source = || Images::from(unlabelled(&images)).with_labels(turned.clone()).unwrap();
    let monitor = import(&unlabelled(&images), None).unwrap();
    let other = monitor.clone().calibrate(source(), &config, &mut Silent).unwrap();
    assert_eq!(target(&other), Target::Flips);
    assert!(
        other.note().unwrap().contains("labels are not used"),
        "{:?}",
        other.note()
    );
    let asked = config.target(Some(Target::Errors));
    let error = monitor.clone().calibrate(source(), &asked, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("another order"), "{error}");
    let error = monitor.calibrate(unlabelled(&images), &asked, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("labels"), "{error}");
}

#[test]
fn a_second_view_is_asked_for_everywhere() {
    let config = quick().n_images(40).families(families()[..3].to_vec()).views(2);
    let monitor = import(&clean(0, 100), Some(config)).unwrap();
    assert_eq!(monitor.calibration().unwrap().model().views(), 2);
    let images = clean(1000, 60);
    assert!(monitor.detect(&images).unwrap().verdict.is_some());
    assert!(monitor.score(&images).unwrap().error_probabilities.is_some());
}

#[test]
fn a_monitor_that_cannot_be_calibrated_says_why_and_still_judges() {
    let monitor = import(&clean(0, 100), Some(Calibrate::default())).unwrap();
    assert!(monitor.calibration().is_none());
    let note = monitor.note().unwrap();
    assert!(note.contains("50 images") && note.contains("at least 200"), "{note}");
    let harmed = monitor
        .detect(corrupted(&clean(1000, 100), Corruption::GaussianNoise, 5))
        .unwrap();
    assert!(harmed.verdict.is_none() && harmed.accuracy.is_none() && harmed.is_alarming());
    assert!(harmed.confidence.unwrap().is_significant);
    let fine = monitor.detect(clean(1000, 100)).unwrap();
    assert!(!fine.confidence.unwrap().is_significant, "{fine:?}");
    assert!(matches!(monitor.audit(clean(0, 9)), Err(Error::NotCalibrated)));
    assert!(matches!(
        monitor.certify(&monitor.certify_config()),
        Err(Error::NotCalibrated)
    ));
    for wrong in [quick().views(3), quick().families(Vec::new()), quick().n_images(1)] {
        assert!(matches!(import(&clean(0, 100), Some(wrong)), Err(Error::Option { .. })));
    }
}

#[test]
fn a_fit_calibrates_on_the_images_that_validate_the_epochs() {
    let (classifier, _) = shipped_networks(&pretrained::SHAPES).unwrap();
    let images = clean(0, 200);
    let fit = Fit::default()
        .epochs(1)
        .filters(8)
        .calibration(Some(quick().families(families()[..3].to_vec())));
    let monitor = fit.run(classifier.clone(), &images).unwrap();
    let calibration = monitor.facts().calibration.as_ref().unwrap();
    assert_eq!((calibration.n_images, calibration.n_reference), (40, 40));
    assert_eq!(monitor.facts().training.as_ref().unwrap().n_images, 120);
    assert_eq!(calibration.target, Target::Errors);
    let none = fit.calibration(None).run(classifier, &images).unwrap();
    assert_eq!(none.facts().training.as_ref().unwrap().n_images, 120);
    assert!(none.facts().calibration.is_none() && none.note().is_none());
}

#[test]
fn an_audit_finds_what_no_image_shows() {
    let images = clean(2000, 150);
    let monitor = calibrated();
    let audit = monitor.audit(&images).unwrap();
    let mut picks = audit.pick(60, &Default::default()).unwrap();
    assert_eq!(picks.len(), 60);
    let label = |picks: &mut [AuditPick], name: &dyn Fn(&AuditPick) -> String| {
        picks.iter_mut().for_each(|pick| pick.label = name(pick));
    };
    // As the classifier says: nothing is wrong.
    label(&mut picks, &|pick| pick.prediction.clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pick.csv");
    AuditPick::write(&picks, &path).unwrap();
    assert_eq!(AuditPick::read(&path).unwrap(), picks);
    let fine = audit.update(&picks, None).unwrap();
    assert!(!fine.alarm && fine.accuracy.estimate > 0.9, "{fine:?}");
    // Half of the classes have come to mean something else; the images are as they were.
    label(&mut picks, &|pick| {
        if pick.turn % 2 == 0 {
            "other".to_owned()
        } else {
            pick.prediction.clone()
        }
    });
    let fallen = audit.update(&picks, None).unwrap();
    assert!(fallen.alarm && fallen.accuracy.upper < 0.85, "{fallen:?}");
    assert!(!monitor.detect(&images).unwrap().is_harmful);

    // Labelling may stop, but leave nothing out.
    let stopped = |from: usize| {
        let mut picks = picks.clone();
        picks[from..].iter_mut().for_each(|pick| pick.label.clear());
        picks
    };
    assert_eq!(audit.update(&stopped(20), None).unwrap().n_labelled, 20);
    let refused = |picks: &[AuditPick]| audit.update(picks, None).unwrap_err().to_string();
    let mut gap = picks.clone();
    gap[3].label.clear();
    assert!(refused(&gap).contains("none may be left out"), "{}", refused(&gap));
    assert!(refused(&picks[1..]).contains("keep every line"));
    let mut unknown = picks.clone();
    unknown[0].label = "discus".into();
    assert!(refused(&unknown).contains("no class"));
    let other = monitor
        .audit(clean(3000, 150))
        .unwrap()
        .update(&picks, None)
        .unwrap_err()
        .to_string();
    assert!(other.contains("same images"), "{other}");
    assert!(audit.update(&stopped(0), None).is_err());
}

#[test]
fn a_certificate_is_made_without_a_network_and_can_be_required() {
    let monitor = calibrated();
    let config = monitor.certify_config().sizes(vec![50, 100]).batches(40);
    let required: Requirement = "drop=0.9,n=200,power=0.8".parse().unwrap();
    let config = required.asked_of(config);
    let certificate = monitor.certify(&config).unwrap();
    assert_eq!(
        certificate.sizes.iter().map(|size| size.n).collect::<Vec<_>>(),
        [50, 100, 200]
    );
    assert_eq!(certificate.families.len(), 6);
    assert_eq!(monitor.certify(&config).unwrap(), certificate, "the same seed");
    let impossible = Requirement {
        drop: 1e-9,
        false_alarms: Some(1e-9),
        ..required
    };
    assert!(!impossible.unmet(&certificate).is_empty());
    let other = Requirement { n: 7, ..required };
    assert!(other.unmet(&certificate)[0].contains("batches of 7"));
    let page = certificate_page(monitor, &certificate).unwrap();
    for text in ["<svg", "shot noise", "prefers-color-scheme: dark", "Not declared"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("NaN"));
    // The options may be edited after the calibration.
    let strict = monitor
        .clone()
        .with_options(Options::default().tolerated_drop(0.2))
        .unwrap();
    assert_eq!(strict.certify_config().options.tolerated_drop, 0.2);
    assert!(
        monitor
            .clone()
            .with_options(Options::default().tolerated_drop(1.0))
            .is_err()
    );
}
