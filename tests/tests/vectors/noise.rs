//! `noise.json`: handshakes that must not come about (NOI-2 to NOI-5), for each suite: what arrives, what is wrong with it, what
//! the Noise library has to make of it, and the reason that the side gives in the end. The good ones stand beside them.

mod faults;

use bytes::Bytes;
use io_engine::AwsLc;
use proto_core::{
    Entropy, Instant, Machine,
    crypto::{Primitives, PureRust, StaticKeys},
    key::StaticKey,
    noise::{
        InitiatorKeys, Noise, NoiseError, Snow,
        handshake::{
            Initiator, MAX_GARBAGE, Responder, initiator,
            responder::{self, Acceptor, Verdict},
        },
    },
    secret::{Secret, SecretText},
    wire::{Answer, Head, Hello, Pattern, Preamble, Role, Suite, Welcome},
};
use serde::{Deserialize, Serialize};

use crate::{
    counted_distinct,
    file::{array, committed, hex, secret, unhex},
};

#[derive(Serialize, Deserialize)]
struct Document {
    about: String,
    handshakes: Vec<Handshake>,
}

/// A good handshake of a daemon with a relay, and what goes wrong with it.
#[derive(Serialize, Deserialize)]
struct Handshake {
    suite: u8,
    protocol: String,
    initiator_static: String,
    responder_static: String,
    /// What the ephemeral private keys are derived from: HKDF("", entropy, "viewport/1 entropy noise ephemeral").
    initiator_entropy: String,
    responder_entropy: String,
    initiator_ephemeral: String,
    responder_ephemeral: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    psk: Option<String>,
    prologue: String,
    payload_1: String,
    payload_2: String,
    message_1: String,
    message_2: String,
    hash: String,
    /// The first transport message: a Ping in one segment.
    confirmation: String,
    vectors: Vec<Vector>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Vector {
    name: String,
    /// 1: the responder reads it instead of message 1. 2: the initiator, instead of message 2. 3: the responder, instead of the
    /// confirmation.
    instead_of: u8,
    received: String,
    /// What the library says: `opens`, `unsupported`, `malformed`, `fails`.
    noise: String,
    /// What the reader ends with: a reason, or `comes about`.
    outcome: String,
}

const INITIATOR: u8 = 0x33;
const RESPONDER: u8 = 0x44;
const INITIATOR_ENTROPY: [u8; 32] = [0x55; 32];
/// What the relay's machine gets; it derives what Noise gets from it.
const RESPONDER_SEED: [u8; 32] = [0x66; 32];
const PSK: [u8; 32] = [0x77; 32];

fn responder_entropy() -> [u8; 32] {
    *Entropy::new(RESPONDER_SEED).derive("handshake").expose()
}

fn keys(byte: u8) -> StaticKeys {
    StaticKeys::from_private(Secret::new([byte; 32]))
}

fn psk(suite: Suite) -> Option<Secret> {
    (suite.pattern() == Pattern::IkPsk2).then(|| Secret::new(PSK))
}

fn hello() -> Hello {
    Hello { token: SecretText::new("abc"), software: "vpd 0.1.0".into() }
}

fn welcome() -> Welcome {
    Welcome { frame_max: 1_048_576, time: 1_700_000_000, software: "vpd 0.1.0".into() }
}

/// Message 1 from any initiator, to any responder.
fn first(preamble: Preamble, by: &StaticKeys, to: StaticKey, entropy: [u8; 32], payload: &[u8]) -> (Snow, Vec<u8>) {
    let psk = psk(preamble.suite);
    let keys = InitiatorKeys { preamble, local: by, responder: to, psk: psk.as_ref() };
    Snow::initiate(keys, Entropy::new(entropy), payload).unwrap()
}

fn good_first(suite: Suite) -> (Snow, Vec<u8>) {
    let preamble = Preamble { suite, role: Role::Daemon };
    first(preamble, &keys(INITIATOR), keys(RESPONDER).public(), INITIATOR_ENTROPY, &hello().encode())
}

/// The answer of a responder with these keys to this message 1.
fn answer(by: &StaticKeys, entropy: [u8; 32], message_1: &[u8], psk: Option<&Secret>, payload: &[u8]) -> (Snow, Vec<u8>) {
    let (mut session, _) = Snow::<PureRust>::respond(by, Entropy::new(entropy), message_1).unwrap();
    let message = session.answer(psk, payload).unwrap();
    (session, message)
}

fn good_answer(suite: Suite, message_1: &[u8]) -> (Snow, Vec<u8>) {
    let payload = Answer::Welcome(welcome()).encode();
    answer(&keys(RESPONDER), responder_entropy(), message_1, psk(suite).as_ref(), &payload)
}

/// A plaintext as the one segment of a transport message.
fn segment(session: &mut Snow, plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    session.seal(plaintext, &mut sealed).unwrap();
    [&u16::try_from(sealed.len()).unwrap().to_be_bytes()[..], &sealed].concat()
}

fn ping() -> Vec<u8> {
    proto_core::wire::Frame::from(Head::Ping { nonce: 0 }).encode()
}

fn handshake(suite: Suite) -> Handshake {
    let preamble = Preamble { suite, role: Role::Daemon };
    let (mut device, message_1) = good_first(suite);
    let (_, message_2) = good_answer(suite, &message_1);
    device.read_answer(&message_2).unwrap();
    let ephemeral = |entropy| hex(Entropy::new(entropy).derive("noise ephemeral").expose());
    Handshake {
        suite: suite as u8,
        protocol: suite.noise_name().into(),
        initiator_static: hex([INITIATOR; 32]),
        responder_static: hex([RESPONDER; 32]),
        initiator_entropy: hex(INITIATOR_ENTROPY),
        responder_entropy: hex(responder_entropy()),
        initiator_ephemeral: ephemeral(INITIATOR_ENTROPY),
        responder_ephemeral: ephemeral(responder_entropy()),
        psk: psk(suite).map(|psk| hex(psk.expose())),
        prologue: hex(preamble.prologue()),
        payload_1: hex(hello().encode()),
        payload_2: hex(Answer::Welcome(welcome()).encode()),
        hash: hex(device.handshake_hash().unwrap()),
        confirmation: hex(segment(&mut device, &ping())),
        vectors: faults::all(suite, &message_1, &message_2),
        message_1: hex(message_1),
        message_2: hex(message_2),
    }
}

#[test]
fn handshakes_fail_as_in_the_file() {
    let about =
        "Handshakes of a daemon with a relay, and messages that must not bring one about: docs/WIRE.md section 4. See README.md.";
    let made = Document { about: about.into(), handshakes: Suite::ALL.into_iter().map(handshake).collect() };
    let file = committed("noise.json", &made);
    for good in &file.handshakes {
        check_good::<PureRust>(good);
        check_good::<AwsLc>(good);
        for vector in &good.vectors {
            check::<PureRust>(good, vector);
            check::<AwsLc>(good, vector);
        }
    }
    let bad = |good: &Handshake| good.vectors.iter().map(|v| (good.suite, v.instead_of, v.received.clone())).collect::<Vec<_>>();
    counted_distinct("noise.json", file.handshakes.iter().flat_map(bad));
}

impl Handshake {
    fn initiate<P: Primitives + Default + 'static>(&self) -> Snow<P> {
        let message_1 = unhex(&self.message_1);
        let (preamble, _) = Preamble::split(&message_1).unwrap();
        let (local, psk) = (StaticKeys::from_private(secret(&self.initiator_static)), self.psk());
        let keys = InitiatorKeys { preamble, local: &local, responder: self.responder().public(), psk: psk.as_ref() };
        let (session, message) =
            Snow::<P>::initiate(keys, Entropy::new(array(&self.initiator_entropy)), &unhex(&self.payload_1)).unwrap();
        assert_eq!(hex(message), self.message_1, "message 1 of {}", self.protocol);
        session
    }

