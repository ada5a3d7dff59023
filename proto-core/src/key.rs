//! Public keys, by what they are for; 32 bytes each, so that no other length ever reaches a cryptographic library.

use alloc::string::String;
use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

macro_rules! public_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// As text: base64url without padding (RFC 4648 section 5), the form of JWK's `x`.
            pub fn to_base64url(&self) -> String {
                BASE64URL_NOPAD.encode(&self.0)
            }

            /// From that text; `None` unless it is exactly 32 bytes in canonical form.
            pub fn from_base64url(text: &str) -> Option<Self> {
                BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.to_base64url())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_base64url())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::from_base64url(&text).ok_or_else(|| D::Error::custom("expected 32 bytes in base64url without padding"))
            }
        }
    };
}

public_key! {
    /// The X25519 key that names an end of a Noise handshake (Noise section 4.1, "static key").
    StaticKey
}

public_key! {
    /// The Ed25519 key that signs for a binding (RFC 8032).
    IdentityKey
}

/// An Ed25519 signature (RFC 8032 section 5.1.6); base64url without padding in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes =
            BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| D::Error::custom("expected base64url without padding"))?;
        bytes.try_into().map(Self).map_err(|_| D::Error::custom("expected 64 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signature is nothing that a log has to show.
    #[test]
    fn debug_shows_no_signature() {
        assert_eq!(alloc::format!("{:?}", Signature([7; 64])), "Signature(..)");
    }
}
