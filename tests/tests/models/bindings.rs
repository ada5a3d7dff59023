//! [`Bindings`] beside [`Life`], with a disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{collection::vec, prelude::*};
use proto_core::{
    BindingId, Reason, SessionId,
    api::PairingMode,
    device::{
        binding::{Bindings, EffectId, Input, Output, Phase},
        files::{Config, Document},
        pairing::Paired,
    },
    effect::{Effect, IoEvent, StateFile},
    id::DeviceKind,
    secret::SecretBytes,
};
use verification::models::{
    bench::Bench,
    binding::{self, Life, Name},
    config,
    given::{self, id, identity, secret},
};

#[derive(Clone, Debug)]
enum Event {
    Adopt {
        seed: u8,
        org: &'static str,
        target: &'static str,
        mode: PairingMode,
    },
    Unpair(&'static str),
    Revoked(&'static str, &'static str, Reason),
    Session {
        org: &'static str,
        target: &'static str,
        session: u8,
        starts: bool,
    },
    /// What was asked of the disk is done, or is not.
    Disk(bool),
    Pass(u64),
    /// Killed, with or without the write under way done; then started again.
    Kill(bool),
}

const ORGS: [&str; 3] = ["A", "B", "c"];
const TARGETS: [&str; 2] = ["r1", "r2"];

fn events() -> impl Strategy<Value = Event> {
    let org = || proptest::sample::select(&ORGS);
    let target = || proptest::sample::select(&TARGETS);
    let mode = proptest::sample::select(&[PairingMode::New, PairingMode::Add, PairingMode::Replace]);
    let reasons = proptest::sample::select(&[
        Reason::MachineRevoked,
        Reason::WorkspaceNotFound,
        Reason::TokenExpired,
        Reason::SignatureMismatch,
        Reason::TokenSuperseded,
        Reason::Superseded,
        Reason::RateLimited,
    ]);
    prop_oneof![
        4 => (1_u8..200, org(), target(), mode).prop_map(|(seed, org, target, mode)| Event::Adopt { seed, org, target, mode }),
        2 => org().prop_map(Event::Unpair),
        2 => (org(), target(), reasons).prop_map(|(org, target, reason)| Event::Revoked(org, target, reason)),
        5 => (org(), target(), 0_u8..3, any::<bool>())
            .prop_map(|(org, target, session, starts)| Event::Session { org, target, session, starts }),
        12 => proptest::bool::weighted(0.9).prop_map(Event::Disk),
        2 => (0_u64..100_000).prop_map(Event::Pass),
        1 => any::<bool>().prop_map(Event::Kill),
    ]
}

fn binding(org: &str, target: &str) -> BindingId {
    BindingId { org: id(org), runtime_target: id(target) }
}

fn name(id: &BindingId) -> Name {
    (id.org.to_string(), id.runtime_target.to_string())
}

struct Laptop {
    bench: Bench<Bindings>,
    life: Life,
    disk: BTreeMap<StateFile, SecretBytes>,
    /// What is asked of the disk and not answered.
    asked: Option<(EffectId, StateFile, Option<SecretBytes>)>,
    /// Bindings that the relay ended for a reason that ends them.
    ended: BTreeSet<Name>,
    /// Pairings that were adopted, or will be: the commands in their order.
    commands: usize,
}

impl Laptop {
    fn new() -> Self {
        let bench = Bench::new(Bindings::boot(verification::models::START, None, [], []).unwrap());
        let mut laptop =
            Self { bench, life: Life::default(), disk: BTreeMap::new(), asked: None, ended: BTreeSet::new(), commands: 0 };
        laptop.follow(0);
        laptop
    }

    fn follow(&mut self, from: usize) {
        let said: Vec<_> = self.bench.said[from..].iter().map(|(_, output)| output.clone()).collect();
        for output in said {
            self.life.follow(&output);
            match &output {
                Output::Effect(Effect::Store(effect_id, file, bytes)) => {
                    assert!(self.asked.is_none(), "never more than one write under way");
                    self.asked = Some((*effect_id, file.clone(), Some(bytes.clone())));
                }
                Output::Effect(Effect::Remove(effect_id, file)) => {
                    self.keys_are_erased_last(file);
                    self.asked = Some((*effect_id, file.clone(), None));
                }
                Output::Gone(id) => {
                    assert!(!self.on_disk().contains(&name(id)), "BIND-5: {id} is gone and still on disk");
                }
                Output::Started(id) => {
                    assert!(self.on_disk().contains(&name(id)), "PAIR-8: {id} connects before it is durable");
                }
                _ => {}
            }
        }
    }

