use std::sync::Arc;

use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    relay::admission::{Admission, Applicant, Input, KeyAnswer, Output, PlatformAccess},
    secret::SecretText,
    wire::{Pattern, Role},
};

use super::world::{Fate, ISSUER, clock, fates, identity, platform_key, secret, token};
use crate::laws::{START, Subject};

pub struct Entering;

#[derive(Clone, Debug)]
pub enum Fact {
    Key(KeyAnswer),
    Io(Fate<&'static str>),
}

impl Subject for Entering {
    type Machine = Admission;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 1;
    const MAX_DEBUG: usize = 8_192;

    fn start(&self, seed: u64) -> Admission {
        let gate = PlatformAccess {
            validate_url: "https://api.example/api/relay/validate".into(),
            internal_key: SecretText::new("internal"),
            issuer: Some(ISSUER.into()),
        };
        let pattern = if seed.is_multiple_of(2) { Pattern::Ik } else { Pattern::IkPsk2 };
        let token = if seed.is_multiple_of(16) { SecretText::new("none") } else { token(&secret(1), "A", "r", 1) };
        let applicant = Applicant { role: Role::Daemon, pattern, static_key: identity(1).static_key(), token };
        Admission::begin(START, Arc::new(gate), clock(), applicant)
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let keys = prop_oneof![
            6 => Just(KeyAnswer::Found(platform_key().public_key())),
            1 => Just(KeyAnswer::Found(identity(9).identity_key())),
            1 => Just(KeyAnswer::Unknown),
            1 => Just(KeyAnswer::Unreachable),
        ];
        let bodies = proptest::sample::select(&[
            r#"{"active":true,"policy_mode":"standard"}"#,
            r#"{"active":true,"policy_mode":"crypto_pairing","psk":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
            r#"{"active":false,"reason":"machine_revoked"}"#,
            "<html>",
        ]);
        prop_oneof![keys.prop_map(Fact::Key), fates(bodies).prop_map(Fact::Io)].boxed()
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        Just(Fact::Io(Fate::Stored)).boxed()
    }

    fn input(&self, fact: &Fact, _said: &[Output]) -> Input {
        match fact {
            Fact::Key(answer) => Input::Key(*answer),
            Fact::Io(fate) => Input::Io(fate.io_event((), ToString::to_string)),
        }
    }
}
