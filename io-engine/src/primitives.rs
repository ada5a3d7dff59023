//! The core's cryptographic primitives on AWS-LC: the library that TLS uses here anyway, with its assembly for AES and X25519.

use std::sync::Arc;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey},
    agreement::{self, PrivateKey, UnparsedPublicKey, X25519},
};
use proto_core::{
    crypto::{AeadKey, Cipher, Forged, Nonce, Primitives, PureRust, TAG_LEN, Tag, copy_and_seal},
    key::StaticKey,
    secret::Secret,
};

/// [`Primitives`] on AWS-LC: the same bytes as [`PureRust`], several times as fast.
///
/// What AWS-LC refuses without a cause of ours (it can run out of memory) is done by [`PureRust`] instead.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl Primitives for AwsLc {
    fn aead(&self, cipher: Cipher, key: &Secret) -> Arc<dyn AeadKey> {
        let algorithm = match cipher {
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        match UnboundKey::new(algorithm, key.expose()) {
            Ok(unbound) => Arc::new(Key { cipher, key: LessSafeKey::new(unbound) }),
            Err(_) => PureRust.aead(cipher, key),
        }
    }

    fn x25519_public(&self, private: &Secret) -> StaticKey {
        public_of(private).unwrap_or_else(|| PureRust.x25519_public(private))
    }

    fn x25519(&self, private: &Secret, public: StaticKey) -> Option<Secret> {
        let Ok(private_key) = PrivateKey::from_private_key(&X25519, private.expose()) else {
            return PureRust.x25519(private, public);
        };
        // AWS-LC refuses an all-zero result by itself (RFC 7748 section 6.1).
        let peer = UnparsedPublicKey::new(&X25519, public.0);
        agreement::agree(&private_key, peer, (), |shared| shared.try_into().map(Secret::new).map_err(|_| ())).ok()
    }
}

fn public_of(private: &Secret) -> Option<StaticKey> {
    let private_key = PrivateKey::from_private_key(&X25519, private.expose()).ok()?;
    private_key.compute_public_key().ok()?.as_ref().try_into().ok().map(StaticKey)
}

/// Bytes in a block of AES.
const BLOCK: usize = 16;

/// "Less safe" is what the library calls a key whose nonces the caller keeps count of, as Noise and sealed records do.
struct Key {
    cipher: Cipher,
    key: LessSafeKey,
}

impl AeadKey for Key {
    fn seal(&self, nonce: &Nonce, associated: &[u8], buffer: &mut [u8]) -> Tag {
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(*nonce);
        let sealed = self.key.seal_in_place_separate_tag(nonce, Aad::from(associated), buffer);
        sealed.ok().and_then(|tag| tag.as_ref().try_into().ok()).unwrap_or_else(|| {
            // Only beyond 64 GiB. Nothing may leave in the clear even then.
            buffer.fill(0);
            [0; TAG_LEN]
        })
    }

    fn open(&self, nonce: &Nonce, associated: &[u8], buffer: &mut [u8], tag: &Tag) -> Result<(), Forged> {
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(*nonce);
        self.key.open_in_place_separate_tag(nonce, Aad::from(associated), tag, buffer).map(|_| ()).map_err(|_| Forged)
    }

    fn seal_to(&self, nonce: &Nonce, associated: &[u8], plaintext: [&[u8]; 2], message: &mut [u8]) {
        let [start, rest] = plaintext;
        // What goes by itself is whole blocks: to go on in the middle of one takes the library longer.
        let (beside, rest) = rest.split_at(rest.len().min(start.len().wrapping_neg() % BLOCK));
        match (self.cipher, message.split_at_mut_checked(start.len() + beside.len())) {
            (Cipher::Aes256Gcm, Some((place, rest_and_tag))) => {
                let (first, second) = place.split_at_mut(start.len());
                first.copy_from_slice(start);
                second.copy_from_slice(beside);
                let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(*nonce);
                let sealed = self.key.seal_in_place_scatter(nonce, Aad::from(associated), place, rest, rest_and_tag);
                if sealed.is_err() {
                    // Another length, or beyond 64 GiB. Nothing may leave in the clear even then.
                    message.fill(0);
                }
            }
            // Its ChaCha20 takes what comes from elsewhere a byte at a time.
            _ => copy_and_seal(self, nonce, associated, plaintext, message),
        }
    }

    fn open_to(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        ciphertext: &[u8],
        tag: &Tag,
        plaintext: &mut [u8],
    ) -> Result<(), Forged> {
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(*nonce);
        self.key.open_separate_gather(nonce, Aad::from(associated), ciphertext, tag, plaintext).map_err(|_| Forged)
    }
}

