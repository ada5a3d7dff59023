//! What both implementations must do alike runs on both; what only bytes can prove runs against the cacophony vectors.

use alloc::{vec, vec::Vec};

use data_encoding::HEXLOWER;

use super::*;
use crate::{
    crypto::PureRust,
    wire::{Pattern, Role, Suite},
};

mod cacophony;
mod resolver;

type Real = Snow<PureRust>;

fn keys(seed: u8) -> StaticKeys {
    StaticKeys::from_private(Secret::new([seed; 32]))
}

fn entropy(seed: u8) -> Entropy {
    Entropy::new([seed; 32])
}

fn preamble(suite: Suite) -> Preamble {
    Preamble { suite, role: Role::Daemon }
}

fn psk(suite: Suite) -> Option<Secret> {
    (suite.pattern() == Pattern::IkPsk2).then(|| Secret::new([42; 32]))
}

const INITIATOR: u8 = 1;
const RESPONDER: u8 = 2;

fn initiate<N: Noise>(suite: Suite, payload: &[u8]) -> (N, Vec<u8>) {
    let psk = psk(suite);
    let (local, responder) = (keys(INITIATOR), keys(RESPONDER).public());
    let keys = InitiatorKeys { preamble: preamble(suite), local: &local, responder, psk: psk.as_ref() };
    N::initiate(keys, entropy(3), payload).unwrap()
}

fn respond<N: Noise>(message: &[u8]) -> Result<(N, FirstMessage), NoiseError> {
    N::respond(&keys(RESPONDER), entropy(4), message)
}

fn handshake<N: Noise>(suite: Suite) -> (N, N) {
    let (mut initiator, message) = initiate::<N>(suite, b"hello");
    assert_eq!(message.len(), Preamble::LEN + MESSAGE_1_OVERHEAD + 5);
    let (mut responder, first) = respond::<N>(&message).unwrap();
    assert_eq!(first.preamble, preamble(suite));
    assert_eq!(first.static_key, keys(INITIATOR).public());
    assert_eq!(first.payload, b"hello");
    let answer = responder.answer(psk(suite).as_ref(), b"welcome").unwrap();
    assert_eq!(answer.len(), MESSAGE_2_OVERHEAD + 7);
    assert_eq!(initiator.read_answer(&answer).unwrap(), b"welcome");
    (initiator, responder)
}

fn seal<N: Noise>(session: &mut N, plaintext: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    session.seal(plaintext, &mut out).unwrap();
    out
}

fn open<N: Noise>(session: &mut N, ciphertext: &[u8]) -> Result<Vec<u8>, NoiseError> {
    let mut out = vec![0xee];
    let opened = session.open(ciphertext, &mut out);
    assert_eq!(out.remove(0), 0xee);
    assert!(opened.is_ok() || out.is_empty(), "nothing is written when a message does not open");
    opened.map(|()| out)
}

/// Runs one body for both implementations.
macro_rules! on_both {
    ($(#[$doc:meta])* fn $name:ident<$n:ident>() $body:block) => {
        $(#[$doc])*
        #[test]
        fn $name() {
            fn body<$n: Noise>() $body
            body::<Real>();
            body::<Symbolic>();
        }
    };
}

on_both! {
    fn a_handshake_leads_to_transport_both_ways<N>() {
        for suite in Suite::ALL {
            let (mut initiator, mut responder) = handshake::<N>(suite);
            assert!(initiator.handshake_hash().is_some());
            assert_eq!(initiator.handshake_hash(), responder.handshake_hash());
            for plaintext in [&b""[..], b"x", &vec![7; MAX_MESSAGE - 16]] {
                let message = seal(&mut initiator, plaintext);
                assert_eq!(message.len(), plaintext.len() + 16);
                assert_eq!(open(&mut responder, &message).unwrap(), plaintext);
                let message = seal(&mut responder, plaintext);
                assert_eq!(open(&mut initiator, &message).unwrap(), plaintext);
            }
        }
    }
}

on_both! {
    /// NOI-1: the hash tells sessions apart.
    fn every_session_has_another_hash<N>() {
        let hashes = Suite::ALL.map(|suite| handshake::<N>(suite).0.handshake_hash().unwrap());
        for (i, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..i].contains(hash));
        }
    }
}

