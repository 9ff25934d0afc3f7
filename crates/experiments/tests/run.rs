//! Whole runs with a small network on generated pictures: the files, their bytes, and what happens when a run is cut off.

#![allow(clippy::unwrap_used, clippy::result_large_err)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use riptide_corruptions::{Corruption, Corruptor, Severity};
use riptide_datasets::shapes::{Shapes, TEST_FIRST_INDEX};
use riptide_detectors::ScoreKind;
use riptide_experiments::{ExperimentError, Kind, Protocol, ProtocolParams, Summary, TestImages, run};
use riptide_files::{Progress, Silent};
use riptide_models::train::{Recipe, Targets, Trainer, TrainingSet};
use riptide_models::{DistilledCnnConfig, Network, NetworkPair, ResNetConfig};
use riptide_stats::ks::Alternative;

/// A small network that knows a little about the pictures, and an untrained one beside it.
fn networks() -> NetworkPair {
    static CLASSIFIER: OnceLock<Network> = OnceLock::new();
    let classifier = CLASSIFIER.get_or_init(|| {
        let config = ResNetConfig {
            depth: 8,
            n_filters1: 8,
            ..Default::default()
        };
        let images = Shapes::new(0).generate(0, 1500);
        let network = Network::random(config, 0).unwrap();
        let mut trainer = Trainer::new(&network, Recipe::classifier(4)).unwrap();
        while !trainer.is_finished() {
            let targets = Targets::Labels(images.labels().unwrap());
            let pixels = images.pixels();
            trainer.epoch(TrainingSet { pixels, targets }, |_| ()).unwrap();
        }
        trainer.network().unwrap()
    });
    let config = DistilledCnnConfig {
        n_filters1: 8,
        ..Default::default()
    };
    NetworkPair::new(classifier.clone(), Network::random(config, 1).unwrap()).unwrap()
}

fn images() -> TestImages {
    let clean = Shapes::new(0).generate(TEST_FIRST_INDEX, 700);
    TestImages::generated("Shapes", clean, Corruptor::new(0)).unwrap()
}

fn protocol() -> Protocol {
    params(vec![ScoreKind::Distillation]).check().unwrap()
}

/// A small run that compares scores.
fn comparing() -> Protocol {
    params(ScoreKind::FROM_PROBABILITIES.to_vec()).check().unwrap()
}

fn params(scores: Vec<ScoreKind>) -> ProtocolParams {
    ProtocolParams {
        n_ref: 100,
        batch_size: 20,
        batches: 6,
        corruptions: vec![Corruption::GaussianNoise, Corruption::Contrast],
        severities: vec![Severity::ALL[2], Severity::ALL[4]],
        resamples: 50,
        scores,
        ..Default::default()
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)),
            );
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{name} differs");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let outer = tempfile::tempdir().unwrap();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let out = outer.path().join(threads.to_string());
        pool.install(|| run(&networks(), &images(), &comparing(), &out, &mut Silent).unwrap());
    }
    assert_same(&outer.path().join("1"), &outer.path().join("2"));
    assert_same(&outer.path().join("1"), &outer.path().join("5"));
    let names = files(&outer.path().join("1"));
    for name in [
        "harm.csv",
        "figures/excess.svg",
        "figures/excess-surprise.png",
        "figures/compare-power.png",
        "figures/compare-alarms.svg",
        "figures/compare-trade.svg",
        "figures/compare-auroc.svg",
    ] {
        assert!(names.contains_key(name), "{name} is missing");
    }
}

/// Stops the run as kill -9 would, as far as its files go, when the third set begins.
struct Stop(usize);

impl Progress for Stop {
    fn message(&mut self, _name: &str) {
        self.0 += 1;
        assert!(self.0 < 3, "stopped on purpose");
    }
}

/// Counts how many images are scored and how many were kept.
#[derive(Default)]
struct Count {
    scored: u64,
    kept: u64,
}

impl Progress for Count {
    fn advance(&mut self, images: u64) {
        self.scored += images;
    }
    fn skip(&mut self, images: u64) {
        self.kept += images;
    }
}

#[test]
fn a_run_cut_off_goes_on_and_ends_with_the_same_bytes() {
    let outer = tempfile::tempdir().unwrap();
    let (whole, cut) = (outer.path().join("whole"), outer.path().join("cut"));
    run(&networks(), &images(), &protocol(), &whole, &mut Silent).unwrap();
    let stopped = std::panic::catch_unwind(|| run(&networks(), &images(), &protocol(), &cut, &mut Stop(0)).map(|_| ()));
    assert!(stopped.is_err());
    assert!(!cut.join("report.html").exists());
    let mut count = Count::default();
    run(&networks(), &images(), &protocol(), &cut, &mut count).unwrap();
    assert_eq!((count.kept, count.scored), (2 * 700, 3 * 700));
    assert_same(&whole, &cut);
}

