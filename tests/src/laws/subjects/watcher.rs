use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Entropy, Jitter, SessionId,
    api::{Approval, PollAnswer},
    crypto::PureRust,
    device::{
        files::{Config, Document, IdentityFile, PendingPairing},
        pairing,
        watcher::{EffectId, Found, Goal, Input, Output, Settings, Watcher},
    },
    effect::{Effect, HttpAnswer, IoEvent, StateFile},
    id::DeviceKind,
    jose::{self, Claims},
    noise::Symbolic,
    secret::{Secret, SecretBytes},
};

use super::{
    device::{answered, asked, body, device_fates},
    world::{Fate, ISSUER, approval, clock, latest, parsed, platform_key, recent, secret},
};
use crate::fixtures::{claims, durable_record};
use crate::laws::{START, Subject};

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
    Hurry,
    Stop,
}

/// What the platform answers once this device was approved.
fn approved(seed: &Secret) -> String {
    let claims = Claims { role: DeviceKind::Viewer, ..claims(seed, "A", "r", 1) };
    let issue_token = jose::sign(&claims, &platform_key());
    let approval = Approval { issue_token, ..approval(seed, "A", "r") };
    serde_json::to_string(&PollAnswer::Approved(Box::new(approval))).unwrap()
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
        let config = Config { bindings: vec![durable_record("A", 1)], ..Config::default() };
        let key = IdentityFile::new(secret(1)).write().unwrap();
        let paired = Found {
            config: Some(config.write().unwrap()),
            identities: vec![(StateFile::Identity(parsed("A"), 0), key)],
            pending: None,
        };
        let settings = Settings {
            host: "tablet".into(),
            software: "vpd".into(),
            api_endpoint: Some(ISSUER.into()),
            aes_in_hardware: true,
            primitives: &PureRust,
            org: None,
            goal: goals[usize::try_from(seed / 2).unwrap_or(0) % goals.len()],
        };
        let found = if seed.is_multiple_of(2) { paired } else { Found::default() };
        Watcher::boot(START, clock(), &found, settings, &Entropy::new([7; 32]), Jitter::new(seed)).unwrap()
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        prop_oneof![
            30 => (recent(), device_fates()).prop_map(|(back, fate)| Fact::Io { back, fate }),
            8 => Just(Fact::Welcomed),
            8 => Just(Fact::Approved),
            4 => (0_u128..3).prop_map(Fact::Watch),
            2 => Just(Fact::Hurry),
            1 => Just(Fact::Stop),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        prop_oneof![4 => any::<u128>().prop_map(Fact::Watch), 1 => Just(Fact::Hurry)].boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Io { back, fate } => match effects(said).rev().nth(*back).map(asked) {
                Some((effect_id, url)) => Input::Io(fate.io_event(effect_id, |()| body(&url))),
                None => Input::Hurry,
            },
            Fact::Welcomed => {
                let sent = effects(said).rev().find_map(|effect| match effect {
                    Effect::Send(effect_id, message) => Some((*effect_id, message)),
                    _ => None,
                });
                sent.map_or(Input::Hurry, |(effect_id, message)| Input::Io(IoEvent::Received(effect_id, answered(Some(message)))))
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
                let Some((effect_id, of, url)) = latest(said, 0, asks) else { return Input::Hurry };
                let body = match (of, latest(said, 0, seed)) {
                    (pairing::EffectId::Poll(_), Some(seed)) => approved(&seed),
                    _ => body(&url),
                };
                let status = if matches!(of, pairing::EffectId::Mint(_)) { 201 } else { 200 };
                let answer = HttpAnswer { status, retry_after: None, body: SecretBytes::new(body) };
                Input::Io(IoEvent::Answered(effect_id, answer))
            }
            Fact::Watch(number) => Input::Watch(SessionId(number.to_be_bytes())),
            Fact::Hurry => Input::Hurry,
            Fact::Stop => Input::Stop,
        }
    }
}
