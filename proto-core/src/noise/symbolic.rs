//! Noise without the key exchange: what two ends know is hashed, and a message opens when both hashed the same.
//!
//! Messages are as long as the real ones, payloads are readable, and an attacker who knows the public keys could forge them. What
//! it shares with the real one is where it succeeds and where it fails, for every input that an honest or a clumsy network makes:
//! keys, PSK, prologue, order, nonces, changed bytes.

use alloc::vec::Vec;
use core::hash;

use sha2::{Digest, Sha256};

use super::{
    FirstMessage, InitiatorKeys, MESSAGE_1_OVERHEAD, MESSAGE_2_OVERHEAD, Noise, NoiseError, ephemeral, message_len,
    snow::check_psk, split_tag,
};
use crate::{
    crypto::{StaticKeys, TAG_LEN, Tag, put_together},
    key::StaticKey,
    machine::entropy::Entropy,
    secret::Secret,
    wire::{Pattern, Preamble},
};

/// The symbolic [`Noise`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Symbolic(Phase);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Initiator { transcript: Hash, psk: Option<Secret> },
    Responder { transcript: Hash, pattern: Pattern, ephemeral: Hash },
    Transport { sending: Direction, receiving: Direction, session: Name },
}

type Hash = [u8; 32];

/// A fresh value; all that matters is which party has it.
///
/// Writes a `u128`, as nothing else in a machine does: so a hasher can take names for each other that stand at the same places.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name(Hash);

impl hash::Hash for Name {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        state.write_u128(self.0.first_chunk().map_or(0, |half| u128::from_be_bytes(*half)));
    }
}

/// One direction of the transport phase: how far it has come under the key that it began with.
///
/// Writes that as an `i64` right behind the name of the key, as nothing else does: so a hasher can see how far both ends are
/// apart, and leave out how far they have come together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Direction {
    first_key: Name,
    key: Hash,
    rekeys: u32,
    nonce: u64,
}

impl hash::Hash for Direction {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.first_key.hash(state);
        state.write_i64((i64::from(self.rekeys) << 32).wrapping_add_unsigned(self.nonce));
    }
}

impl Direction {
    const fn new(key: Hash) -> Self {
        Self { first_key: Name(key), key, rekeys: 0, nonce: 0 }
    }

    fn tag(&self, plaintext: &[u8]) -> Tag {
        tag(&digest(&[&self.key, &self.nonce.to_be_bytes()]), plaintext)
    }

    fn check_nonce(&self) -> Result<(), NoiseError> {
        if self.nonce == u64::MAX { Err(NoiseError::Exhausted) } else { Ok(()) }
    }

    fn rekey(&mut self) {
        self.key = digest(&[&self.key, b"rekey"]);
        self.rekeys = self.rekeys.saturating_add(1);
    }
}

impl Noise for Symbolic {
    fn initiate(keys: InitiatorKeys<'_>, entropy: Entropy, payload: &[u8]) -> Result<(Self, Vec<u8>), NoiseError> {
        check_psk(keys.preamble.suite.pattern(), keys.psk)?;
        message_len(payload, MESSAGE_1_OVERHEAD)?;
        refuse_low_order(keys.responder)?;
        let ephemeral = ephemeral_public(&entropy);
        let (static_tag, transcript) = after_static(keys.preamble, keys.responder, &ephemeral, keys.local.public());
        let payload_tag = tag(&transcript, payload);
        let preamble = keys.preamble.to_bytes();
        let parts: [&[u8]; 6] = [&preamble, &ephemeral, &keys.local.public().0, &static_tag, payload, &payload_tag];
        let transcript = digest(&[&transcript, payload, &payload_tag]);
        Ok((Self(Phase::Initiator { transcript, psk: keys.psk.cloned() }), parts.concat()))
    }

