use crate::laws::{START, Subject};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Entropy, Machine, Reason,
    crypto::{
        Identity,
        channel::{Channel, Tails},
        noise::{InitiatorKeys, Symbolic},
    },
    handshake::{
        Initiator, Responder, initiator,
        responder::{self, Door, Verdict},
    },
    secret::Secret,
    wire::{Head, Hello, Preamble, Refused, Role, Suite, Welcome},
};

use super::world::{identity, reasons, secret, token};

pub struct Knocking;

pub struct Opening;

/// What comes over the connection.
#[derive(Clone, Debug)]
pub enum Fact {
    /// What the other end would really say.
    Genuine,
    Garbage(Vec<u8>),
    Closed(Option<Reason>),
    Verdict(Verdict),
}

fn suite(seed: u64) -> Suite {
    Suite::ALL[usize::try_from(seed % 4).unwrap()]
}

fn psk(suite: Suite) -> Option<Secret> {
    (suite.pattern() == proto_core::wire::Pattern::IkPsk2).then(|| secret(3))
}

fn knock(suite: Suite) -> Initiator<Symbolic> {
    let (local, psk) = (identity(1), psk(suite));
    let preamble = Preamble { suite, role: Role::Daemon };
    let keys = InitiatorKeys { preamble, local: local.static_keys(), responder: identity(2).static_key(), psk: psk.as_ref() };
    let hello = Hello { token: token(&secret(1), "A", "r", 1), software: "vpd".into() };
    Initiator::start(START, keys, Entropy::new([5; 32]), &hello)
}

fn open(relay: &Identity) -> Responder<Symbolic> {
    Responder::new(START, Door::Devices, relay.static_keys().clone(), &Entropy::new([6; 32]))
}

fn welcome() -> Welcome {
    Welcome { frame_max: 1_048_576, time: 1_800_000_000, software: "relay".into() }
}

/// What the real initiator of this suite sends first.
pub(super) fn first_message(suite: Suite) -> Bytes {
    match knock(suite).poll_output() {
        Some(initiator::Output::Send(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// What a real responder with this key answers to that when it lets the initiator in.
pub(super) fn second_message(relay: &Identity, first: Bytes) -> Bytes {
    let psk = Preamble::split(&first).ok().and_then(|(preamble, _)| psk(preamble.suite));
    decided(relay, first, Verdict::Admit { psk, welcome: welcome() })
}

/// What a real responder with this key answers after this verdict.
fn decided(relay: &Identity, first: Bytes, verdict: Verdict) -> Bytes {
    let mut responder = open(relay);
    responder.handle_input(START, responder::Input::Received(first)).unwrap();
    responder.handle_input(START, responder::Input::Verdict(verdict)).unwrap();
    let sent = core::iter::from_fn(|| responder.poll_output()).find_map(|output| match output {
        responder::Output::Send(message) => Some(message),
        _ => None,
    });
    sent.unwrap_or_default()
}

/// And what the real initiator says to that.
pub(super) fn third_message(suite: Suite, second: Bytes) -> Bytes {
    let mut initiator = knock(suite);
    initiator.handle_input(START, initiator::Input::Received(second)).unwrap();
    let established = core::iter::from_fn(|| initiator.poll_output()).find_map(|output| match output {
        initiator::Output::Established { noise, .. } => Some(noise),
        _ => None,
    });
    let mut message = Vec::new();
    if let Some(noise) = established {
        Channel::new(noise, Tails::Refused).seal(&Head::Ping { nonce: 1 }.into(), &mut message).unwrap();
    }
    message.into()
}

fn facts() -> BoxedStrategy<Fact> {
    let refused = reasons().prop_map(|reason| Verdict::Refuse(Refused { reason, retry_after: 1 }));
    let admitted = any::<bool>().prop_map(|has| Verdict::Admit { psk: has.then(|| secret(3)), welcome: welcome() });
    prop_oneof![
        4 => Just(Fact::Genuine),
        3 => vec(any::<u8>(), 0..256).prop_map(Fact::Garbage),
        1 => proptest::option::of(reasons()).prop_map(Fact::Closed),
        3 => prop_oneof![3 => admitted, 1 => refused].prop_map(Fact::Verdict),
    ]
    .boxed()
}

impl Subject for Knocking {
    type Machine = Initiator<Symbolic>;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 2;
    const MAX_DEBUG: usize = 8_192;
    const FLOOD: usize = 8_192;

    fn start(&self, seed: u64) -> Self::Machine {
        knock(suite(seed))
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        facts()
    }

    fn input(&self, fact: &Fact, said: &[initiator::Output<Symbolic>]) -> initiator::Input {
        let first = said.iter().find_map(|output| match output {
            initiator::Output::Send(message) => Some(message.clone()),
            _ => None,
        });
        let first = first.unwrap_or_default();
        match fact {
            Fact::Genuine => initiator::Input::Received(second_message(&identity(2), first)),
            Fact::Verdict(verdict) => initiator::Input::Received(decided(&identity(2), first, verdict.clone())),
            Fact::Garbage(bytes) => initiator::Input::Received(Bytes::copy_from_slice(bytes)),
            Fact::Closed(reason) => initiator::Input::Closed(*reason),
        }
    }
}

impl Subject for Opening {
    type Machine = Responder<Symbolic>;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 2;
    const MAX_DEBUG: usize = 8_192;
    const FLOOD: usize = 8_192;

    fn start(&self, _seed: u64) -> Self::Machine {
        open(&identity(2))
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        facts()
    }

    fn input(&self, fact: &Fact, said: &[responder::Output<Symbolic>]) -> responder::Input {
        let suite = Suite::IkPsk2ChaChaPoly;
        match fact {
            Fact::Genuine => responder::Input::Received(match said.last() {
                Some(responder::Output::Send(second)) => third_message(suite, second.clone()),
                _ => first_message(suite),
            }),
            Fact::Garbage(bytes) => responder::Input::Received(Bytes::copy_from_slice(bytes)),
            Fact::Closed(reason) => responder::Input::Closed(*reason),
            Fact::Verdict(verdict) => responder::Input::Verdict(verdict.clone()),
        }
    }
}