on_both! {
    /// NOI-2: no bit of message 1, the preamble included, may change; nor may it be cut or longer.
    fn a_changed_first_message_gives_no_session<N>() {
        for suite in Suite::ALL {
            let (_, message) = initiate::<N>(suite, b"hello");
            for bit in 0..message.len() * 8 {
                let mut flipped = message.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(respond::<N>(&flipped).is_err(), "{suite:?} bit {bit}");
            }
            for len in 0..message.len() {
                assert!(respond::<N>(&message[..len]).is_err());
            }
            assert_eq!(respond::<N>(&[&message[..], &[0]].concat()).unwrap_err(), NoiseError::Failed);
        }
    }
}

on_both! {
    /// NOI-2: nor of message 2; and whatever was tried, the genuine one is still read.
    fn a_changed_answer_is_refused_and_the_genuine_one_still_read<N>() {
        for suite in Suite::ALL {
            let (mut initiator, message) = initiate::<N>(suite, b"hello");
            let mut answer = respond::<N>(&message).unwrap().0.answer(psk(suite).as_ref(), b"welcome").unwrap();
            // The highest bit of an X25519 public key does not count in DH (RFC 7748 section 5); the hash sees it.
            for bit in 0..answer.len() * 8 {
                answer[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(initiator.read_answer(&answer), Err(NoiseError::Failed), "{suite:?} bit {bit}");
                answer[bit / 8] ^= 1 << (bit % 8);
            }
            for len in 0..answer.len() {
                assert_eq!(initiator.read_answer(&answer[..len]), Err(NoiseError::Failed));
            }
            assert_eq!(initiator.read_answer(&vec![0; 70_000]), Err(NoiseError::Failed));
            assert_eq!(initiator.read_answer(&answer).unwrap(), b"welcome");
        }
    }
}

on_both! {
    /// NOI-3, PIN-1: both ends must mean the same keys.
    fn other_keys_do_not_meet<N>() {
        for suite in Suite::ALL {
            let (mut initiator, message) = initiate::<N>(suite, b"hello");
            assert_eq!(N::respond(&keys(9), entropy(4), &message).unwrap_err(), NoiseError::Failed);
            // Another session's answer, whichever responder makes it.
            let (_, other) = {
                let psk = psk(suite);
                let (local, responder) = (keys(INITIATOR), keys(RESPONDER).public());
                let keys = InitiatorKeys { preamble: preamble(suite), local: &local, responder, psk: psk.as_ref() };
                N::initiate(keys, entropy(33), b"hello").unwrap()
            };
            let answer = respond::<N>(&other).unwrap().0.answer(psk(suite).as_ref(), b"welcome").unwrap();
            assert_eq!(initiator.read_answer(&answer), Err(NoiseError::Failed));
        }
    }
}

on_both! {
    /// NOI-3: with another PSK message 2 does not open, and the right one still does.
    fn another_psk_does_not_open<N>() {
        for suite in [Suite::IkPsk2AesGcm, Suite::IkPsk2ChaChaPoly] {
            let (mut initiator, message) = initiate::<N>(suite, b"hello");
            let mut wrong = respond::<N>(&message).unwrap().0;
            let answer = wrong.answer(Some(&Secret::new([43; 32])), b"welcome").unwrap();
            assert_eq!(initiator.read_answer(&answer), Err(NoiseError::Failed));
            let mut right = respond::<N>(&message).unwrap().0;
            let answer = right.answer(psk(suite).as_ref(), b"welcome").unwrap();
            assert_eq!(initiator.read_answer(&answer).unwrap(), b"welcome");
            assert_eq!(open(&mut wrong, &seal(&mut initiator, b"ping")), Err(NoiseError::Failed));
        }
    }
}

on_both! {
    /// NOI-3: neither side speaks IK with a PSK or IKpsk2 without one.
    fn pattern_and_psk_must_fit<N>() {
        for suite in Suite::ALL {
            let local = keys(INITIATOR);
            let unfit = if psk(suite).is_some() { None } else { Some(Secret::new([42; 32])) };
            let keys =
                InitiatorKeys { preamble: preamble(suite), local: &local, responder: keys(RESPONDER).public(), psk: unfit.as_ref() };
            assert_eq!(N::initiate(keys, entropy(3), b"").unwrap_err(), NoiseError::PskPolicy);
            let (mut initiator, message) = initiate::<N>(suite, b"hello");
            let mut responder = respond::<N>(&message).unwrap().0;
            assert_eq!(responder.answer(unfit.as_ref(), b""), Err(NoiseError::PskPolicy));
            let answer = responder.answer(psk(suite).as_ref(), b"welcome").unwrap();
            assert!(initiator.read_answer(&answer).is_ok(), "the refusal changed nothing");
        }
    }
}

on_both! {
    /// NOI-6, and a bug that others had: a nonce that moves when a message does not open.
    fn a_failed_open_leaves_the_nonce_as_it_was<N>() {
        for suite in Suite::ALL {
            let (mut initiator, mut responder) = handshake::<N>(suite);
            let messages = [b"0", b"1", b"2"].map(|text| seal(&mut initiator, text));
            for bit in 0..messages[0].len() * 8 {
                let mut flipped = messages[0].clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(&mut responder, &flipped), Err(NoiseError::Failed));
            }
            for bad in [&[][..], &[0; 15], &[0; 16], &vec![0; MAX_MESSAGE], &vec![0; 70_000], &messages[1]] {
                assert_eq!(open(&mut responder, bad), Err(NoiseError::Failed));
            }
            for (message, text) in messages.iter().zip(["0", "1", "2"]) {
                assert_eq!(open(&mut responder, message).unwrap(), text.as_bytes());
                assert_eq!(open(&mut responder, message), Err(NoiseError::Failed), "a message opens once");
            }
            let own = seal(&mut responder, b"mine");
            assert_eq!(open(&mut responder, &own), Err(NoiseError::Failed), "directions have keys of their own");
        }
    }
}

