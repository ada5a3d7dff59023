//! The running part of one binding: its uplink, its sessions, and the viewers who ask for their keys. Bindings share nothing but
//! the daemon's loop, so everything that is one org's lives in here (S135 to S138, ISO-2).
//!
//! ```text
//!   vpd run ──Data, End──────────► stream ────► uplink ────► relay      a stream passes only what continues what the relay
//!           ◄─Resume, Acknowledge─ stream ◄──── uplink ◄──── relay      has; it keeps no records of its own
//!                             key requests ◄──► uplink ◄───► viewers    keys, in handshakes of their own
//!                 the organization's key ──► envelopes ─────► relay      a few at a time, until the relay has one of each session
//!
//!   Running ── Cut ──► Finished         Running ── the relay ended it ──► Failed(reason)
//! ```
//!
//! A session that the relay declines (`Decline`) is opened again after the pause that the relay names, or on the next link,
//! whichever is first; the others go on meanwhile (F4).
//!
//! The bridge drains its uplink inside its own `handle_*`; its deadline is the earliest one of the uplink's, the key requests' and
//! the declined sessions'.

mod declined;
mod envelopes;
mod event;
mod key_requests;
mod stream;

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;

use bytes::Bytes;
use declined::Declined;
pub use event::{Input, Output, SourceId, Timer};
use key_requests::{KeyRequests, RequesterId, Step, VerdictContext};
use stream::{EnvelopeState, Stream};

use crate::{
    Deadline, Instant, JitterRng, Machine, MachineBase, Misuse, Obstacle, Reason, SessionId, Status, Unhashed, UnixTime,
    WallClock,
    crypto::{Cipher, Identity, seal::EpochSecret},
    device::{
        files::{BindingRecord, OrganizationKeyFile},
        link::LinkState,
        orgkey::{KeyEvent, OrganizationKey},
        uplink::{self, Settings, Uplink},
    },
    id::OrgId,
    keyset::LookupId,
    noise::Noise,
    wire::{Frame, Head, Role},
};

/// The most sessions of one binding that are known; the daemon forgets one before it adds another.
pub const MAX_SESSIONS: usize = 4096;

/// The machine. See the [module page](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bridge<N> {
    org: OrgId,
    identity: Identity,
    software: alloc::string::String,
    uplink: Uplink<N>,
    streams: BTreeMap<SessionId, Stream>,
    declined: Declined,
    /// The relay has not said that it cannot.
    relay_stores: bool,
    key_requests: KeyRequests<N>,
    stats: Unhashed<Stats>,
    port: MachineBase<Output>,
}

/// What was dropped or ignored, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stats {
    /// Records that did not continue what the relay has; they come again.
    pub out_of_turn: u64,
    /// Frames about sessions that are not known here, or of another binding.
    pub unknown_session: u64,
    /// Messages of viewers that do not open or are not valid here.
    pub invalid_peer_messages: u64,
}

impl Stats {
    const fn ignored(&self) -> u64 {
        self.out_of_turn.saturating_add(self.unknown_session).saturating_add(self.invalid_peer_messages)
    }
}

impl<N: Noise> Bridge<N> {
    /// The bridge of a binding, which connects at once. `key` is what the last run kept of the organization's key.
    ///
    /// # Errors
    /// [`Reason::TokenMalformed`] when the record holds no credential.
    pub fn new(
        now: Instant,
        clock: WallClock,
        record: &BindingRecord,
        identity: Identity,
        key: Option<&OrganizationKeyFile>,
        settings: &Settings,
        jitter: JitterRng,
    ) -> Result<Self, Reason> {
        let mut bridge = Self {
            org: record.workspace_id.clone(),
            software: settings.software.clone(),
            uplink: Uplink::new(now, clock, Role::Daemon, record, &identity, key, settings, jitter)?,
            identity,
            streams: BTreeMap::new(),
            declined: Declined::default(),
            relay_stores: true,
            key_requests: KeyRequests::new(),
            stats: Unhashed(Stats::default()),
            port: MachineBase::new(now),
        };
        bridge.drain();
        Ok(bridge)
    }

    /// How the link stands.
    pub const fn link_state(&self) -> LinkState {
        self.uplink.link_state()
    }

    /// Why the link is not up, or else what hinders the renewal of the credential, or that the relay stores nothing.
    pub fn trouble(&self) -> Option<Reason> {
        self.uplink.trouble().or((!self.relay_stores).then_some(Reason::RelayCannotStore))
    }

    /// What the latest attempt met.
    pub fn obstacle(&self) -> Option<Obstacle> {
        self.uplink.obstacle()
    }

    /// Why the relay does not take a session at the moment.
    pub fn declined(&self, session: SessionId) -> Option<Reason> {
        self.declined.reason(session)
    }

    /// By how many seconds this machine's clock is ahead of the platform's; none where they agree, as far as is known.
    pub fn clock_ahead(&self) -> Option<i64> {
        self.uplink.clock_ahead()
    }

