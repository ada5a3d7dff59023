use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    BindingId, Reason, SessionId,
    api::PairingMode,
    device::{
        binding::{Bindings, EffectId, Input, Output},
        credential::Renewal,
        pairing::Paired,
    },
    id::DeviceKind,
};

use super::world::{Fate, ISSUER, approval, fates, id_of, latest, parsed, reasons, recent, renewed, secret};
use crate::laws::{START, Subject};

pub struct Bound;

#[derive(Clone, Debug)]
pub enum Fact {
    Io { back: usize, fate: Fate<()> },
    Adopt { seed: u8, org: &'static str, target: &'static str, mode: PairingMode },
    Renewed { binding: BindingId, generation: u64 },
    Unpair(&'static str),
    Revoked { binding: BindingId, reason: Reason },
    Session { binding: BindingId, session: u32, starts: bool },
}

fn orgs() -> BoxedStrategy<&'static str> {
    proptest::sample::select(&["A", "B", "c"]).boxed()
}

fn targets() -> BoxedStrategy<&'static str> {
    proptest::sample::select(&["r1", "r2"]).boxed()
}

fn ids() -> BoxedStrategy<BindingId> {
    (orgs(), targets()).prop_map(|(org, target)| BindingId { org: parsed(org), runtime_target: parsed(target) }).boxed()
}

impl Subject for Bound {
    type Machine = Bindings;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 32;
    /// Six bindings, one of them with as many sessions as it may have.
    const MAX_DEBUG: usize = 1024 * 1024;
    const FLOOD: usize = 16_384;

    fn start(&self, _seed: u64) -> Bindings {
        Bindings::boot(START, None, [], []).unwrap()
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let modes = proptest::sample::select(&[PairingMode::New, PairingMode::Add, PairingMode::Replace]);
        prop_oneof![
            12 => (recent(), fates(Just(()))).prop_map(|(back, fate)| Fact::Io { back, fate }),
            4 => (1_u8..4, orgs(), targets(), modes).prop_map(|(seed, org, target, mode)| Fact::Adopt { seed, org, target, mode }),
            2 => (ids(), 1_u64..4).prop_map(|(binding, generation)| Fact::Renewed { binding, generation }),
            1 => orgs().prop_map(Fact::Unpair),
            1 => (ids(), reasons()).prop_map(|(binding, reason)| Fact::Revoked { binding, reason }),
            3 => (ids(), 0_u32..3, any::<bool>())
                .prop_map(|(binding, session, starts)| Fact::Session { binding, session, starts }),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        let adopt = Fact::Adopt { seed: 1, org: "A", target: "r1", mode: PairingMode::New };
        let binding = BindingId { org: parsed("A"), runtime_target: parsed("r1") };
        prop_oneof![
            1 => Just(adopt),
            2 => Just(Fact::Io { back: 0, fate: Fate::Stored }),
            20 => any::<u32>().prop_map(move |session| Fact::Session { binding: binding.clone(), session, starts: true }),
        ]
        .boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Io { back, fate } => {
                let asked = latest(said, *back, |output| match output {
                    Output::Effect(effect) => Some(id_of(effect)),
                    _ => None,
                });
                Input::Io(fate.io_event(asked.unwrap_or(EffectId(99)), |()| String::new()))
            }
            Fact::Adopt { seed, org, target, mode } => Input::Adopt(Box::new(Paired {
                kind: DeviceKind::Daemon,
                mode: *mode,
                api_endpoint: ISSUER.into(),
                seed: secret(*seed),
                generation: 1,
                approval: approval(&secret(*seed), org, target),
            })),
            Fact::Renewed { binding, generation } => {
                let (org, target) = (binding.org.as_str(), binding.runtime_target.as_str());
                let answer = renewed(&secret(1), org, target, *generation);
                Input::Renewed { binding: binding.clone(), renewal: Box::new(Renewal { generation: *generation, answer }) }
            }
            Fact::Unpair(org) => Input::Unpair(parsed(org)),
            Fact::Revoked { binding, reason } => Input::Revoked { binding: binding.clone(), reason: *reason },
            Fact::Session { binding, session, starts } => {
                let mut id = [0; 16];
                id[..4].copy_from_slice(&session.to_be_bytes());
                let (binding, session) = (binding.clone(), SessionId(id));
                if *starts { Input::SessionStarted { binding, session } } else { Input::SessionEnded { binding, session } }
            }
        }
    }
}
