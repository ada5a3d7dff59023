//! NOI-2 with real Noise: messages 1 and 2 with every bit flipped, cut, lengthened and swapped, through the machines.

use bytes::Bytes;
use proto_core::{
    Entropy, Machine, Reason, Status,
    noise::{
        InitiatorKeys, Snow,
        handshake::{
            Initiator, Responder, initiator,
            responder::{self, Acceptor, Verdict},
        },
    },
    secret::{Secret, SecretText},
    wire::{Hello, Pattern, Preamble, Role, Suite, Welcome},
};
use verification::models::{
    START,
    given::{identity, secret},
};

/// The cheaper suite of each pattern; the others differ in primitives, not in what is read.
const SUITES: [Suite; 2] = [Suite::IkChaChaPoly, Suite::IkPsk2ChaChaPoly];

/// How many messages that do not open a device passes over (WIRE section 4).
const MAX_GARBAGE: usize = 4;

fn psk(suite: Suite) -> Option<Secret> {
    (suite.pattern() == Pattern::IkPsk2).then(|| secret(3))
}

fn knock(suite: Suite, seed: u8) -> (Initiator<Snow>, Bytes) {
    let (local, psk) = (identity(1), psk(suite));
    let preamble = Preamble { suite, role: Role::Daemon };
    let keys = InitiatorKeys { preamble, local: local.static_keys(), responder: identity(2).static_key(), psk: psk.as_ref() };
    let hello = Hello { token: SecretText::new("t"), software: "v".into() };
    let mut machine = Initiator::start(START, keys, Entropy::new([seed; 32]), &hello);
    match machine.poll_output() {
        Some(initiator::Output::Send(message)) => (machine, message),
        other => panic!("{other:?}"),
    }
}

fn open() -> Responder<Snow> {
    Responder::new(START, Acceptor::Devices, identity(2).static_keys().clone(), &Entropy::new([6; 32]))
}

/// What a responder answers to message 1 when it lets in; `None` when it does not come so far.
fn answer(responder: &mut Responder<Snow>, first: Bytes, suite: Suite) -> Option<Bytes> {
    responder.handle_input(START, responder::Input::Received(first)).unwrap();
    let hello = responder.poll_output();
    if !matches!(hello, Some(responder::Output::Hello { .. })) {
        return None;
    }
    let welcome = Welcome { frame_max: 1_048_576, time: 1_800_000_000, software: "r".into() };
    responder.handle_input(START, responder::Input::Verdict(Verdict::Admit { psk: psk(suite), welcome })).unwrap();
    match responder.poll_output() {
        Some(responder::Output::Send(message)) => Some(message),
        _ => None,
    }
}

fn is_established(machine: &mut Initiator<Snow>, message: Bytes) -> bool {
    machine.handle_input(START, initiator::Input::Received(message)).unwrap();
    core::iter::from_fn(|| machine.poll_output()).any(|output| matches!(output, initiator::Output::Established { .. }))
}

/// Whether a message 1 leads to a session with the initiator that made the genuine one.
fn leads_to_a_session(first: Vec<u8>, initiator: &mut Initiator<Snow>, suite: Suite) -> bool {
    let mut responder = open();
    answer(&mut responder, first.into(), suite).is_some_and(|second| is_established(initiator, second))
}

/// Every way in which an attacker between the two could change a message, but for its bits.
fn mangled(message: &[u8], other: &[u8]) -> Vec<Vec<u8>> {
    let cut = (0..message.len()).map(|len| message[..len].to_vec());
    let behead = (1..message.len()).map(|from| message[from..].to_vec());
    let more = [&[0][..], &[0xff], &[0; 16], message].map(|more| [message, more].concat());
    let halves = [[&message[..message.len() / 2], &other[other.len() / 2..]].concat(), other.to_vec()];
    cut.chain(behead).chain(more).chain(halves).collect()
}

fn flipped(message: &[u8], bit: usize) -> Vec<u8> {
    let mut message = message.to_vec();
    message[bit / 8] ^= 1 << (bit % 8);
    message
}

/// NOI-2, message 1: every bit, length and swap. The preamble is bound, too: another suite or role gives no session.
#[test]
fn no_changed_first_message_gives_a_session() {
    for suite in SUITES {
        let (mut initiator, genuine) = knock(suite, 5);
        let (_, other) = knock(suite, 7);
        for bit in 0..genuine.len() * 8 {
            // A device takes four messages that do not open; a fresh one for each is dearer than to look at the responder first.
            let mut responder = open();
            let second = answer(&mut responder, flipped(&genuine, bit).into(), suite);
            let established = second.is_some_and(|second| is_established(&mut knock(suite, 5).0, second));
            assert!(!established, "NOI-2: {suite:?}, bit {bit}");
        }
        let preambles =
            (0..3).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))).filter(|(at, byte)| genuine[*at] != *byte);
        let preambles = preambles.map(|(at, byte)| {
            let mut message = genuine.to_vec();
            message[at] = byte;
            message
        });
        for message in preambles.chain(mangled(&genuine, &other)) {
            let len = message.len();
            assert!(!leads_to_a_session(message, &mut knock(suite, 5).0, suite), "NOI-2: {suite:?}, {len} bytes");
        }
        assert!(leads_to_a_session(genuine.to_vec(), &mut initiator, suite), "the genuine one does");
    }
}

/// NOI-2, message 2: every bit, length and swap gives no session, and after four such messages the genuine one still does.
#[test]
fn no_changed_second_message_gives_a_session() {
    for suite in SUITES {
        let (first_machine, first) = knock(suite, 5);
        let genuine = answer(&mut open(), first.clone(), suite).unwrap();
        let (_, elsewhere) = knock(suite, 7);
        let other = answer(&mut open(), elsewhere, suite).unwrap();
        drop(first_machine);
        let bits = (0..genuine.len() * 8).map(|bit| flipped(&genuine, bit));
        let changed: Vec<_> = bits.chain(mangled(&genuine, &other)).collect();
        for messages in changed.chunks(MAX_GARBAGE) {
            let (mut machine, _) = knock(suite, 5);
            for message in messages {
                assert!(!is_established(&mut machine, message.clone().into()), "NOI-2: {suite:?}, {} bytes", message.len());
            }
            assert!(is_established(&mut machine, genuine.clone()), "NOI-2: garbage clears a pending handshake");
        }
    }
}

/// NOI-2, NOI-3: the fifth message that does not open ends it, with the reason of its pattern.
#[test]
fn a_fifth_garbage_message_ends_it() {
    for (suite, reason) in SUITES.into_iter().zip([Reason::NoiseHandshakeFailed, Reason::NoisePskInvalid]) {
        let (mut machine, first) = knock(suite, 5);
        let genuine = answer(&mut open(), first, suite).unwrap();
        for bit in 0..=MAX_GARBAGE {
            assert!(!is_established(&mut machine, flipped(&genuine, bit).into()));
        }
        assert_eq!(machine.status(), Status::Failed(&initiator::Failure::Broken(reason)));
        assert!(!is_established(&mut machine, genuine), "L4: an end is an end");
    }
}
