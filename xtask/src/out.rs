//! Lines on standard output, which `println!` would panic about if nobody reads them or the disk is full.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Writes a line. If the reader has left, the program ends quietly; if it cannot be written, with an error and exit code 1.
pub fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            complaint(format_args!("error: cannot write to standard output: {error}"));
            std::process::exit(1);
        }
    }
}

/// Writes a line on standard error; if that is closed, nobody is left to read it.
pub fn complaint(text: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What ends a command line that was not understood, or that asked for help.
pub fn not_run(error: &clap::Error) -> ExitCode {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    match printed {
        _ if error.use_stderr() => ExitCode::from(2),
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complaint(format_args!("error: cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// A line on standard output, as `println!`.
macro_rules! say {
    ($($text:tt)*) => { $crate::out::line(format_args!($($text)*)) };
}

/// A line on standard error, as `eprintln!`.
macro_rules! complain {
    ($($text:tt)*) => { $crate::out::complaint(format_args!($($text)*)) };
}

pub(crate) use {complain, say};