#[test]
fn a_damaged_pass_is_made_again() {
    let outer = tempfile::tempdir().unwrap();
    let (whole, damaged) = (outer.path().join("whole"), outer.path().join("damaged"));
    run(&networks(), &images(), &protocol(), &whole, &mut Silent).unwrap();
    run(&networks(), &images(), &protocol(), &damaged, &mut Silent).unwrap();
    let pass = files(&damaged.join("passes")).into_keys().next().unwrap();
    let path = damaged.join("passes").join(pass);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    run(&networks(), &images(), &protocol(), &damaged, &mut Silent).unwrap();
    assert_same(&whole, &damaged);
}

/// Every text of a drawing must begin on its paper, turned and moved ones too.
fn assert_words_on_paper(name: &str, text: &str) {
    let drawing = roxmltree::Document::parse(text).unwrap();
    let numbers = |text: &str| -> Vec<f64> { text.split(' ').map(|n| n.parse().unwrap()).collect() };
    let size = numbers(drawing.root_element().attribute("viewBox").unwrap());
    let words: Vec<_> = drawing.descendants().filter(|node| node.has_tag_name("text")).collect();
    assert!(!words.is_empty(), "{name} has no words");
    for word in words {
        let at = |axis: &str| word.attribute(axis).unwrap().parse::<f64>().unwrap();
        let moved = word.ancestors().find_map(|node| {
            let inner = node.attribute("transform")?.strip_prefix("translate(")?;
            Some(numbers(inner.trim_end_matches(')')))
        });
        let moved = moved.unwrap_or_else(|| vec![0.0, 0.0]);
        let (x, y) = (at("x") + moved[0], at("y") + moved[1]);
        assert!(
            (0.0..=size[2]).contains(&x) && (0.0..=size[3]).contains(&y),
            "{name}: {word:?}"
        );
    }
}

#[test]
fn figures_and_report_are_whole() {
    let outer = tempfile::tempdir().unwrap();
    run(&networks(), &images(), &comparing(), outer.path(), &mut Silent).unwrap();
    let all = files(outer.path());
    let figures: Vec<&String> = all.keys().filter(|name| name.starts_with("figures/")).collect();
    // Two sheets, five figures for each of five scores, four that compare them, and the map; each twice.
    assert_eq!(figures.len(), 2 * (2 + 5 * 5 + 4 + 1), "{figures:?}");
    for name in figures {
        if name.ends_with(".png") {
            let picture = image::load_from_memory(&all[name]).unwrap().into_rgba8();
            let first = *picture.get_pixel(0, 0);
            assert!(
                picture.width() > 600 && picture.pixels().any(|pixel| *pixel != first),
                "{name}"
            );
            continue;
        }
        assert_words_on_paper(name, std::str::from_utf8(&all[name]).unwrap());
    }
    let report = std::str::from_utf8(&all["report.html"]).unwrap();
    assert!(report.len() < 5_000_000);
    for outside in ["src=\"http", "href=\"http", "url(", "<link", "<script src", "@import"] {
        assert!(!report.contains(outside), "{outside}");
    }
    // What opens is closed, and every link within the page leads somewhere.
    for element in ["details", "figure", "table", "svg", "div", "ul", "tbody", "tr", "td"] {
        let opened = report.matches(&format!("<{element}>")).count() + report.matches(&format!("<{element} ")).count();
        assert_eq!(opened, report.matches(&format!("</{element}>")).count(), "{element}");
    }
    for link in report.split("href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert!(report.contains(&format!("<h2 id=\"{id}\"")), "{id}");
    }
    // A panel a severity and a legend entry a score.
    let compare = report
        .split("<h2 id=\"compare\"")
        .nth(1)
        .unwrap()
        .split("<h2 ")
        .next()
        .unwrap();
    let figures: Vec<&str> = compare.split("<figure>").skip(1).collect();
    let counts: Vec<(usize, usize)> = figures
        .iter()
        .map(|figure| {
            let panels = figure.split("class=\"panels\"").nth(1).unwrap().matches("<svg").count();
            (panels, figure.matches("<li>").count())
        })
        .collect();
    assert_eq!(counts, [(2, 6), (2, 6), (2, 5), (1, 5)]);
    for panel in report.split("<svg").skip(1) {
        let panel = panel.split("</svg>").next().unwrap();
        if panel.contains("<text") {
            assert_words_on_paper("a panel of the page", &format!("<svg{panel}</svg>"));
        }
    }
}

