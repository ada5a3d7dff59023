//! NOI-1: byte for byte the vectors of cacophony, another implementation of Noise: every one for IK and IKpsk2 over X25519.
//!
//! Four of them are the protocol's suites, and go through [`Snow`] itself. The other twelve are of hashes and combinations that the
//! protocol does not have; their key exchange, ciphers, nonces and ephemeral keys are still ours, so they go through the same
//! [`Resolver`], with a hash from here where it has none.

use alloc::{boxed::Box, string::String, sync::Arc, vec, vec::Vec};

use ::snow::{
    Builder, HandshakeState,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types,
};
use blake2::Blake2b512;
use serde::Deserialize;
use sha2::{Digest, Sha512};

use super::{super::resolver::Resolver, *};

#[derive(Deserialize)]
struct Vector {
    protocol_name: String,
    init_prologue: String,
    init_static: String,
    init_ephemeral: String,
    init_remote_static: String,
    #[serde(default)]
    init_psks: Vec<String>,
    resp_prologue: String,
    resp_static: String,
    resp_ephemeral: String,
    handshake_hash: String,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    payload: String,
    ciphertext: String,
}

fn secret(text: &str) -> Secret {
    Secret::new(hex(text).try_into().unwrap())
}

#[test]
fn the_vectors_of_cacophony_come_out() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("cacophony.json")).unwrap();
    let (mut ours, mut others) = (0, 0);
    for vector in &vectors {
        match Suite::ALL.into_iter().find(|suite| suite.noise_name() == vector.protocol_name) {
            Some(suite) => {
                run(suite, vector);
                ours += 1;
            }
            None => others += 1,
        }
        run_on_the_resolver(vector);
    }
    assert_eq!((ours, others), (4, 12));
}

fn run(suite: Suite, vector: &Vector) {
    let psk = vector.init_psks.first().map(|psk| secret(psk));
    let local = StaticKeys::from_private(secret(&vector.init_static));
    let responder = StaticKey(hex(&vector.init_remote_static).try_into().unwrap());
    let keys = InitiatorKeys { preamble: preamble(suite), local: &local, responder, psk: psk.as_ref() };
    let payloads: Vec<_> = vector.messages.iter().map(|message| hex(&message.payload)).collect();
    let expected: Vec<_> = vector.messages.iter().map(|message| hex(&message.ciphertext)).collect();

    let (mut initiator, message) =
        Real::start(keys, &hex(&vector.init_prologue), secret(&vector.init_ephemeral), &payloads[0]).unwrap();
    assert_eq!(message, expected[0]);
    let responder_keys = StaticKeys::from_private(secret(&vector.resp_static));
    let (mut responder, static_key, payload) =
        Real::accept(&responder_keys, suite, &hex(&vector.resp_prologue), secret(&vector.resp_ephemeral), &message).unwrap();
    assert_eq!((static_key, payload), (local.public(), payloads[0].clone()));
    let answer = responder.answer(psk.as_ref(), &payloads[1]).unwrap();
    assert_eq!(answer, expected[1]);
    assert_eq!(initiator.read_answer(&answer).unwrap(), payloads[1]);
    for session in [&initiator, &responder] {
        assert_eq!(session.handshake_hash().unwrap().as_slice(), hex(&vector.handshake_hash));
    }
    for (turn, (payload, expected)) in payloads.iter().zip(&expected).skip(2).enumerate() {
        let (from, to) = if turn % 2 == 0 { (&mut initiator, &mut responder) } else { (&mut responder, &mut initiator) };
        assert_eq!(seal(from, payload), *expected);
        assert_eq!(open(to, expected).unwrap(), *payload);
    }
}

/// The same messages from snow's own state machine, on our primitives.
fn run_on_the_resolver(vector: &Vector) {
    let remote = hex(&vector.init_remote_static);
    let mut initiator = builder(vector, &vector.init_ephemeral, &vector.init_prologue, &vector.init_static, |builder| {
        builder.remote_public_key(&remote).unwrap().build_initiator().unwrap()
    });
    let mut responder = builder(vector, &vector.resp_ephemeral, &vector.resp_prologue, &vector.resp_static, |builder| {
        builder.build_responder().unwrap()
    });
    for (turn, message) in vector.messages.iter().take(2).enumerate() {
        let (from, to) = if turn == 0 { (&mut initiator, &mut responder) } else { (&mut responder, &mut initiator) };
        let mut out = vec![0; MAX_MESSAGE];
        let len = from.write_message(&hex(&message.payload), &mut out).unwrap();
        assert_eq!(out[..len], hex(&message.ciphertext), "{}", vector.protocol_name);
        let mut payload = vec![0; MAX_MESSAGE];
        let read = to.read_message(&out[..len], &mut payload).unwrap();
        assert_eq!(payload[..read], hex(&message.payload));
    }
    assert_eq!(initiator.get_handshake_hash(), hex(&vector.handshake_hash), "{}", vector.protocol_name);
    let (mut initiator, mut responder) = (initiator.into_transport_mode().unwrap(), responder.into_transport_mode().unwrap());
    for (turn, message) in vector.messages.iter().skip(2).enumerate() {
        let from = if turn % 2 == 0 { &mut initiator } else { &mut responder };
        let mut out = vec![0; MAX_MESSAGE];
        let len = from.write_message(&hex(&message.payload), &mut out).unwrap();
        assert_eq!(out[..len], hex(&message.ciphertext), "{}", vector.protocol_name);
    }
}

fn builder(
    vector: &Vector,
    ephemeral: &str,
    prologue: &str,
    local: &str,
    build: impl FnOnce(Builder<'_>) -> HandshakeState,
) -> HandshakeState {
    let prologue = hex(prologue);
    let psk = vector.init_psks.first().map(|psk| secret(psk));
    let keys = StaticKeys::from_private(secret(local));
    let resolver = MoreHashes(Resolver { primitives: Arc::new(PureRust), local: keys.clone(), ephemeral: secret(ephemeral) });
    let builder = Builder::with_resolver(vector.protocol_name.parse().unwrap(), Box::new(resolver));
    let builder = builder.prologue(&prologue).unwrap().local_private_key(keys.private().expose()).unwrap();
    match &psk {
        Some(psk) => build(builder.psk(2, psk.expose()).unwrap()),
        None => build(builder),
    }
}

/// Our primitives, and the two hashes that the protocol does without.
struct MoreHashes(Resolver);

impl CryptoResolver for MoreHashes {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        self.0.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn types::Dh>> {
        self.0.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn types::Hash>> {
        match choice {
            HashChoice::SHA512 => Some(Box::new(Wide { name: "SHA512", digest: Sha512::new() })),
            HashChoice::Blake2b => Some(Box::new(Wide { name: "BLAKE2b", digest: Blake2b512::new() })),
            _ => self.0.resolve_hash(choice),
        }
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        self.0.resolve_cipher(choice)
    }
}

/// A hash of 64 bytes.
struct Wide<D> {
    name: &'static str,
    digest: D,
}

impl<D: Digest + Send + Sync> types::Hash for Wide<D> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn block_len(&self) -> usize {
        128
    }

    fn hash_len(&self) -> usize {
        64
    }

    fn reset(&mut self) {
        self.digest = D::new();
    }

    fn input(&mut self, data: &[u8]) {
        Digest::update(&mut self.digest, data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let hash = core::mem::replace(&mut self.digest, D::new()).finalize();
        out[..hash.len()].copy_from_slice(&hash);
    }
}
