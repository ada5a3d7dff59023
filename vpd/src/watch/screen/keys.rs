//! What is typed while a session is shown: nothing of it may reach the screen, or the shell afterwards.

use std::io;

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
};

use crate::run::is_ours_now;

/// Keys make no echo and no lines, and output is taken as it is, until this is dropped. Ctrl-C and Ctrl-Z keep their meaning.
pub(super) struct Swallowed(Termios);

impl Swallowed {
    /// Begins, where the standard input is a terminal in whose foreground we are.
    pub(super) fn begin() -> Option<Self> {
        if !is_ours_now() {
            return None;
        }
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON);
        // A full queue of keys is no reason to ring.
        quiet.input_modes.remove(InputModes::IMAXBEL);
        quiet.output_modes.remove(OutputModes::OPOST);
        tcsetattr(&stdin, OptionalActions::Now, &quiet).ok()?;
        Some(Self(before))
    }
}

impl Drop for Swallowed {
    fn drop(&mut self) {
        // From the background that would stop us, and another job's settings are not ours to change.
        if !is_ours_now() {
            return;
        }
        let stdin = io::stdin();
        // The terminal may be gone already.
        let _ = tcflush(&stdin, QueueSelector::IFlush);
        let _ = tcsetattr(&stdin, OptionalActions::Now, &self.0);
    }
}