    /// After that the credential cannot be renewed any more.
    pub const fn renewable_until(&self) -> UnixTime {
        self.uplink.renewable_until()
    }

    /// The organization's key, as far as this device knows it.
    pub const fn organization_key(&self) -> &OrganizationKey {
        self.uplink.organization_key()
    }

    /// How many sessions cannot be opened without this machine: the relay is not known to have an envelope of them.
    pub fn without_envelope(&self) -> usize {
        self.streams.values().filter(|stream| stream.envelope() != EnvelopeState::Kept).count()
    }

    /// What was dropped or ignored here so far; [`Machine::ignored`] counts what the uplink ignored too.
    pub const fn stats(&self) -> &Stats {
        &self.stats.0
    }

    fn know(&mut self, session: SessionId, cipher: Cipher, secret: EpochSecret) {
        if self.streams.len() < MAX_SESSIONS {
            self.streams.entry(session).or_insert_with(|| Stream::new(cipher, secret));
        } else {
            self.stats.0.unknown_session += 1;
        }
    }

    fn forget(&mut self, session: SessionId) {
        self.streams.remove(&session);
        self.declined.remove(session);
    }

    fn attach(&mut self, source: SourceId, session: SessionId) {
        match self.streams.get_mut(&session) {
            Some(stream) => stream.attach(source),
            None => self.stats.0.unknown_session += 1,
        }
    }

    fn detach(&mut self, source: SourceId) {
        self.streams.values_mut().filter(|stream| stream.source() == Some(source)).for_each(Stream::detach);
    }

    /// A process that makes records says something.
    fn source_said(&mut self, source: SourceId, frame: Frame) {
        let stream = frame.head.session().and_then(|session| self.streams.get_mut(&session));
        let Some(stream) = stream.filter(|stream| stream.source() == Some(source)) else {
            self.stats.0.unknown_session += 1;
            return;
        };
        let passed = match frame.head {
            Head::Data { sequence, .. } => stream.passes_data(sequence).then_some(frame),
            Head::End { next, .. } => stream.passes_end(next).then_some(frame),
            Head::Open { session, .. } if self.uplink.is_up() => stream.open(session),
            _ => None,
        };
        match passed {
            Some(frame) => {
                let is_new = matches!(frame.head, Head::Open { .. });
                self.send(frame);
                if is_new {
                    self.seal_next();
                }
            }
            None => self.stats.0.out_of_turn += 1,
        }
    }

    /// The relay says something.
    fn relay_said(&mut self, frame: Frame) {
        match frame.head {
            Head::Peer { session, viewer } => self.visit((session, viewer), &frame.body),
            Head::Enveloped { session, is_durable } => self.enveloped(session, is_durable),
            Head::Storing { works } => self.relay_stores = works,
            Head::Resume { session, next } => {
                self.declined.remove(session);
                if let Some(stream) = self.streams.get_mut(&session) {
                    stream.resume(next);
                }
                self.tell_source(session, frame);
            }
            Head::Acknowledge { session, next } => {
                self.tell_source(session, frame);
                if let Some(stream) = self.streams.get_mut(&session).filter(|stream| stream.is_whole(next)) {
                    stream.detach();
                    self.port.push(Output::SessionOver(session));
                }
            }
            Head::Decline { session, reason, retry_after } => self.decline(session, reason, retry_after),
            _ => {}
        }
    }

    /// The relay does not take a session. Its process need not know: what it makes is kept meanwhile.
    fn decline(&mut self, session: SessionId, reason: Reason, retry_after: u32) {
        if !self.streams.get(&session).is_some_and(Stream::is_waiting) {
            self.stats.0.unknown_session += 1;
        } else if self.declined.add(session, reason, retry_after, self.port.now()) {
            self.port.push(Output::Declined(session, reason));
        }
    }

    fn open_again(&mut self) {
        if !self.uplink.is_up() {
            return;
        }
        for session in self.declined.due(self.port.now()) {
            match self.streams.get_mut(&session).and_then(|stream| stream.open(session)) {
                Some(open) => self.send(open),
                None => self.declined.remove(session),
            }
        }
    }

    fn tell_source(&mut self, session: SessionId, frame: Frame) {
        match self.streams.get(&session).and_then(Stream::source) {
            Some(source) => self.port.push(Output::ToSource(source, frame)),
            None => self.stats.0.unknown_session += 1,
        }
    }

    fn visit(&mut self, visitor: RequesterId, body: &Bytes) {
        let (Some(stream), Some(entropy)) = (self.streams.get(&visitor.0), self.uplink.draw()) else {
            self.stats.0.unknown_session += 1;
            return;
        };
        let local = self.identity.static_keys();
        match self.key_requests.message(&mut self.port, visitor, body, stream.secret(), local, &entropy) {
            Step::Nothing => {}
            Step::Strange => self.stats.0.invalid_peer_messages += 1,
            Step::Send(frame) => self.send(frame),
            Step::Look(lookup, kid) => self.drive(uplink::Input::Look(lookup, kid)),
        }
    }

