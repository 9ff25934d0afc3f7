//! ONNX classifiers against the outputs that plain numpy gave for the same network; and files that are not what they should be.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use candle_core::{Device, Module, Tensor};
use riptide_models::onnx::{Layout, Output, supported_operators};
use riptide_models::preprocess::{Preprocessing, scale_by_instance};
use riptide_models::{ModelError, Network, NetworkConfig, NetworkPair, OnnxClassifier, OnnxOptions};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/models")
        .join(name)
}

fn golden() -> Vec<f32> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(fixture("golden.json")).unwrap()).unwrap();
    let rows: Vec<Vec<f32>> = serde_json::from_value(json["resnet"]["probabilities"].clone()).unwrap();
    rows.concat()
}

fn images() -> Tensor {
    let bytes = (0..3 * 10 * 14 * 3u64)
        .map(|k| ((k * k * 31 + k * 17) / 8 % 256) as u8)
        .collect();
    Tensor::from_vec(bytes, (3, 10, 14, 3), &Device::Cpu).unwrap()
}

fn assert_close(found: &Tensor, expected: &[f32], tolerance: f32) {
    let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < tolerance, "{found} instead of {expected}");
    }
}

fn softmax(logits: &Tensor) -> Tensor {
    let exponentials = logits.exp().unwrap();
    let sums = exponentials.sum_keepdim(1).unwrap();
    exponentials.broadcast_div(&sums).unwrap()
}

#[test]
fn both_layouts_match_numpy() {
    let config = |name: &str| match Network::load(fixture(name)).unwrap().config().clone() {
        NetworkConfig::Onnx(config) => (
            config.layout,
            config.output,
            config.n_classes,
            config.height,
            config.width,
        ),
        config => panic!("{config:?}"),
    };
    assert_eq!(config("resnet_nchw.onnx"), (Layout::Nchw, Output::Logits, 4, 10, 14));
    assert_eq!(
        config("resnet_nhwc.onnx"),
        (Layout::Nhwc, Output::Probabilities, 4, 10, 14)
    );
    for name in ["resnet_nchw.onnx", "resnet_nhwc.onnx"] {
        let network = Network::load(fixture(name)).unwrap();
        assert_close(&network.forward(&images()).unwrap(), &golden(), 1e-6);
        assert_close(
            &network.forward(&scale_by_instance(&images()).unwrap()).unwrap(),
            &golden(),
            1e-6,
        );
        let softmax = softmax(&network.logits(&images()).unwrap());
        assert_close(&softmax, &golden(), 1e-6);
        let none = images().narrow(0, 0, 0).unwrap();
        assert_eq!(network.forward(&none).unwrap().dims(), [0, 4]);
    }
}

#[test]
fn batches_that_are_not_full_give_the_same_rows() {
    let network = Network::load(fixture("resnet_nhwc.onnx")).unwrap();
    let many = Tensor::cat(&vec![images(); 7], 0).unwrap();
    assert_close(&network.forward(&many).unwrap(), &golden().repeat(7), 1e-6);
}

#[test]
fn saved_folders_load_as_the_same_network() {
    let mean_std = Preprocessing::MeanStd {
        mean: [0.5, 0.4, 0.3],
        std: [0.2, 0.3, 0.4],
    };
    let options = OnnxOptions::default().preprocessing(mean_std);
    let network = Network::from(OnnxClassifier::load(fixture("resnet_nchw.onnx"), options).unwrap());
    let folder = tempfile::tempdir().unwrap();
    network.save(folder.path()).unwrap();
    let again = Network::load(folder.path()).unwrap();
    assert_eq!((again.config(), again.digest()), (network.config(), network.digest()));
    assert_ne!(
        again.clone().with_preprocessing(Preprocessing::None).unwrap().digest(),
        network.digest()
    );
    let expected: Vec<f32> = network
        .forward(&mean_std.apply(&images()).unwrap())
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    assert_close(&again.forward(&images()).unwrap(), &expected, 1e-7);
}

#[test]
fn an_onnx_classifier_pairs_with_any_network() {
    let classifier = Network::load(fixture("resnet_nchw.onnx")).unwrap();
    let pair = NetworkPair::new(classifier, Network::load(fixture("resnet.h5")).unwrap()).unwrap();
    let bytes: Vec<u8> = images().flatten_all().unwrap().to_vec1().unwrap();
    let both = pair.probabilities(&bytes, [3, 10, 14], |_| ()).unwrap();
    let mut pairs = both.classifier.iter().zip(&both.distilled);
    assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-6));
}

