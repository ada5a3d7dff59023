//! What goes over a link, byte for byte. `docs/WIRE.md` sections 4 to 7 are the normative text.
//!
//! ```text
//! WebSocket message 1   device → relay   preamble (3) ‖ Noise message 1, payload: Hello
//! WebSocket message 2   relay → device   Noise message 2, payload: Answer
//! all others            both ways        segment … [tail]: Noise transport messages, plaintext: one Frame
//! ```

mod frame;
mod hello;
mod key_request;
mod listing;
pub mod liveness;
mod preamble;
mod record;
mod segment;
#[cfg(test)]
mod tests;

pub use frame::{Frame, Head, Outcome};
pub use hello::{Answer, Hello, MAX_SOFTWARE_LEN, MAX_TOKEN_LEN, Refused, Welcome};
pub use key_request::{KeyAnswer, KeyRequest};
pub use listing::{Listing, Standing};
pub use preamble::{InvalidPreamble, Pattern, Preamble, Role, Suite};
pub use record::{Content, Record, Title};
pub use segment::{MAX_SEGMENT, Pieces, SEGMENT_OVERHEAD, parts, sealed_len};

use alloc::vec::Vec;
use core::ops::Deref;

use postcard::ser_flavors::Size;
use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

/// The WebSocket subprotocol of version 1.
pub const SUBPROTOCOL: &str = "viewport.v1";

/// The longest first message that a relay reads from a peer it does not know yet (ADM-1).
pub const MAX_FIRST_MESSAGE: usize = 8 * 1024;

/// The default of `RELAY_FRAME_MAX_BYTES`: the longest WebSocket message after the handshake (S204).
pub const MAX_FRAME_DEFAULT: usize = 1024 * 1024;

/// The longest content of one record, so that the record, its frame and its seals fit in one Noise segment.
pub const MAX_RECORD_CONTENT: usize = 60_000;

/// Bytes that are no message of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// Appends the postcard bytes of `value` to `out`.
fn append(out: &mut Vec<u8>, value: &impl Serialize) {
    // Growing a vector is the only thing that could fail, and that aborts.
    *out = postcard::to_extend(value, core::mem::take(out)).unwrap_or_default();
}

/// Where the beginning of a frame or a record is put together, so that it takes no memory of its own. It may be too short for
/// what has a text in it.
pub type Room = [u8; 64];

/// Postcard bytes.
#[derive(Debug)]
pub enum Encoded<'a> {
    /// They stand in a [`Room`].
    Short(&'a [u8]),
    /// They do not fit there. Wiped when they are dropped, because the text in them may be a token.
    Long(Zeroizing<Vec<u8>>),
}

impl<'a> Encoded<'a> {
    fn new(value: &impl Serialize, room: &'a mut Room) -> Self {
        if let Ok(len) = postcard::to_slice(value, room).map(|written| written.len()) {
            return Self::Short(room.get(..len).unwrap_or_default());
        }
        room.zeroize();
        // At once as long as it gets, so that growing leaves no copies behind.
        let mut long = Vec::with_capacity(encoded_len(value));
        append(&mut long, value);
        Self::Long(Zeroizing::new(long))
    }
}

impl Deref for Encoded<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Long(bytes) => bytes,
        }
    }
}

/// How many bytes [`append`] appends.
fn encoded_len(value: &impl Serialize) -> usize {
    postcard::serialize_with_flavor::<_, Size, usize>(value, Size::default()).unwrap_or(0)
}
