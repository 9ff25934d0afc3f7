//! Folders with config.json and model.safetensors: what goes in comes out, and damaged ones are refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use riptide_files::FileError;
use riptide_models::preprocess::Preprocessing;
use riptide_models::{
    CONFIG_FILE, DistilledCnnConfig, ModelError, Network, NetworkConfig, NetworkPair, ResNetConfig, WEIGHTS_FILE,
    Weights,
};

fn small() -> Network {
    let config = DistilledCnnConfig {
        n_conv_layers: 2,
        n_filters1: 4,
        n_dense: 3,
        height: 8,
        width: 8,
        ..Default::default()
    };
    Network::random(config, 1).unwrap()
}

fn saved() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    small().save(folder.path()).unwrap();
    folder
}

fn rewrite_config(folder: &Path, from: &str, to: &str) {
    let path = folder.join(CONFIG_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

fn rewrite_weights(folder: &Path, change: impl FnOnce(&mut Weights)) {
    let path = folder.join(WEIGHTS_FILE);
    let mut weights = Weights::load(&path).unwrap();
    change(&mut weights);
    weights.save(path).unwrap();
}

#[test]
fn both_networks_survive_saving() {
    let resnet = ResNetConfig {
        depth: 14,
        n_filters1: 3,
        n_classes: 7,
        preprocessing: Preprocessing::MeanStd {
            mean: [0.1, 0.2, 0.3],
            std: [0.5, 0.25, 0.7],
        },
        ..Default::default()
    };
    for network in [Network::random(resnet, 3).unwrap(), small()] {
        let folder = tempfile::tempdir().unwrap();
        network.save(folder.path().join("a/b")).unwrap();
        let again = Network::load(folder.path().join("a/b")).unwrap();
        assert_eq!(again.config(), network.config());
        assert_eq!(again.digest(), network.digest());
        let names: Vec<_> = std::fs::read_dir(folder.path().join("a/b"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "nothing temporary is left: {names:?}");
    }
}

#[test]
fn the_digest_depends_on_every_value_and_on_the_configuration() {
    let network = small();
    let digest = network.digest();
    assert_eq!(digest.len(), 64);
    let other = network.clone().with_preprocessing(Preprocessing::None).unwrap();
    assert_ne!(other.digest(), digest);
    let mut weights = network.weights().clone();
    let bias = weights.get("dense2.bias").unwrap();
    let bias = (bias + 1e-6).unwrap();
    weights.insert("dense2.bias", bias);
    assert_ne!(
        Network::new(network.config().clone(), weights).unwrap().digest(),
        digest
    );
}

#[test]
fn random_values_depend_on_the_seed_alone() {
    let config = NetworkConfig::from(ResNetConfig {
        depth: 8,
        ..Default::default()
    });
    let kernel = |seed| {
        let weights = Weights::random(&config, seed).unwrap();
        weights
            .get("res4_block0_branch2b.weight")
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    let values = kernel(5);
    assert_eq!(values, kernel(5));
    assert_ne!(values, kernel(6));
    let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64;
    // 36,864 normal values of variance 2 / 576: the sample variance is within 4 standard errors, sqrt(2 / n) each.
    assert!(
        (variance / (2.0 / 576.0) - 1.0).abs() < 4.0 * (2.0f64 / 36_864.0).sqrt(),
        "{variance}"
    );
}

#[test]
fn truncated_weights_are_refused() {
    let folder = saved();
    let path = folder.path().join(WEIGHTS_FILE);
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 4, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = Network::load(folder.path()).unwrap_err();
        assert!(
            matches!(error, ModelError::Safetensors { .. }),
            "{length} bytes: {error}"
        );
    }
    std::fs::write(&path, [bytes.as_slice(), &[0; 4]].concat()).unwrap();
    assert!(matches!(
        Network::load(folder.path()).unwrap_err(),
        ModelError::Safetensors { .. }
    ));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        Network::load(folder.path()).unwrap_err(),
        ModelError::File(FileError { action: "read", .. })
    ));
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    let folder = saved();
    rewrite_weights(folder.path(), |weights| {
        weights.insert("conv9.bias", Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap())
    });
    let error = Network::load(folder.path()).unwrap_err();
    assert!(
        matches!(&error, ModelError::UnexpectedParameter { name } if name == "conv9.bias"),
        "{error}"
    );

    let folder = saved();
    rewrite_weights(folder.path(), |weights| {
        weights.insert("conv1.bias", Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap())
    });
    let error = Network::load(folder.path()).unwrap_err();
    assert!(
        matches!(&error, ModelError::ParameterShape { name, .. } if name == "conv1.bias"),
        "{error}"
    );
    assert!(
        error.to_string().contains("[3]") && error.to_string().contains("[4]"),
        "{error}"
    );

    let folder = saved();
    rewrite_config(folder.path(), "\"n_conv_layers\": 2", "\"n_conv_layers\": 3");
    let error = Network::load(folder.path()).unwrap_err();
    assert!(
        matches!(&error, ModelError::MissingParameter { name, .. } if name == "conv3.weight"),
        "{error}"
    );

    let folder = saved();
    rewrite_weights(folder.path(), |weights| {
        weights.insert(
            "conv1.bias",
            Tensor::new(&[0f32, 1.0, f32::NAN, 0.0], &Device::Cpu).unwrap(),
        );
    });
    let error = Network::load(folder.path()).unwrap_err();
    assert!(
        matches!(&error, ModelError::ParameterValue { name, index: 2, .. } if name == "conv1.bias"),
        "{error}"
    );
}

#[test]
fn integers_are_refused_and_other_floats_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let save = |tensor: Tensor| {
        let path = folder.path().join("weights.safetensors");
        candle_core::safetensors::save(&std::collections::HashMap::from([("w", tensor)]), &path).unwrap();
        Weights::load(path)
    };
    let halves = Tensor::new(&[0.5f32, -2.0], &Device::Cpu).unwrap();
    for dtype in [DType::F16, DType::BF16, DType::F64] {
        let read = save(halves.to_dtype(dtype).unwrap()).unwrap();
        assert_eq!(read.get("w").unwrap().to_vec1::<f32>().unwrap(), [0.5, -2.0]);
    }
    let error = save(Tensor::new(&[1u32], &Device::Cpu).unwrap()).unwrap_err();
    assert!(matches!(error, ModelError::ParameterType { .. }), "{error}");
}

