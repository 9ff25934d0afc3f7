//! Small Keras files under fixtures/models, against outputs that plain numpy gave; and files that are not what they should be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Module, Tensor};
use riptide_files::FileError;
use riptide_models::{ModelError, Network, NetworkConfig, preprocess::scale_by_instance};
use serde::Deserialize;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/models")
        .join(name)
}

#[derive(Deserialize)]
struct Golden {
    shape: [usize; 4],
    probabilities: Vec<Vec<f32>>,
}

fn golden(name: &str) -> Golden {
    let json = std::fs::read(fixture("golden.json")).unwrap();
    serde_json::from_value(serde_json::from_slice::<serde_json::Value>(&json).unwrap()[name].take()).unwrap()
}

/// The images that make.py computes the golden outputs for.
fn images(shape: [usize; 4]) -> Tensor {
    let n: usize = shape.iter().product();
    let bytes = (0..n as u64).map(|k| ((k * k * 31 + k * 17) / 8 % 256) as u8).collect();
    Tensor::from_vec(bytes, shape.to_vec(), &Device::Cpu).unwrap()
}

fn assert_golden(file: &str, name: &str) -> Network {
    let golden = golden(name);
    let network = Network::load(fixture(file)).unwrap();
    let images = images(golden.shape);
    let scaled = scale_by_instance(&images).unwrap();
    // Raw images, preprocessed ones, and preprocessed ones in another type take different ways to the same outputs.
    for (images, tolerance) in [
        (&images, 1e-6),
        (&scaled, 1e-6),
        (&scaled.to_dtype(DType::F64).unwrap(), 1e-6),
    ] {
        let probabilities = network.forward(images).unwrap().to_vec2::<f32>().unwrap();
        for (found, expected) in probabilities
            .iter()
            .flatten()
            .zip(golden.probabilities.iter().flatten())
        {
            assert!(
                (found - expected).abs() < tolerance,
                "{file}: {found} instead of {expected}"
            );
        }
        assert_eq!(probabilities.len(), golden.probabilities.len());
        let logits = network.logits(images).unwrap();
        let softmax = logits.to_vec2::<f32>().unwrap().into_iter().map(|row| {
            let exponentials: Vec<f32> = row.iter().map(|logit| logit.exp()).collect();
            let sum: f32 = exponentials.iter().sum();
            exponentials.into_iter().map(|x| x / sum).collect::<Vec<f32>>()
        });
        for (a, b) in softmax.flatten().zip(probabilities.iter().flatten()) {
            assert!(
                (a - b).abs() < tolerance,
                "{file}: logits give {a}, probabilities are {b}"
            );
        }
    }
    network
}

#[test]
fn resnet_matches_numpy_on_images_that_are_not_square() {
    let network = assert_golden("resnet.h5", "resnet");
    let NetworkConfig::ResNet(config) = network.config() else {
        panic!("not a ResNet")
    };
    assert_eq!((config.depth, config.n_filters1, config.n_classes), (8, 2, 4));
    assert_eq!(
        (config.height, config.width, config.bn_epsilon, config.bn_momentum),
        (10, 14, 0.001, 0.9)
    );
}

#[test]
fn distilled_cnn_within_a_sequential_matches_numpy() {
    let network = assert_golden("distilled_nested.h5", "distilled_cnn");
    let NetworkConfig::DistilledCnn(config) = network.config() else {
        panic!("not a distilled network")
    };
    assert_eq!((config.n_conv_layers, config.n_filters1, config.n_dense), (3, 8, 5));
    assert_eq!(
        (
            config.kernel1,
            config.kernel2,
            config.kernel3,
            config.height,
            config.width
        ),
        (3, 5, 4, 12, 10)
    );
}

#[test]
fn distilled_cnn_saved_as_weights_only_matches_numpy() {
    let network = assert_golden("distilled_weights.h5", "distilled_cnn_two");
    assert_eq!(network.input_size(), (8, 8));
}

#[test]
/// The first one was also computed from the fixture in Python, by what [`Network::digest`] documents.
fn digests_are_the_same_on_every_machine() {
    let digest = |file| Network::load(fixture(file)).unwrap().digest();
    assert_eq!(
        digest("resnet.h5"),
        "49f48edc051e2fecf66a99b55b25b4206f037bddeef943bfe1f2d125c49067ce"
    );
    assert_eq!(
        digest("distilled_nested.h5"),
        "859abb1bc64639a519af37356a83354c75315422506b64096519d8db638b7f66"
    );
}

