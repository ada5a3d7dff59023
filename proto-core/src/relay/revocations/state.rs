//! Where a feed stands, and what it is doing about it.

use super::event::EffectId;
use crate::machine::{time::Instant, unhashed::Unhashed};

/// How far the feed was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeedCursor {
    /// It was not read at all.
    Unknown,
    /// Up to and with the event of this number.
    After(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    /// None until `next`, after so many failures in a row.
    Idle { next: Instant, failures: u32 },
    /// One is under way. `failures` are those in a row before it.
    Asked { id: Unhashed<EffectId>, started: Instant, failures: u32 },
}