on_both! {
    fn rekeying_takes_both_ends<N>() {
        for suite in Suite::ALL {
            let (mut initiator, mut responder) = handshake::<N>(suite);
            let old = seal(&mut initiator, b"old");
            assert_eq!(open(&mut responder, &old).unwrap(), b"old");
            initiator.rekey_sending();
            let new = seal(&mut initiator, b"new");
            assert_eq!(open(&mut responder, &new), Err(NoiseError::Failed));
            responder.rekey_receiving();
            assert_eq!(open(&mut responder, &new).unwrap(), b"new");
            let back = seal(&mut responder, b"back");
            assert_eq!(open(&mut initiator, &back).unwrap(), b"back");
        }
    }
}

on_both! {
    fn calls_out_of_turn_change_nothing<N>() {
        let suite = Suite::IkAesGcm;
        let (mut initiator, message) = initiate::<N>(suite, b"hello");
        let mut responder = respond::<N>(&message).unwrap().0;
        for session in [&mut initiator, &mut responder] {
            assert_eq!(session.seal(b"early", &mut vec![]), Err(NoiseError::OutOfTurn));
            assert_eq!(open(session, &[0; 32]), Err(NoiseError::OutOfTurn));
            session.rekey_sending();
            session.rekey_receiving();
            assert_eq!(session.handshake_hash(), None);
        }
        assert_eq!(initiator.answer(None, b""), Err(NoiseError::OutOfTurn));
        assert_eq!(responder.read_answer(&[0; 64]), Err(NoiseError::OutOfTurn));
        let answer = responder.answer(None, b"welcome").unwrap();
        assert_eq!(responder.answer(None, b"welcome"), Err(NoiseError::OutOfTurn));
        assert!(initiator.read_answer(&answer).is_ok());
        assert_eq!(initiator.read_answer(&answer), Err(NoiseError::OutOfTurn));
        assert_eq!(open(&mut responder, &seal(&mut initiator, b"x")).unwrap(), b"x");
    }
}