    fn looked_up(&mut self, lookup: LookupId) {
        let host =
            VerdictContext { org: &self.org, software: &self.software, keys: self.uplink.keys(), unix: self.uplink.unix() };
        if let Some(frame) = self.key_requests.looked_up(&mut self.port, lookup, &host) {
            self.send(frame);
        }
    }

    /// The link is up: say which sessions are here, so that the relay says where to go on.
    fn came_up(&mut self) {
        self.port.push(Output::Up);
        self.declined.ask_again();
        // One that cannot says so anew.
        self.relay_stores = true;
        let opens = self.streams.iter_mut().filter_map(|(session, stream)| stream.open(*session));
        for open in opens.collect::<alloc::vec::Vec<_>>() {
            self.send(open);
        }
        self.seal_again();
    }

    /// The binding ends: what was streamed stays where it is, what runs goes on without us.
    fn tell_all(&mut self, reason: Reason) {
        for source in self.streams.values().filter_map(Stream::source) {
            self.port.push(Output::ToSource(source, Head::Revoke { reason }.into()));
        }
        self.streams.clear();
        self.declined = Declined::default();
    }

    fn send(&mut self, frame: Frame) {
        self.drive(uplink::Input::Send(frame));
    }

    fn drive(&mut self, input: uplink::Input) {
        self.port.feed(&mut self.uplink, input);
    }

    fn drain(&mut self) {
        while let Some(output) = self.uplink.poll_output() {
            match output {
                uplink::Output::Effect(effect) => self.port.push(Output::Effect(effect)),
                uplink::Output::Renewed(renewal) => self.port.push(Output::Renewed(renewal)),
                uplink::Output::NotRenewed(reason) => self.port.push(Output::NotRenewed(reason)),
                uplink::Output::RenewalExpired => self.port.push(Output::RenewalExpired),
                uplink::Output::Up => self.came_up(),
                uplink::Output::Down(reason) => self.port.push(Output::Down(reason)),
                uplink::Output::Ended(reason) => {
                    self.tell_all(reason);
                    self.port.push(Output::Ended(reason));
                }
                uplink::Output::Received(frame) => self.relay_said(frame),
                uplink::Output::LookedUp(lookup) => self.looked_up(lookup),
                uplink::Output::Keep(file) => self.port.push(Output::Keep(file)),
                uplink::Output::KeyNews(news) => self.key_news(news),
                // Said to devices that watch alone.
                uplink::Output::Machines(_) => {}
            }
        }
    }
}

impl<N: Noise> Machine for Bridge<N> {
    type Input = Input;
    type Output = Output;
    type Failure = Reason;
    type Timer = Timer;

    fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Misuse> {
        self.port.enter(now)?;
        match input {
            _ if !matches!(self.status(), Status::Running { .. }) => self.port.ignore(),
            Input::Io(event) => self.drive(uplink::Input::Io(event)),
            Input::Stored(relay) => self.drive(uplink::Input::Stored(relay)),
            Input::Know { session, cipher, secret } => self.know(session, cipher, secret),
            Input::Forget(session) => self.forget(session),
            Input::Attach(source, session) => self.attach(source, session),
            Input::Frame(source, frame) => self.source_said(source, frame),
            Input::Detach(source) => self.detach(source),
            Input::Kept(is_durable) => self.drive(uplink::Input::Kept(is_durable)),
            Input::RetryNow => self.drive(uplink::Input::RetryNow),
            Input::Cut(reason) => {
                self.tell_all(reason);
                self.drive(uplink::Input::Stop);
            }
            Input::Stop => self.drive(uplink::Input::Stop),
        }
        self.drain();
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        self.uplink.handle_timeout(self.port.now());
        self.key_requests.expire(&self.port);
        self.drain();
        self.open_again();
        self.drain();
    }

    fn handle_clock(&mut self, now: Instant, wall: WallClock) {
        self.port.advance(now);
        self.uplink.handle_clock(self.port.now(), wall);
        self.drain();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.port.pop()
    }

    fn poll_timeout(&self) -> Option<Deadline<Timer>> {
        if !matches!(self.status(), Status::Running { .. }) {
            return None;
        }
        let uplink = self.uplink.poll_timeout().map(|deadline| deadline.map(Timer::Uplink));
        let visitor = self.key_requests.next_deadline().map(|deadline| deadline.map(Timer::KeyRequest));
        let declined = self.declined.next().filter(|_| self.uplink.is_up()).map(|at| Deadline::new(at, Timer::OpenAgain));
        Deadline::earliest(Deadline::earliest(uplink, visitor), declined)
    }

    /// A bridge lives as long as its uplink.
    fn status(&self) -> Status<'_, Reason> {
        self.uplink.status()
    }

    fn ignored(&self) -> u64 {
        self.stats.0.ignored().saturating_add(self.port.ignored())
    }
}