    fn read_answer(&mut self, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let Phase::Initiator { transcript, psk } = &self.0 else { return Err(NoiseError::OutOfTurn) };
        let (ephemeral, rest) = fitting(message)?.split_first_chunk::<32>().ok_or(NoiseError::Failed)?;
        let (payload, payload_tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(NoiseError::Failed)?;
        refuse_low_order(StaticKey(*ephemeral))?;
        let transcript = after_answer(transcript, ephemeral, psk.as_ref());
        if tag(&transcript, payload) != *payload_tag {
            return Err(NoiseError::Failed);
        }
        self.0 = transport(&transcript, payload, true);
        Ok(payload.to_vec())
    }

    fn respond(local: &StaticKeys, entropy: Entropy, first_message: &[u8]) -> Result<(Self, FirstMessage), NoiseError> {
        let (preamble, message) = Preamble::split(first_message)?;
        let (ephemeral, rest) = fitting(message)?.split_first_chunk::<32>().ok_or(NoiseError::Failed)?;
        let (key, rest) = rest.split_first_chunk::<32>().ok_or(NoiseError::Failed)?;
        let (static_tag, rest) = rest.split_first_chunk::<TAG_LEN>().ok_or(NoiseError::Failed)?;
        let (payload, payload_tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(NoiseError::Failed)?;
        let static_key = StaticKey(*key);
        refuse_low_order(static_key)?;
        refuse_low_order(StaticKey(*ephemeral))?;
        let (expected, transcript) = after_static(preamble, local.public(), ephemeral, static_key);
        if expected != *static_tag || tag(&transcript, payload) != *payload_tag {
            return Err(NoiseError::Failed);
        }
        let transcript = digest(&[&transcript, payload, payload_tag]);
        let pattern = preamble.suite.pattern();
        let session = Self(Phase::Responder { transcript, pattern, ephemeral: ephemeral_public(&entropy) });
        Ok((session, FirstMessage { preamble, static_key, payload: payload.to_vec() }))
    }

    fn answer(&mut self, psk: Option<&Secret>, payload: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let Phase::Responder { transcript, pattern, ephemeral } = &self.0 else { return Err(NoiseError::OutOfTurn) };
        check_psk(*pattern, psk)?;
        message_len(payload, MESSAGE_2_OVERHEAD)?;
        let transcript = after_answer(transcript, ephemeral, psk);
        let message = [ephemeral.as_slice(), payload, &tag(&transcript, payload)].concat();
        self.0 = transport(&transcript, payload, false);
        Ok(message)
    }

    fn seal_to(&mut self, plaintext: [&[u8]; 2], message: &mut [u8]) -> Result<(), NoiseError> {
        let Phase::Transport { sending, .. } = &mut self.0 else { return Err(NoiseError::OutOfTurn) };
        message_len(message, 0)?;
        let (readable, tag) = put_together(plaintext, message).ok_or(NoiseError::TooLong)?;
        sending.check_nonce()?;
        *tag = sending.tag(readable);
        sending.nonce = sending.nonce.saturating_add(1);
        Ok(())
    }

    fn open_to(&mut self, ciphertext: &[u8], plaintext: &mut [u8]) -> Result<(), NoiseError> {
        let Phase::Transport { receiving, .. } = &mut self.0 else { return Err(NoiseError::OutOfTurn) };
        let (readable, tag) = split_tag(ciphertext)?;
        receiving.check_nonce()?;
        if receiving.tag(readable) != *tag || plaintext.len() != readable.len() {
            return Err(NoiseError::Failed);
        }
        plaintext.copy_from_slice(readable);
        receiving.nonce = receiving.nonce.saturating_add(1);
        Ok(())
    }

    fn rekey_sending(&mut self) {
        if let Phase::Transport { sending, .. } = &mut self.0 {
            sending.rekey();
        }
    }

    fn rekey_receiving(&mut self) {
        if let Phase::Transport { receiving, .. } = &mut self.0 {
            receiving.rekey();
        }
    }

    fn handshake_hash(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Phase::Transport { session, .. } => Some(session.0),
            _ => None,
        }
    }
}

/// The tag over the initiator's static key, and what both know once it was checked.
fn after_static(preamble: Preamble, responder: StaticKey, ephemeral: &Hash, initiator: StaticKey) -> (Tag, Hash) {
    let transcript = digest(&[&preamble.prologue(), &responder.0, ephemeral]);
    let static_tag = tag(&transcript, &initiator.0);
    (static_tag, digest(&[&transcript, &initiator.0, &static_tag]))
}

fn after_answer(transcript: &Hash, ephemeral: &Hash, psk: Option<&Secret>) -> Hash {
    let psk = psk.map_or(&[][..], |psk| psk.expose());
    digest(&[transcript, ephemeral, psk])
}

fn transport(transcript: &Hash, payload: &[u8], initiator: bool) -> Phase {
    let end = digest(&[transcript, payload, b"end"]);
    let [first, second] = [b"first".as_slice(), b"second"].map(|way| Direction::new(digest(&[&end, way])));
    let (sending, receiving) = if initiator { (first, second) } else { (second, first) };
    Phase::Transport { sending, receiving, session: Name(end) }
}

fn ephemeral_public(entropy: &Entropy) -> Hash {
    digest(&[ephemeral(entropy).expose()])
}

fn fitting(message: &[u8]) -> Result<&[u8], NoiseError> {
    message_len(message, 0).map(|_| message).map_err(|_| NoiseError::Failed)
}

/// The one point of low order that is worth telling apart here.
fn refuse_low_order(key: StaticKey) -> Result<(), NoiseError> {
    if key.0 == [0; 32] { Err(NoiseError::Failed) } else { Ok(()) }
}

fn tag(key: &Hash, plaintext: &[u8]) -> Tag {
    let mut tag = [0; TAG_LEN];
    for (to, from) in tag.iter_mut().zip(digest(&[key, plaintext])) {
        *to = from;
    }
    tag
}

fn digest(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec};

    use super::*;
    use crate::testing::fingerprint;

    /// L5: keys, messages and rekeys tell directions apart.
    #[test]
    fn directions_that_differ_have_other_fingerprints() {
        let way = |key, rekeys, nonce| Direction { rekeys, nonce, ..Direction::new([key; 32]) };
        let prints = [way(1, 0, 0), way(2, 0, 0), way(1, 0, 1), way(1, 1, 0)].map(|way| fingerprint(&way));
        assert_eq!(BTreeSet::from(prints).len(), prints.len());
    }

    /// NOI-6, as with the real one: a direction ends before a number comes twice, and a call that fails changes nothing.
    #[test]
    fn a_direction_ends_before_a_number_comes_twice() {
        let spent = |nonce| {
            let way = Direction { nonce, ..Direction::new([1; 32]) };
            Symbolic(Phase::Transport { sending: way.clone(), receiving: way, session: Name([0; 32]) })
        };
        let mut last = spent(u64::MAX - 1);
        let mut message = vec![];
        last.seal(b"abc", &mut message).unwrap();
        last.open(&message, &mut vec![]).unwrap();
        assert_eq!(last, spent(u64::MAX));
        let (mut another, mut plaintext) = (vec![], vec![]);
        assert_eq!(last.seal(b"abc", &mut another), Err(NoiseError::Exhausted));
        assert_eq!(last.open(&message, &mut plaintext), Err(NoiseError::Exhausted));
        assert_eq!((another.len(), plaintext.len(), last), (0, 0, spent(u64::MAX)));
    }
}
