//! Noise as an algebra: a shared secret is the name of a pair of keys, and only a party that holds one of the two may write it
//! down.
//!
//! Patterns IK and IKpsk2 are followed token by token, so what an attacker can work out with the keys that it holds is exactly
//! what it could work out with real ones, as far as the primitives keep their promises. The machines that run on it are the real ones.

use std::collections::BTreeSet;

use proto_core::{
    Entropy,
    crypto::StaticKeys,
    key::StaticKey,
    noise::{FirstMessage, InitiatorKeys, Noise, NoiseError},
    secret::Secret,
    wire::{Pattern, Preamble},
};

use crate::explore::fingerprint;

/// A key, a hash or a tag.
pub(super) type Word = [u8; 32];

const TAG: usize = 16;

/// A session of the algebra.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Algebra(Phase);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Initiator { chain: Word, transcript: Word, ephemeral: Word, local: StaticKey, psk: Option<Secret> },
    Responder { chain: Word, transcript: Word, ephemeral: Word, remote: (Word, StaticKey), pattern: Pattern },
    Transport { sending: (Word, u64), receiving: (Word, u64), hash: Word },
}

/// The name of what parts make together.
pub(super) fn name(parts: &[&[u8]]) -> Word {
    let mut word = [0; 32];
    let halves = [("left", 0), ("right", 16)];
    for (half, at) in halves {
        let print = fingerprint(&(half, parts), proto_core::Instant::ZERO, std::time::Duration::ZERO).to_le_bytes();
        for (to, from) in word.iter_mut().skip(at).zip(print) {
            *to = from;
        }
    }
    word
}

/// What the holders of one of two keys share. The caller holds one.
pub(super) fn shared(a: &Word, b: &Word) -> Word {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    name(&[b"shared", low, high])
}

fn tag(chain: &Word, transcript: &Word, payload: &[u8]) -> [u8; TAG] {
    let mut tag = [0; TAG];
    for (to, from) in tag.iter_mut().zip(name(&[b"tag", chain, transcript, payload])) {
        *to = from;
    }
    tag
}

fn ephemeral(entropy: &Entropy) -> Word {
    name(&[b"ephemeral", entropy.derive("ephemeral").expose()])
}

/// The chain after message 1, step by step, so that an attacker can stop where it does not get on.
pub(super) fn first_chain(preamble: Preamble, es: &Word, ss: &Word) -> [Word; 2] {
    let after_es = name(&[b"chain", &preamble.prologue(), es]);
    [after_es, name(&[b"chain", &after_es, ss])]
}

/// The chain after message 2.
pub(super) fn second_chain(first: &Word, ee: &Word, se: &Word, psk: Option<&Secret>) -> Word {
    let chain = name(&[b"chain", &name(&[b"chain", first, ee]), se]);
    psk.map_or(chain, |psk| name(&[b"psk", &chain, psk.expose()]))
}

/// The parts of message 1.
pub(super) struct First<'a> {
    pub(super) preamble: Preamble,
    pub(super) ephemeral: Word,
    pub(super) local: StaticKey,
    static_tag: [u8; TAG],
    pub(super) payload: &'a [u8],
    payload_tag: [u8; TAG],
}

impl<'a> First<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, NoiseError> {
        let (preamble, message) = Preamble::split(message)?;
        let (ephemeral, rest) = message.split_first_chunk::<32>().ok_or(NoiseError::Failed)?;
        let (local, rest) = rest.split_first_chunk::<32>().ok_or(NoiseError::Failed)?;
        let (static_tag, rest) = rest.split_first_chunk::<TAG>().ok_or(NoiseError::Failed)?;
        let (payload, payload_tag) = rest.split_last_chunk::<TAG>().ok_or(NoiseError::Failed)?;
        let local = StaticKey(*local);
        Ok(Self { preamble, ephemeral: *ephemeral, local, static_tag: *static_tag, payload, payload_tag: *payload_tag })
    }

    /// The transcript before each of the two tags, and after both.
    pub(super) fn transcripts(&self, responder: &Word) -> [Word; 3] {
        let start = name(&[b"start", &self.preamble.prologue(), responder, &self.ephemeral]);
        let after_static = name(&[&start, &self.local.0, &self.static_tag]);
        [start, after_static, name(&[&after_static, self.payload, &self.payload_tag])]
    }
}

