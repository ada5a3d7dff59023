//! A watcher whose platform, relay and disk are played by the test.

use alloc::{collections::VecDeque, string::ToString, vec, vec::Vec};
use core::{mem, time::Duration};

use bytes::Bytes;

pub(super) use super::super::*;
use crate::testing;
pub(super) use crate::{
    Entropy, OrgId, UnixTime,
    crypto::{Identity, PureRust},
    device::{
        files::{BindingRecord, Config, Document, IdentityFile, PendingPairing},
        pairing::tests::desk::{approval, key_set, mint_answer},
        uplink::testing::{START, UNIX, record, relay, signer, welcome},
    },
    effect::{Closed, Connect, Effect, HttpAnswer, HttpRequest, IoEvent, StateFile},
    id::DeviceKind,
    jose::{self, Claims},
    noise::{Noise as _, Symbolic, channel::Channel},
    secret::{Secret, SecretBytes},
    wire::{Answer, Frame, Head, Refused},
};

pub(super) const API: &str = "https://api.example";

/// The machine, its virtual clock, and what it wants and has not been given yet.
pub(super) struct Bench {
    pub(super) watcher: Watcher<Symbolic>,
    pub(super) now: Instant,
    pub(super) files: VecDeque<(EffectId, StateFile, Option<SecretBytes>)>,
    pub(super) net: Vec<Effect<EffectId>>,
    pub(super) said: Vec<Output>,
}

/// The other end of a link.
pub(super) struct Relay {
    pub(super) effect_id: EffectId,
    pub(super) channel: Channel<Symbolic>,
}

impl Bench {
    /// A device that was never paired, with the goal to show what it is told.
    pub(super) fn new() -> Self {
        Self::boot(&StoredState::default(), None, Goal::Chosen)
    }

    /// One that is paired with [`org`], with this goal.
    pub(super) fn paired(goal: Goal) -> Self {
        Self::boot(&found(vec![record()]), None, goal)
    }

    /// One that is paired with [`org`], with these settings.
    pub(super) fn with(settings: Settings) -> Self {
        Self::start(&found(vec![record()]), settings)
    }

    pub(super) fn boot(found: &StoredState, org: Option<&str>, goal: Goal) -> Self {
        Self::start(found, Settings { org: org.map(Into::into), goal, ..settings() })
    }

    fn start(found: &StoredState, settings: Settings) -> Self {
        let clock = WallClock::new(START, UNIX);
        let watcher = Watcher::boot(START, clock, found, settings, &Entropy::new([7; 32]), JitterRng::new(1)).unwrap();
        let mut bench = Self { watcher, now: START, files: VecDeque::new(), net: vec![], said: vec![] };
        bench.drain();
        bench
    }