#[test]
fn the_page_says_what_the_summary_holds() {
    let outer = tempfile::tempdir().unwrap();
    let (summary, _) = run(&networks(), &images(), &comparing(), outer.path(), &mut Silent).unwrap();
    let page = std::fs::read_to_string(outer.path().join("report.html")).unwrap();
    let rows = |id: &str, table: usize| -> Vec<Vec<String>> {
        let section = page
            .split(&format!("<h2 id=\"{id}\""))
            .nth(1)
            .unwrap()
            .split("<h2 ")
            .next()
            .unwrap();
        let body = section
            .split("<tbody>")
            .nth(1 + table)
            .unwrap()
            .split("</tbody>")
            .next()
            .unwrap();
        let cell = |text: &str| text.split_once('>').unwrap().1.split('<').next().unwrap().to_owned();
        body.split("<tr>")
            .skip(1)
            .map(|row| row.split("<td").skip(1).map(cell).collect())
            .collect()
    };
    let percent = |rate: f64| format!("{}\u{a0}%", (rate * 1000.0).round() / 10.0);
    let scores = &summary.protocol.scores;
    let compared = rows("compare", 0);
    assert_eq!(compared.len(), scores.len());
    for (row, &score) in compared.iter().zip(scores) {
        let rate = |kind, fraction| percent(summary.mean_alarms(score, kind, fraction).unwrap());
        assert_eq!(row[0], score.name());
        assert_eq!(
            row[2..5],
            [
                rate(Kind::Harmful, 0.3),
                rate(Kind::Harmless, 0.3),
                rate(Kind::Harmless, 0.9)
            ]
        );
    }
    let map = rows("accuracy", 0);
    for (row, corruption) in map.iter().zip(&summary.protocol.corruptions) {
        assert_eq!(row[0], corruption.name().replace('_', " "));
        let found = summary
            .accuracies
            .iter()
            .filter(|found| found.corruption == *corruption);
        let expected: Vec<String> = found.map(|found| format!("{:.1}", 100.0 * found.accuracy)).collect();
        assert_eq!(row[1..], expected);
    }
    assert_eq!(rows("harm", 1).len(), summary.harm.len());
    assert_eq!(summary.harm.len(), summary.sweep.len());
    // The kept numbers come back whole.
    let json = std::fs::read(outer.path().join("summary.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Summary>(&json).unwrap(), summary);
}

#[test]
fn the_page_speaks_of_the_alternative_that_was_tested() {
    let outer = tempfile::tempdir().unwrap();
    let page = |alternative: Alternative| {
        let params = ProtocolParams {
            alternative,
            ..params(vec![ScoreKind::Distillation])
        };
        run(
            &networks(),
            &images(),
            &params.check().unwrap(),
            outer.path(),
            &mut Silent,
        )
        .unwrap();
        std::fs::read_to_string(outer.path().join("report.html")).unwrap()
    };
    let said = [
        "The test is two-sided, as published",
        "is one-sided (greater)",
        "is one-sided (less)",
    ];
    let tested = [Alternative::TwoSided, Alternative::Greater, Alternative::Less];
    for (i, alternative) in tested.into_iter().enumerate() {
        let page = page(alternative);
        for (j, sentence) in said.into_iter().enumerate() {
            assert_eq!(page.contains(sentence), i == j, "{alternative}: {sentence}");
        }
        assert!(page.contains(&format!("Kolmogorov-Smirnov test ({alternative}, level 0.05)")));
        // One score is compared with none.
        assert!(!page.contains("id=\"compare\""));
    }
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let outer = tempfile::tempdir().unwrap();
    let out = outer.path().join("out");
    let few = TestImages::generated("few", Shapes::new(0).generate(0, 50), Corruptor::new(0)).unwrap();
    let error = run(&networks(), &few, &protocol(), &out, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("120 images but there are 50"), "{error}");
    let pixels = vec![0; 200 * 16 * 16 * 3];
    let small = riptide_datasets::ImageSet::unlabelled(pixels, 16, 16).unwrap();
    let names = (0..10).map(|class| class.to_string()).collect();
    let small = small.with_labels(vec![0; 200], names).unwrap();
    let small = TestImages::generated("small", small, Corruptor::new(0)).unwrap();
    let error = run(&networks(), &small, &protocol(), &out, &mut Silent).unwrap_err();
    assert!(matches!(error, ExperimentError::Mismatch(_)), "{error}");
}
