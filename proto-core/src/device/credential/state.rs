//! Where a rotation stands.

use alloc::boxed::Box;

use super::{event::Renewal, held::Held};
use crate::machine::{time::Instant, unhashed::Unhashed};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// The next attempt starts then.
    Resting { until: Instant },
    /// A request is under way.
    Asking { number: Unhashed<u32> },
    /// A new credential came; the parent makes it durable. The old one is still the one in use.
    Storing { renewal: Box<Renewal>, held: Box<Held> },
    /// Past the hard expiry.
    RenewalExpired,
}
