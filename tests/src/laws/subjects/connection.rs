use std::sync::Arc;

use bytes::Bytes;
use proptest::{prelude::*, strategy::BoxedStrategy};
use proto_core::{
    Entropy, Reason, SessionId,
    api::{PolicyMode, ValidateAnswer},
    effect::{Effect, HttpAnswer, IoEvent},
    noise::Symbolic,
    relay::{
        admission::{KeyAnswer, PlatformAccess},
        connection::{Connection, EffectId, Input, Output, Settings},
    },
    secret::{SecretBytes, SecretText},
    wire::{Frame, Head, MAX_FRAME_DEFAULT, Suite},
};

use super::world::{Fate, clock, fates, id_of, identity, latest, platform_key, reasons, secret, socket_fates};
use crate::fixtures::handshake::{first_message, third_message};
use crate::laws::{START, Subject};

const SUITE: Suite = Suite::IkPsk2ChaChaPoly;

pub struct Entering;

#[derive(Clone, Debug)]
pub enum Fact {
    /// What the device, the key set or the platform would really say now.
    Fitting,
    Odd(Fate<&'static str>),
    Key(KeyAnswer),
    Send(Frame),
    SendTail(Frame),
    Close(Reason),
    Hold,
    Release,
    Revalidate,
}

fn frames() -> BoxedStrategy<Frame> {
    let data =
        Frame { head: Head::Data { session: SessionId([1; 16]), epoch: 0, sequence: 0 }, body: Bytes::from_static(&[b'x'; 40]) };
    proptest::sample::select(vec![data, Head::Rotated { generation: 2 }.into()]).boxed()
}

impl Subject for Entering {
    type Machine = Connection<Symbolic>;
    type Fact = Fact;
    const MAX_OUTPUTS: usize = 16;
    /// A weight for each message that waits for the socket.
    const MAX_DEBUG: usize = 1024 * 1024;

    fn start(&self, _seed: u64) -> Self::Machine {
        let gate = PlatformAccess {
            validate_url: "https://api.example/api/relay/validate".into(),
            internal_key: SecretText::new("internal"),
            issuer: None,
        };
        let settings = Settings {
            gate: Arc::new(gate),
            keys: identity(2).static_keys().clone(),
            frame_max: u32::try_from(MAX_FRAME_DEFAULT).unwrap(),
            software: "relay".into(),
        };
        Connection::new(START, Arc::new(settings), clock(), &Entropy::new([6; 32]))
    }

    fn facts(&self) -> BoxedStrategy<Fact> {
        let odd = prop_oneof![fates(proptest::sample::select(&["<html>", "{}"])), socket_fates()];
        prop_oneof![
            60 => Just(Fact::Fitting),
            4 => odd.prop_map(Fact::Odd),
            2 => Just(Fact::Key(KeyAnswer::Unknown)),
            20 => frames().prop_map(Fact::Send),
            10 => frames().prop_map(Fact::SendTail),
            1 => reasons().prop_map(Fact::Close),
            4 => Just(Fact::Hold),
            4 => Just(Fact::Release),
            2 => Just(Fact::Revalidate),
        ]
        .boxed()
    }

    fn before_flood(&self) -> Vec<Fact> {
        vec![Fact::Fitting; 4]
    }

    fn flood(&self) -> BoxedStrategy<Fact> {
        frames().prop_map(Fact::Send).boxed()
    }

    fn input(&self, fact: &Fact, said: &[Output]) -> Input {
        match fact {
            Fact::Fitting => fitting(said),
            Fact::Odd(fate) => {
                let effect_id = latest(said, 0, |output| match output {
                    Output::Effect(effect) => Some(id_of(effect)),
                    _ => None,
                });
                Input::Io(fate.io_event(effect_id.unwrap_or(EffectId::Socket), ToString::to_string))
            }
            Fact::Key(answer) => Input::Key(EffectId::Decide(0), *answer),
            Fact::Send(frame) => Input::Send(frame.clone()),
            Fact::SendTail(frame) => Input::SendTail(frame.clone()),
            Fact::Close(reason) => Input::Close(*reason),
            Fact::Hold => Input::PauseReading,
            Fact::Release => Input::ResumeReading,
            Fact::Revalidate => Input::Revalidate,
        }
    }
}

fn fitting(said: &[Output]) -> Input {
    match said.last() {
        None => Input::Io(IoEvent::Received(EffectId::Socket, first_message(SUITE))),
        Some(Output::LookUp(effect_id, _)) => Input::Key(*effect_id, KeyAnswer::Found(platform_key().public_key())),
        Some(Output::Effect(Effect::Http(effect_id, _))) => {
            let psk = Some(secret(3));
            let answer = ValidateAnswer { active: true, reason: None, policy_mode: Some(PolicyMode::CryptoPairing), psk };
            let body = SecretBytes::new(serde_json::to_string(&answer).unwrap());
            Input::Io(IoEvent::Answered(*effect_id, HttpAnswer { status: 200, retry_after: None, date: None, body }))
        }
        Some(Output::Effect(Effect::Send(effect_id, second))) if said.len() == 3 => {
            Input::Io(IoEvent::Received(*effect_id, third_message(SUITE, second.clone())))
        }
        Some(_) => Input::Io(IoEvent::Sent(EffectId::Socket, 1)),
    }
}
