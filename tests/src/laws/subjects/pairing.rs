use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Entropy, Reason,
    api::{PairingMode, PollAnswer},
    device::{
        files::{Document, PendingPairing},
        pairing::{EffectId, Input, Output, Pairing, Settings},
    },
    effect::Effect,
    id::DeviceKind,
    secret::Secret,
};

use super::world::{Fate, ISSUER, approval, clock, fates, id_of, key_set, latest, reasons, recent, secret};
use crate::laws::{START, Subject};

pub struct Waiting;

#[derive(Clone, Debug)]
pub enum Fact {
    Io { back: usize, fate: Fate<Body> },
    Adopted,
    Rejected(Reason),
    Cancel,
}

#[derive(Clone, Debug)]
pub enum Body {
    /// What a good platform says to the question that is answered.
    Fitting,
    Pending,
    Denied,
    Html,
}

impl Subject for Waiting {
    type Machine = Pairing;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 4;
    const MAX_DEBUG: usize = 16_384;
    /// Every approval is verified.
    const FLOOD: usize = 8_192;

    fn start(&self, seed: u64) -> Pairing {
        let settings = Settings {
            api_endpoint: ISSUER.into(),
            kind: DeviceKind::Daemon,
            mode: PairingMode::New,
            org: seed.is_multiple_of(4).then(|| "a".into()),
            name: "laptop".into(),
            software: "vpd".into(),
        };
        Pairing::start(START, clock(), settings, &Entropy::new([7; 32]))
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        prop_oneof![
            24 => happened(prop_oneof![6 => Just(Body::Fitting), 3 => Just(Body::Pending), 1 => Just(Body::Denied), 1 => Just(Body::Html)]),
            2 => Just(Fact::Adopted),
            1 => reasons().prop_map(Fact::Rejected),
            1 => Just(Fact::Cancel),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        happened(prop_oneof![Just(Body::Pending), Just(Body::Html)])
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Io { back, fate } => {
                let asked = latest(said, *back, |output| match output {
                    Output::Effect(effect) => Some(id_of(effect)),
                    _ => None,
                });
                let effect_id = asked.unwrap_or(EffectId::Poll(99));
                Input::Io(fate.io_event(effect_id, |body| bake(body, effect_id, said)))
            }
            Fact::Adopted => Input::Adopted,
            Fact::Rejected(reason) => Input::Rejected(*reason),
            Fact::Cancel => Input::Cancel,
        }
    }
}

fn happened(bodies: impl Strategy<Value = Body> + 'static) -> BoxedStrategy<Fact> {
    (recent(), fates(bodies)).prop_map(|(back, fate)| Fact::Io { back, fate }).boxed()
}

fn bake(body: &Body, effect_id: EffectId, said: &[Output]) -> String {
    match (body, effect_id) {
        (Body::Html, _) => "<html>".into(),
        (Body::Pending, _) => r#"{"status":"pending"}"#.into(),
        (Body::Denied, _) => r#"{"status":"denied"}"#.into(),
        (Body::Fitting, EffectId::Mint(_)) => {
            r#"{"code":"BCDF2345","status_token":"s","url":"https://app.example/pair?code=BCDF2345","expires_in":900}"#.into()
        }
        (Body::Fitting, EffectId::KeySet(_)) => key_set(),
        (Body::Fitting, _) => {
            let seed = latest(said, 0, seed).unwrap_or(secret(0));
            serde_json::to_string(&PollAnswer::Approved(Box::new(approval(&seed, "A", "r")))).unwrap()
        }
    }
}

/// The seed of the identity, as the pending file has it.
fn seed(output: &Output) -> Option<Secret> {
    match output {
        Output::Effect(Effect::Store(_, _, bytes)) => Some(PendingPairing::parse(bytes.expose()).ok()?.seed),
        _ => None,
    }
}
