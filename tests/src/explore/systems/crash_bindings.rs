//! Bindings on a disk, with crashes before, within and after every write (BIND-4, BIND-5).

use std::collections::BTreeMap;

use proto_core::{
    BindingId, Instant, Machine, Reason, SessionId, Unhashed,
    api::{PairingMode, Renewed},
    device::{
        binding::{Binding, Bindings, EffectId, Input, Output, Phase},
        credential::Renewal,
        files::{BindingRecord, Config, Document},
        pairing::Paired,
    },
    effect::{Effect, IoEvent, StateFile},
    id::DeviceKind,
    secret::SecretBytes,
};

use super::disk::{Disk, Left};
use crate::{
    explore::{Broken, Log, System},
    fixtures::{ISSUER, approval, parsed, renewed, secret},
    laws::START,
};

/// The system.
#[derive(Debug)]
pub struct CrashingBindings {
    approvals: BTreeMap<u8, Paired>,
    renewals: BTreeMap<u8, Renewed>,
    commands: u8,
    crashes: u8,
}

/// A state.
#[derive(Clone, Debug, Hash)]
pub struct State {
    machine: Bindings,
    disk: Disk,
    number: Unhashed<u32>,
    now: Instant,
    commands: u8,
    crashes: u8,
    failures: u8,
    /// Sessions that are pinned and run.
    sessions: BTreeMap<SessionId, BindingId>,
    /// What the outside was told is durable: key and generation.
    told: BTreeMap<BindingId, (u8, u64)>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    Adopt(u8, PairingMode),
    Renew(BindingId),
    Unpair(&'static str),
    Revoke(BindingId),
    SessionStarts(BindingId),
    SessionEnds(SessionId),
    Renamed,
    Durable,
    Fails,
    Due,
    Crash(Left),
}

/// Keys by number: two of A on one target, one on another, one of B.
const KEYS: [(u8, &str, &str); 4] = [(1, "A", "r1"), (2, "A", "r1"), (3, "A", "r2"), (4, "B", "r1")];

fn binding(key: u8) -> BindingId {
    let (_, org, target) = KEYS.iter().find(|(number, ..)| *number == key).copied().unwrap_or(KEYS[0]);
    BindingId { org: parsed(org), runtime_target: parsed(target) }
}

impl CrashingBindings {
    /// With so many commands and crashes in a row.
    pub fn new(commands: u8, crashes: u8) -> Self {
        let paired = |key: u8| {
            let (seed, id) = (secret(key), binding(key));
            let approval = approval(&seed, id.org.as_str(), id.runtime_target.as_str());
            Paired {
                kind: DeviceKind::Daemon,
                mode: PairingMode::New,
                api_endpoint: ISSUER.into(),
                seed,
                generation: 1,
                approval,
            }
        };
        let renewal = |key: u8| {
            let id = binding(key);
            renewed(&secret(key), id.org.as_str(), id.runtime_target.as_str(), 2)
        };
        let approvals = KEYS.iter().map(|(key, ..)| (*key, paired(*key))).collect();
        let renewals = KEYS.iter().map(|(key, ..)| (*key, renewal(*key))).collect();
        Self { approvals, renewals, commands, crashes }
    }

    fn input(&self, state: &State, action: &Action) -> Option<Input> {
        let number = state.number.0;
        Some(match action {
            Action::Adopt(key, mode) => {
                let paired = self.approvals.get(key)?.clone();
                Input::Adopt(Box::new(Paired { mode: *mode, ..paired }))
            }
            Action::Renew(binding) => {
                let answer = self.renewals.get(&key_of(state.machine.get(binding)?)?)?.clone();
                Input::Renewed { binding: binding.clone(), renewal: Box::new(Renewal { generation: 2, answer }) }
            }
            Action::Unpair(org) => Input::Unpair(parsed(org)),
            Action::Revoke(binding) => Input::Revoked { binding: binding.clone(), reason: Reason::MachineRevoked },
            Action::SessionStarts(binding) => Input::SessionStarted { binding: binding.clone(), session: session(binding) },
            Action::SessionEnds(session) => {
                Input::SessionEnded { binding: state.sessions.get(session)?.clone(), session: *session }
            }
            Action::Durable => Input::Io(IoEvent::Stored(EffectId(number))),
            Action::Fails => Input::Io(IoEvent::NotStored(EffectId(number))),
            Action::Renamed | Action::Due | Action::Crash(_) => return None,
        })
    }
}

fn session(binding: &BindingId) -> SessionId {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(binding.to_string().bytes()) {
        *to = from;
    }
    SessionId(id)
}

fn key_of(binding: &Binding) -> Option<u8> {
    binding.identity().and_then(|identity| identity.seed().expose().first().copied())
}

/// A daemon that starts on what is there.
fn boot(disk: &Disk, sessions: &BTreeMap<SessionId, BindingId>, now: Instant) -> Result<Bindings, Reason> {
    let identities = disk.files().filter(|(file, _)| matches!(file, StateFile::Identity(..)));
    let identities = identities.map(|(file, contents)| (file.clone(), SecretBytes::new(contents.to_vec())));
    let pins = sessions.iter().map(|(session, binding)| (*session, binding.clone()));
    Bindings::boot(now, disk.read(&StateFile::Config), identities, pins)
}

impl System for CrashingBindings {
    type State = State;
    type Action = Action;

