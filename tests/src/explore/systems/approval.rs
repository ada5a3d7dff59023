//! A pairing and its code at the platform, over a network that loses and delays, with people who decide (PAIR-9, PAIR-11, PAIR-12).

use std::time::Duration;

use proto_core::{
    Entropy, Instant, Machine, Reason, Status, Unhashed,
    api::{PairingMode, PollAnswer, Problem},
    device::pairing::{EffectId, Input, Output, Pairing, Settings},
    effect::{Effect, IoEvent, NetFault},
    id::DeviceKind,
    platform::pairing_code::{self, CheckId, Decision, Membership, PairingCode, Verdict},
    secret::Secret,
};

use crate::{
    explore::{Broken, Log, System, subjects::answered},
    fixtures::{ISSUER, approval, clock, key_set, parsed},
    laws::START,
};

/// The system.
#[derive(Clone, Copy, Debug)]
pub struct Approving {
    /// Requests and answers that are lost in all.
    pub losses: u8,
}

/// A state.
#[derive(Clone, Debug, Hash)]
pub struct State {
    pairing: Pairing,
    code: Option<PairingCode>,
    now: Instant,
    seed: Option<Secret>,
    request: Option<Unhashed<EffectId>>,
    is_poll: bool,
    /// What the platform answered to a poll, under way.
    answer: Option<Verdict>,
    check: Option<Unhashed<u64>>,
    is_storing: Option<bool>,
    decisions: u8,
    losses: u8,
    issued: u8,
    approved: u8,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    /// The request under way arrives and is answered; polls are answered by [`Action::Arrives`].
    Serve,
    RequestLost,
    /// The answer to a poll arrives.
    Arrives,
    AnswerLost,
    Guess,
    Approve,
    Deny,
    Checked(bool),
    Stored,
    Adopted,
    Due,
}

impl System for Approving {
    type State = State;
    type Action = Action;

    fn bounds(&self) -> String {
        format!("a poll every 60 s for 15 minutes; two decisions, one guess; {} requests or answers are lost", self.losses)
    }

    fn starts(&self) -> Vec<State> {
        let settings = Settings {
            api_endpoint: ISSUER.into(),
            kind: DeviceKind::Daemon,
            mode: PairingMode::New,
            org: None,
            name: "laptop".into(),
            software: "vpd".into(),
        };
        let pairing = Pairing::start(START, clock(), settings, &Entropy::new([7; 32]));
        let mut state = State {
            pairing,
            code: None,
            now: START,
            seed: None,
            request: None,
            is_poll: false,
            answer: None,
            check: None,
            is_storing: None,
            decisions: 0,
            losses: 0,
            issued: 0,
            approved: 0,
        };
        let _ = hear(&mut state, &mut Log::default());
        vec![state]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        let loses = state.losses < self.losses;
        if state.request.is_some() && state.answer.is_none() {
            actions.push(Action::Serve);
            actions.extend(loses.then_some(Action::RequestLost));
        }
        if state.answer.is_some() {
            actions.push(Action::Arrives);
            actions.extend(loses.then_some(Action::AnswerLost));
        }
        if state.code.is_some() && state.decisions < 2 {
            actions.extend([Action::Approve, Action::Deny, Action::Guess]);
        }
        if state.check.is_some() {
            actions.extend([Action::Checked(true), Action::Checked(false)]);
        }
        if state.is_storing.is_some() {
            actions.push(Action::Stored);
        }
        if adopts(state) {
            actions.push(Action::Adopted);
        }
        if due(state).is_some() {
            actions.push(Action::Due);
        }
        actions
    }

    fn step(&self, state: &mut State, action: &Action, log: &mut Log) -> Result<(), Broken> {
        let now = state.now;
        let decides = matches!(action, Action::Approve | Action::Deny | Action::Guess);
        state.decisions += u8::from(decides);
        state.losses += u8::from(matches!(action, Action::RequestLost | Action::AnswerLost));
        match action {
            Action::Serve => serve(state),
            Action::RequestLost | Action::AnswerLost => {
                state.answer = None;
                if let Some(effect_id) = state.request.take() {
                    tell(state, IoEvent::Unanswered(effect_id.0, NetFault::Broken));
                }
            }
            Action::Arrives => arrives(state),
            Action::Approve => decide(state, pairing_code::Input::Approve { by: parsed("ann"), org: parsed("A") }),
            Action::Deny => decide(state, pairing_code::Input::Deny { by: parsed("bob") }),
            Action::Guess => decide(state, pairing_code::Input::Polled { token_fits: false }),
            Action::Checked(is_member) => {
                let check = CheckId(state.check.take().map_or(0, |check| check.0));
                let standing = if *is_member { Membership::Member { slug: "a".into() } } else { Membership::NoMember };
                decide(state, pairing_code::Input::Checked { check, standing });
            }
            Action::Stored => {
                let effect_id = if state.is_storing.take() == Some(true) { EffectId::Save } else { EffectId::Forget };
                tell(state, IoEvent::Stored(effect_id));
            }
            Action::Adopted => {
                let _ = state.pairing.handle_input(now, Input::Adopted);
            }
            Action::Due => {
                state.now = due(state).map_or(now, |at| at.max(now));
                state.pairing.handle_timeout(state.now);
                if let Some(code) = &mut state.code {
                    code.handle_timeout(state.now);
                }
            }
        }
        hear(state, log)?;
        agreement(state)
    }

    fn now(&self, state: &State) -> Instant {
        state.now
    }

