use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    JitterRng,
    jose::Thumbprint,
    keyset::{EffectId, Input, KeySet, LookupId, MAX_WAITING, Output},
};

use super::world::{Fate, fates, id_of, key_set, latest, platform_key, recent};
use crate::laws::{START, Subject};

pub struct Keys;

#[derive(Clone, Debug)]
pub enum Fact {
    Look { lookup: u64, is_known: bool },
    Io { back: usize, fate: Fate<&'static str> },
}

impl Subject for Keys {
    type Machine = KeySet;
    type Fact = Fact;
    /// All waiting lookups are answered at once.
    const MAX_OUTPUTS: usize = MAX_WAITING + 2;
    const MAX_DEBUG: usize = MAX_WAITING * 160;

    fn start(&self, seed: u64) -> KeySet {
        KeySet::new(START, "https://api.example/jwks.json".into(), JitterRng::new(seed))
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let bodies = proptest::sample::select(&["keys", "keys", "{\"keys\":[]}", "<html>", ""]);
        prop_oneof![
            3 => any::<(u64, bool)>().prop_map(|(lookup, is_known)| Fact::Look { lookup, is_known }),
            2 => (recent(), fates(bodies)).prop_map(|(back, fate)| Fact::Io { back, fate }),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        any::<u64>().prop_map(|lookup| Fact::Look { lookup, is_known: false }).boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Look { lookup, is_known } => {
                let kid = if *is_known { platform_key().kid() } else { Thumbprint([9; 32]) };
                Input::Look { lookup: LookupId(*lookup), kid }
            }
            Fact::Io { back, fate } => {
                let asked = latest(said, *back, |output| match output {
                    Output::Effect(effect) => Some(id_of(effect)),
                    _ => None,
                });
                let bake = |body: &&str| if *body == "keys" { key_set() } else { (*body).into() };
                Input::Io(fate.io_event(asked.unwrap_or(EffectId(99)), bake))
            }
        }
    }
}
