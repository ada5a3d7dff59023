//! Inputs and outputs of [`Session`](super::Session).

use crate::wire::{Content, Frame, Outcome};

/// Facts for a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Something happened on the terminal. Longer content is split into several records.
    /// [`Misuse::Full`](crate::Misuse::Full) when there is no room: keep it and try again later.
    Push(Content),
    /// The daemon can be spoken to, for the first time or again.
    Attached,
    /// The daemon is gone for now.
    Detached,
    /// A frame came from the daemon.
    Frame(Frame),
    /// There will be no more content.
    End(Outcome),
}

/// What a session wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Hand this frame to the daemon.
    Send(Frame),
}
