//! Scoring, detecting, predicting, inspecting and explaining with one monitor.

use parquet::file::reader::SerializedFileReader;
use parquet::record::RowAccessor;
use riptide::datasets::npy::read_numbers;

use crate::support::{document, names, output, records, riptide, shared};

#[test]
fn clean_images_are_quiet_and_noisy_ones_are_not() {
    let shared = shared();
    let detect = |images: &std::path::Path, more: &str| {
        format!(
            "detect --monitor {} --images {} {more}",
            shared.monitor.display(),
            images.display()
        )
    };
    let clean = records(&detect(&shared.clean, ""));
    let noisy = records(&detect(&shared.noisy, ""));
    assert_eq!((clean.len(), noisy.len()), (1, 1));
    assert_eq!(
        (&clean[0]["is_drift"], &clean[0]["is_harmful"]),
        (&false.into(), &false.into())
    );
    assert_eq!(
        (&noisy[0]["is_drift"], &noisy[0]["is_harmful"]),
        (&true.into(), &true.into())
    );
    let fraction = &noisy[0]["excess_fraction"];
    let bound = |name: &str| fraction[name].as_f64().unwrap();
    assert!(0.1 < bound("lower") && bound("lower") < bound("estimate") && bound("estimate") < bound("upper"));

    for (images, flag, code) in [
        (&shared.clean, "--exit-code", 0),
        (&shared.noisy, "", 0),
        (&shared.noisy, "--exit-code", 3),
        (&shared.noisy, "--exit-code=harm", 3),
        (&shared.noisy, "--exit-code=harm --alternative less --level 1e-300", 0),
    ] {
        riptide(&detect(images, flag)).assert().code(code);
    }
    let batches = records(&detect(&shared.noisy, "--batch-size 50 --alternative greater"));
    let sizes: Vec<_> = batches
        .iter()
        .map(|batch| batch["n_images"].as_u64().unwrap())
        .collect();
    let first: Vec<_> = batches
        .iter()
        .map(|batch| batch["first_image"].as_u64().unwrap())
        .collect();
    assert_eq!((sizes, first), (vec![50, 50, 20], vec![0, 50, 100]));
    assert!(batches.iter().all(|batch| batch["alternative"] == "greater"));
    insta::assert_snapshot!(output(&detect(&shared.noisy, "--batch-size 50")));
}

#[test]
fn scores_are_the_same_in_every_form_and_with_any_threads() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let score = format!(
        "score --monitor {} --images {}",
        shared.monitor.display(),
        shared.clean.display()
    );
    let rows = records(&score);
    assert_eq!(rows.len(), 120);
    let scores: Vec<f64> = rows
        .iter()
        .map(|row| row["score"].as_f64().unwrap() as f32)
        .map(f64::from)
        .collect();
    assert_eq!(
        output(&format!("{score} --json")),
        output(&format!("{score} --json --threads 1"))
    );

    let npy = folder.path().join("scores.npy");
    let report = document(&format!("{score} --out {}", npy.display()));
    assert_eq!(report["images"], 120);
    assert_eq!(read_numbers(&npy, Some("score")).unwrap(), scores);
    let predictions = read_numbers(&npy, Some("prediction")).unwrap();
    assert!(
        predictions
            .iter()
            .zip(&rows)
            .all(|(found, row)| Some(*found) == row["prediction"].as_f64())
    );

    let csv = folder.path().join("scores.csv");
    output(&format!("{score} --out {}", csv.display()));
    let text = std::fs::read_to_string(&csv).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("image,score,prediction,class,confidence"));
    for (index, (line, row)) in lines.zip(&rows).enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[0], index.to_string());
        assert_eq!(
            cells[1].parse::<f32>().ok(),
            row["score"].as_f64().map(|score| score as f32)
        );
        assert_eq!(cells[3], row["class"].as_str().unwrap());
    }

    let parquet = folder.path().join("scores.parquet");
    output(&format!("{score} --out {}", parquet.display()));
    let reader = SerializedFileReader::new(std::fs::File::open(&parquet).unwrap()).unwrap();
    let read: Vec<_> = reader.into_iter().map(|row| row.unwrap()).collect();
    assert_eq!(read.len(), rows.len());
    for (index, (found, row)) in read.iter().zip(&rows).enumerate() {
        let number = |field: &str| row[field].as_f64().map(|value| value as f32);
        assert_eq!(found.get_long(0).unwrap(), index as i64);
        assert_eq!(found.get_float(1).ok(), number("score"));
        assert_eq!(row["prediction"], found.get_uint(2).unwrap());
        assert_eq!(row["class"], found.get_string(3).unwrap().as_str());
        assert_eq!(found.get_float(4).ok(), number("confidence"));
    }
    assert_eq!(names(folder.path()), ["scores.csv", "scores.npy", "scores.parquet"]);

    let piped = riptide(&format!(
        "score --monitor {} --images - --json",
        shared.monitor.display()
    ))
    .write_stdin(std::fs::read(&shared.clean).unwrap())
    .assert()
    .success();
    assert_eq!(
        String::from_utf8_lossy(&piped.get_output().stdout),
        output(&format!("{score} --json"))
    );
    let ks = document(&format!("ks {0} {0}", npy.display()));
    assert_eq!((&ks["statistic"], &ks["p_value"]), (&0.0.into(), &1.0.into()));
}

