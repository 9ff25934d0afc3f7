//! `riptide ks` against the recorded cases of scipy and exact arithmetic.

use std::path::Path;

use serde::Deserialize;

use crate::support::{document, output, refused, repository};

#[derive(Deserialize)]
struct Cases {
    two_sample: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    seed: u64,
    n: usize,
    m: usize,
    levels: u32,
    is_infinite: bool,
    shift: f64,
    alternative: String,
    method: String,
    used: String,
    statistic: f64,
    sign: i8,
    p: f64,
}

/// As the fixtures' script draws its samples.
fn sample(seed: u64, n: usize, levels: u32, shift: f64) -> Vec<f64> {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let uniforms = (1..=n as u64).map(|i| {
        let mut z = seed.wrapping_mul(STEP).wrapping_add(i.wrapping_mul(STEP));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    });
    let value = |u: f64| {
        if levels == 0 {
            u
        } else {
            (u * f64::from(levels)).floor()
        }
    };
    uniforms.map(|u| value(u) + shift).collect()
}

fn write(path: &Path, values: &[f64]) {
    use npyz::WriterBuilder;
    let mut bytes = Vec::new();
    let shape = [values.len() as u64];
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn recorded_cases_come_out_of_the_command() {
    let json = std::fs::read(repository("fixtures/stats/ks.json")).unwrap();
    let cases: Cases = serde_json::from_slice(&json).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.npy"), folder.path().join("b.npy"));
    let cases: Vec<_> = cases
        .two_sample
        .iter()
        .filter(|case| !case.is_infinite)
        .step_by(10)
        .collect();
    assert!(cases.len() >= 30);
    for case in cases {
        write(&a, &sample(case.seed, case.n, case.levels, 0.0));
        write(&b, &sample(case.seed + 1, case.m, case.levels, case.shift));
        let method = if case.method == "asymptotic" {
            "asymp"
        } else {
            &case.method
        };
        let found = document(&format!(
            "ks {} {} --alternative {} --method {method}",
            a.display(),
            b.display(),
            case.alternative
        ));
        let number = |name: &str| found[name].as_f64().unwrap();
        assert!(
            (number("statistic") - case.statistic).abs() <= 1e-15,
            "{case:?}: {found}"
        );
        assert!(
            (number("p_value") - case.p).abs() <= 1e-10 * case.p.max(1e-290),
            "{case:?}: {found}"
        );
        assert_eq!(found["sign"], case.sign, "{case:?}");
        assert_eq!(found["method"], case.used.as_str(), "{case:?}");
        assert_eq!(
            (&found["n_reference"], &found["n_batch"]),
            (&case.n.into(), &case.m.into())
        );
    }
}

#[test]
fn people_read_the_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.npy"), folder.path().join("b.npy"));
    write(&a, &[1.0, 2.0, 3.0, 4.0]);
    write(&b, &[3.5, 5.0, 6.0]);
    let text = output(&format!("ks {} {} --alternative greater", a.display(), b.display()));
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_no_sample_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    write(folder.path().join("a.npy").as_path(), &[1.0, 2.0]);
    write(folder.path().join("nan.npy").as_path(), &[1.0, f64::NAN]);
    write(folder.path().join("empty.npy").as_path(), &[]);
    std::fs::write(folder.path().join("text.npy"), "1 2 3").unwrap();
    for (name, words) in [
        ("none.npy", "no such file"),
        ("nan.npy", "NaN"),
        ("empty.npy", "0 values"),
        ("text.npy", "not a .npy file"),
    ] {
        let text = refused(1, &format!("ks {} {}", path("a.npy"), path(name)));
        assert!(text.contains(words) && text.lines().count() == 1, "{name}: {text}");
    }
}
