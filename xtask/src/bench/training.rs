//! Images a second of training steps: forward, backward and optimizer, of both networks.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::Context;
use candle_core::{Device, Tensor};
use riptide::datasets::ImageSet;
use riptide::datasets::shapes::{Shapes, TRAIN_FIRST_INDEX};
use riptide::models::train::{Recipe, Targets, Trainer, TrainingSet};
use riptide::models::{DistilledCnnConfig, Network, ResNetConfig};
use serde::Serialize;
use serde_json::json;

use super::measure::{head, median, rate, report, row};
use super::peers::Peers;
use super::stock::Stock;
use crate::out::say;

/// Options of `cargo xtask bench training`.
#[derive(Debug, clap::Args)]
pub struct TrainingArgs {
    /// Measure PyTorch, TensorFlow, alibi-detect's fit and stock candle in the same run
    #[arg(long)]
    peers: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Times that everything is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Images of a step
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Threads [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
}

/// Steps of a call of our trainer.
const STEPS: usize = 2;
const OURS: &str = "riptide";
/// Whose rates the ratios of a network are taken to; the best counts.
const PYTORCH: &str = "PyTorch";
const ALIBI: &str = "alibi-detect";

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    threads: usize,
    batch: usize,
    rates: Vec<Rates>,
    ratios: Ratios,
    /// Name and reason of each peer that could not be measured.
    absent: Vec<(String, String)>,
}

/// One library, in images a second.
#[derive(Debug, Serialize)]
struct Rates {
    name: String,
    /// ResNet-32; `None` if the library has no such fit.
    classifier: Option<f64>,
    distilled: f64,
    #[serde(skip)]
    samples: [Vec<f64>; 2],
}

/// Our trainer's rate as a multiple of others'; `None` if none was measured.
#[derive(Debug, Default, Serialize)]
struct Ratios {
    /// To the best PyTorch.
    classifier: Option<f64>,
    /// To the best of PyTorch and alibi-detect.
    distilled: Option<f64>,
}

/// What the networks learn.
struct Lesson {
    batch: usize,
    images: ImageSet,
    probabilities: Vec<f32>,
}

/// The two networks.
const NETWORKS: [&str; 2] = ["classifier", "distilled"];

/// Something that trains one of the networks.
trait Learner {
    /// Images a second.
    fn rate(&mut self, network: usize, seconds: f64) -> anyhow::Result<f64>;
}

/// Runs the measurement.
pub fn run(args: TrainingArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.batch > 0, "--batch: 0 is too small; give at least 1");
    anyhow::ensure!(args.threads != Some(0), "--threads: 0 is too small; give at least 1");
    let threads = args.threads.unwrap_or_else(rayon::current_num_threads);
    if args.threads.is_some() {
        // Stock candle takes the threads of the process.
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let lesson = Lesson::new(args.batch);
    let mut learners: Vec<(Rates, Box<dyn Learner + '_>)> =
        vec![(Rates::new(OURS.to_owned()), Box::new(Ours::new(&lesson)?))];
    let mut absent = Vec::new();
    if args.peers {
        learners.push((Rates::new("candle".to_owned()), Box::new(StockPair::new(&lesson)?)));
        for peers in [
            Peers::start("training.py", threads)?,
            Peers::start("training_tensorflow.py", threads)?,
            Peers::start_in("peers-alibi", "alibi-requirements.txt", "alibi.py", threads)?,
        ] {
            absent.extend(peers.found.absent.clone());
            let peers = Rc::new(RefCell::new(peers));
            let present = peers.borrow().found.present.clone();
            for (name, version) in present {
                let python = Python {
                    name: name.clone(),
                    batch: args.batch,
                    peers: Rc::clone(&peers),
                };
                learners.push((Rates::new(format!("{name} {version}")), Box::new(python)));
            }
        }
    }
    for _ in 0..args.rounds.max(1) {
        for (rates, learner) in &mut learners {
            for network in rates.networks() {
                let rate = learner.rate(network, args.seconds)?;
                rates.samples[network].push(rate);
            }
        }
    }
    let mut rates: Vec<Rates> = learners.into_iter().map(|(rates, _)| rates).collect();
    rates.iter_mut().for_each(Rates::settle);
    let outcome = Outcome {
        threads,
        batch: args.batch,
        ratios: ratios(&rates),
        rates,
        absent,
    };
    report(&outcome, args.json, print)
}

impl Rates {
    fn new(name: String) -> Self {
        Self {
            name,
            classifier: None,
            distilled: 0.0,
            samples: Default::default(),
        }
    }

    /// The networks that this library trains.
    fn networks(&self) -> std::ops::Range<usize> {
        if self.name.starts_with(ALIBI) { 1..2 } else { 0..2 }
    }

    fn settle(&mut self) {
        let [classifier, distilled] = &mut self.samples;
        self.classifier = (!classifier.is_empty()).then(|| median(classifier));
        self.distilled = median(distilled);
    }
}

fn ratios(rates: &[Rates]) -> Ratios {
    let best = |names: &[&str], of: fn(&Rates) -> Option<f64>| {
        let named = rates
            .iter()
            .filter(|rates| names.iter().any(|name| rates.name.starts_with(name)));
        named.filter_map(of).reduce(f64::max)
    };
    let Some(ours) = rates.iter().find(|rates| rates.name == OURS) else {
        return Ratios::default();
    };
    Ratios {
        classifier: best(&[PYTORCH], |rates| rates.classifier)
            .zip(ours.classifier)
            .map(|(best, ours)| ours / best),
        distilled: best(&[PYTORCH, ALIBI], |rates| Some(rates.distilled)).map(|best| ours.distilled / best),
    }
}

impl Lesson {
    fn new(batch: usize) -> Self {
        let images = Shapes::new(0).generate(TRAIN_FIRST_INDEX, STEPS * batch);
        let row = |i: usize| (0..10).map(move |class| if class == i % 10 { 0.82 } else { 0.02 });
        let probabilities = (0..STEPS * batch).flat_map(row).collect();
        Self {
            batch,
            images,
            probabilities,
        }
    }

    fn networks() -> anyhow::Result<[Network; 2]> {
        Ok([
            Network::random(ResNetConfig::default(), 0)?,
            Network::random(DistilledCnnConfig::default(), 0)?,
        ])
    }

    /// One batch as raw images (N, H, W, 3), labels (N) and probabilities (N, 10).
    fn batch(&self) -> anyhow::Result<[Tensor; 3]> {
        let cpu = &Device::Cpu;
        let batch = self.images.slice(0..self.batch)?;
        let labels = batch.labels().context("shapes have labels")?;
        Ok([
            Tensor::from_slice(batch.pixels(), &batch.shape()[..], cpu)?,
            Tensor::from_slice(labels, self.batch, cpu)?,
            Tensor::from_slice(&self.probabilities[..10 * self.batch], (self.batch, 10), cpu)?,
        ])
    }
}

/// Our trainer, from raw images, with the variations of its recipes.
struct Ours<'a> {
    lesson: &'a Lesson,
    /// The probabilities again for every version of the images.
    probabilities: Vec<f32>,
    trainers: [Trainer; 2],
}

