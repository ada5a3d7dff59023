//! A command of which nothing leaves this machine: this process becomes the command, so there is nothing between it and its
//! terminal, its parent and its signals.

use std::{convert::Infallible, ffi::OsString, io, os::unix::process::CommandExt as _, process::Command};

/// The exit status of a command that is not there, as shells have it.
const NOT_FOUND: i32 = 127;
/// The exit status of a command that cannot be run, as shells have it.
const NOT_RUNNABLE: i32 = 126;

/// Becomes the command.
///
/// # Errors
/// What the system said; then nothing has changed.
pub(super) fn exec(command: &[OsString]) -> Result<Infallible, io::Error> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Err(Command::new(program).args(arguments).exec())
}

/// Says why the command could not be started, and gives the exit status that says the same.
pub(super) fn not_started(command: &[OsString], error: &io::Error) -> i32 {
    let program = command.first().map(|program| program.to_string_lossy()).unwrap_or_default();
    anstream::eprintln!("vpd run: {program}: {error}");
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE }
}
