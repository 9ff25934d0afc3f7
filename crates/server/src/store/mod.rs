//! The state on disk: one SQLite database, written by one thread, read by as many as want to.

mod alarms;
mod blobs;
mod exchange;
mod housekeeping;
mod labels;
mod read;
mod reader;
mod schema;
mod windows;
mod writer;

pub(crate) use alarms::{Change, Judged, Notice, Rules, Signal, due, failed, judged, sent};
pub(crate) use blobs::floats;
pub(crate) use exchange::{
    Arrival, NewAnswers, NewEvent, Pairing, Pending, add_answers, add_event, next_pending, queued,
};
pub(crate) use housekeeping::{Kept, adopt, prune, release_expired};
pub(crate) use labels::{LabelOutcome, NewLabel, add_label};
pub(crate) use read::{
    AlarmRow, Contents, ExemplarRow, WindowRow, alarm_rows, contents, event_result, exemplars, model_rows, to_judge,
    window_row, window_rows,
};
pub(crate) use reader::Reader;
pub(crate) use windows::{Closing, Scored, ScoredEvent, Tally, close_due, close_foreign, place};
pub(crate) use writer::{WriteError, Writer};
