//! Calibrated monitors: the verdict, the alarm over batches, certificates and audits.

use std::path::PathBuf;
use std::sync::OnceLock;

use riptide::datasets::ImageSet;
use riptide::datasets::npy::{write_images, write_labels};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{clean_images, document, output, records, refused, riptide, shared};

const FAMILIES: &str = "shot_noise,defocus_blur,contrast,fog,gamma,stripes";

/// A calibrated copy of the shared monitor, made once.
fn calibrated() -> &'static PathBuf {
    static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let images = clean_images(400, 240);
        write_images(path("held-out.npy"), &images).unwrap();
        write_labels(path("labels.npy"), images.labels().unwrap()).unwrap();
        let report = document(&format!(
            "calibrate --monitor {} --images {} --labels {} --calibration-images 80 --families {FAMILIES} --out {}",
            shared().monitor.display(),
            path("held-out.npy").display(),
            path("labels.npy").display(),
            path("monitor").display()
        ));
        assert_eq!(
            (&report["calibration"]["n_images"], &report["calibration"]["target"]),
            (&80.into(), &"errors".into())
        );
        assert_eq!(report["note"], Value::Null);
        let monitor = path("monitor");
        (folder, monitor)
    });
    &made.1
}

fn detect(images: &std::path::Path, more: &str) -> String {
    format!(
        "detect --monitor {} --images {} {more}",
        calibrated().display(),
        images.display()
    )
}

#[test]
fn the_verdict_comes_first() {
    let shared = shared();
    let noisy = &records(&detect(&shared.noisy, ""))[0];
    assert_ne!(noisy["verdict"], "fit");
    for name in [
        "is_drift",
        "p_value",
        "excess_fraction",
        "accuracy",
        "outside",
        "sequential",
    ] {
        assert!(noisy.get(name).is_some(), "{name}: {noisy}");
    }
    let clean = &records(&detect(&shared.clean, ""))[0];
    assert_ne!(clean["verdict"], "harmful");
    if let Some(accuracy) = clean["accuracy"].as_object() {
        let number = |name: &str| accuracy[name].as_f64().unwrap();
        assert!(number("lower") <= number("estimate") && number("estimate") <= number("upper"));
        assert_eq!(
            (accuracy["assumption"].as_str(), accuracy["target"].as_str()),
            (Some("B"), Some("errors"))
        );
        assert!(accuracy["drop"]["estimate"].is_number() && accuracy["reference"].is_number());
    }
    assert_eq!(clean["sequential"]["alarm"], false);
    for (images, expected) in [(&shared.noisy, 3), (&shared.clean, 0)] {
        riptide(&detect(images, "--exit-code=harm")).assert().code(expected);
    }

    let folder = tempfile::tempdir().unwrap();
    let black = folder.path().join("black.npy");
    write_images(
        &black,
        &ImageSet::unlabelled(vec![0; 60 * 32 * 32 * 3], 32, 32).unwrap(),
    )
    .unwrap();
    let record = &records(&detect(&black, ""))[0];
    let text = output(&detect(&black, ""));
    match record["verdict"].as_str() {
        Some("outside") => {
            assert!(text.starts_with("outside what was declared"), "{text}");
            assert_eq!(record["accuracy"], Value::Null);
        }
        verdict => {
            assert_eq!(verdict, Some("harmful"));
            assert!(
                text.starts_with("accuracy ") && text.lines().next().unwrap().ends_with(": harmful"),
                "{text}"
            );
        }
    }

    let inspected = output(&format!("inspect {}", calibrated().display()));
    assert!(
        inspected.contains("calibration    80 images under 6 families of corruptions, learned from labels"),
        "{inspected}"
    );
    let scored = format!(
        "score --monitor {} --images {}",
        calibrated().display(),
        shared.clean.display()
    );
    assert!(output(&scored).lines().next().unwrap().ends_with("error probability"));
    assert!(records(&scored)[0]["error_probability"].is_number());
}

#[test]
fn the_alarm_over_batches_goes_on_from_its_state() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    let state = folder.path().join("alarm.json");
    let batches = |images: &std::path::Path, more: &str| records(&detect(images, &format!("--batch-size 40 {more}")));
    let kept = format!("--state {}", state.display());
    let first = batches(&shared.clean, &kept);
    let second = batches(&shared.noisy, &kept);
    let evidence = |records: &[Value]| -> Vec<f64> {
        records
            .iter()
            .map(|record| record["sequential"]["e_value"].as_f64().unwrap())
            .collect()
    };
    let anew = batches(&shared.noisy, "");
    assert_ne!(evidence(&second)[0], evidence(&anew)[0]);
    assert_eq!((first.len(), second.len()), (3, 3));
    let other = refused(1, &detect(&shared.clean, &format!("{kept} --tolerated-drop 0.3")));
    assert!(other.contains("alarm.json") && other.contains("another"), "{other}");
    let uncalibrated = format!(
        "detect --monitor {} --images {} {kept}",
        shared.monitor.display(),
        shared.clean.display()
    );
    assert!(refused(1, &uncalibrated).contains("not calibrated"));
}

#[test]
fn a_certificate_is_printed_written_and_required() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("certificate.html");
    let certify = format!(
        "certify --monitor {} --sizes 50,100 --batches 30",
        calibrated().display()
    );
    let report = document(&format!("{certify} --out {}", page.display()));
    assert_eq!(report["certificate"]["sizes"].as_array().unwrap().len(), 2);
    assert_eq!(report["unmet"], serde_json::json!([]));
    assert!(std::fs::read_to_string(&page).unwrap().contains("</html>"));
    assert!(output(&certify).contains("least drop found"));
    let done = riptide(&format!("{certify} --require drop=0.000001,n=60,power=0.99"))
        .assert()
        .code(1);
    let stderr = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
    assert!(stderr.starts_with("not met: batches of 60"), "{stderr}");
    assert!(refused(2, &format!("{certify} --require drop=2")).contains("drop=D,n=N"));
    let none = refused(1, &format!("certify --monitor {}", shared().monitor.display()));
    assert!(none.contains("not calibrated"), "{none}");
}

#[test]
fn an_audit_is_picked_labelled_and_taken() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("pick.csv");
    let of = |what: &str, more: &str| {
        format!(
            "audit {what} --monitor {} --images {} {more}",
            calibrated().display(),
            shared().clean.display()
        )
    };
    output(&of("pick", &format!("-m 30 --out {}", list.display())));
    let text = std::fs::read_to_string(&list).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("turn,image,file,probability,prediction,label"));
    // Everything is as the classifier says.
    let labelled = lines.map(|line| {
        let prediction = line.split(',').nth(4).unwrap();
        format!("{line}{prediction}")
    });
    let labelled: Vec<String> = std::iter::once("turn,image,file,probability,prediction,label".to_owned())
        .chain(labelled)
        .collect();
    std::fs::write(&list, labelled.join("\n")).unwrap();
    let found = document(&of("update", &format!("--labels {}", list.display())));
    assert_eq!((&found["n_labelled"], &found["alarm"]), (&30.into(), &false.into()));
    assert!(output(&of("update", &format!("--labels {}", list.display()))).starts_with("accuracy "));
    let wrong: Vec<String> = labelled.iter().map(|line| line.replace(",3,", ",4,")).collect();
    std::fs::write(&list, wrong.join("\n").replacen("1,", "2,", 1)).unwrap();
    assert!(refused(1, &of("update", &format!("--labels {}", list.display()))).contains("turn"));
}
