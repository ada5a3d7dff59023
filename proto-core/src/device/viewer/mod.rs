//! A device that watches: one link to the relay of one org, and the sessions it wants to see.
//!
//! ```text
//!   relay ──Open(session, daemon's credential)──► Listed ── looked up and verified: the daemon's key is known
//!                                                   │ Watch
//!                                                   ▼
//!   daemon ◄── a handshake of its own, through the relay ── key of the session ──► Reading ──► Record, Record, …, Ended
//! ```
//!
//! The relay is not trusted with anything but bytes: whose daemon it is, the platform's signature says; what a record says, the
//! session's key; that none is missing, their numbers. After a loss of the link each session goes on where it stood.

mod event;
mod watched;

#[cfg(test)]
mod tests;

use core::{
    hash::{Hash, Hasher},
    mem,
};

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use bytes::Bytes;

pub use event::{Input, Output, Timer};
use watched::{HandshakeContext, NextStep, Step, Watched};

use crate::{
    BufferPool, Deadline, Instant, JitterRng, Machine, MachineBase, Misuse, Reason, SessionId, Status, WallClock,
    crypto::{Cipher, Identity, Primitives},
    device::{
        files::{BindingRecord, OrganizationKeyFile},
        orgkey::{KeyEvent, OrganizationKey},
        uplink::{self, Settings, Uplink},
    },
    id::{DeviceKind, OrgId, PlatformId},
    jose::{Confirmation, Expectation, Expiry, Unverified},
    keyset::LookupId,
    machine::timed::TimedMap,
    noise::Noise,
    wire::{Frame, Head, Listing, Role},
};

/// The most sessions that are kept in mind; further ones are counted and ignored.
pub const MAX_SESSIONS: usize = 16_384;

/// What the relay says of a session, as far as nothing of it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct About {
    /// When, how much, and how it stands.
    pub listing: Listing,
    /// The runtime target that runs it. A relay may name another one of the organization; records of that would not open.
    pub machine: Option<PlatformId>,
}

/// The machine. See the [module page](self).
#[derive(Clone, Debug)]
pub struct Viewer<N> {
    org: OrgId,
    identity: Identity,
    software: String,
    aes_in_hardware: bool,
    primitives: &'static dyn Primitives,
    uplink: Uplink<N>,
    sessions: TimedMap<SessionId, Watched<N>, Timer>,
    lookups: BTreeMap<LookupId, SessionId>,
    looked: u64,
    /// Records that were shown, of whichever session.
    buffers: BufferPool,
    port: MachineBase<Output>,
}

/// All but the primitives, which all give the same bytes.
impl<N: Hash> Hash for Viewer<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { org, identity, software, aes_in_hardware, uplink, sessions, lookups, looked, port, .. } = self;
        (org, identity, software, aes_in_hardware, uplink).hash(state);
        (sessions, lookups, looked, port).hash(state);
    }
}

impl<N: Noise> Viewer<N> {
    /// A viewer that connects at once. `key` is what the last run kept of the organization's key.
    ///
    /// # Errors
    /// [`Reason::TokenMalformed`] when the record holds no credential.
    #[expect(clippy::too_many_arguments, reason = "each of them is something else, and comes from somewhere else")]
    pub fn new(
        now: Instant,
        clock: WallClock,
        record: &BindingRecord,
        identity: Identity,
        key: Option<&OrganizationKeyFile>,
        settings: &Settings,
        primitives: &'static dyn Primitives,
        jitter: JitterRng,
    ) -> Result<Self, Reason> {
        let mut viewer = Self {
            org: record.workspace_id.clone(),
            software: settings.software.clone(),
            aes_in_hardware: settings.aes_in_hardware,
            primitives,
            uplink: Uplink::new(now, clock, Role::Viewer, record, &identity, key, settings, jitter)?,
            identity,
            sessions: TimedMap::new(),
            lookups: BTreeMap::new(),
            looked: 0,
            buffers: BufferPool::default(),
            port: MachineBase::new(now),
        };
        viewer.drain();
        Ok(viewer)
    }

    /// The organization's key, as far as this device knows and holds it.
    pub const fn organization_key(&self) -> &OrganizationKey {
        self.uplink.organization_key()
    }

    /// Whether frames flow.
    pub const fn is_up(&self) -> bool {
        self.uplink.is_up()
    }