#[test]
fn no_images_give_no_probabilities() {
    let network = Network::load(fixture("resnet.h5")).unwrap();
    let images = Tensor::zeros((0, 10, 14, 3), DType::U8, &Device::Cpu).unwrap();
    assert_eq!(network.forward(&images).unwrap().dims(), [0, 4]);
}

#[test]
fn images_of_another_size_are_refused() {
    let network = Network::load(fixture("resnet.h5")).unwrap();
    for (shape, dtype) in [
        (vec![1, 14, 10, 3], DType::U8),
        (vec![1, 3, 14, 10], DType::F32),
        (vec![1, 3, 10, 14], DType::U32),
    ] {
        let error = network
            .forward(&Tensor::zeros(shape.clone(), dtype, &Device::Cpu).unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("{shape:?}")) && error.contains("u8 (N, 10, 14, 3) or f32 (N, 3, 10, 14)"),
            "{error}"
        );
    }
}

/// Loads a changed copy of a fixture.
fn load_changed(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> ModelError {
    let mut bytes = std::fs::read(fixture(name)).unwrap();
    change(&mut bytes);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    Network::load(path).unwrap_err()
}

fn replace(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, w)| *w == from.as_bytes())
        .map(|(i, _)| i)
        .collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
}

#[test]
fn a_layer_of_another_shape_is_named_with_both_shapes() {
    let error = Network::load(fixture("wrong_shape.h5")).unwrap_err();
    assert!(matches!(&error, ModelError::LayerShape { .. }), "{error:?}");
    let message = error.to_string();
    for part in [
        "wrong_shape.h5",
        "res2_block0_branch2a",
        "kernel",
        "[3, 3, 1, 2]",
        "[3, 3, 2, 2]",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_layer_that_computes_something_else_is_named() {
    let error = load_changed("resnet.h5", |bytes| replace(bytes, "\"softmax\"", "\"sigmoid\""));
    assert!(
        matches!(&error, ModelError::LayerSetting { layer, setting: "activation", .. } if layer == "fc10"),
        "{error}"
    );
    let error = load_changed("distilled_nested.h5", |bytes| {
        replace(bytes, "\"padding\": \"same\"", "\"padding\": \"full\"")
    });
    assert!(
        matches!(&error, ModelError::LayerSetting { setting: "padding", .. }),
        "{error}"
    );
}

#[test]
fn a_missing_layer_is_named() {
    let error = load_changed("resnet.h5", |bytes| replace(bytes, "fc10", "fc1x"));
    assert!(
        matches!(&error, ModelError::MissingLayer { layer, .. } if layer == "fc10"),
        "{error}"
    );
    let error = load_changed("resnet.h5", |bytes| replace(bytes, "bn_conv1", "bn_conv2"));
    assert!(
        matches!(&error, ModelError::UnknownArchitecture { .. }) && error.to_string().contains("bn_conv2"),
        "{error}"
    );
}

#[test]
fn truncated_files_are_errors_at_every_length() {
    let whole = std::fs::metadata(fixture("resnet.h5")).unwrap().len() as usize;
    let lengths = (0..16).chain((16..whole - 1).step_by(997));
    for length in lengths {
        let error = load_changed("resnet.h5", |bytes| bytes.truncate(length));
        let expected = if length < 8 {
            matches!(error, ModelError::NotHdf5 { .. })
        } else {
            matches!(error, ModelError::Hdf5 { .. })
        };
        assert!(expected, "{length} bytes: {error:?}");
    }
}

#[test]
fn damaged_files_never_panic() {
    let whole = std::fs::read(fixture("distilled_weights.h5")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.h5");
    for place in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
        // Most give an error; a damaged weight may well load.
        let _ = Network::load(&path);
    }
}

#[test]
fn what_is_no_network_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing.h5");
    assert!(matches!(
        Network::load(&path).unwrap_err(),
        ModelError::File(FileError { action: "read", .. })
    ));
    std::fs::write(&path, "PK not HDF5 at all").unwrap();
    assert!(matches!(Network::load(&path).unwrap_err(), ModelError::NotHdf5 { .. }));
    let path = folder.path().join("model.bin");
    std::fs::write(&path, "").unwrap();
    let error = Network::load(&path).unwrap_err();
    assert!(
        matches!(error, ModelError::NotANetwork { .. }) && error.to_string().contains("config.json"),
        "{error}"
    );
    assert!(matches!(
        Network::load(folder.path()).unwrap_err(),
        ModelError::NotANetwork { .. }
    ));
}
