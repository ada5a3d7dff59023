//! A daemon whose platform, relays, disk and directories are played by the test.

use alloc::{collections::VecDeque, string::ToString, vec, vec::Vec};
use core::{mem, time::Duration};

use super::super::*;
use crate::{
    Entropy, OrgId, Reason, UnixTime,
    crypto::Identity,
    device::{
        bridge::SourceId,
        consent::{Change, Directory, File, Looked},
        control::{Attach, Attached},
        files::{BindingRecord, Config, Document, Grant, Grants, IdentityFile, SessionFile, Unknown, VERSION},
        uplink::testing as relay,
    },
    effect::{Effect, HttpAnswer, HttpRequest, IoEvent, StateFile},
    jose,
    noise::{Symbolic, channel::Channel},
    secret::{Secret, SecretBytes},
    testing,
    wire::{Frame, Title},
};

pub(super) use crate::device::uplink::testing::{START, UNIX};

pub(super) const SOURCE: SourceId = SourceId(1);
pub(super) const OTHER: SourceId = SourceId(2);
/// The directories that are bound to [`org`] and to [`beta`].
pub(super) const BOUND: &str = "/a";
pub(super) const BOUND_TO_BETA: &str = "/b";
/// What the environment says.
pub(super) const API: &str = "https://api.example/";

/// The machine, its virtual clock, and what it wants and has not been given yet.
pub(super) struct Laptop {
    pub(super) daemon: Daemon<Symbolic>,
    pub(super) now: Instant,
    pub(super) files: VecDeque<(EffectId, StateFile, Option<SecretBytes>)>,
    pub(super) net: Vec<Effect<EffectId>>,
    pub(super) looks: VecDeque<(TaskId, Directory)>,
    pub(super) changes: VecDeque<(TaskId, Vec<Change>)>,
    pub(super) said: Vec<Output>,
}

/// The other end of a link.
pub(super) struct Relay {
    pub(super) effect_id: EffectId,
    channel: Channel<Symbolic>,
}

impl Laptop {
    /// A daemon that was never paired.
    pub(super) fn new() -> Self {
        Self::boot(&StoredState::default())
    }

    /// A daemon that is paired with [`org`] and [`beta`].
    pub(super) fn paired() -> Self {
        Self::boot(&found())
    }

    pub(super) fn boot(found: &StoredState) -> Self {
        let daemon = try_boot(found).unwrap();
        let mut laptop = Self {
            daemon,
            now: START,
            files: VecDeque::new(),
            net: vec![],
            looks: VecDeque::new(),
            changes: VecDeque::new(),
            said: vec![],
        };
        laptop.drain();
        laptop
    }

