//! A rotation and its platform, over a network that loses, repeats and reorders, with a disk and crashes (ROT-1, ROT-2).

use proto_core::{
    Instant, JitterRng, Machine, Unhashed, UnixTime,
    api::{Renewed, RotateRequest},
    device::credential::{EffectId, Input, Output, Rotation},
    effect::{Effect, IoEvent, NetFault},
    jose::{self, Claims},
    secret::SecretText,
};

use crate::{
    explore::{Broken, Log, System, subjects::answered},
    fixtures::{ISSUER, UNIX, claims, clock, identity, platform_key, relay, secret},
    laws::START,
};

/// The system.
#[derive(Debug)]
pub struct Rotating {
    tokens: Vec<SecretText>,
    faults: u8,
}

/// The last generation.
const GENERATIONS: u64 = 3;

/// A state.
#[derive(Clone, Debug, Hash)]
pub struct State {
    rotation: Rotation,
    now: Instant,
    /// The platform's generation.
    platform: u64,
    /// Requests under way, by the generation that they show, and whether the machine still waits for their answer.
    requests: Vec<(u64, Unhashed<u32>, bool)>,
    /// Answers under way: the generation they give, or a refusal.
    answers: Vec<(Option<u64>, Unhashed<u32>, bool)>,
    /// What the credential on the disk is, and what is being written, perhaps renamed already.
    disk: u64,
    writing: Option<(u64, bool)>,
    faults: u8,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    /// The platform receives this one of the requests under way.
    Requested(usize),
    RequestLost(usize),
    /// The device receives this one of the answers under way.
    Answered(usize),
    AnswerLost(usize),
    AnswerRepeated(usize),
    /// The adapter gives the request up.
    TimesOut,
    Renamed,
    Durable,
    Due,
    RenewNow,
    /// The device stops and starts again: what was being written is there or not.
    Crash(bool),
}

impl Rotating {
    /// With so many faults in all.
    pub fn new(faults: u8) -> Self {
        let token = |generation| {
            let stamps = Claims {
                expires_at: UNIX.plus(600),
                renewable_until: UnixTime(UNIX.0 + 6_000),
                ..claims(&secret(1), "A", "r", generation)
            };
            jose::sign(&stamps, &platform_key())
        };
        Self { tokens: (1..=GENERATIONS + 1).map(token).collect(), faults }
    }

    fn boot(&self, generation: u64, now: Instant) -> Rotation {
        let place = usize::try_from(generation.saturating_sub(1)).unwrap_or(0);
        let token = self.tokens.get(place).cloned().unwrap_or_else(|| SecretText::new(""));
        Rotation::new(now, clock(), ISSUER, identity(1), token, JitterRng::constant(0)).expect("a credential")
    }

    fn io_event(&self, answer: Option<u64>, number: u32) -> IoEvent<EffectId> {
        let place = answer.and_then(|generation| usize::try_from(generation.saturating_sub(1)).ok());
        match place.and_then(|place| self.tokens.get(place)) {
            Some(token) => {
                let renewed = Renewed { issue_token: token.clone(), relay: relay() };
                answered(EffectId(number), 200, None, serde_json::to_vec(&renewed).expect("JSON"))
            }
            None => answered(EffectId(number), 409, None, "{}"),
        }
    }

    /// What a platform does: the successor of the newest credential is made once, and given again to a device that shows the one
    /// before.
    fn platform(state: &mut State, shown: u64) -> Option<u64> {
        if shown == state.platform && state.platform < GENERATIONS {
            state.platform += 1;
        }
        (shown + 1 == state.platform).then_some(state.platform)
    }
}

impl System for Rotating {
    type State = State;
    type Action = Action;

    fn bounds(&self) -> String {
        format!(
            "generations 1 to {GENERATIONS}, until the device uses the last; {} losses, repetitions and crashes in all; at most two messages each way",
            self.faults
        )
    }

    fn starts(&self) -> Vec<State> {
        vec![State {
            rotation: self.boot(1, START),
            now: START,
            platform: 1,
            requests: Vec::new(),
            answers: Vec::new(),
            disk: 1,
            writing: None,
            faults: 0,
        }]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        if state.rotation.generation() == GENERATIONS {
            return Vec::new();
        }
        let mut actions: Vec<_> = (0..state.requests.len()).map(Action::Requested).collect();
        actions.extend((0..state.answers.len()).map(Action::Answered));
        if let Some((_, is_renamed)) = state.writing {
            actions.push(if is_renamed { Action::Durable } else { Action::Renamed });
        }
        if state.rotation.poll_timeout().is_some() {
            actions.extend([Action::Due, Action::RenewNow]);
        }
        if state.faults < self.faults {
            actions.extend((0..state.requests.len()).map(Action::RequestLost));
            for place in 0..state.answers.len() {
                actions.push(Action::AnswerLost(place));
                if state.answers.len() < 2 {
                    actions.push(Action::AnswerRepeated(place));
                }
            }
            if state.requests.iter().any(|(.., is_current)| *is_current) {
                actions.push(Action::TimesOut);
            }
            actions.push(Action::Crash(false));
            if matches!(state.writing, Some((_, true))) {
                actions.push(Action::Crash(true));
            }
        }
        actions
    }