#[test]
fn single_images_are_flagged_above_the_threshold() {
    let shared = shared();
    let predict = format!(
        "predict --monitor {} --images {}",
        shared.monitor.display(),
        shared.noisy.display()
    );
    let rows = records(&format!("{predict} --probabilities"));
    let threshold = document(&format!("inspect {}", shared.monitor.display()))["threshold"]
        .as_f64()
        .unwrap();
    let flagged = rows.iter().filter(|row| row["flagged"] == true).count();
    assert!(flagged > 0 && flagged < rows.len());
    for row in &rows {
        let is_above = row["score"].as_f64().unwrap() > threshold;
        assert_eq!(row["flagged"].as_bool(), Some(is_above));
        for network in ["classifier", "distilled"] {
            let sum: f64 = row[network]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p.as_f64().unwrap())
                .sum();
            assert!((sum - 1.0).abs() < 1e-5);
        }
    }
    let text = output(&predict);
    assert!(
        text.ends_with(&format!("{flagged} of 120 images score above {threshold:.4}\n")),
        "{text}"
    );
    let none = output(&format!("{predict} --threshold 1e9"));
    insta::assert_snapshot!(none);
}

#[test]
fn a_monitor_says_what_it_is() {
    let shared = shared();
    let inspect = format!("inspect {}", shared.monitor.display());
    insta::assert_snapshot!(output(&inspect));
    let report = document(&inspect);
    assert_eq!(report["options"]["alternative"], "two-sided");
    assert_eq!(report["classifier"]["n_parameters"], 469_690);
    let counts = report["reference"]["histogram"].as_array().unwrap().iter();
    assert_eq!(counts.map(|bin| bin["count"].as_u64().unwrap()).sum::<u64>(), 200);
}

#[test]
fn harm_is_explained() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let png = folder.path().join("most.png");
    let explain = format!(
        "explain --monitor {} --images {}",
        shared.monitor.display(),
        shared.noisy.display()
    );
    let report = document(&format!("{explain} --top 7 --out {}", png.display()));
    let images = report["images"].as_array().unwrap();
    let scores: Vec<f64> = images.iter().map(|image| image["score"].as_f64().unwrap()).collect();
    assert!(scores.len() == 7 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let all = records(&format!(
        "score --monitor {} --images {}",
        shared.monitor.display(),
        shared.noisy.display()
    ));
    let largest = all.iter().map(|row| row["score"].as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(scores[0], largest);
    assert!(
        report["classes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|class| class["is_significant"] == true)
    );
    assert!(
        report["pairs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|pair| pair["classifier"] != pair["distilled"])
    );
    assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    insta::assert_snapshot!(output(&explain));
}

#[cfg(unix)]
#[test]
fn the_nightly_job_raises_the_alarm() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_riptide"));
    let path = std::env::join_paths(
        std::iter::once(binary.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let night = |images: &std::path::Path, name: &str| {
        std::process::Command::new("sh")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/nightly.sh"))
            .args([&shared.monitor, images, &folder.path().join(name)])
            .env("PATH", path.as_ref().unwrap())
            .status()
            .unwrap()
            .code()
    };
    assert_eq!(night(&shared.clean, "quiet"), Some(0));
    assert_eq!(names(&folder.path().join("quiet")), ["outcomes.jsonl"]);
    assert_eq!(night(&shared.noisy, "alarm"), Some(3));
    let expected = ["explain.json", "most-harmful.png", "outcomes.jsonl"];
    assert_eq!(names(&folder.path().join("alarm")), expected);
    assert_eq!(night(&folder.path().join("none.npy"), "failed"), Some(1));
}