    fn drain(&mut self) {
        while let Some(output) = self.daemon.poll_output() {
            match output {
                Output::Effect(Effect::Store(effect_id, file, bytes)) => self.files.push_back((effect_id, file, Some(bytes))),
                Output::Effect(Effect::Remove(effect_id, file)) => self.files.push_back((effect_id, file, None)),
                Output::Effect(effect) => self.net.push(effect),
                Output::Look(task_id, directory) => self.looks.push_back((task_id, directory)),
                Output::Change(task_id, changes) => self.changes.push_back((task_id, changes)),
                said => self.said.push(said),
            }
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        self.daemon.handle_input(self.now, input).unwrap();
        self.drain();
    }

    /// It woke from a suspend, or its wall clock was set.
    pub(super) fn clock(&mut self, wall: WallClock) {
        self.daemon.handle_clock(self.now, wall);
        self.drain();
    }

    pub(super) fn happens(&mut self, io_event: IoEvent<EffectId>) {
        self.input(Input::Io(io_event));
    }

    pub(super) fn request(&mut self, id: u64, request: Request) {
        self.input(Input::Request(RequestId(id), request));
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.daemon.handle_timeout(self.now);
        self.drain();
    }

    pub(super) fn take_said(&mut self) -> Vec<Output> {
        mem::take(&mut self.said)
    }

    /// What was said that is for the log.
    pub(super) fn take_log(&mut self) -> Vec<Event> {
        let said = self.take_said().into_iter();
        said.filter_map(|output| if let Output::Log(event) = output { Some(event) } else { None }).collect()
    }

    /// What was answered.
    pub(super) fn take_answers(&mut self) -> Vec<(u64, Result<Answer, Reason>)> {
        let said = self.take_said().into_iter();
        said.filter_map(|output| if let Output::Answer(id, answer) = output { Some((id.0, answer)) } else { None }).collect()
    }

    /// What processes that make records were told when they came.
    pub(super) fn take_attached(&mut self) -> Vec<(SourceId, Attached)> {
        let said = self.take_said().into_iter();
        said.filter_map(|output| if let Output::Attached(source, what) = output { Some((source, what)) } else { None }).collect()
    }

    /// The oldest store or removal becomes durable.
    pub(super) fn stored(&mut self) -> (StateFile, Option<SecretBytes>) {
        let (effect_id, file, contents) = self.files.pop_front().unwrap();
        self.happens(IoEvent::Stored(effect_id));
        (file, contents)
    }

    /// The oldest store or removal fails.
    pub(super) fn not_stored(&mut self) -> StateFile {
        let (effect_id, file, _) = self.files.pop_front().unwrap();
        self.happens(IoEvent::NotStored(effect_id));
        file
    }

    /// The disk carries out all there is: which files were stored, and which removed.
    pub(super) fn settle(&mut self) -> (Vec<StateFile>, Vec<StateFile>) {
        let (mut kept, mut removed) = (vec![], vec![]);
        while !self.files.is_empty() {
            let (file, contents) = self.stored();
            if contents.is_some() { kept.push(file) } else { removed.push(file) }
        }
        (kept, removed)
    }

    /// Everything that is asked about directories is answered: two are bound, and nothing stands anywhere else.
    pub(super) fn look(&mut self) {
        while let Some((task_id, directory)) = self.looks.pop_front() {
            let looked = looked(directory);
            self.input(Input::Looked(task_id, looked));
        }
    }

    /// A process comes that makes records, and what stands in its directory is known.
    pub(super) fn start(&mut self, source: SourceId, directory: &str) {
        let attach = Attach::Start { directory: directory.into(), title: title() };
        let [seed, ..] = source.0.to_le_bytes();
        self.input(Input::Attach(source, attach, Entropy::new([seed; 32])));
        self.look();
    }

    /// A session that streams.
    pub(super) fn streams(&mut self, source: SourceId, directory: &str) -> SessionId {
        self.start(source, directory);
        self.settle();
        match self.take_attached().pop() {
            Some((attached, Attached::Streaming { session, .. })) if attached == source => session,
            other => panic!("{other:?}"),
        }
    }

    /// A process comes back.
    pub(super) fn again(&mut self, source: SourceId, session: SessionId) {
        self.input(Input::Attach(source, Attach::Again { session }, Entropy::new([0; 32])));
    }

    /// The next request of the pairing is answered.
    pub(super) fn answer(&mut self, status: u16, body: &impl ToString) -> HttpRequest {
        self.answer_of(|effect_id| matches!(effect_id, EffectId::Pairing(..)), status, body)
    }

    /// The next request of those that are meant is answered.
    pub(super) fn answer_of(&mut self, is_meant: impl Fn(&EffectId) -> bool, status: u16, body: &impl ToString) -> HttpRequest {
        let at = self.net.iter().position(|effect| matches!(effect, Effect::Http(effect_id, _) if is_meant(effect_id))).unwrap();
        let Effect::Http(effect_id, request) = self.net.remove(at) else { panic!() };
        let answer = HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(body.to_string()) };
        self.happens(IoEvent::Answered(effect_id, answer));
        request
    }

    /// The bridges that dial, and have not been answered.
    pub(super) fn dialled(&mut self) -> Vec<EffectId> {
        let (dials, others) = mem::take(&mut self.net).into_iter().partition(|effect| matches!(effect, Effect::Connect(..)));
        self.net = others;
        let effect_id = |dial| if let Effect::Connect(effect_id, _) = dial { effect_id } else { panic!() };
        Vec::into_iter(dials).map(effect_id).collect()
    }

    /// The link of a binding comes up.
    pub(super) fn up(&mut self, id: &BindingId) -> Relay {
        self.pass(Duration::ZERO);
        let is_its = |effect: &Effect<EffectId>| matches!(effect, Effect::Connect(EffectId::Bridge(of, ..), _) if **of == *id);
        let at = self.net.iter().position(is_its).unwrap();
        let Effect::Connect(effect_id, _) = self.net.remove(at) else { panic!() };
        self.happens(IoEvent::Connected(effect_id.clone(), Entropy::new([4; 32])));
        let (channel, message_2) = relay::welcome(&self.sent(&effect_id).remove(0));
        self.happens(IoEvent::Received(effect_id.clone(), message_2));
        Relay { effect_id, channel }
    }

    fn sent(&mut self, effect_id: &EffectId) -> Vec<bytes::Bytes> {
        let is_its = |effect: &Effect<EffectId>| matches!(effect, Effect::Send(to, _) if to == effect_id);
        let (its, others): (Vec<_>, _) = mem::take(&mut self.net).into_iter().partition(is_its);
        self.net = others;
        its.into_iter().map(|effect| if let Effect::Send(_, message) = effect { message } else { panic!() }).collect()
    }

    /// The relay says something.
    pub(super) fn tell(&mut self, relay: &mut Relay, frame: impl Into<Frame>) {
        let message = relay.channel.seal(&frame.into()).unwrap();
        self.happens(IoEvent::Received(relay.effect_id.clone(), message));
    }

