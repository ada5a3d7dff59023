//! The primitives as snow may use them.

use alloc::{boxed::Box, sync::Arc};

use ::snow::{
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types,
};
use sha2::{Digest, Sha256};

use super::{super::resolver::Resolver, *};

fn resolver() -> Resolver {
    Resolver { primitives: Arc::new(PureRust), local: keys(1), ephemeral: Secret::new([3; 32]) }
}

fn hashes() -> [Box<dyn types::Hash>; 2] {
    [HashChoice::SHA256, HashChoice::Blake2s].map(|choice| resolver().resolve_hash(&choice).unwrap())
}

/// Noise section 12: each primitive by its name, and how long its keys and hashes are.
#[test]
fn primitives_go_by_their_names_in_noise() {
    let dh = resolver().resolve_dh(&DHChoice::Curve25519).unwrap();
    assert_eq!((dh.name(), dh.pub_len(), dh.priv_len()), ("25519", 32, 32));
    let ciphers = [CipherChoice::AESGCM, CipherChoice::ChaChaPoly].map(|choice| resolver().resolve_cipher(&choice).unwrap());
    assert_eq!(ciphers.map(|cipher| cipher.name()), ["AESGCM", "ChaChaPoly"]);
    let of = |hash: &dyn types::Hash| (hash.name(), hash.hash_len(), hash.block_len());
    assert_eq!(hashes().map(|hash| of(&*hash)), [("SHA256", 32, 64), ("BLAKE2s", 32, 64)]);
}

/// A hash that is begun anew has forgotten what it was given, and one that gave its result as well.
#[test]
fn a_hash_begins_anew() {
    let [mut hash, _] = hashes();
    let mut result = |begin: fn(&mut dyn types::Hash)| {
        begin(&mut *hash);
        hash.input(b"abc");
        let mut out = [0; 32];
        hash.result(&mut out);
        out
    };
    let expected: [u8; 32] = Sha256::digest(b"abc").into();
    let begins: [fn(&mut dyn types::Hash); 3] = [
        |_| {},
        |_| {},
        |hash| {
            hash.input(b"something else");
            hash.reset();
        },
    ];
    assert_eq!(begins.map(&mut result), [expected; 3]);
}

/// No log shows more of a session than where it stands.
#[test]
fn debug_shows_the_phase_alone() {
    let suite = Suite::IkAesGcm;
    let (initiator, message) = initiate::<Real>(suite, b"hello");
    let (responder, _) = respond::<Real>(&message).unwrap();
    assert_eq!(alloc::format!("{initiator:?} {responder:?}"), "Snow(initiator) Snow(responder)");
    let (initiator, responder) = handshake::<Real>(suite);
    assert_eq!(alloc::format!("{initiator:?} {responder:?}"), "Snow(transport) Snow(transport)");
}
