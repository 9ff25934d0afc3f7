//! What a monitor finds out about batches and about single images.

use std::path::PathBuf;

use riptide_stats::Interval;
use riptide_stats::ks::Alternative;
use serde::Serialize;

use crate::error::Result;
use crate::images::Images;
use crate::monitor::Monitor;
use crate::score::{Row, ScoreStream};

/// What was found out about a batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The batch's number, counted from 0.
    pub batch: usize,
    /// The place of its first image among all images.
    pub first_image: usize,
    /// Its number of images.
    pub n_images: usize,
    /// Whether its scores differ from the reference's: whether `p_value` is below `level`.
    pub is_drift: bool,
    /// The p-value of the two-sample Kolmogorov-Smirnov test of its scores against the reference's.
    pub p_value: f64,
    /// The test's statistic: the largest distance of the two distribution functions.
    pub distance: f64,
    /// The significance level.
    pub level: f64,
    /// What counts as drift of the scores.
    pub alternative: Alternative,
    /// Whether its scores are significantly larger than the reference's, and its excess fraction reaches the least one.
    pub is_harmful: bool,
    /// The p-value of the one-sided test behind `is_harmful`.
    pub harm_p_value: f64,
    /// A lower bound of the fraction of its images in excess of the reference, estimated, with its interval.
    pub excess_fraction: Interval,
}

/// What was found out about one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Decision {
    /// The image's place among all images.
    pub index: usize,
    /// Its file, if each image is a file of its own.
    #[serde(
        flatten,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::score::named"
    )]
    pub file: Option<PathBuf>,
    /// Whether its score is above the threshold, strictly.
    pub flagged: bool,
    /// Its score.
    pub score: f32,
    /// The score above which an image is flagged.
    pub threshold: f64,
    /// The class that the classifier gives it.
    pub prediction: usize,
    /// The name of that class.
    pub class: String,
}

impl Outcome {
    pub(crate) fn new(monitor: &Monitor, scores: &[f64]) -> Result<Self> {
        let drift = monitor.ks_drift().test(scores)?;
        let harm = monitor.harm_test().test(scores)?.data;
        Ok(Self {
            batch: 0,
            first_image: 0,
            n_images: scores.len(),
            is_drift: drift.is_drift(),
            p_value: drift.p_value(),
            distance: drift.distance(),
            level: monitor.options().level,
            alternative: monitor.options().alternative,
            is_harmful: harm.is_harmful,
            harm_p_value: harm.p_value,
            excess_fraction: harm.excess_fraction,
        })
    }
}

impl Monitor {
    /// Tests all images as one batch.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn detect<'a>(&'a self, images: impl Into<Images<'a>>) -> Result<Outcome> {
        let mut scores = Vec::new();
        for chunk in self.score_stream(images) {
            scores.extend(chunk?.scores.into_iter().map(f64::from));
        }
        self.detect_scores(&scores)
    }

    /// Tests batches of `batch_size` images (at least 1), each as soon as its last image has been scored; the last batch may
    /// be smaller.
    ///
    /// ```no_run
    /// # use riptide::prelude::*;
    /// let monitor = Monitor::load("monitor")?;
    /// for outcome in monitor.detect_batches(Images::open("-")?, 500) {
    ///     let outcome = outcome?;
    ///     println!("batch {}: p = {:.2e}, harmful: {}", outcome.batch, outcome.p_value, outcome.is_harmful);
    /// }
    /// # Ok::<(), riptide::Error>(())
    /// ```
    pub fn detect_batches<'a>(&'a self, images: impl Into<Images<'a>>, batch_size: usize) -> Outcomes<'a> {
        Outcomes::new(self, self.score_stream(images), batch_size)
    }

    /// Tests scores that are known already as one batch.
    ///
    /// # Errors
    /// [`Error::Detector`](crate::Error) if there are none, or one is not a number.
    pub fn detect_scores(&self, scores: &[f64]) -> Result<Outcome> {
        Outcome::new(self, scores)
    }

    /// Says of each image whether it is flagged: whether its score is above the [threshold](Self::threshold), strictly.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn predict<'a>(&'a self, images: impl Into<Images<'a>>) -> Result<Vec<Decision>> {
        let mut all = Vec::new();
        for chunk in self.score_stream(images) {
            all.extend(chunk?.rows().map(|row| self.decide(&row)));
        }
        Ok(all)
    }

    /// Says of one image whether it is flagged.
    pub fn decide(&self, row: &Row<'_>) -> Decision {
        Decision {
            index: row.index,
            file: row.file.cloned(),
            flagged: f64::from(row.score) > self.threshold(),
            score: row.score,
            threshold: self.threshold(),
            prediction: row.prediction,
            class: self.class_name(row.prediction).to_owned(),
        }
    }
}

/// Tests one batch after the other; made by [`Monitor::detect_batches`]. After an error the iterator ends.
#[derive(Debug)]
pub struct Outcomes<'a> {
    monitor: &'a Monitor,
    stream: ScoreStream<'a>,
    batch_size: usize,
    waiting: Vec<f64>,
    batch: usize,
    first_image: usize,
    is_over: bool,
}

impl<'a> Outcomes<'a> {
    pub(crate) fn new(monitor: &'a Monitor, stream: ScoreStream<'a>, batch_size: usize) -> Self {
        Self {
            monitor,
            stream,
            batch_size: batch_size.max(1),
            waiting: Vec::new(),
            batch: 0,
            first_image: 0,
            is_over: false,
        }
    }

    /// How many images have been scored so far.
    pub fn scored(&self) -> usize {
        self.first_image + self.waiting.len()
    }

    /// How many images are still to be scored, if that is known.
    pub fn remaining(&self) -> Option<u64> {
        self.stream.remaining()
    }

    fn outcome(&mut self, n: usize) -> Result<Outcome> {
        let rest = self.waiting.split_off(n);
        let scores = std::mem::replace(&mut self.waiting, rest);
        let outcome = Outcome {
            batch: self.batch,
            first_image: self.first_image,
            ..Outcome::new(self.monitor, &scores)?
        };
        self.batch += 1;
        self.first_image += n;
        Ok(outcome)
    }
}

impl Iterator for Outcomes<'_> {
    type Item = Result<Outcome>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over && self.waiting.len() < self.batch_size {
            match self.stream.next() {
                Some(Ok(chunk)) => self.waiting.extend(chunk.scores.into_iter().map(f64::from)),
                Some(Err(error)) => {
                    self.is_over = true;
                    self.waiting.clear();
                    return Some(Err(error));
                }
                None => self.is_over = true,
            }
        }
        match self.waiting.len().min(self.batch_size) {
            0 => None,
            n => Some(self.outcome(n)),
        }
    }
}
