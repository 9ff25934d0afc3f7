//! The accuracy model, its verdict and the certificate on made-up networks whose accuracy is known.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};
use riptide_detectors::accuracy::{
    AccuracyConfig, AccuracyModel, AccuracyOptions, CLEAN, Calibrated, DeclaredSet, Target, Verdict, WindowValue,
};
use riptide_detectors::certificate::{CertifyConfig, certify};
use riptide_detectors::{DetectorError, Probabilities};

const CLASSES: usize = 5;

/// Images of random classes; corruption takes the evidence for the true class away, from some images more than from others.
/// `bias` adds evidence for class 0.
fn world(seed: u64, n: usize, strength: f64, bias: f64, classes: usize) -> (Probabilities, Vec<bool>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
    let mut probabilities = Probabilities {
        n_classes: CLASSES,
        ..Probabilities::default()
    };
    let (mut wrong, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let label = rng.random_range(0..classes);
        let hurt: f64 = Exp1.sample(&mut rng);
        let evidence = 3.5 + 1.5 * normal(&mut rng) - strength * hurt;
        let logits: Vec<f64> = (0..CLASSES)
            .map(|class| {
                let mine = if class == label { evidence } else { 0.0 };
                mine + normal(&mut rng) + if class == 0 { bias * hurt } else { 0.0 }
            })
            .collect();
        let softmax = |logits: &[f64]| -> Vec<f32> {
            let sum: f64 = logits.iter().map(|x| x.exp()).sum();
            logits.iter().map(|x| (x.exp() / sum) as f32).collect()
        };
        let row = softmax(&logits.iter().map(|x| 1.5 * x).collect::<Vec<_>>());
        let blurred: Vec<f64> = logits.iter().map(|x| 0.7 * x + normal(&mut rng)).collect();
        let answer = riptide_detectors::argmax(&row);
        wrong.push(answer != label);
        answers.push(answer);
        probabilities.classifier.extend(row);
        probabilities.distilled.extend(softmax(&blurred));
    }
    (probabilities, wrong, answers)
}

fn declared(family: &str, severity: u8, seed: u64, n: usize, strength: f64, bias: f64) -> DeclaredSet {
    let (probabilities, wrong, _) = world(seed, n, strength, bias, CLASSES);
    DeclaredSet {
        family: family.to_owned(),
        severity,
        probabilities,
        mirrored: None,
        wrong,
    }
}

fn calibrated(families: usize, n: usize, config: &AccuracyConfig) -> Calibrated {
    let describe = |set: DeclaredSet| set.describe(config).unwrap();
    let reference = describe(declared(CLEAN, 0, 1, n, 0.0, 0.0));
    let clean = describe(declared(CLEAN, 0, 2, n, 0.0, 0.0));
    let mut sets = Vec::new();
    for family in 0..families {
        for severity in 1..=3_u8 {
            let strength = f64::from(severity) * (0.5 + 0.05 * family as f64);
            let bias = if family % 3 == 0 {
                0.3 * f64::from(severity)
            } else {
                0.0
            };
            let seed = 100 + 10 * family as u64 + u64::from(severity);
            sets.push(describe(declared(
                &format!("family {family}"),
                severity,
                seed,
                n,
                strength,
                bias,
            )));
        }
    }
    AccuracyModel::fit(&reference, &clean, &sets, config).unwrap()
}

fn window(model: &AccuracyModel, probabilities: &Probabilities) -> WindowValue {
    model.window(probabilities, None).unwrap()
}

#[test]
fn accuracy_is_estimated_and_judged() {
    let model = calibrated(22, 500, &AccuracyConfig::default()).model;
    let options = AccuracyOptions::default();
    let mut held = 0;
    for (trial, strength) in [0.0, 0.3, 0.8, 1.5, 2.2, 2.8].into_iter().cycle().take(36).enumerate() {
        let (probabilities, wrong, _) = world(5000 + trial as u64, 1000, strength, 0.0, CLASSES);
        let truth = 1.0 - wrong.iter().filter(|&&wrong| wrong).count() as f64 / 1000.0;
        let outcome = model.judge(&window(&model, &probabilities), &options).unwrap();
        assert!(
            (outcome.accuracy.estimate - truth).abs() < 0.06,
            "{strength}: {truth} {outcome:?}"
        );
        held += usize::from(outcome.accuracy.lower <= truth && truth <= outcome.accuracy.upper);
        match strength {
            0.0 => assert_ne!(outcome.verdict, Verdict::Harmful),
            2.2.. => assert_eq!(outcome.verdict, Verdict::Harmful, "{truth} {outcome:?}"),
            _ => {}
        }
        assert!((outcome.drop.estimate - (outcome.reference - outcome.accuracy.estimate)).abs() < 1e-12);
    }
    assert!(held >= 34, "{held} of 36 intervals hold the truth");
}