    /// The frames that arrived at the relay.
    pub(super) fn heard(&mut self, relay: &mut Relay) -> Vec<Frame> {
        self.sent(&relay.effect_id).into_iter().map(|message| relay.channel.open(&message).unwrap()).collect()
    }

    pub(super) fn stats(&self) -> [u64; 3] {
        let Stats { stale_answers, stale_events, unattached } = *self.daemon.stats();
        [stale_answers, stale_events, unattached]
    }
}

pub(super) fn settings() -> Settings {
    Settings { host: "laptop".into(), version: "0.1.0".into(), pid: 7, api_endpoint: Some(API.into()), aes_in_hardware: false }
}

pub(super) fn try_boot(found: &StoredState) -> Result<Daemon<Symbolic>, Reason> {
    Daemon::boot(START, WallClock::new(START, UNIX), found, settings(), JitterRng::new(1))
}

/// The disk of a daemon that is paired with [`org`] and [`beta`] and has a directory bound to each.
pub(super) fn found() -> StoredState {
    let (org_record, beta_record) = (relay::record(), beta_record());
    let mut grants = Grants::default();
    for (directory, org_id) in [(BOUND, org().org), (BOUND_TO_BETA, beta().org)] {
        let grant = Grant { org_id, recursive: directory == BOUND, bound_at: "then".into(), unknown: Unknown::new() };
        grants.directories.insert(directory.into(), grant);
    }
    StoredState {
        config: Some(config(vec![org_record, beta_record])),
        identities: vec![key_of(&org().org, 0, 3), key_of(&beta().org, 0, 4)],
        grants: Some(grants.write().unwrap()),
        ..StoredState::default()
    }
}

pub(super) fn config(bindings: Vec<BindingRecord>) -> SecretBytes {
    Config { bindings, ..Config::default() }.write().unwrap()
}

pub(super) fn key_of(org: &OrgId, number: u32, seed: u8) -> (StateFile, SecretBytes) {
    (StateFile::Identity(org.clone(), number), IdentityFile::new(Secret::new([seed; 32])).write().unwrap())
}

/// A binding by the name "Org".
pub(super) fn org() -> BindingId {
    BindingId { org: "ORG".parse().unwrap(), runtime_target: "r1".parse().unwrap() }
}

/// A binding by the name "Zeta", whose id comes before the other's.
pub(super) fn beta() -> BindingId {
    BindingId { org: "BETA".parse().unwrap(), runtime_target: "r2".parse().unwrap() }
}

pub(super) fn beta_record() -> BindingRecord {
    let identity = Identity::from_seed(Secret::new([4; 32]));
    let BindingId { org, runtime_target } = beta();
    let claims = jose::Claims { org: org.clone(), runtime_target: runtime_target.clone(), ..testing::claims(&identity, UNIX) };
    BindingRecord {
        workspace_id: org,
        runtime_target_id: runtime_target,
        slug: "beta".into(),
        name: "Zeta".into(),
        issue_token: jose::sign(&claims, &relay::signer()),
        identity: "relay-identities/BETA.json".into(),
        ..relay::record()
    }
}

pub(super) fn title() -> Title {
    Title { command: "agent --now".into(), directory: BOUND.into(), started: UNIX.0, columns: 80, rows: 24 }
}

/// The pin of session `n`, which started so many seconds after the epoch.
pub(super) fn pin(n: usize, binding: &BindingId, started: u64) -> SessionFile {
    SessionFile {
        version: VERSION,
        session: numbered(n),
        workspace_id: binding.org.clone(),
        runtime_target_id: binding.runtime_target.clone(),
        cipher: 2,
        secret: Secret::new([8; 32]),
        started: UnixTime(started),
        title: title(),
        unknown: Unknown::new(),
    }
}

pub(super) fn numbered(n: usize) -> SessionId {
    SessionId((n as u128).to_be_bytes())
}

pub(super) fn with_pins(pins: impl IntoIterator<Item = SessionFile>) -> StoredState {
    StoredState { sessions: pins.into_iter().map(|pin| pin.write().unwrap()).collect(), ..found() }
}

pub(super) fn looked(directory: Directory) -> Looked {
    let org = match directory.as_str() {
        BOUND => Some("ORG"),
        BOUND_TO_BETA => Some("BETA"),
        _ => None,
    };
    let granted = |org| alloc::format!("org_id: \"{org}\"\nstreaming: enabled\nbound_at: \"then\"\n").into_bytes();
    let local = org.map_or(File::Absent, |org| File::Contents(granted(org)));
    Looked { directory, is_repository: false, local, workspace: File::Absent, ignore: File::Absent }
}

pub(super) fn directory(path: &str) -> Directory {
    Directory::parse(path).unwrap()
}
