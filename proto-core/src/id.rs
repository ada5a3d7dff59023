//! Identifiers: opaque, checked once when they arrive, never mixed up.

use alloc::{borrow::ToOwned, string::String};
use core::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::machine::entropy::Entropy;

/// What kind of device pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// Streams sessions.
    Daemon,
    /// Watches them.
    Viewer,
}

/// The longest identifier that is accepted, in bytes.
pub const MAX_ID_LEN: usize = 128;

/// Why a text is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is 1 to 128 characters of A-Z a-z 0-9 . _ : -")]
pub struct InvalidId;

fn check(text: &str) -> Result<(), InvalidId> {
    let fits = (1..=MAX_ID_LEN).contains(&text.len());
    let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'));
    if fits && clean { Ok(()) } else { Err(InvalidId) }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

text_id! {
    /// An organization (a workspace): 1 to 128 of `[A-Za-z0-9._:-]`, compared byte for byte (D4).
    OrgId
}

impl OrgId {
    /// Whether `asked` names this organization, whose short name is `slug`: people may say either.
    pub fn is_named(&self, slug: &str, asked: &str) -> bool {
        asked == self.as_str() || asked == slug
    }
}

text_id! {
    /// Any other identifier that the platform gives out: install, runtime target, machine, token. Same alphabet as [`OrgId`].
    PlatformId
}

/// A binding: one pairing of this device with one organization, which gave it one runtime target there. A session is pinned to
/// exactly this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BindingId {
    /// The organization.
    pub org: OrgId,
    /// The runtime target.
    pub runtime_target: PlatformId,
}

impl fmt::Display for BindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.org, self.runtime_target)
    }
}

/// A streamed session: 16 bytes drawn by the device that runs it; 26 characters of lower-case base32 as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// A fresh identifier.
    pub fn generate(entropy: &Entropy) -> Self {
        let secret = entropy.derive("session id");
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(secret.expose()) {
            *to = *from;
        }
        Self(id)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for SessionId {
    type Err = InvalidSessionId;
    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| InvalidSessionId)?;
        bytes.try_into().map(Self).map_err(|_| InvalidSessionId)
    }
}

/// Why a text is no session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 26 characters of a-z 2-7")]
pub struct InvalidSessionId;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn ids_keep_to_their_alphabet_and_length() {
        for good in ["a", "01J7M8N9P0Q1R2S3T4U5V6W7X8", "A.b_c:d-9", &"x".repeat(128)] {
            assert_eq!(good.parse::<OrgId>().unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "a b", "ä", "a\0", &"x".repeat(129)] {
            assert!(bad.parse::<OrgId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_are_shown_as_they_are_written() {
        let binding = BindingId { org: "A".parse().unwrap(), runtime_target: "r1".parse().unwrap() };
        assert_eq!(binding.to_string(), "A/r1");
        assert_eq!(alloc::format!("{:?}", SessionId([0xa5; 16])), "a5".repeat(16));
    }

    #[test]
    fn session_ids_round_trip_as_text() {
        let id = SessionId([0xa5; 16]);
        assert_eq!(id.to_string().len(), 26);
        assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
        assert!("short".parse::<SessionId>().is_err());
    }
}