    /// What the relay says of a session, if it has named it.
    pub fn about(&self, session: SessionId) -> Option<About> {
        self.sessions.get(&session).map(Watched::about)
    }

    fn watch(&mut self, session: SessionId) {
        if !self.register_session(session) {
            return self.port.ignore();
        }
        self.sessions.touch(&session, Watched::want);
        self.approach(session);
    }

    /// Keeps a session in mind from now on. False when there are too many.
    fn register_session(&mut self, session: SessionId) -> bool {
        if self.sessions.get(&session).is_none() {
            if self.sessions.len() >= MAX_SESSIONS {
                return false;
            }
            self.sessions.insert(&session, Watched::listed());
        }
        true
    }

    /// The relay says something.
    fn relay_said(&mut self, frame: &Frame) {
        match frame.head {
            Head::Open { session, cipher } => self.opened(session, cipher, &frame.body),
            Head::Envelope { session } => self.enveloped(session, &frame.body),
            Head::Data { session, epoch, sequence } => self.record(session, epoch, sequence, &frame.body),
            Head::End { session, next, outcome } => self.step(session, |w, _, _| w.end(next, outcome)),
            Head::Peer { session, .. } => self.step(session, |w, me, port| w.answered(port, session, me, &frame.body)),
            _ => self.port.ignore(),
        }
    }

    fn record(&mut self, session: SessionId, epoch: u32, sequence: u64, sealed: &[u8]) {
        let mut buffers = mem::take(&mut self.buffers);
        self.step(session, |watched, _, _| watched.record(epoch, sequence, sealed, &mut buffers));
        self.buffers = buffers;
    }

    /// There is a session: new, or again after a reconnect, or its daemon has another credential.
    fn opened(&mut self, session: SessionId, cipher: u8, daemon_token: &Bytes) {
        let Some(cipher) = Cipher::from_byte(cipher) else { return self.port.ignore() };
        if !self.register_session(session) {
            return self.port.ignore();
        }
        if self.sessions.touch(&session, |watched| watched.opened(cipher, daemon_token)) == Some(true) {
            self.port.push(Output::Listed(session));
        }
        if let Some(resume) = self.sessions.get(&session).and_then(|watched| watched.resume(session)) {
            self.send(resume);
        }
        self.approach(session);
    }

    /// What opens the session came, for who holds the generation.
    fn enveloped(&mut self, session: SessionId, envelope: &Bytes) {
        self.step(session, |watched, me, _| {
            watched.enveloped(envelope);
            watched.unseal(session, me)
        });
    }

    /// More generations are held here than before: what waits may open now.
    fn key_news(&mut self, news: KeyEvent) {
        let is_more = matches!(news, KeyEvent::Held | KeyEvent::Founded | KeyEvent::Renewed);
        self.port.push(Output::KeyNews(news));
        if is_more {
            for session in self.sessions.keys().copied().collect::<Vec<_>>() {
                self.step(session, |watched, me, _| watched.unseal(session, me));
            }
        }
    }

    /// The next step towards a session that the user watches: believe its daemon's credential; then open its envelope, or
    /// begin a handshake with it.
    fn approach(&mut self, session: SessionId) {
        match self.sessions.get(&session).map_or(NextStep::Nothing, Watched::need) {
            NextStep::Nothing => {}
            NextStep::Key(kid) => {
                self.looked = self.looked.wrapping_add(1);
                self.lookups.insert(LookupId(self.looked), session);
                self.drive(uplink::Input::Look(LookupId(self.looked), kid));
            }
            NextStep::Secret => {
                self.step(session, |watched, me, _| watched.unseal(session, me));
                self.send_first_message(session);
            }
        }
    }

    /// The key that signed a daemon's credential was looked up, found or not.
    fn looked_up(&mut self, lookup: LookupId) {
        let Some(session) = self.lookups.remove(&lookup) else { return };
        let Some(token) = self.sessions.get(&session).and_then(Watched::unverified) else { return };
        let (verdict, now) = (self.verified(token), self.port.now());
        let is_vouched_for = verdict.is_ok();
        self.step(session, |watched, _, _| watched.token_verified(verdict, now));
        if is_vouched_for {
            self.approach(session);
        }
    }

