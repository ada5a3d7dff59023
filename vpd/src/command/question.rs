//! A question with yes and no, for the person at the terminal.

use std::{
    future::Future,
    io::{self, IsTerminal as _, Write as _},
};

use crate::failure::Failure;

/// The daemon `refused` a request until it is confirmed: asks the person, and on a yes sends it `again`. `None` on a no.
///
/// # Errors
/// `refused`, where there is no terminal to ask on; and what comes of `again`.
pub(crate) async fn confirm<T>(
    refused: Failure,
    question: &str,
    again: impl Future<Output = Result<T, Failure>>,
) -> anyhow::Result<Option<T>> {
    match ask(question)? {
        Some(true) => Ok(Some(again.await?)),
        Some(false) => {
            anstream::eprintln!("Nothing was changed.");
            Ok(None)
        }
        None => Err(refused.into()),
    }
}

/// What the person says; no is the default. `None` without a terminal on both sides.
pub(crate) fn ask(question: &str) -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    anstream::eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}
