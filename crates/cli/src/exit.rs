//! How the program ends: exit codes, and errors in one line.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use riptide::files::shown;

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Exit code 0.
    Fine,
    /// Exit code 3: drift or harm was found, and --exit-code asked to be told.
    Drift,
    /// Exit code 1: a requirement is not met; why was said on standard error.
    Unmet,
}

/// Whoever read the standard output does not want more of it.
#[derive(Debug)]
pub struct ClosedPipe;

impl fmt::Display for ClosedPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the standard output is closed")
    }
}

impl std::error::Error for ClosedPipe {}

/// The exit code of a command; says what was wrong on standard error, in one line.
///
/// 0: fine, also if the reader of the output left early; 1: error, or a requirement that is not met; 3: drift or harm.
pub fn code(outcome: anyhow::Result<Ending>) -> ExitCode {
    match outcome {
        Ok(Ending::Fine) => ExitCode::SUCCESS,
        Ok(Ending::Drift) => ExitCode::from(3),
        Ok(Ending::Unmet) => ExitCode::FAILURE,
        Err(error) if error.is::<ClosedPipe>() => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {}", shown(&message(&error))));
            ExitCode::FAILURE
        }
    }
}

/// What ends a command line that was not understood: help and version on standard output and exit code 0, else the fault
/// on standard error and exit code 2.
pub fn not_run(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let _ = error.print();
        return ExitCode::from(2);
    }
    match error.print().and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say(&format!("error: cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Lines on standard error; if that is closed, nobody is left to read them. What a terminal would obey is written out: names of
/// files can hold anything.
pub fn say(text: &str) {
    for line in text.split('\n') {
        let _ = writeln!(std::io::stderr(), "{}", shown(line));
    }
}

/// An error and its causes; a cause that an error before it has told already is left out.
fn message(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| {
            if told.is_empty() {
                cause
            } else if told.contains(&cause) {
                told
            } else {
                format!("{told}: {cause}")
            }
        })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    #[test]
    fn causes_are_told_once() {
        let cause = std::io::Error::other("the disk is on fire");
        let error = Err::<(), _>(cause).context("cannot write a: the disk is on fire");
        let error = error.context("saving failed").unwrap_err();
        assert_eq!(
            super::message(&error),
            "saving failed: cannot write a: the disk is on fire"
        );
    }
}