    /// PAIR-11: what was approved in time, and reaches the device in time, pairs.
    fn settle(&self, state: &mut State, log: &mut Log) -> Result<(), Broken> {
        let pairs = has_time(state) && matches!(state.pairing.status(), Status::Running { .. });
        for _ in 0..80 {
            let action = match state.pairing.status() {
                Status::Failed(_) if pairs => {
                    return Err(Broken::new("PAIR-11", "approved in time, and not paired"));
                }
                Status::Finished | Status::Failed(_) => return Ok(()),
                Status::Running { .. } if state.is_storing.is_some() => Action::Stored,
                Status::Running { .. } if adopts(state) => Action::Adopted,
                Status::Running { .. } if state.answer.is_some() => Action::Arrives,
                Status::Running { .. } if state.request.is_some() => Action::Serve,
                Status::Running { .. } => Action::Due,
            };
            log.say(|| format!("{action:?}"));
            self.step(state, &action, log)?;
        }
        Err(Broken::new("PAIR-11", "the pairing does not come to an end"))
    }

    fn show(&self, state: &State) -> String {
        let seconds = state.now.since(START).as_secs();
        format!("{seconds} s: device {:?}, code {:?}", state.pairing.status(), state.code.as_ref().map(Machine::status))
    }
}

/// Whether it is approved, and the expiry is an interval and two requests away.
fn has_time(state: &State) -> bool {
    let needed = Duration::from_mins(2);
    let expires_at = state.code.as_ref().map(PairingCode::expires_at);
    is_approved(state) && expires_at.is_some_and(|at| state.now.after(needed) <= at)
}

fn is_approved(state: &State) -> bool {
    matches!(state.code.as_ref().map(|code| code.record().decision), Some(Some(Decision::Approved { .. })))
}

fn adopts(state: &State) -> bool {
    matches!(state.pairing.status(), Status::Running { waiting_for: "the binding to be durable" })
}

fn due(state: &State) -> Option<Instant> {
    let code = state.code.as_ref().and_then(Machine::poll_timeout).map(|deadline| deadline.at);
    let pairing = state.pairing.poll_timeout().map(|deadline| deadline.at);
    pairing.into_iter().chain(code).filter(|at| *at != Instant::MAX).min()
}

fn tell(state: &mut State, event: IoEvent<EffectId>) {
    let _ = state.pairing.handle_input(state.now, Input::Io(event));
}

fn decide(state: &mut State, input: pairing_code::Input) {
    if let Some(code) = &mut state.code {
        let _ = code.handle_input(state.now, input);
    }
}

fn serve(state: &mut State) {
    let Some(Unhashed(effect_id)) = state.request else { return };
    match effect_id {
        EffectId::Mint(_) => {
            state.code = Some(PairingCode::mint(state.now, None));
            state.request = None;
            let body = r#"{"code":"BCDF2345","status_token":"s","url":"https://a.example/","expires_in":900,"interval":60}"#;
            tell(state, answered(effect_id, 201, None, body));
        }
        EffectId::KeySet(_) => {
            state.request = None;
            tell(state, answered(effect_id, 200, None, key_set()));
        }
        _ => decide(state, pairing_code::Input::Polled { token_fits: true }),
    }
    // A code that ended answers nothing: 404.
    if state.is_poll && state.request.is_some() && state.code.as_ref().is_some_and(|code| code.poll_timeout().is_none()) {
        state.request = None;
        let gone = serde_json::to_vec(&Problem::because(404, Reason::CodeExpired)).unwrap_or_default();
        tell(state, answered(effect_id, 404, None, gone));
    }
}

fn arrives(state: &mut State) {
    let (Some(verdict), Some(Unhashed(effect_id))) = (state.answer.take(), state.request.take()) else { return };
    let answer = match verdict {
        Verdict::Pending => PollAnswer::Pending,
        Verdict::Denied => PollAnswer::Denied,
        Verdict::Approved => {
            let Some(seed) = &state.seed else { return };
            PollAnswer::Approved(Box::new(approval(seed, "A", "r")))
        }
    };
    let body = serde_json::to_vec(&answer).unwrap_or_default();
    tell(state, answered(effect_id, 200, None, body));
}

fn hear(state: &mut State, log: &mut Log) -> Result<(), Broken> {
    while let Some(output) = state.code.as_mut().and_then(Machine::poll_output) {
        log.say(|| format!("platform: {output:?}"));
        match output {
            pairing_code::Output::CheckStanding { check, .. } => state.check = Some(Unhashed(check.0)),
            pairing_code::Output::Answer(verdict) => state.answer = Some(verdict),
            pairing_code::Output::Issue { .. } => state.issued += 1,
            _ => {}
        }
    }
    while let Some(output) = state.pairing.poll_output() {
        log.say(|| format!("device: {output:?}").chars().take(100).collect());
        match output {
            Output::Effect(Effect::Http(effect_id, _)) => {
                state.request = Some(Unhashed(effect_id));
                state.is_poll = matches!(effect_id, EffectId::Poll(_));
            }
            Output::Effect(Effect::Store(_, _, contents)) => {
                use proto_core::device::files::{Document, PendingPairing};
                state.seed = PendingPairing::parse(contents.expose()).ok().map(|pending| pending.seed);
                state.is_storing = Some(true);
            }
            Output::Effect(_) => state.is_storing = Some(false),
            Output::Approved(_) => state.approved += 1,
            Output::ShowCode(_) | Output::Trouble(_) => {}
        }
    }
    if state.issued > 1 || state.approved > 1 {
        return Err(Broken::new("PAIR-9", format!("issued {} times, handed over {} times", state.issued, state.approved)));
    }
    Ok(())
}

/// Neither side takes for paired what the other one does not.
fn agreement(state: &State) -> Result<(), Broken> {
    if state.approved > 0 && !is_approved(state) {
        return Err(Broken::new("PAIR-12", "the device is paired with a code that no user approved"));
    }
    Ok(())
}
