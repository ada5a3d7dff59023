//! Keys, sealing and Noise: everything secret is made and used in here.
//!
//! Where the primitives come from is a choice of the caller, [`Primitives`]: [`PureRust`] runs everywhere, an adapter may
//! bring an accelerated set. The bytes are the same with all of them.

pub mod channel;
mod identity;
mod kdf;
pub mod noise;
mod primitives;
mod pure;
pub mod seal;

pub use identity::{Identity, StaticKeys, verify, verify_static_key};
pub use primitives::{AeadKey, Cipher, Forged, NONCE_LEN, Nonce, Primitives, TAG_LEN, Tag, copy_and_seal};
pub use pure::PureRust;