#[test]
fn a_large_clean_batch_is_fit_and_a_small_one_says_how_many_more_it_takes() {
    let model = calibrated(22, 500, &AccuracyConfig::default()).model;
    let (probabilities, ..) = world(77, 4000, 0.0, 0.0, CLASSES);
    let large = model
        .judge(&window(&model, &probabilities), &AccuracyOptions::default())
        .unwrap();
    assert_eq!(large.verdict, Verdict::Fit, "{large:?}");
    assert!(large.p_value_fit < 0.05 && large.p_value > 0.5);
    let (few, ..) = world(78, 40, 0.0, 0.0, CLASSES);
    let small = model.judge(&window(&model, &few), &AccuracyOptions::default()).unwrap();
    assert_eq!(small.verdict, Verdict::Undecided);
    assert!(small.n_needed.is_none_or(|n| n > 40), "{small:?}");
}

#[test]
fn what_was_never_declared_is_outside() {
    let model = calibrated(22, 500, &AccuracyConfig::default()).model;
    // Noise pictures: one answer for all, sure of itself, and the distilled network agrees or does not.
    for distilled in [[0.03_f32, 0.88, 0.03, 0.03, 0.03], [0.6, 0.1, 0.1, 0.1, 0.1]] {
        let noise = Probabilities {
            classifier: [0.01, 0.96, 0.01, 0.01, 0.01].repeat(500),
            distilled: distilled.repeat(500),
            n_classes: CLASSES,
        };
        for n in [40, 500] {
            let part = Probabilities {
                classifier: noise.classifier[..n * CLASSES].to_vec(),
                distilled: noise.distilled[..n * CLASSES].to_vec(),
                n_classes: CLASSES,
            };
            let outcome = model
                .judge(&window(&model, &part), &AccuracyOptions::default())
                .unwrap();
            assert_eq!(outcome.verdict, Verdict::Outside, "{outcome:?}");
            assert_eq!((outcome.accuracy.lower, outcome.accuracy.upper), (0.0, 1.0));
            assert!(!outcome.outside.unwrap().to_string().is_empty());
        }
    }
}

#[test]
fn a_shift_of_labels_is_no_harm() {
    let model = calibrated(22, 500, &AccuracyConfig::default()).model;
    let mut harmful = 0;
    for trial in 0..40 {
        let (probabilities, ..) = world(900 + trial, 200, 0.0, 0.0, 2);
        let outcome = model
            .judge(&window(&model, &probabilities), &AccuracyOptions::default())
            .unwrap();
        harmful += usize::from(outcome.verdict == Verdict::Harmful);
    }
    assert!(
        harmful <= 4,
        "{harmful} of 40 clean batches of two classes were called harmful"
    );
}

#[test]
fn windows_merge_in_any_order_to_the_same_bits() {
    let model = calibrated(4, 200, &AccuracyConfig::default()).model;
    let whole = world(3, 300, 1.0, 0.0, CLASSES).0;
    let part = |from: usize, to: usize| Probabilities {
        classifier: whole.classifier[from * CLASSES..to * CLASSES].to_vec(),
        distilled: whole.distilled[from * CLASSES..to * CLASSES].to_vec(),
        n_classes: CLASSES,
    };
    let parts: Vec<WindowValue> = [(0, 1), (1, 120), (120, 300)]
        .iter()
        .map(|&(a, b)| window(&model, &part(a, b)))
        .collect();
    let expected = window(&model, &whole);
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let mut merged = WindowValue::default();
        for i in order {
            merged.merge(&parts[i]).unwrap();
        }
        assert_eq!(merged, expected);
    }
    let saved = serde_json::to_string(&expected).unwrap();
    assert_eq!(serde_json::from_str::<WindowValue>(&saved).unwrap(), expected);
    let mut other = WindowValue::new(3);
    other.put_for_tests();
    assert!(other.merge(&expected).is_err());
}

trait Put {
    fn put_for_tests(&mut self);
}

impl Put for WindowValue {
    /// One image of three classes, by way of what a model says.
    fn put_for_tests(&mut self) {
        let evidence = riptide_detectors::accuracy::SetEvidence {
            severity: 0,
            error: vec![0.1],
            confidence: vec![0.9],
            agree: vec![true],
            class: vec![1],
            wrong: vec![false],
        };
        assert!(evidence.put(0, self));
    }
}