    fn verified(&self, token: Unverified) -> Result<Confirmation, Reason> {
        let keys = self.uplink.keys().ok_or(Reason::JwksUnreachable)?;
        let expected = Expectation { issuer: None, expiry: Expiry::Ignored };
        let claims = token.verify(keys, self.uplink.unix(), &expected)?;
        let fits = claims.role == DeviceKind::Daemon && claims.org == self.org;
        fits.then_some(claims.confirmation).ok_or(Reason::TokenWrongAudience)
    }

    fn send_first_message(&mut self, session: SessionId) {
        if !self.uplink.is_up() {
            return;
        }
        if self.sessions.get(&session).is_none_or(|watched| watched.need() != NextStep::Secret) {
            return;
        }
        let Some(entropy) = self.uplink.draw() else { return };
        let now = self.port.now();
        self.step(session, |watched, me, _| watched.send_first_message(session, me, entropy, now));
    }

    /// Lets a session's own machine take a step and does what comes of it.
    fn step(
        &mut self,
        session: SessionId,
        step: impl FnOnce(&mut Watched<N>, &HandshakeContext<'_>, &mut MachineBase<Output>) -> Step,
    ) {
        let me = HandshakeContext {
            org: &self.org,
            keys: self.identity.static_keys(),
            token: self.uplink.credential(),
            software: &self.software,
            aes_in_hardware: self.aes_in_hardware,
            primitives: self.primitives,
            key: self.uplink.organization_key(),
        };
        let port = &mut self.port;
        let Some(step) = self.sessions.touch(&session, |watched| step(watched, &me, port)) else { return self.port.ignore() };
        match step {
            Step::Nothing => {}
            Step::Send(frame) => self.send(frame),
            Step::Show(record) => self.port.push(Output::Record(session, record)),
            Step::Over(outcome) => self.port.push(Output::Ended(session, outcome)),
            Step::Failed(reason) => self.port.push(Output::Failed(session, reason)),
        }
    }

    fn send(&mut self, frame: Frame) {
        self.drive(uplink::Input::Send(frame));
    }

    fn drive(&mut self, input: uplink::Input) {
        self.port.feed(&mut self.uplink, input);
    }

    fn ask_again(&mut self) {
        let due = self.sessions.due(self.port.now());
        for session in &due {
            self.sessions.touch(session, Watched::start_over);
        }
        for session in due {
            self.approach(session);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.uplink.poll_output() {
            match output {
                uplink::Output::Effect(effect) => self.port.push(Output::Effect(effect)),
                uplink::Output::Renewed(renewal) => self.port.push(Output::Renewed(renewal)),
                uplink::Output::Up => self.port.push(Output::Up),
                uplink::Output::Down(reason) => self.port.push(Output::Down(reason)),
                uplink::Output::NotRenewed(reason) => self.port.push(Output::NotRenewed(reason)),
                uplink::Output::RenewalExpired => self.port.push(Output::RenewalExpired),
                uplink::Output::Ended(reason) => self.port.push(Output::Revoked(reason)),
                uplink::Output::Received(frame) => self.relay_said(&frame),
                uplink::Output::LookedUp(lookup) => self.looked_up(lookup),
                uplink::Output::Keep(file) => self.port.push(Output::Keep(file)),
                uplink::Output::KeyNews(news) => self.key_news(news),
                uplink::Output::Machines(machines) => self.port.push(Output::Machines(machines)),
            }
        }
    }
}

impl<N: Noise> Machine for Viewer<N> {
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
            Input::Watch(session) => self.watch(session),
            Input::Leave(session) => self.step(session, |watched, _, _| watched.leave(session)),
            Input::Kept(is_durable) => self.drive(uplink::Input::Kept(is_durable)),
            Input::RetryNow => self.drive(uplink::Input::RetryNow),
            Input::Stop => self.drive(uplink::Input::Stop),
        }
        self.drain();
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.port.advance(now);
        self.uplink.handle_timeout(self.port.now());
        self.drain();
        self.ask_again();
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
        let uplink = self.uplink.poll_timeout()?.map(Timer::Uplink);
        Some(self.sessions.next_deadline().map_or(uplink, |session| session.min(uplink)))
    }

    fn status(&self) -> Status<'_, Reason> {
        self.uplink.status()
    }

    fn ignored(&self) -> u64 {
        self.port.ignored()
    }
}
