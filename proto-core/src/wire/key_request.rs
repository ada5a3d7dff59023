//! What a viewer and a daemon say to each other once their handshake is through (WIRE section 8): postcard.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Malformed;
use crate::{id::SessionId, secret::Secret};

/// A viewer asks for what opens a session's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRequest {
    /// Which session.
    pub session: SessionId,
}

/// The daemon's answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyAnswer {
    /// The first epoch this viewer may read.
    pub epoch: u32,
    /// Its secret; those of later epochs follow from it.
    pub secret: Secret,
}

impl KeyRequest {
    /// Postcard bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.session.0.to_vec()
    }

    /// Reads postcard bytes; nothing may follow.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        match postcard::take_from_bytes(bytes) {
            Ok((request, [])) => Ok(request),
            _ => Err(Malformed("key request")),
        }
    }
}

impl KeyAnswer {
    /// Postcard bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Growing a vector is the only thing that could fail, and that aborts.
        postcard::to_allocvec(&(self.epoch, self.secret.expose())).unwrap_or_default()
    }

    /// Reads postcard bytes; nothing may follow.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        match postcard::take_from_bytes::<(u32, [u8; 32])>(bytes) {
            Ok(((epoch, secret), [])) => Ok(Self { epoch, secret: Secret::new(secret) }),
            _ => Err(Malformed("key answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_written_down() {
        let request = KeyRequest { session: SessionId([7; 16]) };
        assert_eq!(request.encode(), [7; 16]);
        assert_eq!(KeyRequest::decode(&request.encode()), Ok(request));
        let answer = KeyAnswer { epoch: 300, secret: Secret::new([9; 32]) };
        let bytes = answer.encode();
        assert_eq!(bytes.get(..3), Some(&[0xac, 0x02, 9][..]));
        assert_eq!((bytes.len(), KeyAnswer::decode(&bytes)), (34, Ok(answer)));
        assert!(KeyRequest::decode(&[7; 17]).is_err());
        assert!(KeyAnswer::decode(&bytes[..33]).is_err());
    }
}