#[test]
fn a_saved_model_judges_alike_and_threads_change_nothing() {
    let config = AccuracyConfig::default();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| calibrated(5, 200, &config))
    };
    let (one, three) = (run(1), run(3));
    assert_eq!(one, three);
    let saved = serde_json::to_string(&one.model).unwrap();
    let again: AccuracyModel = serde_json::from_str(&saved).unwrap();
    assert_eq!(again, one.model);
    let (batch, ..) = world(8, 100, 1.0, 0.0, CLASSES);
    let judge = |model: &AccuracyModel| {
        model
            .judge(&window(model, &batch), &AccuracyOptions::default())
            .unwrap()
    };
    assert_eq!(judge(&again), judge(&one.model));
}

#[test]
fn flips_and_one_network_work_too() {
    let config = AccuracyConfig::default().target(Target::Flips).distilled(false);
    let clean = |seed| {
        let mut set = declared(CLEAN, 0, seed, 300, 0.0, 0.0);
        set.wrong = vec![false; 300];
        set.probabilities.distilled.clear();
        set.describe(&config).unwrap()
    };
    let mut sets = Vec::new();
    for family in 0..4_u64 {
        let mut set = declared(
            &format!("{family}"),
            1,
            40 + family,
            300,
            1.0 + family as f64 / 2.0,
            0.0,
        );
        set.probabilities.distilled.clear();
        sets.push(set.describe(&config).unwrap());
    }
    let model = AccuracyModel::fit(&clean(1), &clean(2), &sets, &config).unwrap().model;
    assert_eq!((model.reference_accuracy(), model.target()), (1.0, Target::Flips));
    let mut batch = world(6, 200, 2.0, 0.0, CLASSES).0;
    batch.distilled.clear();
    let errors = model.error_probabilities(&batch, None).unwrap();
    assert!(errors.len() == 200 && errors.iter().all(|e| (0.0..=1.0).contains(e)));
}

#[test]
fn what_cannot_be_fitted_or_judged_is_refused() {
    let config = AccuracyConfig::default();
    let clean = declared(CLEAN, 0, 1, 100, 0.0, 0.0).describe(&config).unwrap();
    let set = |family: &str| declared(family, 1, 7, 100, 1.0, 0.0).describe(&config).unwrap();
    let fit = |sets: &[_]| AccuracyModel::fit(&clean, &clean, sets, &config);
    let two = fit(&[set("a"), set("b")]).unwrap_err();
    assert!(
        matches!(two, DetectorError::NoFit { .. }) && two.to_string().contains("three"),
        "{two}"
    );
    let mut right = declared("c", 1, 7, 100, 1.0, 0.0);
    right.wrong = vec![false; 100];
    let right = right.describe(&config).unwrap();
    let none = fit(&[right.clone().named("a"), right.clone().named("b"), right]).unwrap_err();
    assert!(none.to_string().contains("0 of 300"), "{none}");
    let mut short = declared("d", 1, 7, 100, 1.0, 0.0);
    short.wrong.pop();
    assert!(short.describe(&config).is_err());

    let model = calibrated(3, 150, &config).model;
    let options = AccuracyOptions::default();
    assert!(matches!(
        model.judge(&WindowValue::default(), &options),
        Err(DetectorError::Empty { .. })
    ));
    let (batch, ..) = world(6, 50, 0.0, 0.0, CLASSES);
    let mirrored = batch.classifier.clone();
    assert!(model.window(&batch, Some(&mirrored)).is_err());
    for options in [
        options.level(0.0),
        options.confidence(1.0),
        options.tolerated_drop(-0.1),
    ] {
        assert!(model.judge(&window(&model, &batch), &options).is_err());
    }
}

#[test]
fn a_certificate_counts_what_left_out_families_do() {
    let calibrated = calibrated(6, 400, &AccuracyConfig::default());
    let config = CertifyConfig::default()
        .sizes(vec![50, 500])
        .batches(40)
        .contaminations(vec![0.5, 1.0]);
    let certificate = certify(&calibrated.evidence, &config).unwrap();
    assert_eq!(certificate.families.len(), 6);
    // Each family: clean, and three severities at two contaminations, at two sizes.
    assert_eq!(certificate.cells.len(), 6 * 7 * 2);
    assert_eq!(certificate.streams.len(), 6 * 7);
    let [small, large] = certificate.sizes.as_slice() else {
        panic!()
    };
    assert!(large.missed.len() <= small.missed.len());
    assert!(large.clean_alarms.estimate <= 0.05, "{large:?}");
    if let (Some(small), Some(large)) = (small.least_detectable_drop, large.least_detectable_drop) {
        assert!(large <= small);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(
        pool.install(|| certify(&calibrated.evidence, &config).unwrap()),
        certificate
    );
    assert!(certify(&[], &config).is_err());
    assert!(certify(&calibrated.evidence, &config.clone().sizes(vec![])).is_err());
}
