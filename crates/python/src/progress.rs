//! Progress told to an object of Python's, and interrupts noticed on the way.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use riptide::files::{Progress, Unit};

use crate::run::stop;

/// How often Python is asked for signals and told of progress, at most.
const EVERY: Duration = Duration::from_millis(50);

/// Tells an object with the methods `begin(task, total)`, `advance(n)`, `message(text)` and `end()`; or nothing, and only watches
/// for signals.
pub struct Told {
    object: Option<Py<PyAny>>,
    told: Instant,
    pending: u64,
    text: Option<String>,
}

impl Told {
    /// Tells `object`, if there is one.
    pub fn new(object: Option<Py<PyAny>>) -> Self {
        Self {
            object,
            told: Instant::now(),
            pending: 0,
            text: None,
        }
    }

    fn tell(&mut self, tell: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>) {
        let (pending, text) = (std::mem::take(&mut self.pending), self.text.take());
        let told = Python::attach(|py| {
            py.check_signals()?;
            let Some(object) = self.object.as_ref().map(|object| object.bind(py)) else {
                return Ok(());
            };
            if let Some(text) = text {
                object.call_method1("message", (text,))?;
            }
            if pending > 0 {
                object.call_method1("advance", (pending,))?;
            }
            tell(object)
        });
        self.told = Instant::now();
        if let Err(error) = told {
            stop(error);
        }
    }

    fn tick(&mut self) {
        if self.told.elapsed() >= EVERY {
            self.tell(|_| Ok(()));
        }
    }
}

impl Progress for Told {
    fn begin(&mut self, task: &str, total: Option<u64>, _unit: Unit) {
        self.tell(|object| object.call_method1("begin", (task, total)).map(drop));
    }

    fn extend(&mut self, units: u64) {
        self.tell(|object| object.call_method1("extend", (units,)).map(drop));
    }

    fn advance(&mut self, units: u64) {
        self.pending += units;
        self.tick();
    }

    fn message(&mut self, text: &str) {
        self.text = Some(text.to_owned());
        self.tick();
    }

    fn end(&mut self) {
        self.tell(|object| object.call_method0("end").map(drop));
    }
}
