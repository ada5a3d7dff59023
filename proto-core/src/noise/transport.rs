//! The transport phase of a session: for each direction a key and a counter (Noise section 5.1).
//!
//! snow does the handshake and gives the two keys that it ends with (Noise section 5.2, `Split`). What is left is small, and
//! is done here so that a message is sealed from two places into one: snow's own transport wants its plaintext in one piece.

use alloc::sync::Arc;

use zeroize::Zeroizing;

use super::{NoiseError, message_len, split_tag};
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

    /// `EncryptWithAd`, without associated data: both parts, and the tag.
    pub(super) fn seal_to(&mut self, plaintext: [&[u8]; 2], message: &mut [u8]) -> Result<(), NoiseError> {
        message_len(message, 0)?;
        let len = plaintext.map(<[u8]>::len).iter().sum::<usize>().saturating_add(TAG_LEN);
        if message.len() != len {
            return Err(NoiseError::TooLong);
        }
        let (nonce, next) = self.step()?;
        self.key.seal_to(&nonce, &[], plaintext, message);
        self.counter = next;
        Ok(())
    }

    /// `DecryptWithAd`: fills `plaintext`. The counter stays when a message does not open.
    pub(super) fn open_to(&mut self, ciphertext: &[u8], plaintext: &mut [u8]) -> Result<(), NoiseError> {
        let (ciphertext, tag) = split_tag(ciphertext)?;
        let (nonce, next) = self.step()?;
        self.key.open_to(&nonce, &[], ciphertext, tag, plaintext).map_err(|_| NoiseError::Failed)?;
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

    use super::{
        super::{MAX_MESSAGE, resolver::Resolver},
        *,
    };
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
        let mut message = [0; 3 + TAG_LEN];
        last.seal_to([&[1], &[2, 3]], &mut message).unwrap();
        assert_eq!(last.counter, u64::MAX);
        let mut another = [0; 3 + TAG_LEN];
        assert_eq!(last.seal_to([&[1], &[2, 3]], &mut another), Err(NoiseError::Exhausted));
        assert_eq!((another, last.counter), ([0; 3 + TAG_LEN], u64::MAX));
        let mut plaintext = [0; 3];
        assert_eq!(last.open_to(&message, &mut plaintext), Err(NoiseError::Exhausted));
        let mut other_end = Direction { counter: u64::MAX - 1, ..direction() };
        other_end.open_to(&message, &mut plaintext).unwrap();
        assert_eq!(plaintext, [1, 2, 3]);
    }

    /// Noise section 3: a message has at most 65,535 bytes, also one that its key would open; the longest one opens.
    #[test]
    fn a_message_that_is_too_long_does_not_open() {
        for (len, opens) in [(MAX_MESSAGE, true), (MAX_MESSAGE + 1, false)] {
            let mut receiving = direction();
            let mut message = vec![7; len - TAG_LEN];
            let tag = receiving.key.seal(&nonce(Cipher::ChaCha20Poly1305, 0), &[], &mut message);
            message.extend_from_slice(&tag);
            let mut plaintext = vec![0; len - TAG_LEN];
            assert_eq!(receiving.open_to(&message, &mut plaintext).is_ok(), opens);
            assert_eq!((plaintext.contains(&7), receiving.counter), if opens { (true, 1) } else { (false, 0) });
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
                let mut message = vec![0; turn + TAG_LEN];
                sending.seal_to([&plaintext, &[]], &mut message).unwrap();
                let len = theirs.write_message(&plaintext, &mut buffer).unwrap();
                assert_eq!(message, buffer[..len], "{suite:?}, message {turn}");
                // The other direction, whose other end is another initiator's: what our key seals, snow opens.
                let mut back = vec![0; turn + TAG_LEN];
                Direction { key: receiving.key.clone(), ..receiving }.seal_to([&[], &plaintext], &mut back).unwrap();
                let len = theirs.read_message(&back, &mut buffer).unwrap();
                assert_eq!(plaintext, buffer[..len]);
                let mut opened = vec![0; turn];
                receiving.open_to(&back, &mut opened).unwrap();
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
