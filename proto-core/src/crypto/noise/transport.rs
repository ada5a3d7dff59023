//! The transport phase of a session: for each direction a key and a counter (Noise section 5.1).
//!
//! snow does the handshake and gives the two keys that it ends with (Noise section 5.2, `Split`). What is left is small, and
//! is done here so that a message is sealed where it stands: snow's own transport takes it from one buffer to another, which
//! costs as much again as AES does.

use alloc::{sync::Arc, vec::Vec};

use zeroize::Zeroizing;

use super::{MESSAGE_MAX, NoiseError, message_len};
use crate::{
    crypto::{AeadKey, Cipher, Nonce, Primitives, TAG_LEN},
    secret::Secret,
};

/// One direction: a `CipherState`.
pub(super) struct Direction {
    cipher: Cipher,
    key: Arc<dyn AeadKey>,
    /// The number of the next message.
    counter: u64,
}

impl Direction {
    /// A direction at its first message.
    pub(super) fn new(primitives: &dyn Primitives, cipher: Cipher, key: &Secret) -> Self {
        Self { cipher, key: primitives.aead(cipher, key), counter: 0 }
    }

    /// `EncryptWithAd`, without associated data: what stands in `message` from `start` on, and its tag.
    pub(super) fn seal(&mut self, message: &mut Vec<u8>, start: usize) -> Result<(), NoiseError> {
        let plaintext = message.get_mut(start..).unwrap_or_default();
        message_len(plaintext, TAG_LEN)?;
        let (nonce, next) = self.step()?;
        let tag = self.key.seal(&nonce, &[], plaintext);
        message.extend_from_slice(&tag);
        self.counter = next;
        Ok(())
    }

