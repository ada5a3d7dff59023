//! Where a pairing stands.

use alloc::boxed::Box;

use super::REQUEST_TIMEOUT;
use crate::{Reason, Unhashed, api::Approval, device::files::PendingPairing, machine::time::Instant, secret::Secret};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Asking for a code with a fresh identity per try.
    Minting { tries_left: u32, seed: Secret, next_seed: Secret, turn: Turn },
    /// Making what the platform answered durable.
    Saving { pending: Box<PendingPairing>, expires_at: Instant },
    /// The code is shown; asking whether the user decided.
    Polling { pending: Box<PendingPairing>, expires_at: Instant, turn: Turn },
    /// Approved; fetching the key set that the credential must hold under.
    Verifying { pending: Box<PendingPairing>, expires_at: Instant, approval: Box<Approval>, turn: Turn },
    /// The approval holds; the parent makes it durable.
    Adopting,
    /// Removing the pending file; then this is the end.
    Forgetting { end: Result<(), Reason> },
    /// Paired.
    Finished,
    /// Not paired.
    Failed(Reason),
}

impl State {
    /// Whose turn it is in an exchange with the platform, and the moment from which on there is no point in it any more. No poll
    /// starts at the expiry or after; what was asked or approved before may still come to its end (PAIR-3).
    pub(super) fn turn(&self) -> Option<(Turn, Instant)> {
        match self {
            Self::Minting { turn, .. } => Some((*turn, Instant::MAX)),
            Self::Polling { turn: turn @ Turn::Pausing { .. }, expires_at, .. } => Some((*turn, *expires_at)),
            Self::Polling { turn, expires_at, .. } | Self::Verifying { turn, expires_at, .. } => {
                Some((*turn, expires_at.after(REQUEST_TIMEOUT)))
            }
            _ => None,
        }
    }

    /// In an exchange with the platform it is this side's turn now.
    pub(super) const fn take_turn(&mut self, next: Turn) {
        match self {
            Self::Minting { turn, .. } | Self::Polling { turn, .. } | Self::Verifying { turn, .. } => *turn = next,
            _ => {}
        }
    }
}

/// One side of an exchange of requests with pauses between them: never two at once (PAIR-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Turn {
    /// The next request goes out then.
    Pausing { until: Instant },
    /// A request is under way.
    Asking { number: Unhashed<u32>, since: Instant },
}