    fn bounds(&self) -> String {
        format!("two orgs, four keys; {} commands, {} crashes, one write that fails", self.commands, self.crashes)
    }

    fn starts(&self) -> Vec<State> {
        let disk = Disk::default();
        let machine = boot(&disk, &BTreeMap::new(), START).expect("an empty disk");
        vec![State {
            machine,
            disk,
            number: Unhashed(0),
            now: START,
            commands: 0,
            crashes: 0,
            failures: 0,
            sessions: BTreeMap::new(),
            told: BTreeMap::new(),
        }]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        if state.commands < self.commands {
            for (key, ..) in KEYS {
                actions.extend([PairingMode::Add, PairingMode::Replace].map(|mode| Action::Adopt(key, mode)));
            }
            actions.extend([Action::Unpair("A"), Action::Unpair("B")]);
            for (id, known) in state.machine.iter().filter(|(_, known)| known.identity().is_some()) {
                actions.extend([Action::Renew(id.clone()), Action::Revoke(id.clone())]);
                if matches!(known.phase(), Phase::Active(_)) && !state.sessions.contains_key(&session(id)) {
                    actions.push(Action::SessionStarts(id.clone()));
                }
            }
            actions.extend(state.sessions.keys().copied().map(Action::SessionEnds));
        }
        if state.disk.is_writing() {
            actions.push(if state.disk.may_fail() { Action::Renamed } else { Action::Durable });
        }
        if state.disk.may_fail() && state.failures == 0 {
            actions.push(Action::Fails);
        }
        if state.machine.poll_timeout().is_some() {
            actions.push(Action::Due);
        }
        if state.crashes < self.crashes {
            actions.extend(state.disk.crashes().into_iter().map(Action::Crash));
        }
        actions
    }

    fn step(&self, state: &mut State, action: &Action, log: &mut Log) -> Result<(), Broken> {
        let input = self.input(state, action);
        let command = matches!(
            action,
            Action::Adopt(..)
                | Action::Renew(_)
                | Action::Unpair(_)
                | Action::Revoke(_)
                | Action::SessionStarts(_)
                | Action::SessionEnds(_)
        );
        state.commands += u8::from(command);
        match action {
            Action::Renamed => state.disk.rename(),
            Action::Durable => state.disk.finish(),
            Action::Fails => {
                state.disk.fail();
                state.failures += 1;
            }
            Action::SessionStarts(binding) => drop(state.sessions.insert(session(binding), binding.clone())),
            Action::Due => {
                state.now = state.machine.poll_timeout().map_or(state.now, |deadline| deadline.at);
                state.machine.handle_timeout(state.now);
            }
            Action::Crash(left) => {
                state.crashes += 1;
                state.disk.crash(*left);
                let booted = boot(&state.disk, &state.sessions, state.now);
                state.machine = booted.map_err(|reason| Broken::new("BIND-4", format!("the disk is not read: {reason:?}")))?;
                recovered(state)?;
            }
            _ => {}
        }
        if let Some(input) = input {
            let _ = state.machine.handle_input(state.now, input);
        }
        if let Action::SessionEnds(session) = action {
            state.sessions.remove(session);
        }
        while let Some(output) = state.machine.poll_output() {
            log.say(|| format!("{output:?}").chars().take(120).collect());
            hear(state, &output)?;
        }
        Ok(())
    }

    fn now(&self, state: &State) -> Instant {
        state.now
    }

    /// BIND-5, and nothing is left lying about: once the disk is idle, it holds what `config.json` names and nothing else.
    fn settle(&self, state: &mut State, log: &mut Log) -> Result<(), Broken> {
        for _ in 0..40 {
            let action = match (state.disk.is_writing(), state.disk.may_fail()) {
                (true, true) => Action::Renamed,
                (true, false) => Action::Durable,
                (false, _) if state.machine.poll_timeout().is_some() => Action::Due,
                (false, _) => return tidy(state),
            };
            log.say(|| format!("{action:?}"));
            self.step(state, &action, log)?;
        }
        Err(Broken::new("BIND-4", "the disk does not come to rest"))
    }

