//! Reports transfers on several threads as one task of a [`Progress`].

use std::collections::BTreeMap;
use std::time::Duration;

use riptide_files::{Progress, Unit};

use super::artifact::Artifact;

/// Something that happened to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A file that is in the cache already is being read to check its digest.
    Verifying,
    /// The transfer begins.
    Started {
        /// The file's length in bytes, if it is known.
        total: Option<u64>,
        /// Bytes that an earlier fetch has left.
        resumed_at: u64,
    },
    /// More bytes are there.
    Progress {
        /// Bytes so far, those of earlier fetches included.
        done: u64,
    },
    /// Something went wrong that may pass; it is tried again.
    Retrying {
        /// What went wrong.
        reason: String,
        /// How long until then.
        delay: Duration,
    },
    /// The file is in its place.
    Arrived,
}

/// Tells a [`Progress`] of all files as of one task.
pub(crate) struct Teller<'p> {
    progress: &'p mut dyn Progress,
    /// Of each artifact, by name: its length, if it is known, and the bytes told so far.
    files: BTreeMap<String, (Option<u64>, u64)>,
}

impl<'p> Teller<'p> {
    /// Begins the task. Lengths that are not published are added as the servers tell them.
    pub(crate) fn begin(artifacts: &[Artifact], progress: &'p mut dyn Progress) -> Self {
        let task = match artifacts {
            [one] => one.name.clone(),
            several => format!("{} files", several.len()),
        };
        let known = artifacts.iter().filter_map(|artifact| artifact.size);
        progress.begin(&task, Some(known.fold(0, u64::saturating_add)), Unit::Bytes);
        let files = artifacts
            .iter()
            .map(|artifact| (artifact.name.clone(), (artifact.size, 0)));
        Self {
            files: files.collect(),
            progress,
        }
    }

    pub(crate) fn tell(&mut self, name: &str, event: Event) {
        match event {
            Event::Verifying => self
                .progress
                .message(&format!("{name}: checking the file in the cache")),
            Event::Started { total, resumed_at } => {
                if let Some((length @ None, _)) = self.files.get_mut(name)
                    && let Some(total) = total
                {
                    *length = Some(total);
                    self.progress.extend(total);
                }
                let before = self.reach(name, resumed_at);
                self.progress.skip(before);
                self.progress.message(name);
            }
            Event::Progress { done } => {
                let new = self.reach(name, done);
                self.progress.advance(new);
            }
            Event::Retrying { reason, delay } => {
                let seconds = delay.as_secs_f64();
                self.progress
                    .message(&format!("{name}: {reason}; trying again in {seconds:.1} s"));
            }
            Event::Arrived => {
                // What did not have to be transferred: the file was there, or of an archive only some members were wanted.
                let length = self.files.get(name).and_then(|(length, _)| *length);
                let rest = self.reach(name, length.unwrap_or(0));
                self.progress.skip(rest);
            }
        }
    }

    pub(crate) fn end(self) {
        self.progress.end();
    }

    /// Notes that a file has come as far as `done` bytes, and returns how many of them are new: none if the file was started
    /// over.
    fn reach(&mut self, name: &str, done: u64) -> u64 {
        let Some((_, told)) = self.files.get_mut(name) else {
            return 0;
        };
        let new = done.saturating_sub(*told);
        *told += new;
        new
    }
}