    fn step(&self, state: &mut State, action: &Action, log: &mut Log) -> Result<(), Broken> {
        let now = state.now;
        let input = match *action {
            Action::Requested(place) => {
                let (shown, number, is_current) = state.requests.remove(place);
                let answer = Self::platform(state, shown);
                state.answers.push((answer, number, is_current));
                None
            }
            Action::RequestLost(place) => {
                let (_, number, _) = state.requests.remove(place);
                Some(Input::Io(IoEvent::Unanswered(EffectId(number.0), NetFault::Broken)))
            }
            Action::Answered(place) => {
                let (answer, number, _) = state.answers.remove(place);
                Some(Input::Io(self.io_event(answer, number.0)))
            }
            Action::AnswerLost(place) => {
                let (_, number, _) = state.answers.remove(place);
                Some(Input::Io(IoEvent::Unanswered(EffectId(number.0), NetFault::Broken)))
            }
            Action::AnswerRepeated(place) => {
                state.answers.extend(state.answers.get(place).copied());
                None
            }
            Action::TimesOut => {
                let current = state.requests.iter_mut().find(|(.., is_current)| *is_current);
                current.map(|(_, number, is_current)| {
                    *is_current = false;
                    Input::Io(IoEvent::Unanswered(EffectId(number.0), NetFault::TimedOut))
                })
            }
            Action::Renamed => {
                state.writing = state.writing.map(|(generation, _)| (generation, true));
                None
            }
            Action::Durable => {
                state.disk = state.writing.take().map_or(state.disk, |(generation, _)| generation);
                Some(Input::Stored)
            }
            Action::Due => {
                state.now = state.rotation.poll_timeout().map_or(now, |deadline| deadline.at.max(now));
                state.rotation.handle_timeout(state.now);
                None
            }
            Action::RenewNow => Some(Input::RenewNow),
            Action::Crash(is_there) => {
                let written = state.writing.take().filter(|_| is_there);
                state.disk = written.map_or(state.disk, |(generation, _)| generation);
                state.rotation = self.boot(state.disk, now);
                for request in &mut state.requests {
                    request.2 = false;
                }
                state.answers.clear();
                None
            }
        };
        let is_fault = matches!(
            action,
            Action::RequestLost(_) | Action::AnswerLost(_) | Action::AnswerRepeated(_) | Action::TimesOut | Action::Crash(_)
        );
        state.faults += u8::from(is_fault);
        if let Some(input) = input {
            let _ = state.rotation.handle_input(state.now, input);
        }
        hear(state, log)
    }

    fn now(&self, state: &State) -> Instant {
        state.now
    }

    fn check(&self, state: &State) -> Result<(), Broken> {
        let used = state.rotation.generation();
        if state.platform.abs_diff(used) > 1 {
            return Err(Broken::new("ROT-2", format!("the device is at {used}, the platform at {}", state.platform)));
        }
        if used > state.disk {
            return Err(Broken::new("ROT-1", format!("generation {used} is in use, {} is durable", state.disk)));
        }
        if state.platform.abs_diff(state.disk) > 1 {
            return Err(Broken::new("ROT-1", format!("only {} is durable, the platform is at {}", state.disk, state.platform)));
        }
        Ok(())
    }

    /// Device, disk and platform come to the last generation.
    fn settle(&self, state: &mut State, log: &mut Log) -> Result<(), Broken> {
        for _ in 0..60 {
            let is_there = state.rotation.generation() == GENERATIONS && state.disk == GENERATIONS;
            if is_there || state.rotation.has_lapsed() {
                return Ok(());
            }
            let action = match state.writing {
                Some((_, true)) => Action::Durable,
                Some((_, false)) => Action::Renamed,
                None if !state.answers.is_empty() => Action::Answered(0),
                None if !state.requests.is_empty() => Action::Requested(0),
                None => Action::Due,
            };
            log.say(|| format!("{action:?}"));
            self.step(state, &action, log)?;
        }
        Err(Broken::new("ROT-3", "the credential is not renewed although the platform answers"))
    }

    fn show(&self, state: &State) -> String {
        let State { platform, disk, writing, requests, answers, .. } = state;
        let used = state.rotation.generation();
        format!(
            "device {used}, disk {disk} (writing {writing:?}), platform {platform}, {} and {} under way",
            requests.len(),
            answers.len()
        )
    }
}

fn hear(state: &mut State, log: &mut Log) -> Result<(), Broken> {
    while let Some(output) = state.rotation.poll_output() {
        log.say(|| format!("{output:?}").chars().take(80).collect());
        match output {
            Output::Effect(Effect::Http(EffectId(number), request)) => {
                let body = request.body.as_ref().map_or(&[][..], |body| body.expose());
                let shown =
                    serde_json::from_slice::<RotateRequest>(body).map_err(|_| Broken::new("ROT-2", "no request"))?.generation;
                if state.requests.len() >= 2 {
                    state.requests.remove(0);
                }
                state.requests.push((shown, Unhashed(number), true));
            }
            Output::Renewed(renewal) if state.writing.is_some() => {
                return Err(Broken::new("ROT-1", format!("generation {} is to be stored while another is", renewal.generation)));
            }
            Output::Renewed(renewal) => state.writing = Some((renewal.generation, false)),
            _ => {}
        }
    }
    Ok(())
}
