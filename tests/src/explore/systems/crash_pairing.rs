//! A pairing on a disk, with crashes before, within and after every write (PAIR-5, PAIR-6).

use std::collections::BTreeMap;

use proto_core::{
    Entropy, Instant, Machine, Status, Unhashed,
    api::{MintRequest, PairingMode, PollAnswer},
    crypto::Identity,
    device::{
        files::{Document, PendingPairing},
        pairing::{EffectId, Input, Output, Pairing, Settings},
    },
    effect::{Effect, IoEvent, NetFault, StateFile},
    id::DeviceKind,
    key::IdentityKey,
};

use super::disk::{Disk, Left};
use crate::{
    explore::{Broken, Log, System, subjects::answered},
    fixtures::{ISSUER, approval, clock, key_set},
    laws::START,
};

/// The system.
#[derive(Clone, Copy, Debug)]
pub struct CrashingPairing {
    /// Crashes, and attempts that a person begins.
    pub crashes: u8,
}

/// A state.
#[derive(Clone, Debug, Hash)]
pub struct State {
    /// `None`: no pairing runs.
    pairing: Option<Pairing>,
    disk: Disk,
    now: Instant,
    crashes: u8,
    attempts: u8,
    /// The question that waits for an answer, and its number.
    asked: Option<Unhashed<EffectId>>,
    writing: Option<bool>,
    /// Codes that the platform gave out, and whose identity asked for them.
    codes: Vec<IdentityKey>,
    /// Whose approval was handed over, by code.
    paired: BTreeMap<usize, IdentityKey>,
    /// The identity that asks for a code now.
    minting: Option<IdentityKey>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    Begin,
    /// The platform does what is asked.
    Answers,
    /// It does, but the answer is lost.
    AnswerLost,
    Pending,
    Adopted,
    Renamed,
    Durable,
    Fails,
    Due,
    Crash(Left),
}

/// One more than all attempts can ask for.
const CODES: [&str; 10] =
    ["BCDF234B", "BCDF234C", "BCDF234D", "BCDF234F", "BCDF234G", "BCDF234H", "BCDF234J", "BCDF234K", "BCDF234L", "BCDF234M"];

fn begin(attempt: u8) -> Pairing {
    let settings = Settings {
        api_endpoint: ISSUER.into(),
        kind: DeviceKind::Daemon,
        mode: PairingMode::New,
        org: None,
        name: "laptop".into(),
        software: "vpd".into(),
    };
    Pairing::start(START, clock(), settings, &Entropy::new([attempt; 32]))
}

impl State {
    fn pending(&self) -> Option<PendingPairing> {
        self.disk.read(&StateFile::PendingPairing).and_then(|contents| PendingPairing::parse(contents).ok())
    }

    fn give_code(&mut self) -> Option<usize> {
        let place = self.codes.len();
        let asker = self.minting.filter(|_| place < CODES.len())?;
        self.codes.push(asker);
        Some(place)
    }

    fn hear(&mut self, output: &Output) -> Result<(), Broken> {
        match output {
            Output::Effect(Effect::Http(effect_id, request)) => {
                self.asked = Some(Unhashed(*effect_id));
                if let EffectId::Mint(_) = effect_id {
                    let body = request.body.as_ref().map_or(&[][..], |body| body.expose());
                    let request = serde_json::from_slice::<MintRequest>(body);
                    let identity = request.map_err(|_| Broken::new("PAIR-6", "no request"))?.identity_key;
                    if self.codes.contains(&identity) {
                        return Err(Broken::new("PAIR-6", "one identity asks for two codes"));
                    }
                    self.minting = Some(identity);
                }
            }
            Output::Effect(effect) => {
                self.writing = Some(matches!(effect, Effect::Store(..)));
                if !self.disk.take(effect) {
                    return Err(Broken::new("PAIR-6", "two changes of the disk at once"));
                }
            }
            Output::ShowCode(shown) => {
                let pending = self.pending();
                let place = CODES.iter().position(|code| *code == shown.code);
                let owner = place.and_then(|place| self.codes.get(place)).copied();
                let durable = pending.filter(|pending| pending.code == shown.code);
                let identity = durable.map(|pending| Identity::from_seed(pending.seed).identity_key());
                if identity.is_none() {
                    return Err(Broken::new("PAIR-5", "the code is shown before it is durable"));
                }
                if identity != owner {
                    return Err(Broken::new("PAIR-6", "a code is shown with another identity than it was asked for with"));
                }
            }
            Output::Approved(paired) => {
                let identity = Identity::from_seed(paired.seed.clone()).identity_key();
                let place = self.codes.iter().position(|owner| *owner == identity);
                let Some(place) = place else { return Err(Broken::new("PAIR-6", "an identity without a code is paired")) };
                self.paired.insert(place, identity);
            }
            Output::Trouble(_) => {}
        }
        Ok(())
    }
}

