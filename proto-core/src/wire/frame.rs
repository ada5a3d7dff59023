//! The plaintext of a transport message: a postcard head, then the body for the frames that carry one.

use alloc::{string::String, vec::Vec};

use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};

use super::{Encoded, Malformed, Room};
use crate::{Reason, id::SessionId, secret::SecretText};

/// One frame: its head, and for [`Head::Data`], [`Head::Peer`], [`Head::Open`] and [`Head::Envelope`] a body of opaque bytes up to
/// the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// What it is.
    pub head: Head,
    /// The bytes it carries; empty for the others.
    pub body: Bytes,
}

/// What a frame says. The order of the variants is their number on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Head {
    /// 0: are you there? Both ways.
    Ping {
        /// Comes back in the pong.
        nonce: u64,
    },
    /// 1: yes.
    Pong {
        /// The ping's.
        nonce: u64,
    },
    /// 2: a session of mine is here (daemon to relay, again after every reconnect); or, relay to viewer: there is a session,
    /// and the body is its daemon's credential, which vouches for the daemon's static key, and a [`Listing`](super::Listing).
    Open {
        /// Which.
        session: SessionId,
        /// How its records are sealed: 1 AES-256-GCM, 2 ChaCha20-Poly1305.
        cipher: u8,
    },
    /// 3: one sealed record. Daemon to relay to viewers; the body is the sealed record.
    Data {
        /// Of which session.
        session: SessionId,
        /// Sealed with the secret of this epoch.
        epoch: u32,
        /// Its number, counted from 0 without a gap.
        sequence: u64,
    },
    /// 4: every record below `next` is durable here. Relay to daemon.
    Acknowledge {
        /// Of which session.
        session: SessionId,
        /// The first number that is not durable yet.
        next: u64,
    },
    /// 5: the session ended with `next` records. Daemon to relay to viewers.
    End {
        /// Which.
        session: SessionId,
        /// How many records it has in all.
        next: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// 6: send this session's records from `next` on. Relay to daemon (its answer to `Open`), viewer to relay.
    Resume {
        /// Which.
        session: SessionId,
        /// The first number wanted.
        next: u64,
    },
    /// 7: opaque bytes between a viewer and the daemon that runs the session; the relay only routes them.
    Peer {
        /// Through which session they belong together.
        session: SessionId,
        /// The relay's number for the viewer's connection; a viewer sends 0.
        viewer: u64,
    },
    /// 8: my credential was renewed. Device to relay, over the live link.
    Rotate {
        /// The new JWT.
        token: SecretText,
    },
    /// 9: the renewed credential is accepted. Relay to device.
    Rotated {
        /// Its `gen`.
        generation: u64,
    },
    /// 10: this device's access ended; the link closes after it. Relay to device.
    Revoke {
        /// Why.
        reason: Reason,
    },
    /// 11: the sender's next transport message is encrypted under the rekeyed key (Noise section 11.3).
    Rekey,
    /// 12: something went wrong with this link; it closes after this.
    Error {
        /// What.
        reason: Reason,
        /// Seconds after which trying again makes sense; 0 leaves it to the device.
        retry_after: u32,
        /// A detail for logs, at most 128 bytes; may be empty.
        detail: String,
    },
    /// 13: what opens this session for who holds the organization's key; the body is an envelope. Daemon to relay to viewers.
    Envelope {
        /// Which session.
        session: SessionId,
    },
    /// 14: what became of an envelope. Relay to daemon.
    Enveloped {
        /// Of which session.
        session: SessionId,
        /// The session has an envelope, durably; else there is no such session of this daemon here.
        is_durable: bool,
    },
    /// 15: this session is not taken now; the link and its other sessions go on. Relay to daemon, in place of the `Resume` that
    /// answers `Open`.
    Decline {
        /// Which.
        session: SessionId,
        /// Why.
        reason: Reason,
        /// Seconds after which it may be opened again; 0 leaves it to the daemon.
        retry_after: u32,
    },
    /// 16: whether this org's records can be made durable here. Relay to daemon, when that changes, and to one that comes while
    /// they cannot.
    Storing {
        /// They can.
        works: bool,
    },
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// 0: its command ended.
    Exited,
    /// 1: only its streaming ended; what came after is not in the records.
    Cut,
}

impl Head {
    /// The session it is about, if it is about one.
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Open { session, .. }
            | Self::Data { session, .. }
            | Self::Acknowledge { session, .. }
            | Self::End { session, .. }
            | Self::Resume { session, .. }
            | Self::Peer { session, .. }
            | Self::Envelope { session }
            | Self::Enveloped { session, .. }
            | Self::Decline { session, .. } => Some(*session),
            _ => None,
        }
    }

    /// Whether a body follows this head.
    pub const fn carries_body(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Data { .. } | Self::Peer { .. } | Self::Envelope { .. })
    }
}

impl From<Head> for Frame {
    fn from(head: Head) -> Self {
        Self { head, body: Bytes::new() }
    }
}

impl Frame {
    /// The most bytes that a head without a token takes.
    pub const MAX_HEAD: usize = 256;

    /// The head's postcard bytes. The body follows them on the wire.
    pub fn encoded_head<'a>(&self, room: &'a mut Room) -> Encoded<'a> {
        Encoded::new(&self.head, room)
    }

    /// Head and body in one.
    pub fn encode(&self) -> Vec<u8> {
        [&self.encoded_head(&mut [0; _]), &self.body[..]].concat()
    }

    /// Reads a frame; the body is a view into `plaintext`.
    pub fn decode(plaintext: &Bytes) -> Result<Self, Malformed> {
        Self::take(plaintext.clone())
    }

    /// Reads a frame; the body is what is left of `plaintext`, and takes no memory of its own.
    pub fn take(mut plaintext: Bytes) -> Result<Self, Malformed> {
        let (head, rest) = postcard::take_from_bytes::<Head>(&plaintext).map_err(|_| Malformed("frame"))?;
        if !head.carries_body() && !rest.is_empty() {
            return Err(Malformed("frame"));
        }
        plaintext.advance(plaintext.len().saturating_sub(rest.len()));
        Ok(Self { head, body: plaintext })
    }

    /// Reads a frame whose body came beside the plaintext, in the tail of the message.
    pub fn decode_with_tail(plaintext: &[u8], tail: Bytes) -> Result<Self, Malformed> {
        match postcard::take_from_bytes::<Head>(plaintext) {
            Ok((head @ (Head::Data { .. } | Head::Peer { .. }), [])) => Ok(Self { head, body: tail }),
            _ => Err(Malformed("frame with a tail")),
        }
    }
}
