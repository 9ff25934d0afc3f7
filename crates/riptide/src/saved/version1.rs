//! Folders of format version 1: one file, `detector.json`, for facts and options alike.
//!
//! Nothing in it says what the reference was scored with, so only what its commands could write is taken: the published
//! score, and the preprocessing that the networks themselves were saved with.

use std::collections::BTreeMap;
use std::path::Path;

use riptide_detectors::{Answers, Loss, ScoreKind};
use riptide_files::{npy, regular};
use riptide_models::Network;
use riptide_models::preprocess::Preprocessing;
use riptide_stats::ks::Alternative;
use serde::Deserialize;

use super::{CLASSIFIER, DISTILLED, bad_json, folder};
use crate::error::{Error, Result};
use crate::monitor::{Monitor, Parts, facts_of};
use crate::options::Options;
use crate::pair::Pair;

pub(super) const MANIFEST: &str = "detector.json";
const SCORES: &str = "x_ref.npy";
const ANSWERS: &str = "x_ref_answers.npy";

#[derive(Debug, Deserialize)]
struct Detector {
    format: String,
    version: u64,
    kind: String,
    score: ScoreKind,
    loss: Loss,
    temperature: f64,
    threshold: Option<f64>,
    alternative: Alternative,
    drift: Drift,
    harm: Harm,
    preprocessing: Scaling,
    input_size: [usize; 2],
    class_names: Vec<String>,
    files: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Drift {
    p_val: f64,
}

#[derive(Debug, Deserialize)]
struct Harm {
    p_val: f64,
    min_fraction: f64,
    confidence: f64,
    quantile: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Scaling {
    None,
    ScaleByInstance,
    MeanStd { mean: [f32; 3], std: [f32; 3] },
}

impl From<Scaling> for Preprocessing {
    fn from(scaling: Scaling) -> Self {
        match scaling {
            Scaling::None => Self::None,
            Scaling::ScaleByInstance => Self::ScaleByInstance,
            Scaling::MeanStd { mean, std } => Self::MeanStd { mean, std },
        }
    }
}

/// Whether `dir` is of format version 1.
pub(super) fn is_here(dir: &Path) -> bool {
    dir.join(MANIFEST).is_file()
}

/// The files that the folder should hold.
pub(super) fn files(dir: &Path) -> Result<BTreeMap<String, String>> {
    Ok(parse(dir)?.files)
}

pub(super) fn load(dir: &Path) -> Result<Monitor> {
    let path = dir.join(MANIFEST);
    let detector = parse(dir)?;
    folder::check(dir, &path, &detector.files, &[MANIFEST])?;
    let classifier = Network::load(dir.join(CLASSIFIER))?;
    let distilled = Network::load(dir.join(DISTILLED))?;
    let changed = |fact: &'static str, what: String| Error::FactChanged {
        path: path.clone(),
        fact,
        reason: format!(
            "{what}; put the old value back, or make a monitor of its networks again with `riptide import`"
        ),
    };
    if detector.score != ScoreKind::Distillation {
        let reason = format!(
            "the reference was scored with distillation; fit again to use {}",
            detector.score
        );
        return Err(Error::FactChanged {
            path,
            fact: "score",
            reason,
        });
    }
    if detector.loss != Loss::Kld || detector.temperature != 1.0 {
        let fact = if detector.loss == Loss::Kld {
            "temperature"
        } else {
            "loss"
        };
        return Err(changed(
            fact,
            "the reference was scored with the loss kld at temperature 1".into(),
        ));
    }
    let scaling = Preprocessing::from(detector.preprocessing);
    for (name, network) in [("classifier", &classifier), ("distilled network", &distilled)] {
        if network.preprocessing() != scaling {
            let what = format!(
                "the {name} was saved with the preprocessing {:?}, not {scaling:?}",
                network.preprocessing()
            );
            return Err(changed("preprocessing", what));
        }
    }
    let (height, width) = classifier.input_size();
    if detector.input_size != [height, width] {
        let what = format!(
            "the classifier takes images of {height} x {width} pixels, not {:?}",
            detector.input_size
        );
        return Err(changed("input_size", what));
    }
    if detector.drift.p_val != detector.harm.p_val {
        let reason = "has two levels, `drift.p_val` and `harm.p_val`, where a monitor has one; make them the same";
        return Err(Error::malformed(&path, reason));
    }
    let scores = array(&dir.join(SCORES), 1)?;
    let answers = match dir.join(ANSWERS) {
        path if path.exists() => {
            let pairs = array(&path, 2)?;
            let is_class = |value: &f64| value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(value);
            if !pairs.iter().all(is_class) {
                return Err(Error::malformed(&path, "holds something other than classes"));
            }
            let class = |place: usize| pairs.chunks_exact(2).map(|pair| pair[place] as usize).collect();
            Some(Answers {
                classifier: class(0),
                distilled: class(1),
            })
        }
        _ => None,
    };
    let pair = Pair::new(classifier.into(), distilled)?;
    let options = Options {
        level: detector.drift.p_val,
        alternative: detector.alternative,
        least_excess_fraction: detector.harm.min_fraction,
        confidence: detector.harm.confidence,
        quantile: Some(detector.harm.quantile),
        threshold: detector.threshold,
        ..Options::default()
    };
    Monitor::from_parts(Parts {
        facts: facts_of(&pair, detector.class_names, &scores, answers.as_ref(), None, None, None),
        options,
        pair,
        scores,
        answers,
        confidences: None,
        calibration: None,
        probe: None,
    })
}

fn parse(dir: &Path) -> Result<Detector> {
    let path = dir.join(MANIFEST);
    let text = folder::read_json(&path)?;
    let detector: Detector = serde_json::from_str(&text).map_err(|error| bad_json(&path, &error))?;
    if detector.format != "riptide-detector" || detector.version != 1 || detector.kind != "HarmfulDrift" {
        return Err(Error::malformed(
            &path,
            "is no monitor of format version 1: its format, version or kind is another",
        ));
    }
    Ok(detector)
}

fn array(path: &Path, width: usize) -> Result<Vec<f64>> {
    let bytes = regular::read(path, regular::NUMBERS)?;
    let array = npy::decode::<f64>(&bytes).map_err(|error| Error::malformed(path, error.to_string()))?;
    match array.shape.as_slice() {
        [_, columns] if *columns == width => Ok(array.values),
        shape => Err(Error::malformed(
            path,
            format!("has the shape {shape:?}, not (N, {width})"),
        )),
    }
}
