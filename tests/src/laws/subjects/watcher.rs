use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    JitterRng, SessionId,
    device::{
        files::{Document, PendingPairing},
        pairing,
        watcher::{EffectId, Goal, Input, Output, StoredState, Watcher},
    },
    effect::{Effect, HttpAnswer, IoEvent, StateFile},
    noise::Symbolic,
    secret::SecretBytes,
};

use super::{
    device::{answered, asked, body, device_fates},
    world::{Fate, latest, recent},
};
use crate::{
    fixtures::watcher::{approved, boot, paired},
    laws::Subject,
};

pub struct Whole;

#[derive(Clone, Debug)]
pub enum Fact {
    Io {
        back: usize,
        fate: Fate<()>,
    },
    Welcomed,
    /// A good platform answers what the pairing asked for last: yes.
    Approved,
    Watch(u128),
    RetryNow,
    Stop,
}

fn effects(said: &[Output]) -> impl DoubleEndedIterator<Item = &Effect<EffectId>> {
    said.iter().filter_map(|output| if let Output::Effect(effect) = output { Some(effect) } else { None })
}

impl Subject for Whole {
    type Machine = Watcher<Symbolic>;
    type Fact = Fact;
    /// Sixteen thousand sessions.
    const MAX_DEBUG: usize = 16 * 1024 * 1024;
    const FLOOD: usize = 20_000;

    fn start(&self, seed: u64) -> Self::Machine {
        let goals = [Goal::Chosen, Goal::TheOnly, Goal::List, Goal::This(SessionId([1; 16]))];
        let goal = goals[usize::try_from(seed / 2).unwrap_or(0) % goals.len()];
        let found = if seed.is_multiple_of(2) { paired() } else { StoredState::default() };
        boot(&found, goal, JitterRng::new(seed))
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        prop_oneof![
            30 => (recent(), device_fates()).prop_map(|(back, fate)| Fact::Io { back, fate }),
            8 => Just(Fact::Welcomed),
            8 => Just(Fact::Approved),
            4 => (0_u128..3).prop_map(Fact::Watch),
            2 => Just(Fact::RetryNow),
            1 => Just(Fact::Stop),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        prop_oneof![4 => any::<u128>().prop_map(Fact::Watch), 1 => Just(Fact::RetryNow)].boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Io { back, fate } => match effects(said).rev().nth(*back).map(asked) {
                Some((effect_id, url)) => Input::Io(fate.io_event(effect_id, |()| body(&url))),
                None => Input::RetryNow,
            },
            Fact::Welcomed => {
                let sent = effects(said).rev().find_map(|effect| match effect {
                    Effect::Send(effect_id, message) => Some((*effect_id, message)),
                    _ => None,
                });
                sent.map_or(Input::RetryNow, |(effect_id, message)| {
                    Input::Io(IoEvent::Received(effect_id, answered(Some(message))))
                })
            }
            Fact::Approved => {
                let asks = |output: &Output| match output {
                    Output::Effect(Effect::Http(effect_id @ EffectId::Pairing(_, of), request)) => {
                        Some((*effect_id, *of, request.url.clone()))
                    }
                    _ => None,
                };
                let seed = |output: &Output| match output {
                    Output::Effect(Effect::Store(_, StateFile::PendingPairing, bytes)) => {
                        PendingPairing::parse(bytes.expose()).ok().map(|pending| pending.seed)
                    }
                    _ => None,
                };
                let Some((effect_id, of, url)) = latest(said, 0, asks) else { return Input::RetryNow };
                let body = match (of, latest(said, 0, seed)) {
                    (pairing::EffectId::Poll(_), Some(seed)) => approved(&seed, "r"),
                    _ => body(&url),
                };
                let status = if matches!(of, pairing::EffectId::Mint(_)) { 201 } else { 200 };
                let answer = HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(body) };
                Input::Io(IoEvent::Answered(effect_id, answer))
            }
            Fact::Watch(number) => Input::Watch(SessionId(number.to_be_bytes())),
            Fact::RetryNow => Input::RetryNow,
            Fact::Stop => Input::Stop,
        }
    }
}
