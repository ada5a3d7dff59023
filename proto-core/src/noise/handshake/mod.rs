//! The Noise handshake of a device with its relay (WIRE section 4) and of a viewer with a daemon (section 8), as two machines.
//!
//! ```text
//! Initiator                                              Responder
//!    │ ── Send: preamble ‖ message 1 (Hello) ───────────►   │ ── Hello ──► who decides
//!    │                                                      │ ◄─ Verdict ──┘
//!    │ ◄─────────────────────── message 2 (Answer): Send ── │
//!    │ Established                                          │
//!    │ ── first transport message ──────────────────────►   │ Confirmed
//! ```
//!
//! Message 1 can be replayed by an attacker who recorded it, so nothing takes effect before [`responder::Output::Confirmed`]
//! (NOI-4). Whatever does not fit about a PSK ends in [`Reason::NoisePskInvalid`](crate::Reason::NoisePskInvalid) on both sides
//! (NOI-3):
//!
//! | initiator | responder's policy and PSK | initiator learns | responder learns |
//! |---|---|---|---|
//! | IK | demands a PSK | `Refused`, authenticated | decides it |
//! | IKpsk2 | has no PSK | the close frame's text | decides it |
//! | IKpsk2 | has another PSK | message 2 does not open | nothing opens until the peer leaves or the deadline |

use core::time::Duration;

pub mod initiator;
pub mod responder;
#[cfg(test)]
mod testing;

pub use initiator::Initiator;
pub use responder::Responder;

/// How long each side waits for the other's next message; a viewer waits less for a daemon.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many messages that do not open an initiator passes over while it waits for message 2.
pub const MAX_GARBAGE: u8 = 4;
