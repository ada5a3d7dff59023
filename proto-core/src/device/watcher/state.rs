//! Where a watcher stands.

use crate::{
    BindingId, Reason,
    device::{incarnation::Child, pairing::Pairing, viewer::Viewer},
};

/// The states of a watcher.
#[derive(Clone, Debug, Hash)]
pub(super) enum State<N> {
    /// There is nothing to watch with; a person is asked to approve a pairing.
    Pairing(Asking),
    /// The viewer watches.
    Watching(Watching<N>),
    /// The viewer's pairing is of no use any more, and a person is asked to approve another one. The peer that says so may be
    /// wrong, so the viewer goes on trying.
    PairingAgain(Watching<N>, Asking),
    /// The relay ended this device's access, for this reason, or the person did; record and key are being removed.
    Leaving { binding: BindingId, reason: Option<Reason> },
    /// The person wants no more; the pairing comes to its end.
    Stopping(Asking),
    /// The goal is reached, or the person stopped.
    Finished,
    /// It ended for this reason.
    Failed(Reason),
}

/// A pairing that is under way.
#[derive(Clone, Debug, Hash)]
pub(super) struct Asking {
    pub(super) pairing: Child<Pairing>,
    /// What it brought, once that is durable.
    pub(super) adopted: Option<BindingId>,
}

/// A viewer at work.
#[derive(Clone, Debug, Hash)]
pub(super) struct Watching<N> {
    pub(super) binding: BindingId,
    pub(super) viewer: Child<Viewer<N>>,
}

impl<N> State<N> {
    pub(super) const fn asking(&self) -> Option<&Asking> {
        match self {
            Self::Pairing(asking) | Self::PairingAgain(_, asking) | Self::Stopping(asking) => Some(asking),
            _ => None,
        }
    }

    pub(super) const fn asking_mut(&mut self) -> Option<&mut Asking> {
        match self {
            Self::Pairing(asking) | Self::PairingAgain(_, asking) | Self::Stopping(asking) => Some(asking),
            _ => None,
        }
    }

    pub(super) const fn watching(&self) -> Option<&Watching<N>> {
        match self {
            Self::Watching(watching) | Self::PairingAgain(watching, _) => Some(watching),
            _ => None,
        }
    }

    pub(super) const fn watching_mut(&mut self) -> Option<&mut Watching<N>> {
        match self {
            Self::Watching(watching) | Self::PairingAgain(watching, _) => Some(watching),
            _ => None,
        }
    }

    pub(super) const fn has_ended(&self) -> bool {
        matches!(self, Self::Finished | Self::Failed(_))
    }
}