    fn drain(&mut self) {
        while let Some(output) = self.watcher.poll_output() {
            match output {
                Output::Effect(Effect::Store(effect_id, file, bytes)) => self.files.push_back((effect_id, file, Some(bytes))),
                Output::Effect(Effect::Remove(effect_id, file)) => self.files.push_back((effect_id, file, None)),
                Output::Effect(effect) => self.net.push(effect),
                said => self.said.push(said),
            }
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        self.watcher.handle_input(self.now, input).unwrap();
        self.drain();
    }

    pub(super) fn happens(&mut self, event: IoEvent<EffectId>) {
        self.input(Input::Io(event));
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.watcher.handle_timeout(self.now);
        self.drain();
    }

    pub(super) fn clock(&mut self, unix: UnixTime) {
        self.watcher.handle_clock(self.now, WallClock::new(self.now, unix));
        self.drain();
    }

    pub(super) fn take_said(&mut self) -> Vec<Output> {
        mem::take(&mut self.said)
    }

    /// The oldest store or removal becomes durable.
    pub(super) fn stored(&mut self) -> (StateFile, Option<SecretBytes>) {
        let (effect_id, file, contents) = self.files.pop_front().unwrap();
        self.happens(IoEvent::Stored(effect_id));
        (file, contents)
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

    /// The next request of this kind is answered.
    pub(super) fn answer(&mut self, is_meant: impl Fn(&EffectId) -> bool, status: u16, body: &impl ToString) -> HttpRequest {
        let at = self.net.iter().position(|effect| matches!(effect, Effect::Http(effect_id, _) if is_meant(effect_id))).unwrap();
        let Effect::Http(effect_id, request) = self.net.remove(at) else { panic!() };
        let answer = HttpAnswer { status, retry_after: None, date: None, body: SecretBytes::new(body.to_string()) };
        self.happens(IoEvent::Answered(effect_id, answer));
        request
    }

    /// The pairing gets a code, which becomes durable.
    pub(super) fn mint(&mut self) -> PendingPairing {
        self.answer(of_pairing, 201, &mint_answer());
        let (file, contents) = self.stored();
        assert_eq!(file, StateFile::PendingPairing);
        PendingPairing::parse(contents.unwrap().expose()).unwrap()
    }

    /// A member approves it: up to the hand-over.
    pub(super) fn approve(&mut self, pending: &PendingPairing, change: impl Fn(&mut Claims)) {
        let mut approval = approval(&Identity::from_seed(pending.seed.clone()), |claims| {
            claims.role = DeviceKind::Viewer;
            change(claims);
        });
        approval["relay"]["static_keys"][0] = relay().static_key().to_base64url().into();
        self.answer(of_pairing, 200, &approval);
        self.answer(of_pairing, 200, &key_set());
    }

    /// The links that are dialled, and have not been answered.
    pub(super) fn dialled(&mut self) -> Vec<EffectId> {
        let dials = self.net.extract_if(.., |effect| matches!(effect, Effect::Connect(..)));
        dials.map(|dial| if let Effect::Connect(effect_id, Connect { .. }) = dial { effect_id } else { panic!() }).collect()
    }

    /// The relay refuses to let the device in, under its pinned key.
    pub(super) fn refused_under_key(&mut self, reason: Reason) {
        let effect_id = self.connects();
        let (mut noise, _) =
            Symbolic::respond(relay().static_keys(), Entropy::new([6; 32]), &self.sent(effect_id).remove(0)).unwrap();
        let refusal = Answer::Refused(Refused { reason, retry_after: 0 }).encode();
        self.happens(IoEvent::Received(effect_id, noise.answer(None, &refusal).unwrap().into()));
        self.closes(effect_id, None);
    }

    /// The link comes up.
    pub(super) fn up(&mut self) -> Relay {
        self.pass(Duration::ZERO);
        self.up_after_dial()
    }

    /// The same, where it may have been dialled already, or will be after a pause.
    pub(super) fn up_after_dial(&mut self) -> Relay {
        let effect_id = self.connects();
        let (channel, message_2) = welcome(&self.sent(effect_id).remove(0));
        self.happens(IoEvent::Received(effect_id, message_2));
        Relay { effect_id, channel }
    }

    fn connects(&mut self) -> EffectId {
        let is_dial = |effect: &Effect<EffectId>| matches!(effect, Effect::Connect(..));
        while !self.net.iter().any(is_dial) {
            let at = self.watcher.poll_timeout().expect("a link that tries again").at;
            self.pass(at.since(self.now));
        }
        let effect_id = self.dialled().pop().expect("a link is dialled");
        // What was sent over an earlier one is lost.
        self.sent(effect_id);
        self.happens(IoEvent::Connected(effect_id, Entropy::new([4; 32])));
        effect_id
    }

    pub(super) fn sent(&mut self, effect_id: EffectId) -> Vec<Bytes> {
        let its = self.net.extract_if(.., |effect| matches!(effect, Effect::Send(to, _) if *to == effect_id));
        its.map(|effect| if let Effect::Send(_, message) = effect { message } else { panic!() }).collect()
    }

    /// The relay says something.
    pub(super) fn tell(&mut self, relay: &mut Relay, frame: impl Into<Frame>) {
        let message = relay.channel.seal(&frame.into()).unwrap();
        self.happens(IoEvent::Received(relay.effect_id, message));
    }

    /// The frames that arrived at the relay.
    pub(super) fn heard(&mut self, relay: &mut Relay) -> Vec<Frame> {
        self.sent(relay.effect_id).into_iter().map(|message| relay.channel.open(&message).unwrap()).collect()
    }

    /// The relay names a session, with a voucher that cannot be read.
    pub(super) fn open(&mut self, relay: &mut Relay, session: SessionId) {
        self.tell(relay, Head::Open { session, cipher: 1 });
    }

    /// The socket is closed, with this reason or none.
    pub(super) fn closes(&mut self, effect_id: EffectId, reason: Option<Reason>) {
        self.happens(IoEvent::Closed(effect_id, Closed::ByPeer(reason)));
    }

    /// Dials, and is turned away because of its pre-shared key.
    pub(super) fn is_of_no_use(&mut self) {
        self.pass(Duration::ZERO);
        let effect_id = self.dialled().pop().expect("a link is dialled");
        self.closes(effect_id, Some(Reason::NoisePskInvalid));
    }

    pub(super) fn waits_for(&self) -> &'static str {
        match self.watcher.status() {
            Status::Running { waiting_for } => waiting_for,
            other => panic!("{other:?}"),
        }
    }
}

pub(super) const fn of_pairing(effect_id: &EffectId) -> bool {
    matches!(effect_id, EffectId::Pairing(..))
}

pub(super) const fn of_rotation(effect_id: &EffectId) -> bool {
    matches!(effect_id, EffectId::Viewer(_, uplink::EffectId::Rotation(_)))
}

pub(super) fn settings() -> Settings {
    Settings {
        host: "tablet".into(),
        software: "vpd 0.1.0".into(),
        api_endpoint: Some(API.into()),
        aes_in_hardware: false,
        primitives: &PureRust,
        org: None,
        goal: Goal::Chosen,
        wanted: choice::Wanted::default(),
        surrounding: None,
    }
}

/// The disk of a device with these bindings.
pub(super) fn found(bindings: Vec<BindingRecord>) -> StoredState {
    let key = |record: &BindingRecord| {
        let seed = if record.workspace_id == org() { 3 } else { 4 };
        (StateFile::Identity(record.workspace_id.clone(), 0), IdentityFile::new(Secret::new([seed; 32])).write().unwrap())
    };
    let identities = bindings.iter().map(key).collect();
    let config = Config { bindings, ..Config::default() }.write().unwrap();
    StoredState { config: Some(config), identities, ..StoredState::default() }
}

/// An organization with the slug "org".
pub(super) fn org() -> OrgId {
    "ORG".parse().unwrap()
}

/// The binding with an organization with the slug "beta".
pub(super) fn beta_record() -> BindingRecord {
    let identity = Identity::from_seed(Secret::new([4; 32]));
    let claims = Claims { org: "BETA".parse().unwrap(), ..testing::claims(&identity, UNIX) };
    BindingRecord {
        workspace_id: "BETA".parse().unwrap(),
        slug: "beta".into(),
        name: "Beta".into(),
        issue_token: jose::sign(&claims, &signer()),
        identity: "relay-identities/BETA.json".into(),
        ..record()
    }
}

pub(super) const fn numbered(n: u128) -> SessionId {
    SessionId(n.to_be_bytes())
}