impl<'a> Ours<'a> {
    fn new(lesson: &'a Lesson) -> anyhow::Result<Self> {
        let [classifier, distilled] = Lesson::networks()?;
        let recipe = |recipe: Recipe| Recipe {
            batch_size: lesson.batch,
            ..recipe
        };
        let trainers = [
            Trainer::new(&classifier, recipe(Recipe::classifier(u32::MAX)))?,
            Trainer::new(&distilled, recipe(Recipe::distilled(u32::MAX)))?,
        ];
        let versions = trainers[1].recipe().augmentation.versions().unwrap_or(1);
        let probabilities = lesson.probabilities.repeat(versions);
        Ok(Self {
            lesson,
            probabilities,
            trainers,
        })
    }
}

impl Learner for Ours<'_> {
    fn rate(&mut self, network: usize, seconds: f64) -> anyhow::Result<f64> {
        let images = &self.lesson.images;
        let targets = match network {
            0 => Targets::Labels(images.labels().context("shapes have labels")?),
            _ => Targets::Probabilities(&self.probabilities),
        };
        let set = TrainingSet {
            pixels: images.pixels(),
            targets,
        };
        let trainer = &mut self.trainers[network];
        Ok(rate(images.len(), seconds, || {
            trainer.epoch(set, |_progress| ()).map(drop)
        })?)
    }
}

/// Stock candle.
struct StockPair {
    batch: usize,
    networks: [Stock; 2],
}

impl StockPair {
    fn new(lesson: &Lesson) -> anyhow::Result<Self> {
        let [images, labels, probabilities] = lesson.batch()?;
        let preprocessing = DistilledCnnConfig::default().preprocessing;
        let images = preprocessing.apply(&images)?;
        Ok(Self {
            batch: lesson.batch,
            networks: [
                Stock::classifier(images.clone(), labels)?,
                Stock::distilled(images, probabilities)?,
            ],
        })
    }
}

impl Learner for StockPair {
    fn rate(&mut self, network: usize, seconds: f64) -> anyhow::Result<f64> {
        let stock = &mut self.networks[network];
        Ok(rate(self.batch, seconds, || stock.step())?)
    }
}

/// A library in a Python process.
struct Python {
    name: String,
    batch: usize,
    peers: Rc<RefCell<Peers>>,
}

impl Learner for Python {
    fn rate(&mut self, network: usize, seconds: f64) -> anyhow::Result<f64> {
        let question =
            json!({"peer": self.name, "network": NETWORKS[network], "batch": self.batch, "seconds": seconds});
        let answer = self.peers.borrow_mut().ask(&question)?;
        answer["images_per_second"].as_f64().context("a peer gave no rate")
    }
}

fn print(outcome: &Outcome) {
    say!(
        "Images a second of training steps at batch {}, {} threads, median of the rounds",
        outcome.batch,
        outcome.threads
    );
    head(&NETWORKS, "");
    for rates in &outcome.rates {
        let note = match rates.classifier {
            Some(_) => "",
            None => "fits the distilled network alone",
        };
        row(
            &rates.name,
            &[rates.classifier.unwrap_or(0.0), rates.distilled],
            0,
            note,
        );
    }
    for (name, reason) in &outcome.absent {
        say!("{name}: absent ({reason})");
    }
    if let Some(ratio) = outcome.ratios.classifier {
        say!("classifier: {ratio:.2} times the best of {PYTORCH}");
    }
    if let Some(ratio) = outcome.ratios.distilled {
        say!("distilled network: {ratio:.2} times the best of {PYTORCH} and {ALIBI}'s fit");
    }
}
