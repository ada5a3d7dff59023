use bytes::Bytes;
use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    JitterRng, SessionId,
    device::link::{Config, Input, Link, Output},
    effect::{Effect, IoEvent},
    noise::Symbolic,
    secret::SecretText,
    wire::{Frame, Head, Role},
};

use super::world::{Fate, identity, latest, relay, relay_identity, secret, socket_fates};
use crate::fixtures::handshake::second_message;
use crate::laws::{START, Subject};

pub struct Dialling;

#[derive(Clone, Debug)]
pub enum Fact {
    Io(Fate<()>),
    /// The relay answers message 1.
    Answered,
    Send(Frame),
    Renew,
    RetryNow,
    Stop,
}

impl Subject for Dialling {
    type Machine = Link<Symbolic>;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 8;
    const MAX_DEBUG: usize = 8_192;

    fn start(&self, seed: u64) -> Self::Machine {
        let config = Config {
            role: Role::Daemon,
            url: relay().url,
            relay_keys: relay().static_keys,
            identity: identity(1),
            psk: seed.is_multiple_of(2).then(|| secret(3)),
            token: SecretText::new("token"),
            software: "vpd".into(),
            aes_in_hardware: seed.is_multiple_of(4),
        };
        Link::new(config, JitterRng::new(seed), START)
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        prop_oneof![
            20 => Just(Fact::Answered),
            60 => socket_fates().prop_map(Fact::Io),
            20 => frames().prop_map(Fact::Send),
            8 => Just(Fact::Renew),
            8 => Just(Fact::RetryNow),
            1 => Just(Fact::Stop),
        ]
        .boxed()
    }

    fn before_flood(&self) -> Vec<Fact> {
        vec![Fact::RetryNow, Fact::Io(Fate::Connected(1)), Fact::Answered]
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        prop_oneof![1 => Just(Fact::RetryNow), 8 => frames().prop_map(Fact::Send)].boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Answered => {
                let first = latest(said, 0, |output| match output {
                    Output::Effect(Effect::Send((), message)) => Some(message.clone()),
                    _ => None,
                });
                let answer = second_message(&relay_identity(), first.unwrap_or_default());
                Input::Io(IoEvent::Received((), answer))
            }
            Fact::Io(fate) => {
                let event: IoEvent<()> = fate.io_event((), |()| String::new());
                Input::Io(event)
            }
            Fact::Send(frame) => Input::Send(frame.clone()),
            Fact::Renew => Input::Renew(SecretText::new("newer")),
            Fact::RetryNow => Input::RetryNow,
            Fact::Stop => Input::Stop,
        }
    }
}

fn frames() -> BoxedStrategy<Frame> {
    let data = |len: usize| Frame {
        head: Head::Data { session: SessionId([1; 16]), epoch: 0, sequence: 0 },
        body: Bytes::from(vec![b'x'; len]),
    };
    prop_oneof![(0_usize..64).prop_map(data), Just(Head::Ping { nonce: 1 }.into())].boxed()
}
