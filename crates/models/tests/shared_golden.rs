//! Networks as another library saved them, on real images, against the outputs that it gave. Needs the files that `RIPTIDE_SHARED` points to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::PathBuf;

use npyz::npz::NpzArchive;
use riptide_models::{Network, NetworkPair};

/// Worst absolute difference allowed between probabilities.
const TOLERANCE: f32 = 1e-5;

fn golden() -> Option<PathBuf> {
    let Some(shared) = std::env::var_os("RIPTIDE_SHARED") else {
        eprintln!("skipped: RIPTIDE_SHARED is not set");
        return None;
    };
    Some(PathBuf::from(shared).join("golden/alibi"))
}

fn array<T: npyz::Deserialize>(archive: &mut NpzArchive<std::io::BufReader<File>>, name: &str) -> Vec<T> {
    archive.by_name(name).unwrap().unwrap().into_vec().unwrap()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn keras_networks_give_the_probabilities_that_keras_gives() {
    let Some(golden) = golden() else { return };
    let mut outputs = NpzArchive::open(golden.join("outputs.npz")).unwrap();
    let images: Vec<u8> = array(&mut outputs, "images");
    let classifier_probs: Vec<f32> = array(&mut outputs, "classifier_probs");
    let distilled_probs: Vec<f32> = array(&mut outputs, "distilled_probs");

    let classifier = Network::load(golden.join("model.h5")).unwrap();
    let distilled = Network::load(golden.join("distilled_model.h5")).unwrap();
    let count = classifier
        .weights()
        .iter()
        .map(|(_, tensor)| tensor.elem_count())
        .sum::<usize>();
    assert_eq!(count, 469_690);
    let pair = NetworkPair::new(classifier, distilled).unwrap();
    let both = pair.probabilities(&images, [128, 32, 32], |_| ()).unwrap();
    let differences = (
        worst(&both.classifier, &classifier_probs),
        worst(&both.distilled, &distilled_probs),
    );
    eprintln!(
        "worst differences: classifier {:e}, distilled {:e}",
        differences.0, differences.1
    );
    assert!(differences.0 < TOLERANCE, "classifier: {}", differences.0);
    assert!(differences.1 < TOLERANCE, "distilled: {}", differences.1);
}

#[test]
fn saving_an_imported_network_keeps_every_bit() {
    let Some(golden) = golden() else { return };
    for name in ["model.h5", "distilled_model.h5"] {
        let network = Network::load(golden.join(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        network.save(folder.path()).unwrap();
        assert_eq!(Network::load(folder.path()).unwrap().digest(), network.digest());
    }
}
