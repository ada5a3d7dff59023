//! A device whose disk, kills and commands are played by the test.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};

use super::super::*;
use crate::{
    UnixTime,
    api::{Approval, PairingMode, PolicyMode, RelayEndpoint, Renewed, Workspace},
    crypto::Identity,
    device::{files::DEFAULT_API_ENDPOINT, pairing::Paired},
    effect::{Effect, IoEvent},
    id::DeviceKind,
    jose::{self, Claims, Confirmation, RELAY_AUDIENCE, SigningKey, Thumbprint},
    key::StaticKey,
    secret::{SecretBytes, SecretText},
};

pub(super) const NOW: Instant = Instant::from_nanos(1_000);

#[derive(Clone)]
pub(super) struct Laptop {
    pub(super) machine: Bindings,
    pub(super) disk: BTreeMap<StateFile, SecretBytes>,
    pub(super) effects: VecDeque<Effect<EffectId>>,
    pub(super) said: Vec<Output>,
    pub(super) now: Instant,
}

impl Laptop {
    pub(super) fn new() -> Self {
        Self::boot(BTreeMap::new(), [])
    }

    pub(super) fn boot(
        disk: BTreeMap<StateFile, SecretBytes>,
        sessions: impl IntoIterator<Item = (SessionId, BindingId)>,
    ) -> Self {
        let config = disk.get(&StateFile::Config).map(SecretBytes::expose);
        let keys = disk.iter().filter(|(file, _)| matches!(file, StateFile::Identity(..)));
        let keys: Vec<_> = keys.map(|(file, bytes)| (file.clone(), bytes.clone())).collect();
        let machine = Bindings::boot(NOW, config, keys, sessions).unwrap();
        let mut laptop = Self { machine, disk, effects: VecDeque::new(), said: Vec::new(), now: NOW };
        laptop.drain();
        laptop
    }

    /// Killed, and started again; the sessions that were pinned still run.
    pub(super) fn again(&self) -> Self {
        let pins = self.machine.iter().flat_map(|(id, binding)| binding.sessions().iter().map(|s| (*s, id.clone())));
        Self::boot(self.disk.clone(), pins.collect::<Vec<_>>())
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Effect(effect) => self.effects.push_back(effect),
                said => self.said.push(said),
            }
        }
        assert!(self.effects.len() <= 1, "one change at a time");
    }

    pub(super) fn input(&mut self, input: Input) {
        self.machine.handle_input(self.now, input).unwrap();
        self.drain();
    }

    /// The disk carries the next effect out; false when there is none.
    pub(super) fn write(&mut self) -> bool {
        let Some(effect) = self.effects.pop_front() else { return false };
        let effect_id = match effect {
            Effect::Store(effect_id, file, bytes) => {
                self.disk.insert(file, bytes);
                effect_id
            }
            Effect::Remove(effect_id, file) => {
                self.disk.remove(&file);
                effect_id
            }
            other => panic!("{other:?}"),
        };
        self.input(Input::Io(IoEvent::Stored(effect_id)));
        true
    }

    /// The next effect fails.
    pub(super) fn fail(&mut self) {
        let (Effect::Store(effect_id, ..) | Effect::Remove(effect_id, ..)) = self.effects.pop_front().unwrap() else { panic!() };
        self.input(Input::Io(IoEvent::NotStored(effect_id)));
    }

    /// The disk carries out all there is, which has an end (LINK-3).
    pub(super) fn settle(&mut self) {
        let writes = (0..100).take_while(|_| self.write()).count();
        assert!(writes < 100, "it writes for ever");
    }

    pub(super) fn wait(&mut self) {
        self.now = self.machine.poll_timeout().unwrap().at;
        self.machine.handle_timeout(self.now);
        self.drain();
    }

    pub(super) fn pair(&mut self, org: &str, target: &str, seed: u8, mode: PairingMode) {
        self.input(Input::Adopt(Box::new(paired(org, target, seed, mode))));
        self.settle();
    }

    pub(super) fn start_session(&mut self, binding: &BindingId, n: u8) {
        self.input(Input::SessionStarted { binding: binding.clone(), session: SessionId([n; 16]) });
    }

    pub(super) fn end_session(&mut self, binding: &BindingId, n: u8) {
        self.input(Input::SessionEnded { binding: binding.clone(), session: SessionId([n; 16]) });
    }

    pub(super) fn take_said(&mut self) -> Vec<Output> {
        mem::take(&mut self.said)
    }

    /// What a person would see: each binding with its phase and the seed of its key.
    pub(super) fn view(&self) -> Vec<(BindingId, &'static str, Option<u8>)> {
        let phase = |binding: &Binding| match binding.phase() {
            Phase::Active(_) => "active",
            Phase::Draining(_) => "draining",
            Phase::Broken(_) => "broken",
            Phase::Leaving => "leaving",
        };
        let seed = |binding: &Binding| binding.identity().map(|identity| identity.seed().expose()[0]);
        self.machine.iter().map(|(id, binding)| (id.clone(), phase(binding), seed(binding))).collect()
    }

    pub(super) fn files(&self) -> Vec<String> {
        self.disk.keys().map(StateFile::path).collect()
    }
}

pub(super) fn id(org: &str, target: &str) -> BindingId {
    BindingId { org: org.parse().unwrap(), runtime_target: target.parse().unwrap() }
}

pub(super) fn token(org: &str, target: &str, seed: u8, generation: u64) -> SecretText {
    let identity = Identity::from_seed(Secret::new([seed; 32]));
    let claims = Claims {
        issuer: DEFAULT_API_ENDPOINT.into(),
        audience: RELAY_AUDIENCE.into(),
        install: "i1".parse().unwrap(),
        org: org.parse().unwrap(),
        runtime_target: target.parse().unwrap(),
        machine: "m1".parse().unwrap(),
        role: DeviceKind::Daemon,
        generation,
        confirmation: Confirmation {
            static_key: identity.static_key(),
            identity: Thumbprint::of_identity_key(identity.identity_key()),
        },
        issued_at: UnixTime(1),
        not_before: UnixTime(1),
        expires_at: UnixTime(3_601),
        renewable_until: UnixTime(1_000_000),
        id: "t1".parse().unwrap(),
    };
    jose::sign(&claims, &SigningKey::from_seed(&Secret::new([9; 32])))
}

fn relay() -> RelayEndpoint {
    RelayEndpoint { url: "wss://relay.example/ws".into(), static_keys: alloc::vec![StaticKey([1; 32])] }
}

pub(super) fn paired(org: &str, target: &str, seed: u8, mode: PairingMode) -> Paired {
    Paired {
        kind: DeviceKind::Daemon,
        mode,
        api_endpoint: DEFAULT_API_ENDPOINT.into(),
        seed: Secret::new([seed; 32]),
        generation: 1,
        approval: Approval {
            workspace: Workspace { id: org.parse().unwrap(), slug: org.to_lowercase(), name: org.into() },
            install_id: "i1".parse().unwrap(),
            runtime_target_id: target.parse().unwrap(),
            machine_id: "m1".parse().unwrap(),
            issue_token: token(org, target, seed, 1),
            relay: relay(),
            policy_mode: PolicyMode::Standard,
            psk: None,
        },
    }
}

pub(super) fn renewal(org: &str, target: &str, seed: u8, generation: u64) -> Renewal {
    let answer = Renewed { issue_token: token(org, target, seed, generation), relay: relay() };
    Renewal { generation, answer }
}
