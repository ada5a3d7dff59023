//! Where a responder stands.

use crate::{Reason, crypto::StaticKeys, machine::time::Instant, secret::Secret, wire::Pattern};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State<N> {
    /// The connection is open. `seed` makes the ephemeral key of the one answer that this machine gives.
    Waiting { local: StaticKeys, seed: Secret, until: Instant },
    /// Message 1 is in, and the caller decides.
    Deciding { noise: N, pattern: Pattern, until: Instant },
    /// Message 2 is out; whether the initiator is live is not known.
    Unconfirmed { noise: N, pattern: Pattern, until: Instant },
    /// The session was handed over.
    Confirmed,
    /// There will be no session.
    Failed(Reason),
}
