//! How a long task reports its progress.

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Images.
    Images,
    /// Bytes.
    Bytes,
}

/// Is told what a long task is doing; by default every method does nothing.
///
/// Work is a sequence of tasks: [`begin`](Self::begin), any number of [`advance`](Self::advance) and
/// [`message`](Self::message), [`end`](Self::end). A task that fails does not end.
pub trait Progress {
    /// A task begins, of so many units if their number is known.
    fn begin(&mut self, _task: &str, _total: Option<u64>, _unit: Unit) {}

    /// The task has turned out to be so many units longer than [`begin`](Self::begin) said.
    fn extend(&mut self, _units: u64) {}

    /// So many more units are done.
    fn advance(&mut self, _units: u64) {}

    /// So many more units did not have to be done, because an earlier run had finished them.
    fn skip(&mut self, units: u64) {
        self.advance(units);
    }

    /// What the task is at just now, in a few words.
    fn message(&mut self, _text: &str) {}

    /// The task is done.
    fn end(&mut self) {}
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

impl<P: Progress + ?Sized> Progress for &mut P {
    fn begin(&mut self, task: &str, total: Option<u64>, unit: Unit) {
        (**self).begin(task, total, unit);
    }

    fn extend(&mut self, units: u64) {
        (**self).extend(units);
    }

    fn advance(&mut self, units: u64) {
        (**self).advance(units);
    }

    fn skip(&mut self, units: u64) {
        (**self).skip(units);
    }

    fn message(&mut self, text: &str) {
        (**self).message(text);
    }

    fn end(&mut self) {
        (**self).end();
    }
}
