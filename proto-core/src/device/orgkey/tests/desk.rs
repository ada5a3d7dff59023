//! A device, its disk, and a platform that keeps what devices publish.

use alloc::{boxed::Box, collections::BTreeMap, format, vec, vec::Vec};
use core::time::Duration;

use super::super::{Call, EffectId, Input, KeyEvent, OrganizationKey, Output, Settings};
use crate::{
    Entropy, Instant, Machine,
    api::{Base64url, KeyView, OwnDevice, Registration, WaitingDevice},
    crypto::Identity,
    device::files::OrganizationKeyFile,
    effect::{HttpAnswer, IoEvent},
    id::{DeviceKind, OrgId, PlatformId},
    key::IdentityKey,
    orgkey::{Statement, Wrapped},
    secret::{Secret, SecretBytes},
};

pub(super) fn org() -> OrgId {
    "ORG".parse().unwrap()
}

pub(super) fn identity(seed: u8) -> Identity {
    Identity::from_seed(Secret::new([seed; 32]))
}

pub(super) fn settings(seed: u8, role: DeviceKind) -> Settings {
    Settings { org: org(), target: format!("t{seed}").parse().unwrap(), role, identity: identity(seed) }
}

/// A device and its disk.
pub(super) struct Harness {
    seed: u8,
    role: DeviceKind,
    lives: u8,
    pub(super) machine: OrganizationKey,
    pub(super) now: Instant,
    pub(super) calls: Vec<(EffectId, Call)>,
    pub(super) news: Vec<KeyEvent>,
    pub(super) machines: Vec<Vec<crate::api::NamedMachine>>,
    pub(super) kept: Vec<OrganizationKeyFile>,
    pub(super) disk_works: bool,
    storing: Option<Box<OrganizationKeyFile>>,
}

impl Harness {
    pub(super) fn new(seed: u8, role: DeviceKind) -> Self {
        let machine = OrganizationKey::new(Instant::ZERO, settings(seed, role), None);
        Self {
            seed,
            role,
            lives: 0,
            machine,
            now: Instant::ZERO,
            calls: vec![],
            news: vec![],
            machines: vec![],
            kept: vec![],
            disk_works: true,
            storing: None,
        }
    }

    /// Killed and started again: what was under way is lost.
    pub(super) fn restart(&mut self) {
        self.machine = OrganizationKey::new(self.now, settings(self.seed, self.role), self.kept.last());
        self.lives += 1;
        self.calls.clear();
        self.storing = None;
    }

    pub(super) fn up(&mut self) {
        self.input(Input::Up(Entropy::new([self.seed.wrapping_add(self.lives.wrapping_mul(100)); 32])));
    }

    pub(super) fn input(&mut self, input: Input) {
        self.machine.handle_input(self.now, input).unwrap();
        self.drain();
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.machine.handle_timeout(self.now);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Call(effect_id, call) => self.calls.push((effect_id, call)),
                Output::Keep(file) => self.storing = Some(file),
                Output::KeyEvent(news) => self.news.push(news),
                Output::Machines(machines) => self.machines.push(machines),
            }
        }
    }

    /// The disk does what it was asked to. Whether it was.
    pub(super) fn store(&mut self) -> bool {
        let Some(file) = self.storing.take() else { return false };
        if self.disk_works {
            self.kept.push(*file);
        }
        self.input(if self.disk_works { Input::Kept } else { Input::NotKept });
        true
    }

    /// The disk, or else the platform, does one thing.
    pub(super) fn step(&mut self, platform: &mut Platform) {
        if !self.store() && !self.calls.is_empty() {
            let (effect_id, call) = self.calls.remove(0);
            let answer = platform.answer(&settings(self.seed, self.role), call);
            self.input(Input::Io(IoEvent::Answered(effect_id, answer)));
        }
    }

    /// Until there is nothing more to do.
    pub(super) fn settle(&mut self, platform: &mut Platform) {
        while self.storing.is_some() || !self.calls.is_empty() {
            self.step(platform);
        }
    }
}

struct Device {
    identity: IdentityKey,
    registration: Registration,
    wrapped: Option<Wrapped>,
    is_revoked: bool,
}

/// What a platform keeps.
#[derive(Default)]
pub(super) struct Platform {
    statements: Vec<Statement>,
    devices: BTreeMap<PlatformId, Device>,
    pub(super) handed: Vec<(PlatformId, u32)>,
}

impl Platform {
    pub(super) const fn published(&self) -> usize {
        self.statements.len()
    }

    pub(super) fn revoke(&mut self, target: &str) {
        self.devices.get_mut(&target.parse().unwrap()).unwrap().is_revoked = true;
    }

    pub(super) fn wrapped(&self) -> Vec<&Wrapped> {
        self.devices.values().filter_map(|device| device.wrapped.as_ref()).collect()
    }

    fn newest(&self) -> u32 {
        self.statements.last().map_or(0, Statement::generation)
    }

    fn answer(&mut self, who: &Settings, call: Call) -> HttpAnswer {
        let (status, body) = match call {
            Call::View { after, .. } => (200, serde_json::to_vec(&self.view(who, after)).unwrap()),
            Call::Register(registration) => {
                let identity = who.identity.identity_key();
                let device = Device { identity, registration: *registration, wrapped: None, is_revoked: false };
                self.devices.insert(who.target.clone(), device);
                (204, vec![])
            }
            Call::Publish(publication) => {
                let statement = Statement::decode(&publication.statement.0).unwrap();
                let follows = match self.statements.last() {
                    None => statement.founds(),
                    Some(newest) => statement.follows(newest),
                };
                if follows {
                    self.statements.push(statement);
                }
                (if follows { 201 } else { 409 }, vec![])
            }
            Call::HandOver(handover) => {
                let wrapped = Wrapped::decode(&handover.wrapped.0).unwrap();
                self.handed.push((handover.runtime_target_id.clone(), wrapped.generation()));
                assert_eq!(wrapped.generation(), self.newest());
                self.devices.get_mut(&handover.runtime_target_id).unwrap().wrapped = Some(wrapped);
                (204, vec![])
            }
        };
        HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(body) }
    }

    fn view(&self, who: &Settings, after: u32) -> KeyView {
        let statements = self.statements.iter().filter(|statement| statement.generation() > after);
        let statements = statements.map(|statement| Base64url(statement.encode())).collect();
        if who.role == DeviceKind::Daemon {
            return KeyView { statements, device: None, waiting: vec![], renew: false, machines: vec![] };
        }
        let own = self.devices.get(&who.target);
        let wrapped = own.and_then(|device| device.wrapped.as_ref()).map(|wrapped| Base64url(wrapped.encode()));
        let holds = |device: &Device| device.wrapped.as_ref().map_or(0, Wrapped::generation) >= self.newest();
        let waiting = self.devices.iter().filter(|(_, device)| !device.is_revoked && !holds(device) && self.newest() > 0);
        KeyView {
            statements,
            device: Some(OwnDevice { registered: own.is_some(), wrapped }),
            waiting: waiting.map(|(target, device)| waiting_device(target, device)).collect(),
            renew: self.newest() > 0 && self.devices.values().any(|device| device.is_revoked && holds(device)),
            machines: vec![],
        }
    }
}

fn waiting_device(target: &PlatformId, device: &Device) -> WaitingDevice {
    WaitingDevice {
        runtime_target_id: target.clone(),
        identity_key: device.identity,
        name: format!("device {}", target.as_str().trim_start_matches('t')),
        owner: "Ada".into(),
        wrapping_key: device.registration.wrapping_key.clone(),
        signature: device.registration.signature,
    }
}