    fn show(&self, state: &State) -> String {
        let bindings = state.machine.iter().map(|(id, binding)| {
            let phase = format!("{:?}", binding.phase());
            format!("{id} {}", phase.split('(').next().unwrap_or_default())
        });
        let files = state.disk.files().map(|(file, _)| format!("{file:?}"));
        format!("{:?}, on disk {:?}", bindings.collect::<Vec<_>>(), files.collect::<Vec<_>>())
    }
}

/// What the machine says.
fn hear(state: &mut State, output: &Output) -> Result<(), Broken> {
    match output {
        Output::Effect(effect) => {
            if let Effect::Store(EffectId(number), ..) | Effect::Remove(EffectId(number), _) = effect {
                state.number = Unhashed(*number);
            }
            if !state.disk.take(effect) {
                return Err(Broken::new("BIND-4", "two changes of the disk at once"));
            }
        }
        Output::Adopted(id) => {
            let generation = durable_generation(&state.disk, id);
            let generation = generation.ok_or_else(|| Broken::new("PAIR-8", format!("{id} is adopted before it is durable")))?;
            let key = state.machine.get(id).and_then(key_of);
            state.told.extend(key.map(|key| (id.clone(), (key, generation))));
        }
        Output::Saved(id) => {
            let durable = durable_generation(&state.disk, id);
            if let Some((_, generation)) = state.told.get_mut(id) {
                *generation = durable.unwrap_or(*generation);
            }
        }
        Output::Draining(id) | Output::Drained(id) | Output::Cut(id, _) => {
            state.told.remove(id);
            state.sessions.retain(|_, pin| pin != id || matches!(output, Output::Draining(_)));
        }
        Output::Gone(id) => {
            if durable_generation(&state.disk, id).is_some() {
                return Err(Broken::new("BIND-2", format!("{id} is gone, and named on disk")));
            }
        }
        Output::Refused(_) | Output::Started(_) | Output::Trouble(_) => {}
    }
    Ok(())
}

/// The generation with which `config.json` names a binding.
fn durable_generation(disk: &Disk, id: &BindingId) -> Option<u64> {
    let config = Config::parse(disk.read(&StateFile::Config)?).ok()?;
    config.bindings.iter().find(|record| record.id() == *id).map(|record| record.generation)
}

/// BIND-4: what was durable is there, with its key; nothing is half there.
fn recovered(state: &State) -> Result<(), Broken> {
    if let Some((id, binding)) = state.machine.iter().find(|(_, binding)| matches!(binding.phase(), Phase::Broken(_))) {
        return Err(Broken::new("BIND-4", format!("{id} has no key after a crash: {:?}", binding.phase())));
    }
    for (id, (key, generation)) in &state.told {
        let found = state.machine.get(id).and_then(|known| Some((key_of(known)?, known.record().generation)));
        match found {
            // A refresh or a renewal may have become durable before it was reported.
            Some((now, renewed)) if now != *key || renewed >= *generation => {}
            Some(_) => return Err(Broken::new("ROT-1", format!("{id} lost a credential that was durable"))),
            // So may the end of it.
            None if !state.is_leaving_unheard(id) => {}
            None => return Err(Broken::new("BIND-4", format!("{id} was durable and is lost"))),
        }
    }
    let orgs: Vec<_> =
        state.machine.iter().filter(|(_, known)| matches!(known.phase(), Phase::Active(_))).map(|(id, _)| &id.org).collect();
    if orgs.iter().enumerate().any(|(place, org)| orgs.iter().skip(place + 1).any(|other| other == org)) {
        return Err(Broken::new("BIND-1", "two bindings of one org are active after a crash"));
    }
    Ok(())
}

impl State {
    /// Whether nothing that was going on explains that this binding is not there.
    fn is_leaving_unheard(&self, id: &BindingId) -> bool {
        // A replacement that became durable with the last write makes the others drain, and without sessions they leave.
        let is_new = |other: &BindingId, known: &Binding| {
            let key = key_of(known);
            key.is_some() && key != self.told.get(other).map(|(told, _)| *told)
        };
        let has_newer = self.machine.iter().any(|(other, known)| other != id && is_new(other, known));
        !has_newer
    }
}

fn tidy(state: &State) -> Result<(), Broken> {
    let config = state.disk.read(&StateFile::Config).map(Config::parse).transpose();
    let config = config.map_err(|reason| Broken::new("BIND-8", format!("config.json: {reason:?}")))?.unwrap_or_default();
    let named: Vec<_> = config.bindings.iter().filter_map(BindingRecord::identity_file).collect();
    let keys: Vec<_> =
        state.disk.files().filter(|(file, _)| matches!(file, StateFile::Identity(..))).map(|(file, _)| file).collect();
    if keys.len() != named.len() || keys.iter().any(|key| !named.contains(key)) {
        return Err(Broken::new("BIND-5", format!("keys {keys:?} on disk, {named:?} named")));
    }
    let known = state.machine.iter().filter(|(_, known)| known.identity().is_some()).count();
    if known == config.bindings.len() {
        Ok(())
    } else {
        Err(Broken::new("BIND-5", format!("{known} bindings live, {} are on disk", config.bindings.len())))
    }
}
