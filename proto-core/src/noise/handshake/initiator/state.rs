//! Where an initiator stands.

use super::event::Failure;
use crate::{machine::time::Instant, wire::Pattern};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State<N> {
    /// Message 1 is out.
    Awaiting { noise: N, pattern: Pattern, garbage: u8, until: Instant },
    /// The session was handed over.
    Established,
    /// There will be no session.
    Failed(Failure),
}
