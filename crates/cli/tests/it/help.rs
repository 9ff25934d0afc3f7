//! Help, completions and man pages.

use crate::support::{document, names, output, refused};

const COMMANDS: [&str; 20] = [
    "fit",
    "import",
    "calibrate",
    "check",
    "score",
    "detect",
    "predict",
    "explain",
    "ks",
    "certify",
    "audit",
    "corrupt",
    "inspect",
    "experiment",
    "train",
    "fetch",
    "serve",
    "history",
    "completions",
    "man",
];

#[test]
fn every_command_has_help_with_an_example() {
    let overview = output("--help");
    insta::assert_snapshot!(overview);
    for command in COMMANDS {
        assert!(overview.contains(&format!("\n  {command} ")), "{command}");
        let help = output(&format!("{command} --help"));
        assert!(help.contains("Example:\n  riptide "), "{command}: {help}");
        // An audit's options are those of its parts. A service prints a log, with threads as its settings say; fetching and
        // reading a history are not bound by the processor.
        let parts: &[&str] = if command == "audit" {
            &["audit pick", "audit update"]
        } else {
            &[command]
        };
        for part in parts {
            let help = output(&format!("{part} --help"));
            assert!(*part == "serve" || help.contains("--json"), "{part}");
            let is_bound = !["fetch", "serve", "history"].contains(part);
            assert!(!is_bound || help.contains("--threads"), "{part}");
        }
    }
}

#[test]
fn shells_and_man_are_served() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            output(&format!("completions {shell}")).contains("batch-size"),
            "{shell}"
        );
    }
    let script = document("completions bash");
    assert_eq!(
        (&script["shell"], &script["script"]),
        (&"bash".into(), &output("completions bash").into())
    );
    assert!(output("man").contains(".TH riptide 1"));
    assert_eq!(document("man")["page"], output("man"));
    let folder = tempfile::tempdir().unwrap();
    let told = document(&format!("man --out {}", folder.path().join("man1").display()));
    let pages = names(&folder.path().join("man1"));
    let mut expected: Vec<String> = COMMANDS.iter().map(|command| format!("riptide-{command}.1")).collect();
    expected.push("riptide.1".to_owned());
    expected.sort();
    assert_eq!(pages, expected);
    assert_eq!(told["pages"].as_array().map(Vec::len), Some(expected.len()));
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for arguments in [
        "",
        "guess",
        "ks one.npy",
        "ks a.npy b.npy --alternative sideways",
        "ks a.npy b.npy --method magic",
        "ks a.npy b.npy --threads 0",
        "detect --images x.npy",
        "detect --monitor d --images x.npy --batch-size 0",
        "detect --monitor d --images x.npy --p-val 1.5",
        "detect --monitor d --images x.npy --exit-code=maybe",
        "corrupt --images x.npy --corruption rain --severity 1 --out y.npy",
        "corrupt --images x.npy --corruption fog --severity 6 --out y.npy",
        "fit --classifier w --images x --out d --epochs 0",
        "fit --classifier w --images x --out d --preprocessing whiten",
        "fit --classifier w --images x --out d --preprocessing mean-std --mean 1,2",
        "completions tcsh",
    ] {
        if arguments.is_empty() {
            crate::support::riptide(arguments).assert().code(2);
        } else {
            refused(2, arguments);
        }
    }
}