/// Message 2 around `payload`, and the session of the party that makes it.
pub(super) fn second_message(chain: &Word, transcript: &Word, ephemeral: &Word, payload: &[u8]) -> Vec<u8> {
    let transcript = name(&[transcript, ephemeral]);
    [ephemeral.as_slice(), payload, &tag(chain, &transcript, payload)].concat()
}

fn transport(chain: &Word, transcript: &Word, payload: &[u8], is_initiator: bool) -> Phase {
    let [first, second] = [b"first".as_slice(), b"second"].map(|way| (name(&[way, chain]), 0));
    let (sending, receiving) = if is_initiator { (first, second) } else { (second, first) };
    Phase::Transport { sending, receiving, hash: name(&[b"hash", transcript, payload]) }
}

impl Noise for Algebra {
    fn initiate(keys: InitiatorKeys<'_>, entropy: Entropy, payload: &[u8]) -> Result<(Self, Vec<u8>), NoiseError> {
        if keys.psk.is_some() != (keys.preamble.suite.pattern() == Pattern::IkPsk2) {
            return Err(NoiseError::PskPolicy);
        }
        let (ephemeral, local, responder) = (ephemeral(&entropy), keys.local.public(), keys.responder.0);
        let [after_es, chain] = first_chain(keys.preamble, &shared(&ephemeral, &responder), &shared(&local.0, &responder));
        let start = name(&[b"start", &keys.preamble.prologue(), &responder, &ephemeral]);
        let static_tag = tag(&after_es, &start, &local.0);
        let after_static = name(&[&start, &local.0, &static_tag]);
        let payload_tag = tag(&chain, &after_static, payload);
        let parts: [&[u8]; 6] = [&keys.preamble.to_bytes(), &ephemeral, &local.0, &static_tag, payload, &payload_tag];
        let transcript = name(&[&after_static, payload, &payload_tag]);
        let phase = Phase::Initiator { chain, transcript, ephemeral, local, psk: keys.psk.cloned() };
        Ok((Self(phase), parts.concat()))
    }

    fn read_answer(&mut self, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let Phase::Initiator { chain, transcript, ephemeral, local, psk } = &self.0 else { return Err(NoiseError::OutOfTurn) };
        let (remote, rest) = message.split_first_chunk::<32>().ok_or(NoiseError::Failed)?;
        let (payload, its_tag) = rest.split_last_chunk::<TAG>().ok_or(NoiseError::Failed)?;
        let chain = second_chain(chain, &shared(remote, ephemeral), &shared(remote, &local.0), psk.as_ref());
        let transcript = name(&[transcript, remote]);
        if tag(&chain, &transcript, payload) != *its_tag {
            return Err(NoiseError::Failed);
        }
        self.0 = transport(&chain, &transcript, payload, true);
        Ok(payload.to_vec())
    }

    fn respond(local: &StaticKeys, entropy: Entropy, first_message: &[u8]) -> Result<(Self, FirstMessage), NoiseError> {
        let first = First::parse(first_message)?;
        let responder = local.public().0;
        let [after_es, chain] =
            first_chain(first.preamble, &shared(&first.ephemeral, &responder), &shared(&first.local.0, &responder));
        let [start, after_static, transcript] = first.transcripts(&responder);
        let opens = tag(&after_es, &start, &first.local.0) == first.static_tag
            && tag(&chain, &after_static, first.payload) == first.payload_tag;
        if !opens {
            return Err(NoiseError::Failed);
        }
        let pattern = first.preamble.suite.pattern();
        let remote = (first.ephemeral, first.local);
        let phase = Phase::Responder { chain, transcript, ephemeral: ephemeral(&entropy), remote, pattern };
        let (preamble, static_key, payload) = (first.preamble, first.local, first.payload.to_vec());
        Ok((Self(phase), FirstMessage { preamble, static_key, payload }))
    }

