//! What images go through before a classifier: named, described by a file, asked for, checked against another program.

use std::fs;

#[cfg(feature = "onnx")]
use riptide::datasets::{ImageSet, npy::write_images};
use riptide::files::npy;
use serde_json::Value;

use crate::support::{document, names, output, records, refused, repository, riptide, shared};

#[test]
fn probabilities_are_written_as_predict_tells_them() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let on = |command: &str| {
        format!(
            "{command} --monitor {} --images {}",
            shared.monitor.display(),
            shared.clean.display()
        )
    };
    let told: Vec<f32> = records(&on("predict --probabilities"))
        .iter()
        .flat_map(|row| row["classifier"].as_array().unwrap().clone())
        .map(|value| value.as_f64().unwrap() as f32)
        .collect();
    output(&format!("{} --probabilities {}", on("score"), path("p.npy")));
    document(&format!(
        "{} --probabilities {} --out {}",
        on("score"),
        path("q.npy"),
        path("scores.csv")
    ));
    let array = npy::decode::<f32>(&fs::read(path("p.npy")).unwrap()).unwrap();
    assert_eq!((array.shape, array.values), (vec![120, 10], told));
    assert_eq!(fs::read(path("p.npy")).unwrap(), fs::read(path("q.npy")).unwrap());

    // A stream that ends early leaves no file, and neither does another extension.
    let bytes = fs::read(&shared.clean).unwrap();
    let cut = format!(
        "score --monitor {} --images - --probabilities {}",
        shared.monitor.display(),
        path("cut.npy")
    );
    riptide(&cut).write_stdin(&bytes[..bytes.len() - 1]).assert().code(1);
    assert!(refused(1, &format!("{} --probabilities {}", on("score"), path("p.csv"))).contains(".npy"));
    assert_eq!(names(folder.path()), ["p.npy", "q.npy", "scores.csv"]);
}

#[test]
fn a_classifier_is_checked_against_another_programs_answers() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    output(&format!(
        "score --monitor {} --images {} --probabilities {}",
        shared.monitor.display(),
        shared.clean.display(),
        path("p.npy")
    ));
    let check = format!(
        "check --classifier {} --images {} --expected {}",
        repository("crates/pretrained/networks/shapes/classifier").display(),
        shared.clean.display(),
        path("p.npy")
    );
    let report = document(&check);
    assert_eq!(
        (&report["n_same_class"], &report["agrees"]),
        (&120.into(), &true.into())
    );
    assert!(output(&check).contains("same class          120 of 120 images"));
    // Another preprocessing gives other answers: exit 1, after the report.
    let done = riptide(&format!("{check} --preprocessing none --json"))
        .assert()
        .code(1);
    let report: Value = serde_json::from_slice(&done.get_output().stdout).unwrap();
    assert_eq!(report["agrees"], false);
    let text = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    assert!(text.contains("--preprocessing") && text.lines().count() == 1, "{text}");
    let noisy = check.replace(&shared.clean.display().to_string(), &shared.noisy.display().to_string());
    riptide(&noisy).assert().code(1);
    riptide(&format!("{noisy} --tolerance 0.999999")).assert().success();
    riptide(&format!("{check} --colour bgr --tolerance 1e-6"))
        .assert()
        .code(1);
}

#[cfg(feature = "onnx")]
#[test]
fn an_onnx_file_has_no_silent_preprocessing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let pixels = |n: usize| (0..n * 420).map(|i| (i * i * 31 / 8 % 256) as u8).collect::<Vec<_>>();
    write_images(path("x.npy"), &ImageSet::unlabelled(pixels(60), 10, 14).unwrap()).unwrap();
    fs::create_dir(path("model")).unwrap();
    fs::copy(repository("fixtures/models/resnet_nchw.onnx"), path("model/model.onnx")).unwrap();
    let fit = |out: &str| {
        format!(
            "fit --classifier {} --images {} --epochs 1 --filters 4 --out {}",
            path("model/model.onnx"),
            path("x.npy"),
            path(out)
        )
    };
    for arguments in [
        fit("a"),
        fit("a")
            .replace("fit", "import")
            .replace("--images", "--reference")
            .replace(
                "--epochs 1 --filters 4",
                &format!(
                    "--distilled {}",
                    repository("fixtures/models/distilled_nested.h5").display()
                ),
            ),
    ] {
        let text = refused(1, &arguments);
        assert!(text.contains("--preprocessing") && text.contains("keras-255"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    // Two folders of few pictures: labels, but no decision; and fewer classes than the classifier's four.
    for (i, class) in ["0", "1"].iter().enumerate() {
        fs::create_dir_all(folder.path().join("pictures").join(class)).unwrap();
        for k in 0..8 {
            let bytes = [b"P6 14 10 255\n".as_slice(), &pixels(16)[(i * 8 + k) * 420..][..420]].concat();
            fs::write(folder.path().join(format!("pictures/{class}/{k}.ppm")), bytes).unwrap();
        }
    }
    let labelled = fit("a").replace(&path("x.npy"), &path("pictures"));
    let text = refused(1, &labelled);
    assert!(
        text.contains("16 labelled images") && text.contains("--preprocessing"),
        "{text}"
    );

    // A description beside the file is taken, and an option goes before it.
    let config =
        r#"{"framing": {"stretch": {"height": 10, "width": 14}}, "preprocessing": {"pixels": {"order": "bgr"}}}"#;
    fs::write(path("model/preprocessor_config.json"), config).unwrap();
    // So few images that fit warns.
    let document = |arguments: &str| -> Value {
        let done = riptide(&format!("{arguments} --json")).assert().success();
        serde_json::from_slice(&done.get_output().stdout).unwrap()
    };
    let facts = &document(&fit("b"))["facts"];
    assert_eq!(facts["preprocessing"]["pixels"]["order"], "bgr");
    assert_eq!(facts["framing"]["stretch"]["width"], 14);
    let text = output(&format!("inspect {}", path("b")));
    assert!(
        text.contains("10 x 14 (stretched, bilinear), blue, green, red; divided by 255"),
        "{text}"
    );
    assert_eq!(
        document(&format!("{} --preprocessing keras-tf", fit("c")))["facts"]["preprocessing"]["pixels"]["range"],
        "-1..1"
    );
    assert_eq!(
        document(&format!("{} --preprocessing none --colour bgr", fit("d")))["facts"]["preprocessing"]["pixels"]["order"],
        "bgr"
    );
    // The monitor frames pictures of another size as the classifier's were, without being told.
    fs::create_dir(path("large")).unwrap();
    fs::write(
        path("large/1.ppm"),
        [b"P6 28 20 255\n".as_slice(), &[7; 28 * 20 * 3]].concat(),
    )
    .unwrap();
    let rows = |monitor: &str| format!("score --monitor {} --images {}", path(monitor), path("large"));
    assert_eq!(records(&rows("b")).len(), 1);
    assert!(refused(1, &rows("d")).contains("--resize"));
    fs::write(
        path("model/preprocessor_config.json"),
        "{\"preprocessing\": \"whiten\"}",
    )
    .unwrap();
    assert!(refused(1, &fit("e")).contains("preprocessor_config.json"));
    assert!(refused(1, &format!("{} --preprocessing imagenet", fit("e"))).contains("squares"));
}
