use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    JitterRng,
    device::uplink::{Input, Output, Uplink},
    jose::Thumbprint,
    keyset::LookupId,
    noise::Symbolic,
    wire::{Frame, Head, Role},
};

use super::{
    network::{Net, nets},
    world::{clock, identity, record, relay, relay_record, uplink_settings},
};
use crate::fixtures::network::platform_says;
use crate::laws::{START, Subject};

pub struct Wired;

#[derive(Clone, Debug)]
pub enum Fact {
    Net(Net),
    Stored,
    Send,
    Look(u64),
    RetryNow,
    Stop,
}

fn ping() -> Frame {
    Head::Ping { nonce: 1 }.into()
}

impl Subject for Wired {
    type Machine = Uplink<Symbolic>;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 16;
    /// Lookups that wait for the key set.
    const MAX_DEBUG: usize = 1024 * 1024;

    fn start(&self, seed: u64) -> Self::Machine {
        let (role, settings) = (Role::Daemon, uplink_settings());
        Uplink::new(START, clock(), role, &record(), &identity(1), None, &settings, JitterRng::new(seed)).unwrap()
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        prop_oneof![
            60 => nets().prop_map(Fact::Net),
            6 => Just(Fact::Stored),
            8 => Just(Fact::Send),
            4 => any::<u64>().prop_map(Fact::Look),
            6 => Just(Fact::RetryNow),
            1 => Just(Fact::Stop),
        ]
        .boxed()
    }

    fn before_flood(&self) -> Vec<Fact> {
        vec![Fact::RetryNow, Fact::Net(Net::Fitting { back: 0 }), Fact::Net(Net::Fitting { back: 0 })]
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        prop_oneof![8 => Just(Fact::Send), 1 => any::<u64>().prop_map(Fact::Look)].boxed()
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
            Fact::Send => Input::Send(ping()),
            Fact::Look(lookup) => Input::Look(LookupId(*lookup), Thumbprint([9; 32])),
            Fact::RetryNow => Input::RetryNow,
            Fact::Stop => Input::Stop,
        }
    }
}
