use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    JitterRng, SessionId,
    crypto::PureRust,
    device::viewer::{Input, Output, Viewer},
    noise::Symbolic,
};

use super::{
    network::{Net, nets},
    world::{clock, identity, record, relay, relay_record, uplink_settings},
};
use crate::fixtures::network::platform_says;
use crate::laws::{START, Subject};

pub struct Watching;

#[derive(Clone, Debug)]
pub enum Fact {
    Net(Net),
    Stored,
    Watch(u128),
    RetryNow,
    Stop,
}

impl Subject for Watching {
    type Machine = Viewer<Symbolic>;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 64;
    /// Sixteen thousand sessions.
    const MAX_DEBUG: usize = 16 * 1024 * 1024;
    /// More than it may watch; each costs a look at all.
    const FLOOD: usize = 20_000;

    fn start(&self, seed: u64) -> Self::Machine {
        Viewer::new(START, clock(), &record(), identity(1), None, &uplink_settings(), &PureRust, JitterRng::new(seed)).unwrap()
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        prop_oneof![
            60 => nets().prop_map(Fact::Net),
            4 => Just(Fact::Stored),
            10 => (0_u128..3).prop_map(Fact::Watch),
            4 => Just(Fact::RetryNow),
            1 => Just(Fact::Stop),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        any::<u128>().prop_map(Fact::Watch).boxed()
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
            Fact::Watch(number) => Input::Watch(SessionId(number.to_be_bytes())),
            Fact::RetryNow => Input::RetryNow,
            Fact::Stop => Input::Stop,
        }
    }
}