impl CrashingPairing {
    fn answer(state: &mut State, action: Action) -> Option<Input> {
        let effect_id = state.asked?.0;
        let event = match (action, effect_id) {
            (Action::AnswerLost, _) => {
                if let EffectId::Mint(_) = effect_id {
                    state.give_code();
                }
                IoEvent::Unanswered(effect_id, NetFault::Broken)
            }
            (Action::Pending, _) => answered(effect_id, 200, None, r#"{"status":"pending"}"#),
            (_, EffectId::Mint(_)) => {
                let code = CODES.get(state.give_code()?)?;
                let body = format!(r#"{{"code":"{code}","status_token":"s","url":"https://a.example/","expires_in":5}}"#);
                answered(effect_id, 201, None, body)
            }
            (_, EffectId::KeySet(_)) => answered(effect_id, 200, None, key_set()),
            (_, EffectId::Poll(_)) => {
                let seed = state.pending()?.seed;
                let approved = PollAnswer::Approved(Box::new(approval(&seed, "A", "r")));
                answered(effect_id, 200, None, serde_json::to_vec(&approved).ok()?)
            }
            (_, EffectId::Save | EffectId::Forget) => return None,
        };
        state.asked = None;
        Some(Input::Io(event))
    }

    fn input(state: &mut State, action: Action) -> Option<Input> {
        let effect_id = if state.writing == Some(true) { EffectId::Save } else { EffectId::Forget };
        match action {
            Action::Answers | Action::AnswerLost | Action::Pending => Self::answer(state, action),
            Action::Adopted => Some(Input::Adopted),
            Action::Durable => Some(Input::Io(IoEvent::Stored(effect_id))),
            Action::Fails => Some(Input::Io(IoEvent::NotStored(effect_id))),
            Action::Begin | Action::Renamed | Action::Due | Action::Crash(_) => None,
        }
    }
}

impl System for CrashingPairing {
    type State = State;
    type Action = Action;

    fn bounds(&self) -> String {
        format!("codes that live 5 s, a poll every 2 s; {} crashes, as many attempts and one more", self.crashes)
    }

    fn starts(&self) -> Vec<State> {
        vec![State {
            pairing: None,
            disk: Disk::default(),
            now: START,
            crashes: 0,
            attempts: 0,
            asked: None,
            writing: None,
            codes: Vec::new(),
            paired: BTreeMap::new(),
            minting: None,
        }]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        let ended = state.pairing.as_ref().is_none_or(|pairing| !matches!(pairing.status(), Status::Running { .. }));
        if ended && state.attempts <= self.crashes && state.pending().is_none() {
            actions.push(Action::Begin);
        }
        if let Some(asked) = state.asked {
            actions.extend([Action::Answers, Action::AnswerLost]);
            if matches!(asked.0, EffectId::Poll(_)) {
                actions.push(Action::Pending);
            }
        }
        let waits = |what| matches!(state.pairing.as_ref().map(Machine::status), Some(Status::Running { waiting_for }) if waiting_for == what);
        if waits("the binding to be durable") {
            actions.push(Action::Adopted);
        }
        if state.disk.is_writing() {
            actions.push(if state.disk.may_fail() { Action::Renamed } else { Action::Durable });
        }
        if state.disk.may_fail() {
            actions.push(Action::Fails);
        }
        let deadline = state.pairing.as_ref().and_then(Machine::poll_timeout);
        if deadline.is_some_and(|deadline| deadline.at != Instant::MAX) {
            actions.push(Action::Due);
        }
        if state.crashes < self.crashes {
            actions.extend(state.disk.crashes().into_iter().map(Action::Crash));
        }
        actions
    }

    fn step(&self, state: &mut State, action: &Action, log: &mut Log) -> Result<(), Broken> {
        let input = Self::input(state, *action);
        match action {
            Action::Begin => {
                state.attempts += 1;
                state.pairing = Some(begin(state.attempts));
            }
            Action::Renamed => state.disk.rename(),
            Action::Durable => state.disk.finish(),
            Action::Fails => state.disk.fail(),
            Action::Due => {
                let deadline = state.pairing.as_ref().and_then(Machine::poll_timeout);
                state.now = deadline.map_or(state.now, |deadline| deadline.at.max(state.now));
                if let Some(pairing) = &mut state.pairing {
                    pairing.handle_timeout(state.now);
                }
            }
            Action::Crash(left) => {
                state.crashes += 1;
                state.disk.crash(*left);
                (state.asked, state.writing, state.minting) = (None, None, None);
                state.pairing = state.pending().map(|pending| Pairing::resume(state.now, clock(), pending));
            }
            _ => {}
        }
        let now = state.now;
        if let (Some(pairing), Some(input)) = (&mut state.pairing, input) {
            let _ = pairing.handle_input(now, input);
        }
        while let Some(output) = state.pairing.as_mut().and_then(Machine::poll_output) {
            log.say(|| format!("{output:?}").chars().take(120).collect());
            state.hear(&output)?;
        }
        Ok(())
    }

    fn now(&self, state: &State) -> Instant {
        state.now
    }

    /// It comes to an end, and then nothing of it is left on the disk, unless that could not be written.
    fn settle(&self, state: &mut State, log: &mut Log) -> Result<(), Broken> {
        for _ in 0..40 {
            let status = state.pairing.as_ref().map(Machine::status);
            let action = match status {
                Some(Status::Running { waiting_for: "the binding to be durable" }) => Action::Adopted,
                Some(Status::Running { .. }) if state.disk.may_fail() => Action::Renamed,
                Some(Status::Running { .. }) if state.disk.is_writing() => Action::Durable,
                Some(Status::Running { .. }) if state.asked.is_some() => Action::Answers,
                Some(Status::Running { .. }) => Action::Due,
                _ => return Ok(()),
            };
            log.say(|| format!("{action:?}"));
            self.step(state, &action, log)?;
        }
        Err(Broken::new("PAIR-11", "it does not come to an end"))
    }

    fn show(&self, state: &State) -> String {
        let status = state.pairing.as_ref().map(|pairing| format!("{:?}", pairing.status()));
        let file = if state.pending().is_some() { "a pending file" } else { "no pending file" };
        format!("{}, {file}", status.unwrap_or_else(|| "no pairing".into()))
    }
}