#[test]
fn configurations_that_are_not_understood_are_refused() {
    for (from, to, part) in [
        ("\"n_dense\"", "\"n_danse\"", "n_danse"),
        ("\"distilled_cnn\"", "\"transformer\"", "transformer"),
        ("\"n_dense\": 3", "\"n_dense\": -3", "-3"),
        ("\"scale_by_instance\"", "\"scale_by_magic\"", "scale_by_magic"),
        ("{", "[", "line 2"),
        ("}", "", "line 14"),
    ] {
        let folder = saved();
        rewrite_config(folder.path(), from, to);
        let error = Network::load(folder.path()).unwrap_err();
        assert!(matches!(error, ModelError::ConfigFile { .. }), "{error}");
        assert!(
            error.to_string().contains(part) && error.to_string().contains(CONFIG_FILE),
            "{error}"
        );
    }
    let folder = saved();
    rewrite_config(folder.path(), "\"kernel1\": 4", "\"kernel1\": 400");
    let error = Network::load(folder.path()).unwrap_err();
    assert!(error.to_string().contains("kernel1 is 400"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(
        small().save(file.join("below")).unwrap_err(),
        ModelError::File(FileError { action: "create", .. })
    ));
}

#[test]
fn pairs_that_disagree_are_refused() {
    let network = |n_classes, height| {
        let config = DistilledCnnConfig {
            n_filters1: 4,
            n_classes,
            height,
            width: 8,
            ..Default::default()
        };
        Network::random(config, 0).unwrap()
    };
    assert!(matches!(
        NetworkPair::new(network(2, 8), network(3, 8)).unwrap_err(),
        ModelError::Pair {
            what: "number of classes",
            ..
        }
    ));
    assert!(matches!(
        NetworkPair::new(network(2, 8), network(2, 4)).unwrap_err(),
        ModelError::Pair {
            what: "size of images",
            ..
        }
    ));
    let pair = NetworkPair::new(network(2, 8), network(2, 8)).unwrap();
    assert!(pair.probabilities(&[], [0, 8, 8], |_| ()).unwrap().is_empty());
    for shape in [[1, 8, 8], [2, 8, 4], [usize::MAX, 8, 8]] {
        assert!(matches!(
            pair.probabilities(&[0; 191], shape, |_| ()).unwrap_err(),
            ModelError::Images { .. }
        ));
    }
}

#[cfg(not(feature = "onnx"))]
#[test]
fn onnx_files_need_the_feature() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/resnet_nchw.onnx");
    let error = Network::load(path).unwrap_err();
    assert!(
        matches!(error, ModelError::FeatureMissing { feature: "onnx", .. })
            && error.to_string().contains("feature onnx"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn files_of_a_network_are_as_readable_as_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = saved();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
        metadata.permissions().mode()
    };
    std::fs::write(folder.path().join("plain"), b"").unwrap();
    assert_eq!([mode(CONFIG_FILE), mode(WEIGHTS_FILE)], [mode("plain"); 2]);
}