    /// BIND-3, BIND-4: a key goes only when no record on disk names it any more.
    fn keys_are_erased_last(&self, file: &StateFile) {
        if let StateFile::Identity(..) = file {
            let config = self.config();
            let used = config.bindings.iter().any(|record| record.identity == file.path());
            assert!(!used, "BIND-3: {file:?} is erased and still named");
        }
    }

    fn config(&self) -> Config {
        self.disk.get(&StateFile::Config).map_or_else(Config::default, |bytes| Config::parse(bytes.expose()).unwrap())
    }

    fn on_disk(&self) -> BTreeSet<Name> {
        self.config().bindings.iter().map(|record| name(&record.id())).collect()
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        let from = self.bench.said.len();
        if self.bench.try_tell(input).is_err() {
            return Vec::new();
        }
        self.follow(from);
        self.bench.said[from..].iter().map(|(_, output)| output.clone()).collect()
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Adopt { seed, org, target, mode } => self.adopt(*seed, org, target, *mode),
            Event::Unpair(org) => {
                self.settle();
                self.life.leave(org);
                self.tell(Input::Unpair(id(org)));
            }
            Event::Revoked(org, target, reason) => {
                self.settle();
                let ends = matches!(reason, Reason::MachineRevoked | Reason::WorkspaceNotFound);
                let is_there = self.life.phases.contains_key(&name(&binding(org, target)));
                if ends && is_there {
                    self.ended.insert(name(&binding(org, target)));
                    if self.life.wanted.get(*org).is_some_and(|wanted| wanted == target) {
                        self.life.leave(org);
                    }
                }
                let before = self.life.phases.clone();
                self.tell(Input::Revoked { binding: binding(org, target), reason: *reason });
                assert!(ends || before == self.life.phases, "BIND-6: {reason} ended a binding");
            }
            Event::Session { org, target, session, starts } => self.session(binding(org, target), *session, *starts),
            Event::Disk(works) => {
                self.write(*works);
            }
            Event::Pass(time) => {
                let from = self.bench.said.len();
                self.bench.pass(Duration::from_millis(*time));
                self.follow(from);
            }
            Event::Kill(is_done) => self.kill(*is_done),
        }
        self.compare();
    }

    fn adopt(&mut self, seed: u8, org: &str, target: &str, mode: PairingMode) {
        self.settle();
        self.commands += 1;
        // Every pairing has a seed of its own, and the platform gives a runtime target to one of them.
        if self.life.phases.contains_key(&(org.into(), target.into())) || self.bench.machine.has_seed(&secret(seed)) {
            return;
        }
        let device = identity(seed);
        let paired = Paired {
            kind: DeviceKind::Daemon,
            mode,
            api_endpoint: given::ISSUER.into(),
            seed: secret(seed),
            generation: 1,
            approval: given::approval(&device, org, target),
        };
        let accepted = self.life.clone().adopt(org, target, mode);
        let mut said = self.tell(Input::Adopt(Box::new(paired)));
        said.extend(self.settle());
        let adopted = said.iter().any(|output| matches!(output, Output::Adopted(_)));
        let refused = said.iter().any(|output| matches!(output, Output::Refused(_)));
        assert_eq!((adopted, refused), (accepted, !accepted), "D1, PAIR-10: {org} {mode:?} on {:?}", self.life.wanted);
        if accepted {
            self.life.adopt(org, target, mode);
        }
    }

    fn session(&mut self, id: BindingId, session: u8, starts: bool) {
        let key = (name(&id), session);
        let number = SessionId([session; 16]);
        if !starts {
            self.life.sessions.remove(&key);
            self.tell(Input::SessionEnded { binding: id, session: number });
            return;
        }
        let takes = self.life.phases.get(&key.0) == Some(&binding::Phase::Active);
        if takes {
            self.life.sessions.insert(key);
        }
        self.tell(Input::SessionStarted { binding: id.clone(), session: number });
        let is_in = self.bench.machine.get(&id).is_some_and(|binding| binding.sessions().contains(&number));
        let was_in = self.life.sessions.contains(&(name(&id), session));
        assert_eq!(is_in, was_in, "BIND-3: a session of {id}");
    }

