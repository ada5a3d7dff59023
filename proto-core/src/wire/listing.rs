//! What a relay says of a session to a viewer: the body of `Open` (WIRE section 6).

use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::append;
use crate::machine::time::UnixTime;

/// Stands between credential and listing: a credential is ASCII text and has no such byte.
const BETWEEN: u8 = 0;

/// What a relay knows of a session without opening anything of it, at the moment at which it names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listing {
    /// Whether more records may come.
    pub standing: Standing,
    /// When the relay heard of it first; zero where it does not know that.
    pub began: UnixTime,
    /// When the last record came, or the end; zero where nothing came since the relay started.
    pub active: UnixTime,
    /// What its sealed records take, in bytes.
    pub bytes: u64,
    /// How many records there are.
    pub records: u64,
}

/// How a session stands. The order of the variants is their number on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// 0: its machine is connected and goes on with it.
    Live,
    /// 1: it has not ended, and its machine is not connected, or has not named it since it is.
    #[default]
    Away,
    /// 2: its command ended.
    Exited,
    /// 3: its streaming ended before its command did.
    Cut,
}

impl Standing {
    /// Its name in documents for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Away => "away",
            Self::Exited => "ended",
            Self::Cut => "cut",
        }
    }
}

impl Listing {
    /// The body of an `Open` to a viewer: the credential of the session's daemon, and this.
    pub fn body(&self, credential: &[u8]) -> Bytes {
        let mut body = Vec::with_capacity(credential.len().saturating_add(48));
        body.extend_from_slice(credential);
        body.push(BETWEEN);
        append(&mut body, self);
        body.into()
    }

    /// Takes such a body apart: the credential, and the listing where there is one that can be read.
    pub fn split(body: &Bytes) -> (Bytes, Option<Self>) {
        let end = body.iter().position(|byte| *byte == BETWEEN).unwrap_or(body.len());
        let listing = body.get(end.saturating_add(1)..).and_then(|bytes| match postcard::take_from_bytes(bytes) {
            Ok((listing, [])) => Some(listing),
            _ => None,
        });
        (body.slice(..end), listing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: Listing =
        Listing { standing: Standing::Cut, began: UnixTime(300), active: UnixTime(301), bytes: 128, records: 2 };

    #[test]
    fn bytes_are_as_written_down() {
        let body = LISTING.body(b"ab");
        assert_eq!(body[..], [b'a', b'b', 0, 3, 0xac, 2, 0xad, 2, 0x80, 1, 2]);
        assert_eq!(Listing::split(&body), (Bytes::from_static(b"ab"), Some(LISTING)));
    }

    /// A relay that lists nothing is understood, and so is one whose listing is invalid.
    #[test]
    fn a_listing_may_be_missing() {
        let short = LISTING.body(b"ab").slice(..8);
        let long = Bytes::from([&LISTING.body(b"ab")[..], b"x"].concat());
        for body in [Bytes::from_static(b"ab"), Bytes::from_static(b"ab\0"), short, long, Bytes::from_static(b"ab\0\x04\0\0\0\0")]
        {
            assert_eq!(Listing::split(&body), (Bytes::from_static(b"ab"), None));
        }
        assert_eq!(Listing::split(&Bytes::new()), (Bytes::new(), None));
    }

    #[test]
    fn standings_have_names() {
        let names = [Standing::Live, Standing::Away, Standing::Exited, Standing::Cut].map(Standing::name);
        assert_eq!(names, ["live", "away", "ended", "cut"]);
    }
}
