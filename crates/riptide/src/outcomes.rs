//! Batch after batch of a stream.

use std::collections::VecDeque;

use riptide_detectors::SequentialTest;

use crate::batch::Batch;
use crate::error::Result;
use crate::images::Images;
use crate::monitor::Monitor;
use crate::outcome::{Outcome, Sequential};
use crate::score::{ScoreStream, Scored};

impl Monitor {
    /// Tests batches of `batch_size` images (at least 1), each as soon as its last image has come and been scored; the last
    /// batch may be smaller. If the images end with an error, the whole batches before it are told first.
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
        Outcomes::new(self, self.score_stream(images).without_errors(), batch_size)
    }
}

/// Tests one batch after the other; made by [`Monitor::detect_batches`]. After an error the iterator ends.
#[derive(Debug)]
pub struct Outcomes<'a> {
    monitor: &'a Monitor,
    stream: ScoreStream<'a>,
    batch_size: usize,
    /// Whole batches that are still to be judged.
    whole: VecDeque<Batch>,
    /// The batch that is being gathered.
    open: Batch,
    sequential: Option<SequentialTest>,
    batch: usize,
    first_image: usize,
    scored: usize,
    is_over: bool,
}

impl<'a> Outcomes<'a> {
    pub(crate) fn new(monitor: &'a Monitor, stream: ScoreStream<'a>, batch_size: usize) -> Self {
        Self {
            monitor,
            stream,
            batch_size: batch_size.max(1),
            whole: VecDeque::new(),
            open: Batch::default(),
            // Options were checked when the monitor was made; one that is not calibrated has no such alarm.
            sequential: monitor.sequential().ok(),
            batch: 0,
            first_image: 0,
            scored: 0,
            is_over: false,
        }
    }

    /// Continues an alarm from earlier batches, instead of beginning a new one.
    #[must_use]
    pub fn continue_from(self, test: SequentialTest) -> Self {
        Self {
            sequential: Some(test),
            ..self
        }
    }

    /// The alarm as it is after the batches so far, if the monitor is calibrated.
    pub fn sequential(&self) -> Option<&SequentialTest> {
        self.sequential.as_ref()
    }

    /// How many images have been scored so far.
    pub fn scored(&self) -> usize {
        self.scored
    }

    /// How many images are still to be scored, if that is known.
    pub fn remaining(&self) -> Option<u64> {
        self.stream.remaining()
    }

    /// Cuts a chunk where batches end.
    fn gather(&mut self, chunk: &Scored) -> Result<()> {
        let n = chunk.scores.len();
        self.scored += n;
        let mut from = 0;
        while from < n {
            let to = n.min(from.saturating_add(self.batch_size - self.open.len()));
            self.open.add(self.monitor, chunk, from..to)?;
            from = to;
            if self.open.len() == self.batch_size {
                self.whole.push_back(std::mem::take(&mut self.open));
            }
        }
        Ok(())
    }

    fn outcome(&mut self, batch: &Batch) -> Result<Outcome> {
        let mut outcome = Outcome::new(self.monitor, batch)?;
        if let (Some(test), Some(window)) = (&mut self.sequential, &batch.window) {
            test.update(window.mean_error())?;
            outcome.sequential = Some(Sequential::of(test));
        }
        outcome.batch = self.batch;
        outcome.first_image = self.first_image;
        self.batch += 1;
        self.first_image += batch.len();
        Ok(outcome)
    }
}

impl Iterator for Outcomes<'_> {
    type Item = Result<Outcome>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.whole.pop_front() {
                return Some(self.outcome(&batch));
            }
            if self.is_over {
                let batch = std::mem::take(&mut self.open);
                return (batch.len() > 0).then(|| self.outcome(&batch));
            }
            let missing = self.batch_size - self.open.len();
            let gathered = match self.stream.next_for(Some(missing)) {
                Some(Ok(chunk)) => self.gather(&chunk),
                Some(Err(error)) => Err(error),
                None => {
                    self.is_over = true;
                    Ok(())
                }
            };
            if let Err(error) = gathered {
                self.is_over = true;
                self.open = Batch::default();
                self.whole.clear();
                return Some(Err(error));
            }
        }
    }
}