    /// The disk answers.
    fn write(&mut self, works: bool) -> Vec<Output> {
        let Some((effect_id, file, bytes)) = self.asked.take() else { return Vec::new() };
        if !works {
            return self.tell(Input::Io(IoEvent::NotStored(effect_id)));
        }
        self.done(file, bytes);
        self.tell(Input::Io(IoEvent::Stored(effect_id)))
    }

    fn done(&mut self, file: StateFile, bytes: Option<SecretBytes>) {
        match bytes {
            Some(bytes) => self.disk.insert(file, bytes),
            None => self.disk.remove(&file),
        };
    }

    /// Lets it write all it wants to.
    fn settle(&mut self) -> Vec<Output> {
        let mut said = Vec::new();
        for _ in 0..200 {
            let quiet = self.asked.is_none();
            said.extend(self.write(true));
            if quiet {
                let from = self.bench.said.len();
                self.bench.pass(Duration::from_mins(2));
                self.follow(from);
                said.extend(self.bench.said[from..].iter().map(|(_, output)| output.clone()));
                if self.asked.is_none() {
                    return said;
                }
            }
        }
        panic!("it writes without end");
    }

    /// BIND-4: killed at any moment, it comes up with what is on disk, and what that says is what was or what was to be.
    fn kill(&mut self, is_done: bool) {
        if let Some((_, file, bytes)) = self.asked.take().filter(|_| is_done) {
            self.done(file, bytes);
        }
        let identities = self.disk.iter().filter(|(file, _)| matches!(file, StateFile::Identity(..)));
        let identities: Vec<_> = identities.map(|(file, bytes)| (file.clone(), bytes.clone())).collect();
        let sessions: Vec<_> =
            self.life.sessions.iter().map(|((org, target), session)| (SessionId([*session; 16]), binding(org, target))).collect();
        let config = self.disk.get(&StateFile::Config).map(SecretBytes::expose);
        let machine = Bindings::boot(self.bench.now, config, identities, sessions).expect("BIND-4: a state that can be read");
        let now = self.bench.now;
        self.bench = Bench::at(now, machine);
        // What was being erased is erased when it comes up; the rest starts from the disk.
        self.life.phases = self
            .config()
            .bindings
            .iter()
            .map(|record| {
                let phase = match record.state {
                    proto_core::device::files::BindingState::Active => binding::Phase::Active,
                    proto_core::device::files::BindingState::Draining => binding::Phase::Draining,
                };
                (name(&record.id()), phase)
            })
            .collect();
        self.life.connected.clear();
        let there: BTreeSet<_> = self.life.phases.keys().cloned().collect();
        self.life.sessions.retain(|(of, _)| there.contains(of));
        self.follow(0);
        self.settle();
        self.life.wanted = self.life.active();
    }

    /// Machine and model agree about every binding.
    fn compare(&self) {
        for (id, binding) in self.bench.machine.iter() {
            let expected = self.life.phases.get(&name(id));
            let is_active = matches!(binding.phase(), Phase::Active(_));
            assert!(!is_active || expected == Some(&binding::Phase::Active) || expected.is_none(), "BIND-2: {id} {expected:?}");
        }
    }
}

proptest! {
    #![proptest_config(config(256))]

    /// BIND-1 to BIND-6, D1, D2, PAIR-8, PAIR-10: the only edges there are; whatever the disk does and whenever it is killed, in
    /// the end exactly those orgs are bound that were asked for, and of the others neither record nor key is left.
    #[test]
    fn bindings_live_like_their_model(events in vec(events(), 0..60)) {
        let mut laptop = Laptop::new();
        for event in &events {
            laptop.hear(event);
        }
        // Every session ends, and the disk works.
        for ((org, target), session) in laptop.life.sessions.clone() {
            laptop.session(binding(&org, &target), session, false);
        }
        laptop.settle();
        prop_assert_eq!(laptop.life.active(), laptop.life.wanted.clone(), "D1, D2: {:?}", laptop.life.phases);
        let expected: BTreeSet<_> = laptop.life.wanted.clone().into_iter().collect();
        prop_assert_eq!(laptop.on_disk(), expected, "BIND-5");
        let keys = laptop.disk.keys().filter(|file| matches!(file, StateFile::Identity(..))).count();
        prop_assert_eq!(keys, laptop.life.wanted.len(), "BIND-3: {:?}", laptop.disk.keys());
    }
}
