//! What a fetch tells whoever watches it.

use std::time::Duration;

/// Something that happened to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A file that is in the cache already is being read to check its digest.
    Verifying,
    /// The transfer begins.
    Started {
        /// The file's length in bytes, where it is known.
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
    /// The file is in its place, or it has failed for good.
    Ended,
}

/// Somebody who wants to know; called from several threads at once. `()` does not want to.
pub trait Observer: Send + Sync {
    /// `event` happened to the file called `name`.
    fn notify(&self, name: &str, event: Event);
}

impl Observer for () {
    fn notify(&self, _name: &str, _event: Event) {}
}