    /// `DecryptWithAd`: appends the plaintext to `out`, or nothing. The counter stays when a message does not open.
    pub(super) fn open(&mut self, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), NoiseError> {
        let (ciphertext, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(NoiseError::Failed)?;
        if ciphertext.len() > MESSAGE_MAX - TAG_LEN {
            return Err(NoiseError::Failed);
        }
        let (nonce, next) = self.step()?;
        let start = out.len();
        out.extend_from_slice(ciphertext);
        let opened = self.key.open(&nonce, &[], out.get_mut(start..).unwrap_or_default(), tag);
        if opened.is_err() {
            out.truncate(start);
        }
        opened.map_err(|_| NoiseError::Failed)?;
        self.counter = next;
        Ok(())
    }

    /// `Rekey` (Noise section 4.2): the key makes the next one. The counter goes on.
    pub(super) fn rekey(&mut self, primitives: &dyn Primitives) {
        let mut next = Zeroizing::new([0; 32]);
        self.key.seal(&nonce(self.cipher, u64::MAX), &[], &mut *next);
        self.key = primitives.aead(self.cipher, &Secret::new(*next));
    }

    /// The nonce of the next message, and the counter after it. The last number is reserved for `Rekey`.
    fn step(&self) -> Result<(Nonce, u64), NoiseError> {
        let next = self.counter.checked_add(1).ok_or(NoiseError::Exhausted)?;
        Ok((nonce(self.cipher, self.counter), next))
    }
}

/// Noise section 12.3 and 12.4: 4 zero bytes, then the counter, each cipher in its own byte order.
pub(super) fn nonce(cipher: Cipher, counter: u64) -> Nonce {
    match cipher {
        Cipher::Aes256Gcm => {
            let [_, _, _, _, nonce @ ..] = u128::from(counter).to_be_bytes();
            nonce
        }
        Cipher::ChaCha20Poly1305 => {
            let [nonce @ .., _, _, _, _] = (u128::from(counter) << 32).to_le_bytes();
            nonce
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{boxed::Box, sync::Arc, vec};

    use ::snow::{Builder, TransportState};

    use super::{super::resolver::Resolver, *};
    use crate::{
        crypto::{PureRust, StaticKeys},
        wire::Suite,
    };

    fn direction() -> Direction {
        Direction::new(&PureRust, Cipher::ChaCha20Poly1305, &Secret::new([7; 32]))
    }

    /// Noise section 5.1: 2^64 - 1 messages at most, for the last number is that of `Rekey`; and a call that fails changes
    /// nothing (NOI-6).
    #[test]
    fn a_direction_ends_before_a_number_comes_twice() {
        let mut last = Direction { counter: u64::MAX - 1, ..direction() };
        let mut message = vec![1, 2, 3];
        last.seal(&mut message, 0).unwrap();
        assert_eq!(last.counter, u64::MAX);
        let mut another = vec![1, 2, 3];
        assert_eq!(last.seal(&mut another, 0), Err(NoiseError::Exhausted));
        assert_eq!((another, last.counter), (vec![1, 2, 3], u64::MAX));
        let mut plaintext = vec![];
        assert_eq!(last.open(&message, &mut plaintext), Err(NoiseError::Exhausted));
        let mut other_end = Direction { counter: u64::MAX - 1, ..direction() };
        other_end.open(&message, &mut plaintext).unwrap();
        assert_eq!(plaintext, [1, 2, 3]);
    }

    /// Noise section 3: a message has at most 65,535 bytes, also one that its key would open; the longest one opens.
    #[test]
    fn a_message_that_is_too_long_does_not_open() {
        for (len, opens) in [(MESSAGE_MAX, true), (MESSAGE_MAX + 1, false)] {
            let mut receiving = direction();
            let mut message = vec![7; len - TAG_LEN];
            let tag = receiving.key.seal(&nonce(Cipher::ChaCha20Poly1305, 0), &[], &mut message);
            message.extend_from_slice(&tag);
            let mut plaintext = vec![];
            assert_eq!(receiving.open(&message, &mut plaintext).is_ok(), opens);
            assert_eq!((plaintext.len(), receiving.counter), if opens { (len - TAG_LEN, 1) } else { (0, 0) });
        }
    }

    /// NOI-1: the same bytes as snow's own transport, both ways, over new keys too.
    #[test]
    fn the_transport_is_that_of_snow() {
        for suite in Suite::ALL {
            let (mut theirs, [mut sending, mut receiving]) = snow_and_ours(suite);
            let mut buffer = [0; 256];
            for turn in 0..48_usize {
                let plaintext = vec![0x55; turn];
                let mut message = plaintext.clone();
                sending.seal(&mut message, 0).unwrap();
                let len = theirs.write_message(&plaintext, &mut buffer).unwrap();
                assert_eq!(message, buffer[..len], "{suite:?}, message {turn}");
                // The other direction, whose other end is another initiator's: what our key seals, snow opens.
                let mut back = plaintext.clone();
                Direction { key: receiving.key.clone(), ..receiving }.seal(&mut back, 0).unwrap();
                let len = theirs.read_message(&back, &mut buffer).unwrap();
                assert_eq!(plaintext, buffer[..len]);
                let mut opened = vec![];
                receiving.open(&back, &mut opened).unwrap();
                assert_eq!(opened, plaintext);
                if turn % 16 == 15 {
                    sending.rekey(&PureRust);
                    receiving.rekey(&PureRust);
                    theirs.rekey_outgoing();
                    theirs.rekey_incoming();
                }
            }
        }
    }

    /// The initiator's end of a handshake: as snow goes on with it, and as we do.
    fn snow_and_ours(suite: Suite) -> (TransportState, [Direction; 2]) {
        let [local, remote] = [1, 2].map(|seed| StaticKeys::from_private(Secret::new([seed; 32])));
        let builder = |keys: &StaticKeys| {
            let resolver = Resolver { primitives: Arc::new(PureRust), local: keys.clone(), ephemeral: Secret::new([3; 32]) };
            Builder::with_resolver(suite.noise_name().parse().unwrap(), Box::new(resolver))
        };
        let own = |keys: &StaticKeys| *keys.private().expose();
        let (local_key, remote_key, remote_public) = (own(&local), own(&remote), remote.public());
        let initiator = builder(&local).local_private_key(&local_key).unwrap().remote_public_key(&remote_public.0).unwrap();
        let responder = builder(&remote).local_private_key(&remote_key).unwrap();
        let mut initiator = initiator.psk(2, &[5; 32]).unwrap().build_initiator().unwrap();
        let mut responder = responder.psk(2, &[5; 32]).unwrap().build_responder().unwrap();
        let (mut message, mut payload) = ([0; 256], [0; 256]);
        let len = initiator.write_message(&[], &mut message).unwrap();
        responder.read_message(&message[..len], &mut payload).unwrap();
        let len = responder.write_message(&[], &mut message).unwrap();
        initiator.read_message(&message[..len], &mut payload).unwrap();
        let (first, second) = initiator.dangerously_get_raw_split();
        let ours = [first, second].map(|key| Direction::new(&PureRust, suite.cipher(), &Secret::new(key)));
        (initiator.into_transport_mode().unwrap(), ours)
    }
}