/// Whether this CPU has instructions for AES: then AES-256-GCM is the faster cipher, else ChaCha20-Poly1305.
pub fn aes_in_hardware() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = false;
    has
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto_core::{
        Entropy,
        crypto::StaticKeys,
        noise::{InitiatorKeys, Noise, Snow},
        wire::{Pattern, Preamble, Role, Suite},
    };

    use super::*;

    fn cipher() -> impl Strategy<Value = Cipher> {
        prop_oneof![Just(Cipher::Aes256Gcm), Just(Cipher::ChaCha20Poly1305)]
    }

    proptest! {
        /// Both libraries seal to the same bytes, and open each other's.
        #[test]
        fn ciphers_agree_with_pure_rust(
            cipher in cipher(),
            key: [u8; 32],
            nonce: [u8; 12],
            associated in proptest::collection::vec(any::<u8>(), 0..100),
            plaintext in proptest::collection::vec(any::<u8>(), 0..2000),
            cut: proptest::sample::Index,
        ) {
            let [ours, theirs] = [AwsLc.aead(cipher, &Secret::new(key)), PureRust.aead(cipher, &Secret::new(key))];
            let [mut a, mut b] = [plaintext.clone(), plaintext.clone()];
            let tag = ours.seal(&nonce, &associated, &mut a);
            prop_assert_eq!(tag, theirs.seal(&nonce, &associated, &mut b));
            prop_assert_eq!(&a, &b);
            prop_assert_eq!(theirs.open(&nonce, &associated, &mut a, &tag), Ok(()));
            prop_assert_eq!(ours.open(&nonce, &associated, &mut b, &tag), Ok(()));
            prop_assert_eq!((&a, &b), (&plaintext, &plaintext));
            let (start, rest) = plaintext.split_at(cut.index(plaintext.len() + 1));
            let [mut a, mut b] = [(); 2].map(|()| vec![7; plaintext.len() + TAG_LEN]);
            ours.seal_to(&nonce, &associated, [start, rest], &mut a);
            theirs.seal_to(&nonce, &associated, [start, rest], &mut b);
            prop_assert_eq!(&a, &b);
            let (sealed, its_tag) = a.split_last_chunk::<TAG_LEN>().unwrap();
            prop_assert_eq!(its_tag, &tag);
            let mut opened = vec![7; plaintext.len()];
            prop_assert_eq!(ours.open_to(&nonce, &associated, sealed, &tag, &mut opened), Ok(()));
            prop_assert_eq!(&opened, &plaintext);
            let mut longer = vec![7; plaintext.len() + 1];
            prop_assert_eq!(ours.open_to(&nonce, &associated, sealed, &tag, &mut longer), Err(Forged));
            b.push(7);
            ours.seal_to(&nonce, &associated, [start, rest], &mut b);
            prop_assert_eq!(&b, &vec![0; b.len()]);
            let mut wrong = tag;
            wrong[usize::from(nonce[0] % 16)] ^= 1;
            prop_assert_eq!(ours.open_to(&nonce, &associated, sealed, &wrong, &mut opened), Err(Forged));
            prop_assert_eq!(ours.open(&nonce, &associated, &mut a[..plaintext.len()], &wrong), Err(Forged));
        }

        #[test]
        fn x25519_agrees_with_pure_rust(private: [u8; 32], public: [u8; 32]) {
            let private = Secret::new(private);
            prop_assert_eq!(AwsLc.x25519_public(&private), PureRust.x25519_public(&private));
            prop_assert_eq!(AwsLc.x25519(&private, StaticKey(public)), PureRust.x25519(&private, StaticKey(public)));
        }
    }

    /// NOI-5: points of low order, canonical and not.
    #[test]
    fn keys_of_low_order_are_refused() {
        let p = |low: u8, high: u8| {
            let mut point = [0xff; 32];
            (point[0], point[31]) = (low, high);
            point
        };
        let mut one = [0; 32];
        one[0] = 1;
        for point in [[0; 32], one, p(0xec, 0x7f), p(0xed, 0x7f), p(0xee, 0x7f), p(0xec, 0xff)] {
            let private = Secret::new([7; 32]);
            assert_eq!(AwsLc.x25519(&private, StaticKey(point)), None, "{point:?}");
            assert_eq!(PureRust.x25519(&private, StaticKey(point)), None, "{point:?}");
        }
    }

    /// A device on one library and a relay on the other speak every suite.
    #[test]
    fn sessions_cross_libraries() {
        for suite in Suite::ALL {
            let psk = (suite.pattern() == Pattern::IkPsk2).then(|| Secret::new([5; 32]));
            let [local, remote] = [1, 2].map(|seed| StaticKeys::from_private(Secret::new([seed; 32])));
            let preamble = Preamble { suite, role: Role::Daemon };
            let keys = InitiatorKeys { preamble, local: &local, responder: remote.public(), psk: psk.as_ref() };
            let (mut device, first) = Snow::<AwsLc>::initiate(keys, Entropy::new([3; 32]), b"hello").unwrap();
            let (mut relay, _) = Snow::<PureRust>::respond(&remote, Entropy::new([4; 32]), &first).unwrap();
            device.read_answer(&relay.answer(psk.as_ref(), b"welcome").unwrap()).unwrap();
            assert_eq!(device.handshake_hash(), relay.handshake_hash());
            let (mut sealed, mut opened) = (vec![], vec![]);
            device.seal(b"there", &mut sealed).unwrap();
            relay.open(&sealed, &mut opened).unwrap();
            device.rekey_receiving();
            relay.rekey_sending();
            sealed.clear();
            relay.seal(b" and back", &mut sealed).unwrap();
            device.open(&sealed, &mut opened).unwrap();
            assert_eq!(opened, b"there and back");
        }
    }
}