    fn respond<P: Primitives + Default + 'static>(&self, message_1: &[u8]) -> Result<Snow<P>, NoiseError> {
        Snow::<P>::respond(&self.responder(), Entropy::new(array(&self.responder_entropy)), message_1).map(|(session, _)| session)
    }

    fn responder(&self) -> StaticKeys {
        StaticKeys::from_private(secret(&self.responder_static))
    }

    fn psk(&self) -> Option<Secret> {
        self.psk.as_deref().map(secret)
    }

    /// A responder that has read message 1, and its answer.
    fn answered<P: Primitives + Default + 'static>(&self) -> (Snow<P>, Vec<u8>) {
        let mut session = self.respond::<P>(&unhex(&self.message_1)).unwrap();
        let message = session.answer(self.psk().as_ref(), &unhex(&self.payload_2)).unwrap();
        (session, message)
    }
}

fn check_good<P: Primitives + Default + 'static>(good: &Handshake) {
    let mut device = good.initiate::<P>();
    let (mut relay, message_2) = good.answered::<P>();
    assert_eq!(hex(&message_2), good.message_2, "message 2 of {}", good.protocol);
    assert_eq!(device.read_answer(&message_2).unwrap(), unhex(&good.payload_2));
    for session in [&device, &relay] {
        assert_eq!(session.handshake_hash().map(hex), Some(good.hash.clone()));
    }
    let mut plaintext = Vec::new();
    relay.open(&unhex(&good.confirmation)[2..], &mut plaintext).unwrap();
    assert_eq!(plaintext, ping());
}

