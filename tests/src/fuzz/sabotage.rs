//! What an attacker on the wire does to a message.

use arbitrary::Arbitrary;
use bytes::Bytes;

/// What the saboteur does to a message.
#[derive(Arbitrary, Debug)]
pub(super) enum Sabotage {
    Nothing,
    Flip(Vec<(u16, u8)>),
    Truncate(u16),
    Extend(Vec<u8>),
    Replace(Vec<u8>),
}

impl Sabotage {
    pub(super) fn apply(&self, message: &[u8]) -> Bytes {
        let mut message = message.to_vec();
        match self {
            Self::Nothing => {}
            Self::Flip(places) => {
                for (at, mask) in places {
                    if let Some(at) = usize::from(*at).checked_rem(message.len()) {
                        message[at] ^= mask;
                    }
                }
            }
            Self::Truncate(len) => message.truncate(usize::from(*len) % message.len().max(1)),
            Self::Extend(more) => message.extend(more),
            Self::Replace(other) => message.clone_from(other),
        }
        message.into()
    }
}
