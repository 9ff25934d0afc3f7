//! Configurations: valid ones always make a network, invalid ones never do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{DType, Device, Module, Tensor};
use proptest::prelude::*;
use riptide_kernels::Padding;
use riptide_models::{DistilledCnnConfig, ModelError, Network, NetworkConfig, ResNetConfig};

#[test]
fn defaults_are_the_published_networks() {
    let count = |config: NetworkConfig| {
        config
            .parameters()
            .iter()
            .map(|parameter| parameter.shape.elem_count())
            .sum::<usize>()
    };
    assert_eq!(count(ResNetConfig::default().into()), 469_690);
    // 3 * 256 * 16 + 256, 256 * 128 * 16 + 128, 128 * 64 * 16 + 64, 1024 * 40 + 40, 40 * 10 + 10
    assert_eq!(
        count(DistilledCnnConfig::default().into()),
        12_544 + 524_416 + 131_136 + 41_000 + 410
    );
    let json = serde_json::to_value(NetworkConfig::from(ResNetConfig::default())).unwrap();
    assert_eq!(json["architecture"], "resnet");
    assert_eq!(json["preprocessing"], "scale_by_instance");
    assert_eq!(
        serde_json::from_str::<NetworkConfig>(r#"{"architecture": "resnet"}"#).unwrap(),
        ResNetConfig::default().into()
    );
}

#[test]
fn sizes_that_do_not_fit_in_memory_are_refused_before_anything_is_allocated() {
    let config = DistilledCnnConfig {
        n_filters1: 65_536,
        n_dense: 65_536,
        height: 65_536,
        width: 65_536,
        ..Default::default()
    };
    assert!(matches!(
        Network::random(config, 0).unwrap_err(),
        ModelError::Config {
            field: "the number of parameters",
            ..
        }
    ));
}

proptest! {
    #[test]
    fn resnet_configurations_are_valid_exactly_if_they_say(
        depth in 0usize..40, n_classes in 0usize..5, n_filters1 in 0usize..4, height in 0usize..5, epsilon in -1.0f64..2.0, momentum in -0.5f64..1.5
    ) {
        let config = ResNetConfig {
            depth, n_classes, n_filters1, height, width: 3, bn_epsilon: epsilon, bn_momentum: momentum, ..Default::default()
        };
        let valid = depth >= 8 && (depth - 2) % 6 == 0 && n_classes >= 2 && n_filters1 >= 1 && height >= 1
            && epsilon > 0.0 && epsilon <= 1.0 && (0.0..1.0).contains(&momentum);
        prop_assert_eq!(config.validate().is_ok(), valid);
        prop_assert_eq!(Network::random(config, 0).is_ok(), valid);
    }

    #[test]
    fn valid_resnets_give_probabilities(depth in 1usize..3, n_filters1 in 1usize..4, height in 1usize..9, width in 1usize..9, n in 1usize..3) {
        let config = ResNetConfig { depth: 6 * depth + 2, n_filters1, n_classes: 3, height, width, ..Default::default() };
        let network = Network::random(config, 1).unwrap();
        check_probabilities(&network, [n, height, width]);
    }

    #[test]
    fn valid_distilled_networks_give_probabilities(
        n_conv_layers in 1usize..4, n_filters1 in 4usize..9, n_dense in 1usize..4, kernel1 in 1usize..6, kernel2 in 1usize..6, kernel3 in 1usize..6,
        height in 1usize..12, width in 1usize..12, n in 1usize..3
    ) {
        let config = DistilledCnnConfig {
            n_conv_layers, n_filters1, n_dense, kernel1, kernel2, kernel3, height, width, n_classes: 3, ..Default::default()
        };
        let network = Network::random(config, 1).unwrap();
        check_probabilities(&network, [n, height, width]);
    }

    #[test]
    fn distilled_configurations_are_valid_exactly_if_they_say(
        n_conv_layers in 0usize..5, n_filters1 in 0usize..6, n_dense in 0usize..3, kernel1 in 0usize..40, n_classes in 0usize..4
    ) {
        let config = DistilledCnnConfig { n_conv_layers, n_filters1, n_dense, kernel1, n_classes, height: 4, width: 4, ..Default::default() };
        let valid = (1..=3).contains(&n_conv_layers) && n_filters1 >= 1 << (n_conv_layers - 1) && n_dense >= 1
            && (1..=31).contains(&kernel1) && n_classes >= 2;
        prop_assert_eq!(config.validate().is_ok(), valid);
    }

    #[test]
    fn configurations_survive_json(depth in 0usize..100, mean in prop::array::uniform3(-1f32..1.0), std in prop::array::uniform3(0.01f32..1.0)) {
        let preprocessing = riptide_models::preprocess::Preprocessing::MeanStd { mean, std };
        let config = NetworkConfig::from(ResNetConfig { depth, preprocessing, ..Default::default() });
        let json = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(serde_json::from_str::<NetworkConfig>(&json).unwrap(), config);
    }

    #[test]
    fn same_padding_makes_the_windows_fit(size in 1usize..70, kernel in 1usize..8, stride in 1usize..5) {
        let Padding { top: before, bottom: after, .. } = Padding::same([kernel, 1], stride, size, 1);
        let output = size.div_ceil(stride);
        // The last window ends within the padded axis, and there is no padding that no window needs.
        prop_assert!((output - 1) * stride + kernel <= size + before + after);
        prop_assert!(before + after == 0 || (output - 1) * stride + kernel == size + before + after);
        prop_assert!(after == before || after == before + 1);
    }
}

fn check_probabilities(network: &impl Module, [n, height, width]: [usize; 3]) {
    let bytes: Vec<u8> = (0..n * height * width * 3).map(|i| (i * 37 % 256) as u8).collect();
    let images = Tensor::from_vec(bytes, (n, height, width, 3), &Device::Cpu).unwrap();
    let probabilities = network.forward(&images).unwrap();
    assert_eq!(
        (probabilities.dims(), probabilities.dtype()),
        ([n, 3].as_slice(), DType::F32)
    );
    for row in probabilities.to_vec2::<f32>().unwrap() {
        assert!(row.iter().all(|p| (0.0..=1.0).contains(p)), "{row:?}");
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
    }
}