fn check<P: Primitives + Default + 'static>(good: &Handshake, vector: &Vector) {
    let received = unhex(&vector.received);
    let (noise, outcome) = match vector.instead_of {
        1 => (good.respond::<P>(&received).err(), at_the_relay::<P>(good, &received, None)),
        2 => (read_answer::<P>(good, &received), at_the_device::<P>(good, &received)),
        _ => (open::<P>(good, &received), at_the_relay::<P>(good, &unhex(&good.message_1), Some(&received))),
    };
    let noise = match noise {
        None => "opens",
        Some(NoiseError::Unsupported) => "unsupported",
        Some(NoiseError::Malformed) => "malformed",
        Some(NoiseError::Failed) => "fails",
        Some(other) => panic!("{other:?}"),
    };
    assert_eq!((noise, &*outcome), (&*vector.noise, &*vector.outcome), "{}: {}", good.protocol, vector.name);
}

/// NOI-2: and whatever was tried, the genuine one is still read.
fn read_answer<P: Primitives + Default + 'static>(good: &Handshake, received: &[u8]) -> Option<NoiseError> {
    let mut device = good.initiate::<P>();
    let error = device.read_answer(received).err()?;
    assert!(device.read_answer(&unhex(&good.message_2)).is_ok(), "the genuine one is not read any more");
    Some(error)
}

fn open<P: Primitives + Default + 'static>(good: &Handshake, received: &[u8]) -> Option<NoiseError> {
    let (mut relay, _) = good.answered::<P>();
    let segment = received.get(2..).unwrap_or_default();
    let error = relay.open(segment, &mut Vec::new()).err()?;
    assert!(relay.open(&unhex(&good.confirmation)[2..], &mut Vec::new()).is_ok(), "the genuine one does not open any more");
    Some(error)
}

const NOW: Instant = Instant::from_nanos(1);

/// What becomes of a relay that reads this message 1, and then perhaps this confirmation.
fn at_the_relay<P: Primitives + Default + 'static>(good: &Handshake, message_1: &[u8], confirmation: Option<&[u8]>) -> String {
    let entropy = Entropy::new(RESPONDER_SEED);
    let mut relay = Responder::<Snow<P>>::new(NOW, Acceptor::Devices, good.responder(), &entropy);
    let mut inputs = vec![responder::Input::Received(Bytes::copy_from_slice(message_1))];
    if let Some(confirmation) = confirmation {
        inputs.push(responder::Input::Verdict(Verdict::Admit { psk: good.psk(), welcome: welcome() }));
        inputs.push(responder::Input::Received(Bytes::copy_from_slice(confirmation)));
    }
    for input in inputs {
        relay.handle_input(NOW, input).unwrap();
    }
    let outputs: Vec<_> = core::iter::from_fn(|| relay.poll_output()).collect();
    match outputs.last() {
        Some(responder::Output::Failed(reason)) => reason.code().into(),
        Some(responder::Output::Hello { .. } | responder::Output::Confirmed { .. }) => "comes about".into(),
        other => panic!("{other:?}"),
    }
}

/// What becomes of a device that reads this as often as it is patient.
fn at_the_device<P: Primitives + Default + 'static>(good: &Handshake, message_2: &[u8]) -> String {
    let (local, psk) = (StaticKeys::from_private(secret(&good.initiator_static)), good.psk());
    let message_1 = unhex(&good.message_1);
    let (preamble, _) = Preamble::split(&message_1).unwrap();
    let keys = InitiatorKeys { preamble, local: &local, responder: good.responder().public(), psk: psk.as_ref() };
    let hello = Hello::decode(&unhex(&good.payload_1)).unwrap();
    let mut device = Initiator::<Snow<P>>::start(NOW, keys, Entropy::new(array(&good.initiator_entropy)), &hello);
    for _ in 0..=MAX_GARBAGE {
        device.handle_input(NOW, initiator::Input::Received(Bytes::copy_from_slice(message_2))).unwrap();
    }
    let outputs: Vec<_> = core::iter::from_fn(|| device.poll_output()).collect();
    match outputs.last() {
        Some(initiator::Output::Failed(failure)) => failure.reason().code().into(),
        Some(initiator::Output::Established { .. }) => "comes about".into(),
        other => panic!("{other:?}"),
    }
}
