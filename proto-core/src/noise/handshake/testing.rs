//! What the tests of both ends share.

use alloc::vec::Vec;

use super::{Initiator, Responder, initiator, responder};
use crate::{
    Entropy, Instant, Machine,
    crypto::StaticKeys,
    noise::{InitiatorKeys, Noise},
    secret::{Secret, SecretText},
    wire::{Hello, Pattern, Preamble, Role, Suite, Welcome},
};

pub(super) const START: Instant = Instant::from_nanos(1_000);

pub(super) fn keys(seed: u8) -> StaticKeys {
    StaticKeys::from_private(Secret::new([seed; 32]))
}

pub(super) fn device() -> StaticKeys {
    keys(1)
}

pub(super) fn relay() -> StaticKeys {
    keys(2)
}

pub(super) fn psk(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

/// The PSK that belongs to the suite's pattern.
pub(super) fn psk_of(suite: Suite) -> Option<Secret> {
    (suite.pattern() == Pattern::IkPsk2).then(|| psk(42))
}

pub(super) fn hello() -> Hello {
    Hello { token: SecretText::new("token"), software: "vpd 0.1.0".into() }
}

pub(super) fn welcome() -> Welcome {
    Welcome { frame_max: 1_048_576, time: 1_700_000_000, software: "viewport-relay 0.1.0".into() }
}

pub(super) fn initiator<N: Noise>(suite: Suite, role: Role, psk: Option<&Secret>) -> Initiator<N> {
    let local = device();
    let keys = InitiatorKeys { preamble: Preamble { suite, role }, local: &local, responder: relay().public(), psk };
    Initiator::start(START, keys, Entropy::new([3; 32]), &hello())
}

pub(super) fn responder<N: Noise>(door: responder::Acceptor) -> Responder<N> {
    Responder::new(START, door, relay(), &Entropy::new([4; 32]))
}

pub(super) fn drain<M: Machine>(machine: &mut M) -> Vec<M::Output> {
    core::iter::from_fn(|| machine.poll_output()).collect()
}

/// The messages that an initiator wants to send.
pub(super) fn sent_by<N: Noise>(machine: &mut Initiator<N>) -> Vec<bytes::Bytes> {
    let messages = drain(machine).into_iter().map(|output| match output {
        initiator::Output::Send(message) => message,
        other => panic!("{other:?}"),
    });
    messages.collect()
}

/// A responder that has read message 1 and asked about it.
pub(super) fn deciding<N: Noise>(door: responder::Acceptor, message: bytes::Bytes) -> Responder<N> {
    let mut machine = responder(door);
    machine.handle_input(START, responder::Input::Received(message)).unwrap();
    assert!(matches!(&drain(&mut machine)[..], [responder::Output::Hello { .. }]));
    machine
}

/// Runs one body with the real and with the symbolic Noise.
macro_rules! on_both {
    ($(#[$doc:meta])* fn $name:ident<$n:ident>() $body:block) => {
        $(#[$doc])*
        #[test]
        fn $name() {
            fn body<$n: crate::noise::Noise>() $body
            body::<crate::noise::Snow>();
            body::<crate::noise::Symbolic>();
        }
    };
}
pub(super) use on_both;
