//! A terminal that the command has to itself: keys in, the size, and whose turn it is.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{io::Errno, termios::tcsetwinsize};

use super::{
    keeper::LeaderHandle,
    terminal::{self, RawMode},
};

/// The keyboard of the terminal in front of the person, and the command's end of it.
pub(super) struct Console {
    /// Our end of the command's terminal.
    pty: OwnedFd,
    turn: Turn,
    /// Keys that the command's terminal has no room for yet.
    unsent: Vec<u8>,
}

/// Whose turn it is at the terminal.
enum Turn {
    /// Ours: keys go to the command, until this goes.
    Ours(#[expect(dead_code, reason = "its end is what counts")] RawMode),
    /// Another job's: we touch nothing, as any program in the background.
    Others,
    /// It hung up.
    Gone,
}

impl Console {
    /// Takes the terminal, where it is our turn. Before the command starts, so that not even its first key is ours.
    pub(super) fn take(pty: OwnedFd) -> io::Result<Self> {
        let turn = if terminal::is_ours_now() { Turn::Ours(RawMode::enter()?) } else { Turn::Others };
        Ok(Self { pty, turn, unsent: Vec::new() })
    }

    /// Whether keys go to the command.
    pub(super) const fn is_ours(&self) -> bool {
        matches!(self.turn, Turn::Ours(_))
    }

    /// Whether it has to be looked, from time to time, whether it is our turn: a job that comes to the foreground while it runs
    /// is not told.
    pub(super) const fn waits_for_turn(&self) -> bool {
        matches!(self.turn, Turn::Others)
    }

    /// What to wait for: the keyboard, while nothing typed waits for the command.
    pub(super) fn reads_keys(&self) -> bool {
        self.is_ours() && self.unsent.is_empty()
    }

    /// What to wait for: room for the keys that wait.
    pub(super) fn sends_keys(&self) -> Option<BorrowedFd<'_>> {
        (!self.unsent.is_empty()).then(|| self.pty.as_fd())
    }

    /// Carries keys to the command. To be called when some were typed, or there is room for those that wait.
    pub(super) fn type_along(&mut self, keys_were_typed: bool) {
        if keys_were_typed {
            let mut keys = [0; 4096];
            match rustix::io::read(io::stdin(), &mut keys[..]) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                Ok(0) | Err(_) => self.turn = Turn::Gone,
                Ok(count) => self.unsent.extend_from_slice(keys.get(..count).unwrap_or_default()),
            }
        }
        match rustix::io::write(&self.pty, &self.unsent) {
            Ok(count) => drop(self.unsent.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // The command has ended: it reads no keys any more.
            Err(_) => self.unsent.clear(),
        }
    }

    /// Gives the command's terminal the size of the one in front of the person.
    pub(super) fn resize(&self) {
        if let Some(size) = terminal::window() {
            // It may be gone already.
            let _ = tcsetwinsize(&self.pty, size);
        }
    }

    /// Gives the terminal back as it was, for as long as this job is stopped.
    pub(super) fn give_back(&mut self) {
        if self.is_ours() {
            self.turn = Turn::Others;
        }
    }

    /// Takes the terminal again where it is our turn now. The job that had it meanwhile may have changed its settings.
    pub(super) fn take_again(&mut self, command: &LeaderHandle) {
        if matches!(self.turn, Turn::Gone) || !terminal::is_ours_now() {
            return;
        }
        self.turn = Turn::Others;
        if let Ok(raw) = RawMode::enter() {
            self.turn = Turn::Ours(raw);
            self.resize();
            command.to_foreground();
        }
    }
}
