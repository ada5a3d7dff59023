//! The payloads of the two handshake messages: postcard.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::Malformed;
use crate::{Reason, secret::SecretText};

/// The longest credential, in bytes.
pub const MAX_TOKEN_LEN: usize = 4096;
/// The longest software name, in bytes.
pub const MAX_SOFTWARE_LEN: usize = 64;

/// Payload of message 1: the initiator. Proof of possession costs nothing: the token's `cnf` names the Noise static key, and the
/// handshake proves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// The credential: a JWT, at most [`MAX_TOKEN_LEN`].
    pub token: SecretText,
    /// Software and version, at most [`MAX_SOFTWARE_LEN`].
    pub software: String,
}

/// Payload of message 2: the responder's answer, authenticated by its static key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// Come in.
    Welcome(Welcome),
    /// No.
    Refused(Refused),
}

/// What an admitted device must know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Welcome {
    /// The longest WebSocket message this side accepts, in bytes.
    pub frame_max: u32,
    /// The responder's wall clock, unix seconds.
    pub time: u64,
    /// Software and version.
    pub software: String,
}

/// An authenticated refusal; the connection is closed after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// Seconds after which to try again; 0 leaves it to the device.
    pub retry_after: u32,
}

impl Hello {
    /// Postcard bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads postcard bytes; nothing may follow.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let hello: Self = decode(bytes, "hello")?;
        if hello.token.expose().len() > MAX_TOKEN_LEN || hello.software.len() > MAX_SOFTWARE_LEN {
            return Err(Malformed("hello"));
        }
        Ok(hello)
    }
}

impl Answer {
    /// Postcard bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads postcard bytes; nothing may follow.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes, "answer")
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Growing a vector is the only thing that could fail, and that aborts.
    postcard::to_allocvec(value).unwrap_or_default()
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &'static str) -> Result<T, Malformed> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(Malformed(what)),
    }
}
