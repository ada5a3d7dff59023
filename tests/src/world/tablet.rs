//! A device that watches: its disk, and what it showed.

use std::collections::{BTreeMap, BTreeSet};

use io_engine::DriverLoop;
use proto_core::{
    Entropy, Instant, JitterRng, Machine, PlatformId, Reason, SessionId, Status, WallClock,
    api::{Approval, PairingMode, Workspace},
    crypto::{Identity, PureRust},
    device::{
        binding::{self, Bindings},
        files::{Config, Document as _, IdentityFile},
        orgkey::KeyEvent,
        pairing::Paired,
        viewer::Viewer,
        watcher::{
            EffectId, Goal, Input, Output, PairingCause, Settings, StoredState, Watcher,
            choice::{Entry, Wanted},
        },
    },
    effect::{Effect, IoEvent, StateFile},
    id::DeviceKind,
    noise::{Noise, Symbolic},
    secret::{Secret, SecretBytes},
    wire::{Outcome, Record},
};

use super::platform::API;

/// The files of a device.
pub type Disk = BTreeMap<StateFile, SecretBytes>;

/// The device.
#[derive(Debug)]
pub struct ViewerDevice<N = Symbolic> {
    /// Its program.
    pub watcher: Watcher<N>,
    /// Its loop.
    pub(crate) turns: DriverLoop,
    /// The state files that are durable.
    pub disk: Disk,
    /// Why it asked for pairings.
    pub occasions: Vec<PairingCause>,
    /// The code that it showed last.
    pub code: Option<String>,
    /// Whom it paired with.
    pub paired: Vec<Workspace>,
    /// Sessions it heard of.
    pub listed: BTreeSet<SessionId>,
    /// The list with which it ended.
    pub list: Option<Vec<Entry>>,
    /// Records it showed.
    pub records: BTreeMap<SessionId, Vec<Record>>,
    /// Sessions that ended.
    pub ended: BTreeMap<SessionId, Outcome>,
    /// Sessions that cannot be shown.
    pub failed: BTreeMap<SessionId, Reason>,
    /// Why the link was down, every time.
    pub downs: Vec<Reason>,
    /// What happened to the organization's key.
    pub key_news: Vec<KeyEvent>,
}

impl<N: Noise> ViewerDevice<N> {
    /// Starts the program on what the disk holds.
    pub(crate) fn boot(
        now: Instant,
        clock: WallClock,
        disk: Disk,
        org: Option<&str>,
        goal: Goal,
        entropy: &Entropy,
        jitter: JitterRng,
    ) -> Self {
        let settings = Settings {
            host: "tablet".into(),
            software: "vpd 0.1.0".into(),
            api_endpoint: Some(API.into()),
            aes_in_hardware: false,
            primitives: &PureRust,
            org: org.map(Into::into),
            goal,
            wanted: Wanted::default(),
            surrounding: None,
        };
        let keys = disk.iter().filter(|(file, _)| matches!(file, StateFile::Identity(..)));
        let found = StoredState {
            config: disk.get(&StateFile::Config).cloned(),
            identities: keys.map(|(file, bytes)| (file.clone(), bytes.clone())).collect(),
            pending: disk.get(&StateFile::PendingPairing).cloned(),
            organization_keys: disk
                .iter()
                .filter(|(file, _)| matches!(file, StateFile::OrganizationKey(_)))
                .map(|(file, bytes)| (file.clone(), bytes.clone()))
                .collect(),
        };
        let watcher = Watcher::boot(now, clock, &found, settings, entropy, jitter).expect("the disk is sound");
        Self {
            watcher,
            turns: DriverLoop::new(clock),
            disk,
            occasions: Vec::new(),
            code: None,
            paired: Vec::new(),
            listed: BTreeSet::new(),
            list: None,
            records: BTreeMap::new(),
            ended: BTreeMap::new(),
            failed: BTreeMap::new(),
            downs: Vec::new(),
            key_news: Vec::new(),
        }
    }

    /// The viewer, while there is something to watch with.
    ///
    /// # Panics
    /// When there is nothing.
    pub fn viewer(&self) -> &Viewer<N> {
        self.watcher.viewer().expect("it watches")
    }

    /// The target as which it is paired.
    ///
    /// # Panics
    /// When it is not paired.
    pub fn target(&self) -> PlatformId {
        let config = Config::parse(self.disk[&StateFile::Config].expose()).expect("the disk is sound");
        config.bindings[0].runtime_target_id.clone()
    }

    /// The key of its pairing.
    ///
    /// # Panics
    /// When it is not paired.
    pub fn identity(&self) -> Identity {
        let keys = self.disk.iter().find(|(file, _)| matches!(file, StateFile::Identity(..))).expect("it is paired");
        Identity::from_seed(IdentityFile::parse(keys.1.expose()).expect("the disk is sound").seed)
    }

    /// Why its program ended, if it did without reaching its goal.
    pub fn failure(&self) -> Option<Reason> {
        match self.watcher.status() {
            Status::Failed(reason) => Some(*reason),
            _ => None,
        }
    }

    /// Remembers what was said; what is left to do.
    pub(crate) fn said(&mut self, output: Output) -> Option<Effect<EffectId>> {
        match output {
            Output::Effect(effect) => return Some(effect),
            Output::Pairing(occasion) => self.occasions.push(occasion),
            Output::ShowCode(shown) => self.code = Some(shown.code),
            Output::Paired(workspace) => self.paired.push(workspace),
            Output::Key(news) => self.key_news.push(news),
            Output::Up { .. } | Output::Trouble(_) | Output::NotRenewed(_) => {}
            Output::Down(reason) => self.downs.push(reason),
            Output::Listed(session) => assert!(self.listed.insert(session), "listed twice"),
            Output::Sessions(sessions) => self.list = Some(sessions),
            Output::Record(session, record) => self.records.entry(session).or_default().push(record),
            Output::Ended(session, outcome) => drop(self.ended.insert(session, outcome)),
            Output::Failed(session, reason) => drop(self.failed.insert(session, reason)),
        }
        None
    }

    /// A store, or without contents a removal, and what came of it.
    pub(crate) fn write(&mut self, effect_id: EffectId, file: StateFile, contents: Option<SecretBytes>) -> Input {
        match contents {
            Some(contents) => drop(self.disk.insert(file, contents)),
            None => drop(self.disk.remove(&file)),
        }
        Input::Io(IoEvent::Stored(effect_id))
    }
}

/// The disk of a device that paired with this seed and got this approval.
pub(crate) fn adopted(seed: Secret, approval: Approval) -> Disk {
    let mut bindings = Bindings::boot(Instant::ZERO, None, [], []).expect("an empty disk");
    let (kind, mode, api_endpoint) = (DeviceKind::Viewer, PairingMode::New, API.into());
    let paired = Paired { kind, mode, api_endpoint, seed, generation: 1, approval };
    bindings.handle_input(Instant::ZERO, binding::Input::Adopt(Box::new(paired))).expect("the first adoption");
    let mut disk = Disk::new();
    while let Some(output) = bindings.poll_output() {
        if let binding::Output::Effect(Effect::Store(effect_id, file, contents)) = output {
            disk.insert(file, contents);
            bindings.handle_input(Instant::ZERO, binding::Input::Io(IoEvent::Stored(effect_id))).expect("it is drained");
        }
    }
    disk
}
