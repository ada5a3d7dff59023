//! HKDF-SHA256 (RFC 5869) with 32 bytes of output, as WIRE section 1 uses it everywhere.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// `HKDF(salt, ikm, info)`. An empty salt counts as 32 zero bytes (RFC 5869 section 2.2).
pub(crate) fn hkdf(salt: &[u8], ikm: &Secret, info: &[u8]) -> Secret {
    let mut out = Zeroizing::new([0; 32]);
    // HKDF-SHA256 refuses only lengths over 8,160 bytes, so 32 always succeeds.
    let _ = Hkdf::<Sha256>::new(Some(salt), ikm.expose()).expand(info, &mut *out);
    Secret::new(*out)
}
