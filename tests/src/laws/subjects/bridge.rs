use bytes::Bytes;
use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    JitterRng, Reason, SessionId,
    crypto::{Cipher, seal::EpochSecret},
    device::bridge::{Bridge, Input, Output, SourceId},
    noise::Symbolic,
    wire::{Frame, Head, Outcome},
};

use super::{
    network::{Net, nets},
    world::{clock, identity, reasons, record, relay, relay_record, secret, uplink_settings},
};
use crate::fixtures::network::platform_says;
use crate::laws::{START, Subject};

pub struct Streaming;

#[derive(Clone, Debug)]
pub enum Fact {
    Net(Net),
    Stored,
    Know(u32),
    Attach(u64, u32),
    Frame(u64, Frame),
    Detach(u64),
    RetryNow,
    Cut(Reason),
}

fn session(number: u32) -> SessionId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    SessionId(id)
}

fn frames() -> BoxedStrategy<Frame> {
    let data = (0_u32..2, 0_u64..4).prop_map(|(number, sequence)| Frame {
        head: Head::Data { session: session(number), epoch: 0, sequence },
        body: Bytes::from_static(&[b'x'; 40]),
    });
    prop_oneof![
        2 => (0_u32..2).prop_map(|number| Head::Open { session: session(number), cipher: 1 }.into()),
        6 => data,
        1 => (0_u32..2, 0_u64..4).prop_map(|(number, next)| {
            Head::End { session: session(number), next, outcome: Outcome::Exited }.into()
        }),
    ]
    .boxed()
}

impl Subject for Streaming {
    type Machine = Bridge<Symbolic>;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 64;
    /// Four thousand sessions.
    const MAX_DEBUG: usize = 4 * 1024 * 1024;
    const FLOOD: usize = 80_000;

    fn start(&self, seed: u64) -> Self::Machine {
        Bridge::new(START, clock(), &record(), identity(1), None, &uplink_settings(), JitterRng::new(seed)).unwrap()
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let sources = || 0_u64..3;
        prop_oneof![
            60 => nets().prop_map(Fact::Net),
            4 => Just(Fact::Stored),
            10 => (0_u32..2).prop_map(Fact::Know),
            10 => (sources(), 0_u32..2).prop_map(|(source, session)| Fact::Attach(source, session)),
            20 => (sources(), frames()).prop_map(|(source, frame)| Fact::Frame(source, frame)),
            4 => sources().prop_map(Fact::Detach),
            4 => Just(Fact::RetryNow),
            1 => reasons().prop_map(Fact::Cut),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        any::<u32>().prop_map(Fact::Know).boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Net(net) => {
                let effects = said.iter().filter_map(|output| match output {
                    Output::Effect(effect) => Some(effect),
                    _ => None,
                });
                net.io_event(effects, platform_says).map_or(Input::RetryNow, Input::Io)
            }
            Fact::Stored => Input::Stored(relay_record(relay())),
            Fact::Know(number) => {
                let (session, secret) = (session(*number), EpochSecret::new(secret(4)));
                Input::Know { session, cipher: Cipher::Aes256Gcm, secret }
            }
            Fact::Attach(source, number) => Input::Attach(SourceId(*source), session(*number)),
            Fact::Frame(source, frame) => Input::Frame(SourceId(*source), frame.clone()),
            Fact::Detach(source) => Input::Detach(SourceId(*source)),
            Fact::RetryNow => Input::RetryNow,
            Fact::Cut(reason) => Input::Cut(*reason),
        }
    }
}
