use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    JitterRng,
    device::credential::{EffectId, Input, Output, Rotation},
};

use super::world::{Fate, ISSUER, clock, fates, id_of, identity, latest, recent, renewed, secret, token};
use crate::laws::{START, Subject};

pub struct Renewing;

#[derive(Clone, Debug)]
pub enum Fact {
    Io { back: usize, fate: Fate<Body> },
    Stored,
    RenewNow,
}

#[derive(Clone, Debug)]
pub enum Body {
    /// A credential of this generation.
    Generation(u64),
    Html,
}

impl Subject for Renewing {
    type Machine = Rotation;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 4;
    const MAX_DEBUG: usize = 16_384;
    /// Every answer is verified.
    const FLOOD: usize = 8_192;

    fn start(&self, seed: u64) -> Rotation {
        let token = token(&secret(1), "A", "r", 1);
        Rotation::new(START, clock(), ISSUER, identity(1), token, JitterRng::new(seed)).unwrap()
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let bodies = prop_oneof![4 => (1_u64..6).prop_map(Body::Generation), 1 => Just(Body::Html)];
        prop_oneof![
            6 => (recent(), fates(bodies)).prop_map(|(back, fate)| Fact::Io { back, fate }),
            3 => Just(Fact::Stored),
            3 => Just(Fact::RenewNow),
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
                let bake = |body: &Body| match body {
                    Body::Generation(number) => serde_json::to_string(&renewed(&secret(1), "A", "r", *number)).unwrap(),
                    Body::Html => "<html>".into(),
                };
                Input::Io(fate.io_event(asked.unwrap_or(EffectId(99)), bake))
            }
            Fact::Stored => Input::Stored,
            Fact::RenewNow => Input::RenewNow,
        }
    }
}
