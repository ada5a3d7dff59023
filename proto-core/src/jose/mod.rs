//! The small part of JOSE that the credentials need: EdDSA with Ed25519 and nothing else, read strictly.
//!
//! One algorithm, decided by the key and never by the header (RFC 8725 section 3.1); compact serialisation (RFC 7515);
//! Ed25519 keys (RFC 8037); thumbprints (RFC 7638); proof of possession (RFC 7800, RFC 9449).

mod claims;
mod dpop;
mod jwk;
mod jws;
mod jwt;
mod strict;

pub use claims::{Claims, Confirmation, RELAY_AUDIENCE};
pub use dpop::{Proof, ProofTarget, prove, verify_proof};
pub use jwk::{JwkSet, MAX_KEYS, Thumbprint};
pub use jws::SigningKey;
pub use jwt::{Expectation, Expiry, SKEW, Unverified, sign, verify};