fn refused(name: &str, options: OnnxOptions) -> String {
    let error = OnnxClassifier::load(fixture(name), options).unwrap_err();
    assert!(matches!(error, ModelError::Onnx { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn what_cannot_be_used_is_refused_with_the_reason() {
    let none = OnnxOptions::default;
    assert!(refused("unsupported.onnx", none()).contains("not supported: Frobnicate"));
    assert!(refused("sigmoid.onnx", none()).contains("several labels"));
    assert!(refused("open.onnx", none()).contains("shape (?, ?, ?, ?), which leaves the layout"));
    let layout = none().layout(Some(Layout::Nchw));
    assert!(refused("open.onnx", layout.clone()).contains("leaves the height and width open"));
    let sized = layout.size(Some((6, 5)));
    let classifier = OnnxClassifier::load(fixture("open.onnx"), sized.clone()).unwrap();
    assert_eq!((classifier.config().height, classifier.config().width), (6, 5));
    assert!(refused("resnet_nchw.onnx", sized).contains("(1, 3, 10, 14)"));
    let layout = none().layout(Some(Layout::Nhwc));
    assert!(refused("resnet_nchw.onnx", layout).contains("no axis of 3 channels"));
}

#[test]
fn outputs_that_are_no_probabilities_are_refused() {
    let options = OnnxOptions::default().output(Some(Output::Probabilities));
    let classifier = OnnxClassifier::load(fixture("resnet_nchw.onnx"), options).unwrap();
    let error = classifier.forward(&images()).unwrap_err().to_string();
    assert!(error.contains("are they logits?"), "{error}");
}

#[test]
fn damaged_files_are_errors() {
    let whole = std::fs::read(fixture("resnet_nchw.onnx")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.onnx");
    for length in (0..whole.len()).step_by(501) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(
            matches!(Network::load(&path).unwrap_err(), ModelError::Onnx { .. }),
            "{length} bytes"
        );
    }
    for place in (0..whole.len()).step_by(83) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
        // Most give an error; a damaged weight may well load.
        let _ = Network::load(&path);
    }
    assert!(matches!(
        Network::load(folder.path().join("missing.onnx")).unwrap_err(),
        ModelError::File(_)
    ));
}

#[test]
fn the_operators_of_common_classifiers_are_read() {
    let known = supported_operators();
    for name in [
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Clip",
        "Concat",
        "Conv",
        "Erf",
        "Flatten",
        "Gemm",
        "GlobalAveragePool",
        "HardSigmoid",
        "LayerNormalization",
        "MatMul",
        "MaxPool",
        "Mul",
        "Pad",
        "ReduceMean",
        "Relu",
        "Reshape",
        "Resize",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Squeeze",
        "Transpose",
    ] {
        assert!(known.iter().any(|operator| operator == name), "{name}");
    }
}

#[test]
fn a_network_of_one_channel_takes_grey_values() {
    use riptide_models::preprocess::{ColourOrder, PixelRange, Pixels};
    let bytes: Vec<u8> = (0..2 * 2 * 3 * 3).map(|k| (k * k * 7 % 256) as u8).collect();
    let images = Tensor::from_slice(&bytes, (2, 2, 3, 3), &Device::Cpu).unwrap();
    let grey = ColourOrder::Grey.arrange(&bytes);
    // Whatever order of the colours is said, and with the first constants.
    let pixels = Pixels::default()
        .order(ColourOrder::Bgr)
        .range(PixelRange::Signed)
        .mean([0.5, 9.0, 9.0]);
    let expected: Vec<f32> = grey.iter().step_by(3).map(|&b| f32::from(b) / 127.5 - 1.5).collect();
    for (name, layout) in [("grey_nchw.onnx", Layout::Nchw), ("grey_nhwc.onnx", Layout::Nhwc)] {
        // Three columns could be three channels.
        let open = OnnxOptions::default().preprocessing(pixels.into());
        let options = match layout {
            Layout::Nchw => {
                let error = OnnxClassifier::load(fixture(name), open.clone())
                    .unwrap_err()
                    .to_string();
                assert!(error.contains("leaves the layout"), "{error}");
                open.layout(Some(layout))
            }
            Layout::Nhwc => open,
        };
        let classifier = OnnxClassifier::load(fixture(name), options).unwrap();
        assert_eq!((classifier.config().layout, classifier.config().channels), (layout, 1));
        let network = Network::from(classifier);
        assert_eq!(
            (network.channels(), network.input_size(), network.n_classes()),
            (1, (2, 3), 6)
        );
        assert_close(&network.logits(&images).unwrap(), &expected, 1e-6);
        let scaled = Tensor::from_slice(&expected, (2, 1, 2, 3), &Device::Cpu).unwrap();
        assert_close(&network.logits(&scaled).unwrap(), &expected, 1e-6);
        let folder = tempfile::tempdir().unwrap();
        network.save(folder.path()).unwrap();
        let again = Network::load(folder.path()).unwrap();
        assert_eq!((again.digest(), again.channels()), (network.digest(), 1));
    }
}
