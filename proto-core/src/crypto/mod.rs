//! Keys and sealing. Noise is in [`noise`](crate::noise).
//!
//! Where the primitives come from is a choice of the caller, [`Primitives`]: [`PureRust`] runs everywhere, an adapter may
//! bring an accelerated set. The bytes are the same with all of them.

mod identity;
mod kdf;
mod primitives;
mod pure;
pub mod seal;

pub(crate) use identity::SigningKeys;
pub use identity::{Identity, StaticKeys, verify, verify_static_key};
pub(crate) use kdf::hkdf;
#[cfg(any(test, feature = "symbolic"))]
pub(crate) use primitives::put_together;
pub use primitives::{AeadKey, Cipher, Forged, NONCE_LEN, Nonce, Primitives, TAG_LEN, Tag, copy_and_seal};
pub use pure::PureRust;
