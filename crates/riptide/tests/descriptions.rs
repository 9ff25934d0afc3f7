//! Descriptions of what images go through, as they lie beside models.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use riptide::Error;
use riptide::datasets::{Filter, Framing};
use riptide::models::preprocess::{ColourOrder, PixelRange, Pixels};
use riptide::pipeline::Described;
use riptide::prelude::*;
use serde_json::{Value, json};

fn read(config: &Value) -> Result<Described, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("preprocessor_config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    Described::read(path)
}

/// google/vit-base-patch16-224.
fn vit() -> Value {
    json!({"do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "ViTImageProcessor", "image_std": [0.5, 0.5, 0.5], "resample": 2,
        "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 224}})
}

/// openai/clip-vit-base-patch32, in its older form.
fn clip() -> Value {
    json!({"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224})
}

/// timm/resnet18.a1_in1k.
fn timm() -> Value {
    json!({"architecture": "resnet18", "num_classes": 1000, "num_features": 512, "pretrained_cfg": {
        "tag": "a1_in1k", "custom_load": false, "input_size": [3, 224, 224], "test_input_size": [3, 288, 288],
        "fixed_input_size": false, "interpolation": "bicubic", "crop_pct": 0.95, "test_crop_pct": 1.0,
        "crop_mode": "center", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "num_classes": 1000,
        "pool_size": [7, 7], "first_conv": "conv1", "classifier": "fc", "origin_url": "x", "paper_ids": "arXiv:2110.00476"}})
}

#[test]
fn the_files_of_timm_and_hugging_face_are_understood() {
    let pipeline = |config: &Value| read(config).unwrap().pipeline.unwrap();
    let half = Preprocessing::MeanStd {
        mean: [0.5; 3],
        std: [0.5; 3],
    };
    assert_eq!(pipeline(&vit()).preprocessing, half);
    assert_eq!(pipeline(&vit()).framing, Framing::stretch(224, 224));
    assert_eq!(pipeline(&clip()), Preset::Clip.pipeline((224, 224)).unwrap());
    let resnet = pipeline(&timm());
    assert_eq!(resnet.preprocessing, Preset::Imagenet.preprocessing());
    // timm: floor(224 / 0.95) = 235.
    assert_eq!(resnet.framing, Framing::crop(235, 224, 224).filter(Filter::Bicubic));
    assert_eq!(read(&timm()).unwrap().size, Some((224, 224)));
    // The inner object alone, as `timm.data.resolve_model_data_config` gives it.
    assert_eq!(pipeline(&timm()["pretrained_cfg"]), resnet);

    let mut convnext = vit();
    convnext["image_processor_type"] = "ConvNextImageProcessor".into();
    convnext["size"] = json!({"shortest_edge": 224});
    convnext["crop_pct"] = json!(0.875);
    assert_eq!(pipeline(&convnext).framing, Framing::crop(256, 224, 224));
    convnext["size"] = json!({"shortest_edge": 384});
    assert_eq!(pipeline(&convnext).framing, Framing::stretch(384, 384));

    // Raw numbers, blue first.
    let mut mobile = clip();
    mobile["feature_extractor_type"] = "MobileViTImageProcessor".into();
    mobile["size"] = json!({"shortest_edge": 288});
    mobile["do_normalize"] = false.into();
    let expected = Preprocessing::None.with_order(ColourOrder::Bgr);
    assert_eq!(pipeline(&mobile).preprocessing, expected);
    mobile["do_rescale"] = false.into();
    let bytes = Pixels::default().order(ColourOrder::Bgr).range(PixelRange::Bytes);
    assert_eq!(pipeline(&mobile).preprocessing, bytes.into());

    // EfficientNet's image processor: byte / 127.5 - 1.
    let mut efficient = vit();
    efficient["rescale_factor"] = json!(1.0 / 127.5);
    efficient["rescale_offset"] = true.into();
    efficient["do_normalize"] = false.into();
    assert_eq!(pipeline(&efficient).preprocessing, Preset::KerasTf.preprocessing());
    // Another factor becomes a mean and a standard deviation of the bytes.
    efficient["rescale_offset"] = false.into();
    efficient["do_normalize"] = true.into();
    let table = pipeline(&efficient).preprocessing.table(&[]);
    for byte in [0usize, 100, 255] {
        let expected = (byte as f32 / 127.5 - 0.5) / 0.5;
        assert!((table[1][byte] - expected).abs() < 1e-5, "{byte}");
    }

    let grey = json!({"input_size": [1, 28, 28], "interpolation": "bilinear", "mean": [0.1307], "std": [0.3081],
        "crop_pct": 1.0, "crop_mode": "squash"});
    assert_eq!(pipeline(&grey).preprocessing, Preset::Mnist.preprocessing());
    assert_eq!(pipeline(&grey).framing, Framing::stretch(28, 28));

    let ours = serde_json::to_value(resnet).unwrap();
    assert_eq!(pipeline(&ours), resnet);
}

#[test]
fn class_names_are_taken_from_a_model_config() {
    let names = |config: Value| read(&config).unwrap().class_names;
    let config = json!({"architectures": ["ViTForImageClassification"], "id2label": {"1": "dog", "0": "cat"}});
    assert_eq!(names(config.clone()), Some(vec!["cat".to_owned(), "dog".to_owned()]));
    assert_eq!(read(&config).unwrap().pipeline, None);
    assert_eq!(names(json!({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}})), None);
    assert!(read(&json!({"id2label": {"0": "cat", "2": "dog"}})).is_err());
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let with = |mut config: Value, key: &str, value: Value| {
        config[key] = value;
        read(&config).unwrap_err().to_string()
    };
    for (config, key, value) in [
        (vit(), "do_sharpen", json!(true)),
        (vit(), "resample", json!(5)),
        (vit(), "size", json!({"longest_edge": 224})),
        (
            vit(),
            "size",
            json!({"height": 224, "width": 224, "shortest_edge": 256}),
        ),
        (vit(), "image_mean", json!([0.5, 0.5])),
        (vit(), "image_std", json!(null)),
        (vit(), "rescale_factor", json!(-1)),
        (vit(), "crop_pct", json!(0.9)),
        (vit(), "do_rescale", json!("yes")),
        (clip(), "crop_size", json!({"shortest_edge": 224})),
        (clip(), "resample", json!(null)),
        (timm()["pretrained_cfg"].clone(), "interpolation", json!("hamming")),
        (timm()["pretrained_cfg"].clone(), "crop_mode", json!("squash")),
        (timm()["pretrained_cfg"].clone(), "input_size", json!([4, 224, 224])),
        (timm()["pretrained_cfg"].clone(), "tta", json!(3)),
    ] {
        let text = with(config, key, value);
        assert!(
            text.contains(key) && text.contains("preprocessor_config.json"),
            "{key}: {text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    let text = with(vit(), "image_std", json!([0.5, 0.0, 0.5]));
    assert!(text.contains("std"), "{text}");
    // One number may be the shorter side or both.
    let mut unknown = vit();
    unknown["image_processor_type"] = "OtherImageProcessor".into();
    unknown["size"] = json!(224);
    let text = read(&unknown).unwrap_err().to_string();
    assert!(text.contains("shortest_edge"), "{text}");
    assert!(read(&json!([1])).is_err());
    assert!(read(&json!({"framing": "keep", "preprocessing": "none", "more": 1})).is_err());
}

#[test]
fn two_files_beside_a_model_must_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, config: &Value| std::fs::write(folder.path().join(name), config.to_string()).unwrap();
    let model = folder.path().join("model.onnx");
    assert_eq!(Described::beside(&model).unwrap(), Described::default());
    write(
        "config.json",
        &json!({"id2label": {"0": "cat", "1": "dog"}, "model_type": "vit"}),
    );
    write("preprocessor_config.json", &vit());
    let found = Described::beside(&model).unwrap();
    assert_eq!(
        (found.size, found.class_names.map(|names| names.len())),
        (Some((224, 224)), Some(2))
    );
    // As on the Hub, where ONNX files are in a folder of that name.
    assert!(
        Described::beside(folder.path().join("onnx/model.onnx"))
            .unwrap()
            .pipeline
            .is_some()
    );
    assert!(
        Described::beside(folder.path().join("other/model.onnx"))
            .unwrap()
            .pipeline
            .is_none()
    );
    write("config.json", &timm());
    let text = Described::beside(&model).unwrap_err().to_string();
    assert!(
        text.contains("config.json") && text.contains("preprocessor_config.json"),
        "{text}"
    );
}

/// Any value put in the place of any key gives an error or a pipeline that can be used.
#[test]
fn damaged_descriptions_are_refused_or_usable() {
    let values = [
        json!(null),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(4294967296u64),
        json!(0.5),
        json!(""),
        json!("x"),
        json!([]),
        json!([0.5]),
        json!([1, 2, 3]),
        json!([1e300, 1e300, 1e300]),
        json!({}),
        json!({"height": 0, "width": 1}),
        json!(true),
    ];
    let mut usable = 0;
    for config in [vit(), clip(), timm()["pretrained_cfg"].clone()] {
        for key in config.as_object().unwrap().keys() {
            for value in &values {
                let mut damaged = config.clone();
                damaged[key] = value.clone();
                let Ok(described) = read(&damaged) else {
                    continue;
                };
                usable += 1;
                if let (Some(pipeline), Some(size)) = (described.pipeline, described.size) {
                    pipeline.check(size).unwrap();
                }
            }
        }
    }
    assert!(usable > 20, "{usable}");
}
