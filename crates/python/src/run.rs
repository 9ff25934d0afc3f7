//! Running the library with Python's lock released: so that other threads run, a forked child has threads, and an interrupt ends it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::{Mutex, OnceLock, PoisonError};

use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors;

/// What unwinds out of a long task when it has to stop: a signal's exception, or one of the caller's own progress.
struct Stopped(PyErr);

/// Ends the task that is running in [`run`] with an exception. Progress is told between any two steps, and has no other way out.
pub fn stop(error: PyErr) -> ! {
    // No panic, so that nothing is printed.
    resume_unwind(Box::new(Stopped(error)))
}

/// Runs `f` with Python's lock released.
pub fn run<T: Send>(py: Python<'_>, f: impl FnOnce() -> riptide::Result<T> + Send) -> PyResult<T> {
    let ended = py.detach(|| catch_unwind(AssertUnwindSafe(|| on_threads(f))));
    match ended {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(errors::of(py, &error)),
        Err(payload) => Err(stopped(payload)),
    }
}

fn stopped(payload: Box<dyn Any + Send>) -> PyErr {
    match payload.downcast::<Stopped>() {
        Ok(stopped) => stopped.0,
        Err(payload) => resume_unwind(payload),
    }
}

/// The process that imported the module.
static HOME: OnceLock<u32> = OnceLock::new();

/// Remembers the process that imports the module.
pub fn imported() {
    HOME.get_or_init(process::id);
}

/// Threads do not survive `fork`, and a pool that lost them waits for ever. A child therefore gets a pool of its own; everywhere else
/// the call stays on its thread, so that what a classifier has set for its thread holds.
fn on_threads<T: Send>(f: impl FnOnce() -> riptide::Result<T> + Send) -> riptide::Result<T> {
    match of_child() {
        Some(pool) => pool.install(f),
        None => f(),
    }
}

/// The pool of a forked child; none in the process that imported the module, or if there are no threads to be had.
fn of_child() -> Option<&'static ThreadPool> {
    static OF_CHILD: Mutex<Option<(u32, &'static ThreadPool)>> = Mutex::new(None);
    let here = process::id();
    if HOME.get().is_none_or(|home| *home == here) {
        return None;
    }
    let mut known = OF_CHILD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((process, pool)) = *known
        && process == here
    {
        return Some(pool);
    }
    // The pool of a parent is left as it is: to drop it would be to wait for its threads.
    let pool: &'static ThreadPool = Box::leak(Box::new(ThreadPoolBuilder::new().build().ok()?));
    *known = Some((here, pool));
    Some(pool)
}
