use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    JitterRng,
    relay::revocations::{EffectId, Input, Output, RevocationFeed},
    secret::SecretText,
};

use super::world::{Fate, fates, id_of, latest, recent};
use crate::laws::{START, Subject};

pub struct Followed;

#[derive(Clone, Debug)]
pub struct Fact {
    back: usize,
    fate: Fate<&'static str>,
}

const NOTHING: &str = r#"{"last":3,"runtime_targets":[],"organizations":[]}"#;

impl Subject for Followed {
    type Machine = RevocationFeed;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 4;
    const MAX_DEBUG: usize = 2048;

    fn start(&self, seed: u64) -> RevocationFeed {
        RevocationFeed::new(
            START,
            "https://api.example/api/relay/revocations".into(),
            SecretText::new("internal"),
            JitterRng::new(seed),
        )
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let bodies = proptest::sample::select(&[
            NOTHING,
            NOTHING,
            r#"{"last":4,"runtime_targets":["r1"],"organizations":["org"]}"#,
            r#"{"last":1,"runtime_targets":["r1"],"organizations":[]}"#,
            "{}",
            "<html>",
        ]);
        (recent(), fates(bodies)).prop_map(|(back, fate)| Fact { back, fate }).boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        self.facts()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        let asked = latest(said, fact.back, |output| match output {
            Output::Effect(effect) => Some(id_of(effect)),
            _ => None,
        });
        Input::Io(fact.fate.io_event(asked.unwrap_or(EffectId(99)), |body| (*body).into()))
    }
}
