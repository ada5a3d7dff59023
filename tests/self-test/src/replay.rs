//! Holds a machine to a recording.
//!
//! ```text
//! > text     what the machine says next, as `Play::say` writes it
//! < text     what it is told, as `Play::hear` reads it
//! @ nanos    the moment to which time passes
//! # text     a comment
//! ```

use core::fmt;

use proto_core::{Instant, Machine};

use crate::Wrong;

/// A machine in a recorded exchange.
pub trait Play {
    /// Which.
    type Machine: Machine;

    /// The machine at the beginning.
    fn start(&self) -> Self::Machine;

    /// Writes all of what it says into one line.
    fn say(&mut self, output: &<Self::Machine as Machine>::Output, line: &mut dyn fmt::Write) -> fmt::Result;

    /// Parses an input of the machine; `None` for an invalid line.
    fn hear(&mut self, line: &str) -> Option<<Self::Machine as Machine>::Input>;
}

/// One line of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// What the machine says.
    Says(&'a str),
    /// What it is told.
    Hears(&'a str),
    /// The moment to which time passes.
    At(Instant),
}

/// The lines of a recording, each with its number.
pub fn lines(recording: &str) -> impl Iterator<Item = Result<(usize, Line<'_>), Wrong>> {
    let lines = (1..).zip(recording.lines()).filter(|(_, text)| !text.starts_with('#') && !text.is_empty());
    lines.map(|(number, text)| match parse(text) {
        Some(line) => Ok((number, line)),
        None => Err(Wrong { expected: "a line of a recording", line: number }),
    })
}

fn parse(text: &str) -> Option<Line<'_>> {
    let (sign, text) = text.split_once(' ')?;
    match sign {
        ">" => Some(Line::Says(text)),
        "<" => Some(Line::Hears(text)),
        "@" => Some(Line::At(Instant::from_nanos(text.parse().ok()?))),
        _ => None,
    }
}

/// Lets the machine do what was recorded, and gives it as it stands at the end.
///
/// # Errors
/// The first line that does not come out as recorded.
pub fn replay<P: Play>(play: &mut P, recording: &str) -> Result<P::Machine, Wrong> {
    let mut machine = play.start();
    let mut now = Instant::ZERO;
    for line in lines(recording) {
        let (number, line) = line?;
        let wrong = |expected| Wrong { expected, line: number };
        match line {
            Line::Says(text) => {
                let output = machine.poll_output().ok_or(wrong("something to be said"))?;
                if !is_said(play, &output, text) {
                    return Err(wrong("this to be said"));
                }
            }
            Line::Hears(text) => {
                quiet(&mut machine, number)?;
                let input = play.hear(text).ok_or(wrong("something to be told"))?;
                machine.handle_input(now, input).map_err(|_| wrong("this to be taken"))?;
            }
            Line::At(moment) => {
                quiet(&mut machine, number)?;
                now = moment;
                machine.handle_timeout(now);
            }
        }
    }
    quiet(&mut machine, recording.lines().count())?;
    Ok(machine)
}

fn quiet<M: Machine>(machine: &mut M, line: usize) -> Result<(), Wrong> {
    match machine.poll_output() {
        None => Ok(()),
        Some(_) => Err(Wrong { expected: "nothing more to be said", line }),
    }
}

fn is_said<P: Play>(play: &mut P, output: &<P::Machine as Machine>::Output, text: &str) -> bool {
    let mut rest = Rest(text);
    play.say(output, &mut rest).is_ok() && rest.0.is_empty()
}

/// What is still to be written of an expected line. Compares without a copy, so that a machine's memory can be measured.
struct Rest<'a>(&'a str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(piece).ok_or(fmt::Error)?;
        Ok(())
    }
}
