use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Entropy,
    api::{Base64url, KeyView, OwnDevice, WaitingDevice},
    device::orgkey::{Call, EffectId, Input, OrganizationKey, Output, Settings},
    id::DeviceKind,
    orgkey::{Generation, Statement, WrappingKeys},
};

use super::world::{Fate, fates, identity, latest, parsed, recent};
use crate::laws::{START, Subject};

/// A device and its organization's key.
pub struct Held(pub DeviceKind);

/// What a platform says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Nothing,
    Unregistered,
    Published,
    PublishedAndRevoked,
    SomebodyWaits,
    Foreign,
    Nonsense,
}

#[derive(Clone, Debug)]
pub enum Fact {
    Up(u8),
    Look,
    Kept(bool),
    Io { back: usize, fate: Fate<Said> },
}

impl Subject for Held {
    type Machine = OrganizationKey;
    type Fact = Fact;
    /// A statement is some hundred characters of it, and there are as many as are published.
    const MAX_DEBUG: usize = 1 << 20;

    fn start(&self, _: u64) -> OrganizationKey {
        let settings = Settings { org: parsed("A"), target: parsed("r"), role: self.0, identity: identity(1) };
        OrganizationKey::new(START, settings, None)
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let said = proptest::sample::select(&[
            Said::Nothing,
            Said::Unregistered,
            Said::Published,
            Said::Published,
            Said::PublishedAndRevoked,
            Said::SomebodyWaits,
            Said::Foreign,
            Said::Nonsense,
        ]);
        prop_oneof![
            2 => any::<u8>().prop_map(Fact::Up),
            1 => Just(Fact::Look),
            3 => prop::bool::weighted(0.8).prop_map(Fact::Kept),
            6 => (recent(), fates(said)).prop_map(|(back, fate)| Fact::Io { back, fate }),
        ]
        .boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        Just(Fact::Look).boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Up(seed) => Input::Up(Entropy::new([*seed; 32])),
            Fact::Look => Input::Poll,
            Fact::Kept(true) => Input::Kept,
            Fact::Kept(false) => Input::NotKept,
            Fact::Io { back, fate } => {
                let asked = latest(said, *back, |output| match output {
                    Output::Call(effect_id, _) => Some(*effect_id),
                    _ => None,
                });
                let published = latest(said, 0, |output| match output {
                    Output::Call(_, Call::Publish(publication)) => Some(publication.statement.clone()),
                    _ => None,
                });
                Input::Io(fate.io_event(asked.unwrap_or(EffectId(99)), |said| body(*said, published.clone())))
            }
        }
    }
}

fn body(said: Said, published: Option<Base64url>) -> String {
    let mut view = KeyView {
        statements: Vec::new(),
        device: Some(OwnDevice { registered: said != Said::Unregistered, wrapped: None }),
        waiting: Vec::new(),
        renew: said == Said::PublishedAndRevoked,
        machines: Vec::new(),
    };
    match said {
        Said::Nonsense => return "<html>".to_owned(),
        Said::Foreign => {
            let secret = Generation::generate(&Entropy::new([0x66; 32]));
            let statement = Statement::found(&parsed("A"), &secret, &parsed("x"), &identity(6));
            view.statements.push(Base64url(statement.encode()));
        }
        Said::Published | Said::PublishedAndRevoked => view.statements.extend(published),
        Said::SomebodyWaits => view.waiting.push(waiting()),
        Said::Nothing | Said::Unregistered => {}
    }
    serde_json::to_string(&view).unwrap()
}

fn waiting() -> WaitingDevice {
    let (device, target) = (identity(2), parsed("w"));
    let public = WrappingKeys::of(&device).public();
    WaitingDevice {
        identity_key: device.identity_key(),
        name: "phone".to_owned(),
        owner: "Ada".to_owned(),
        wrapping_key: Base64url(public.bytes().to_vec()),
        signature: WrappingKeys::registration(&public, &device, &parsed("A"), &target),
        runtime_target_id: target,
    }
}