on_both! {
    fn payloads_have_a_longest_length<N>() {
        let local = keys(INITIATOR);
        let keys = InitiatorKeys { preamble: preamble(Suite::IkAesGcm), local: &local, responder: keys(RESPONDER).public(), psk: None };
        let longest = vec![1; MAX_MESSAGE - MESSAGE_1_OVERHEAD];
        let (mut initiator, message) = N::initiate(keys, entropy(3), &longest).unwrap();
        assert_eq!(N::initiate(keys, entropy(3), &[&longest[..], &[1]].concat()).unwrap_err(), NoiseError::TooLong);
        let (mut responder, first) = respond::<N>(&message).unwrap();
        assert_eq!(first.payload, longest);
        assert_eq!(responder.answer(None, &vec![0; MAX_MESSAGE - MESSAGE_2_OVERHEAD + 1]), Err(NoiseError::TooLong));
        let answer = responder.answer(None, &vec![1; MAX_MESSAGE - MESSAGE_2_OVERHEAD]).unwrap();
        assert!(initiator.read_answer(&answer).is_ok());
        let mut out = vec![];
        assert_eq!(initiator.seal(&vec![0; MAX_MESSAGE - 15], &mut out), Err(NoiseError::TooLong));
        assert!(out.is_empty());
    }
}

on_both! {
    /// NOI-6: a buffer of another length is refused, and that changes nothing.
    fn a_message_fills_its_buffer<N>() {
        let (mut initiator, mut responder): (N, N) = pair::pair();
        let mut message = [0; 5 + TAG_LEN];
        for parts in [[&b"hell"[..], b""], [b"hello", b"o"], [b"", b"a longer one than fits in there"]] {
            assert_eq!(initiator.seal_to(parts, &mut message), Err(NoiseError::TooLong));
        }
        assert_eq!(initiator.seal_to([b"", b""], &mut [0; TAG_LEN - 1]), Err(NoiseError::TooLong));
        initiator.seal_to([b"he", b"llo"], &mut message).unwrap();
        for len in [4, 6] {
            assert_eq!(responder.open_to(&message, &mut vec![0; len]), Err(NoiseError::Failed));
        }
        let mut plaintext = [0; 5];
        responder.open_to(&message, &mut plaintext).unwrap();
        assert_eq!(plaintext, *b"hello");
    }
}

on_both! {
    fn the_preamble_is_read_first<N>() {
        let (_, good) = initiate::<N>(Suite::IkAesGcm, b"hello");
        for (at, byte, error) in [(0, 2, NoiseError::Unsupported), (1, 9, NoiseError::Unsupported), (2, 0, NoiseError::Malformed)] {
            let mut message = good.clone();
            message[at] = byte;
            assert_eq!(respond::<N>(&message).unwrap_err(), error);
        }
        assert_eq!(respond::<N>(&[1, 1]).unwrap_err(), NoiseError::Malformed);
        assert_eq!(respond::<N>(&[1, 1, 1]).unwrap_err(), NoiseError::Failed);
    }
}

/// The same entropy gives the same bytes (L5); other entropy gives others.
#[test]
fn a_handshake_follows_from_its_entropy() {
    let bytes = |entropy| {
        let local = keys(INITIATOR);
        let keys =
            InitiatorKeys { preamble: preamble(Suite::IkAesGcm), local: &local, responder: keys(RESPONDER).public(), psk: None };
        Real::initiate(keys, entropy, b"hello").unwrap().1
    };
    assert_eq!(bytes(entropy(3)), bytes(entropy(3)));
    assert_ne!(bytes(entropy(3)), bytes(entropy(5)));
}

/// NOI-5: points of low order, and their non-canonical twins, give an all-zero result with every private key.
#[test]
fn keys_of_low_order_are_refused() {
    let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    for point in points {
        let responder = StaticKey(hex(point).try_into().unwrap());
        let local = keys(INITIATOR);
        let keys = InitiatorKeys { preamble: preamble(Suite::IkAesGcm), local: &local, responder, psk: None };
        assert_eq!(Real::initiate(keys, entropy(3), b"").unwrap_err(), NoiseError::Failed, "{point}");
        let ephemeral = [&preamble(Suite::IkAesGcm).to_bytes()[..], &responder.0, &[0; 64]].concat();
        assert_eq!(respond::<Real>(&ephemeral).unwrap_err(), NoiseError::Failed, "{point}");
    }
}

#[test]
fn sessions_can_move_between_threads() {
    const fn check<T: Send + Sync + 'static>() {}
    check::<Real>();
    check::<Symbolic>();
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// Noise section 3, WIRE section 4: what the messages of both patterns add to their payloads.
#[test]
fn messages_add_what_the_patterns_say() {
    assert_eq!((MAX_MESSAGE, MESSAGE_1_OVERHEAD, MESSAGE_2_OVERHEAD), (65_535, 96, 48));
}
