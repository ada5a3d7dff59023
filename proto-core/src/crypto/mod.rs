//! Keys, sealing and Noise: everything secret is made and used in here.
//!
//! Where the primitives come from is a choice of the caller, [`Primitives`]: [`PureRust`] runs everywhere, an adapter may
//! bring an accelerated set. The bytes are the same with all of them.

mod identity;
mod kdf;
mod primitives;
mod pure;
pub mod seal;

pub use identity::{Identity, verify, verify_static_key};
pub use primitives::{AeadKey, Cipher, Forged, NONCE_LEN, Nonce, Primitives, TAG_LEN, Tag};
pub use pure::PureRust;
