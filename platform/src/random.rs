//! Fresh secrets and identifiers from the operating system's generator.

use data_encoding::BASE64URL_NOPAD;
use proto_core::{
    UnixTime,
    secret::{Secret, SecretText},
};
use sha2::{Digest, Sha256};
use ulid::Ulid;
use zeroize::Zeroizing;

use crate::error::Error;

/// 32 fresh bytes.
pub(crate) fn secret() -> Result<Secret, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(Secret::new(*bytes))
}

/// A fresh bearer token of 256 bits, as base64url.
pub(crate) fn token() -> Result<SecretText, Error> {
    Ok(SecretText::new(BASE64URL_NOPAD.encode(secret()?.expose())))
}

/// A fresh ULID: sortable by time, 80 random bits, nothing in it that says where it belongs (S74 to S76).
pub(crate) fn ulid(now: UnixTime) -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(Ulid::from_parts(now.0.saturating_mul(1000), u128::from_be_bytes(bytes)).to_string())
}

/// The bearer token that belongs to these texts, of which one has full entropy.
pub(crate) fn derived_token(parts: &[&str]) -> SecretText {
    let mut hash = Sha256::new();
    for part in parts {
        // A length before each part: no other parts give the same bytes.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    SecretText::new(BASE64URL_NOPAD.encode(&hash.finalize()))
}

/// How a token is kept: it has full entropy, so a plain hash is enough, and finding it by its hash takes the same time for
/// every wrong token.
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
