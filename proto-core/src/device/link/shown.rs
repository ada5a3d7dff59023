//! What a link shows of itself.

use serde::{Deserialize, Serialize};

/// How a binding's link stands (D7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LinkState {
    /// The first attempt is under way.
    Connecting,
    /// Admitted by the relay.
    Connected,
    /// One of the quick attempts: `attempt` of `of`.
    Reconnecting {
        /// Counted from 1.
        attempt: u32,
        /// The number of quick attempts.
        of: u32,
    },
    /// Only slow attempts now.
    Disconnected,
}