    fn answer(&mut self, psk: Option<&Secret>, payload: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let Phase::Responder { chain, transcript, ephemeral, remote, pattern } = &self.0 else {
            return Err(NoiseError::OutOfTurn);
        };
        if psk.is_some() != (*pattern == Pattern::IkPsk2) {
            return Err(NoiseError::PskPolicy);
        }
        let chain = second_chain(chain, &shared(ephemeral, &remote.0), &shared(ephemeral, &remote.1.0), psk);
        let message = second_message(&chain, transcript, ephemeral, payload);
        self.0 = transport(&chain, &name(&[transcript, ephemeral]), payload, false);
        Ok(message)
    }

    fn seal_to(&mut self, plaintext: [&[u8]; 2], message: &mut [u8]) -> Result<(), NoiseError> {
        let Phase::Transport { sending: (key, nonce), .. } = &mut self.0 else { return Err(NoiseError::OutOfTurn) };
        let (readable, its_tag) = message.split_last_chunk_mut::<TAG>().ok_or(NoiseError::TooLong)?;
        readable.copy_from_slice(&plaintext.concat());
        *its_tag = tag(key, &name(&[&nonce.to_be_bytes()]), readable);
        *nonce += 1;
        Ok(())
    }

    fn open_to(&mut self, ciphertext: &[u8], plaintext: &mut [u8]) -> Result<(), NoiseError> {
        let Phase::Transport { receiving: (key, nonce), .. } = &mut self.0 else { return Err(NoiseError::OutOfTurn) };
        let (readable, its_tag) = ciphertext.split_last_chunk::<TAG>().ok_or(NoiseError::Failed)?;
        if tag(key, &name(&[&nonce.to_be_bytes()]), readable) != *its_tag {
            return Err(NoiseError::Failed);
        }
        plaintext.copy_from_slice(readable);
        *nonce += 1;
        Ok(())
    }

    fn rekey_sending(&mut self) {
        if let Phase::Transport { sending: (key, _), .. } = &mut self.0 {
            *key = name(&[b"rekey", key]);
        }
    }

    fn rekey_receiving(&mut self) {
        if let Phase::Transport { receiving: (key, _), .. } = &mut self.0 {
            *key = name(&[b"rekey", key]);
        }
    }

    fn handshake_hash(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Phase::Transport { hash, .. } => Some(*hash),
            _ => None,
        }
    }
}

/// What an attacker holds, and what it can work out.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Knowledge {
    /// Public keys whose private half it has.
    pub(super) holds: BTreeSet<Word>,
    pub(super) psk: Option<Secret>,
}

impl Knowledge {
    fn shared(&self, a: &Word, b: &Word) -> Option<Word> {
        (self.holds.contains(a) || self.holds.contains(b)).then(|| shared(a, b))
    }

    /// The chain after an initiator's message 1: with it the credential in it can be read.
    pub(super) fn reads_first(&self, first: &First<'_>, responder: &Word) -> Option<Word> {
        let (es, ss) = (self.shared(&first.ephemeral, responder)?, self.shared(&first.local.0, responder)?);
        let [_, chain] = first_chain(first.preamble, &es, &ss);
        Some(chain)
    }

    /// The chain after both messages: with it everything can be read and forged.
    pub(super) fn reads_session(&self, first: &First<'_>, responder: &Word, answerer: &Word) -> Option<Word> {
        let chain = self.reads_first(first, responder)?;
        let (ee, se) = (self.shared(answerer, &first.ephemeral)?, self.shared(answerer, &first.local.0)?);
        match first.preamble.suite.pattern() {
            Pattern::Ik => Some(second_chain(&chain, &ee, &se, None)),
            Pattern::IkPsk2 => Some(second_chain(&chain, &ee, &se, Some(self.psk.as_ref()?))),
        }
    }

    /// Message 2 in the relay's name, with an ephemeral key of the attacker's.
    pub(super) fn forges_answer(&self, message: &[u8], responder: &Word, ephemeral: &Word, payload: &[u8]) -> Option<Vec<u8>> {
        let first = First::parse(message).ok()?;
        let chain = self.reads_session(&first, responder, ephemeral)?;
        let [.., transcript] = first.transcripts(responder);
        Some(second_message(&chain, &transcript, ephemeral, payload))
    }
}
