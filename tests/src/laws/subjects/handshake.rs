use bytes::Bytes;
use proptest::{collection::vec, prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Reason,
    noise::{
        Symbolic,
        handshake::{
            Initiator, Responder, initiator,
            responder::{self, Verdict},
        },
    },
    wire::{Refused, Suite},
};

use super::world::{identity, reasons, secret};
use crate::{
    fixtures::handshake::{decided, first_message, knock, open, second_message, third_message, welcome},
    laws::Subject,
};

pub struct AwaitingFirstMessage;

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

impl Subject for AwaitingFirstMessage {
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
