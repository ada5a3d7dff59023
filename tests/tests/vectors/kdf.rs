//! HMAC (RFC 2104) and HKDF (RFC 5869) over SHA-256 a second time, so that what the vectors say does not come from the code
//! that they are for.

use sha2::{Digest, Sha256};

pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

/// With 32 bytes of output, which one block holds.
pub(crate) fn hkdf(salt: &[u8], ikm: &[u8], info: &str) -> [u8; 32] {
    hmac(&hmac(salt, ikm), &[info.as_bytes(), &[1]].concat())
}
