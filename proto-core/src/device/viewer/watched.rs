//! One session as a viewer sees it: first its key, then its records.
//!
//! ```text
//!            Watch         token verified       message 2              KeyAnswer
//!   Listed ────────► Wanted ──────────► Handshaking ──────────► KeyRequested ─────────► Reading ──► Over
//!                     ▲  ▲                 │ │ no answer           │                    ▲
//!                     │  └─────────────────│─┴─────────────────────┘                    │
//!                     │  └── token verified, and its envelope opens ────────────────────┘  (from every state before Reading)
//!                     └──── 5 s ── BackingOff: refused for now, or garbage
//! ```
//!
//! The handshake is an [`Initiator`], which knows a genuine message 2 and passes over a few that are not.

use alloc::{boxed::Box, vec::Vec};
use core::{mem, str, time::Duration};

use bytes::Bytes;

use super::{About, Output, Timer};
use crate::{
    BufferPool, Deadline, Entropy, Instant, Machine, MachineBase, Reason, SessionId,
    crypto::{
        Cipher, Primitives, StaticKeys, TAG_LEN,
        seal::{EpochSecret, Opener, Scope},
    },
    device::orgkey::OrganizationKey,
    id::OrgId,
    jose::{Confirmation, Thumbprint, Unverified},
    machine::timed::Timed,
    noise::{
        InitiatorKeys, Noise,
        handshake::initiator::{self, Failure, Initiator},
    },
    orgkey::Envelope,
    secret::{SecretBytes, SecretText},
    wire::{
        Content, Frame, Head, Hello, KeyAnswer, KeyRequest, Listing, Outcome, Pattern, Preamble, Record, Refused, Role, Suite,
    },
};

/// How long the daemon may take to answer before it is asked again.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A session of the org.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Watched<N> {
    /// How its records are sealed; `None` before the relay said that there is such a session.
    cipher: Option<Cipher>,
    /// The credential of the daemon that runs it, as the relay gave it.
    daemon_token: SecretBytes,
    /// That daemon's keys, once the platform's signature vouches for them.
    daemon: Option<Confirmation>,
    /// What opens it for who holds the generation, as the relay gave it.
    envelope: Option<Box<Envelope>>,
    /// What the relay said of it last.
    listing: Listing,
    phase: Phase<N>,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase<N> {
    /// The user does not watch it.
    Listed,
    /// The user watches it. Where the platform's keys cannot be had, they are asked for `again`.
    Wanted { again: Option<Instant> },
    /// The daemon was asked to shake hands; whatever comes of it, it is not asked `again` before.
    Handshaking { handshake: Box<Initiator<N>>, again: Instant },
    /// It did not let this viewer in, for a reason that passes, or garbage came instead of its answer.
    BackingOff { again: Instant },
    /// The handshake is through; the key was asked for.
    KeyRequested { noise: N, until: Instant },
    /// Records are read; `next` is the first that is missing, `exited` whether the one before it said that the command ended.
    Reading { opener: Opener, next: u64, exited: bool },
    /// All of it was read, or it cannot be read.
    Over,
}

/// What a session that is wanted waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Nothing that its viewer could do.
    Nothing,
    /// The key of that name, which is said to have signed its daemon's credential.
    Key(Thumbprint),
    /// Its secret: from its envelope, or of its daemon.
    Secret,
}

/// What became of a frame.
pub(super) enum Step {
    /// Nothing to do.
    Nothing,
    /// Send this.
    Send(Frame),
    /// Show this.
    Show(Record),
    /// It is over.
    Over(Outcome),
    /// It cannot be read.
    Failed(Reason),
}

/// What a viewer is, as far as a handshake with a daemon goes.
pub(super) struct HandshakeContext<'a> {
    pub(super) org: &'a OrgId,
    pub(super) keys: &'a StaticKeys,
    pub(super) token: &'a SecretText,
    pub(super) software: &'a str,
    pub(super) aes_in_hardware: bool,
    pub(super) primitives: &'static dyn Primitives,
    pub(super) key: &'a OrganizationKey,
}

impl<N: Noise> Watched<N> {
    /// The relay or the user names it.
    pub(super) fn listed() -> Self {
        Self {
            cipher: None,
            daemon_token: SecretBytes::new(Vec::new()),
            daemon: None,
            envelope: None,
            listing: Listing::default(),
            phase: Phase::Listed,
        }
    }

    /// The user watches it.
    pub(super) fn want(&mut self) {
        if matches!(self.phase, Phase::Listed) {
            self.phase = Phase::Wanted { again: None };
        }
    }

    /// The user watches it no longer. The relay takes the place of the record that never comes for the one that is wanted next.
    pub(super) fn leave(&mut self, session: SessionId) -> Step {
        match mem::replace(&mut self.phase, Phase::Listed) {
            Phase::Reading { .. } => Step::Send(Head::Resume { session, next: u64::MAX }.into()),
            _ => Step::Nothing,
        }
    }

    /// The relay says that there is such a session, what its daemon's latest credential is, and how it stands. Whether that is
    /// news.
    pub(super) fn opened(&mut self, cipher: Cipher, body: &Bytes) -> bool {
        let (daemon_token, listing) = Listing::split(body);
        if self.daemon_token.expose() != &daemon_token[..] {
            self.daemon_token = SecretBytes::new(daemon_token.to_vec());
            self.daemon = None;
        }
        let listing = listing.unwrap_or_default();
        let is_news = mem::replace(&mut self.listing, listing) != listing;
        self.cipher.replace(cipher).is_none() || is_news
    }

    /// What the relay says of it, and of which machine it is by the credential that came with that, of which nothing is proven.
    pub(super) fn about(&self) -> About {
        About { listing: self.listing, machine: self.unverified().map(|token| token.into_unproven().runtime_target) }
    }

    /// What it takes to go on.
    pub(super) fn need(&self) -> NextStep {
        match (&self.phase, self.daemon) {
            (Phase::Wanted { .. }, Some(_)) => NextStep::Secret,
            (Phase::Wanted { .. }, None) => self.unverified().map_or(NextStep::Nothing, |token| NextStep::Key(token.kid())),
            _ => NextStep::Nothing,
        }
    }

    /// Its daemon's credential, of which nothing is proven.
    pub(super) fn unverified(&self) -> Option<Unverified> {
        Unverified::parse(&SecretText::new(str::from_utf8(self.daemon_token.expose()).ok()?)).ok()
    }

    /// The daemon's keys are these; or why that cannot be established.
    pub(super) fn token_verified(&mut self, verdict: Result<Confirmation, Reason>, now: Instant) -> Step {
        match (&mut self.phase, verdict) {
            (_, Ok(daemon)) => self.daemon = Some(daemon),
            (Phase::Wanted { again }, Err(Reason::JwksUnreachable)) => *again = Some(now.after(ANSWER_TIMEOUT)),
            (Phase::Wanted { .. }, Err(reason)) => return self.fail(reason),
            _ => {}
        }
        Step::Nothing
    }

    /// What opens it came. One that is none is as if there were none: its daemon is asked.
    pub(super) fn enveloped(&mut self, bytes: &[u8]) {
        self.envelope = Envelope::decode(bytes).ok().map(Box::new);
    }

    /// Opens the envelope, if the generation is held here and the secret is still wanted. It has to be of the daemon that runs the
    /// session: anyone can seal to a public key.
    pub(super) fn unseal(&mut self, session: SessionId, me: &HandshakeContext<'_>) -> Step {
        let waits = !matches!(self.phase, Phase::Listed | Phase::Reading { .. } | Phase::Over);
        let (Some(envelope), Some(daemon)) = (self.envelope.as_ref().filter(|_| waits), self.daemon) else {
            return Step::Nothing;
        };
        let is_its = Thumbprint::of_identity_key(envelope.maker()) == daemon.identity;
        if !is_its || !envelope.is_by_its_maker(me.org, session) {
            return self.fail(Reason::EnvelopeForged);
        }
        let Some(generation) = me.key.generation(envelope.generation()) else { return Step::Nothing };
        match envelope.open(me.org, session, generation) {
            Some(secret) => self.read(session, me, envelope.epoch(), secret),
            None => self.fail(Reason::EnvelopeForged),
        }
    }

    /// The secret is here: the records are read from the first one on.
    fn read(&mut self, session: SessionId, me: &HandshakeContext<'_>, epoch: u32, secret: EpochSecret) -> Step {
        let Some(cipher) = self.cipher else {
            self.phase = Phase::Wanted { again: None };
            return Step::Nothing;
        };
        let scope = Scope { org: me.org.clone(), session, cipher };
        let opener = Opener::new(me.primitives, scope, epoch, secret);
        self.phase = Phase::Reading { opener, next: 0, exited: false };
        Step::Send(Head::Resume { session, next: 0 }.into())
    }

    /// After a reconnect: where to go on, if records are being read.
    pub(super) fn resume(&self, session: SessionId) -> Option<Frame> {
        match self.phase {
            Phase::Reading { next, .. } => Some(Head::Resume { session, next }.into()),
            _ => None,
        }
    }

    /// Knocks at the daemon's door.
    pub(super) fn send_first_message(
        &mut self,
        session: SessionId,
        me: &HandshakeContext<'_>,
        entropy: Entropy,
        now: Instant,
    ) -> Step {
        let (Phase::Wanted { .. }, Some(daemon)) = (&self.phase, self.daemon) else { return Step::Nothing };
        let suite = Suite::choose(Pattern::Ik, me.aes_in_hardware);
        let preamble = Preamble { suite, role: Role::Peer };
        let keys = InitiatorKeys { preamble, local: me.keys, responder: daemon.static_key, psk: None };
        let hello = Hello { token: me.token.clone(), software: me.software.into() };
        let mut handshake = Initiator::start_within(ANSWER_TIMEOUT, now, keys, entropy, &hello);
        match handshake.poll_output() {
            Some(initiator::Output::Send(message)) => {
                self.phase = Phase::Handshaking { handshake: Box::new(handshake), again: now.after(ANSWER_TIMEOUT) };
                Step::Send(peer(session, message))
            }
            _ => self.fail(Reason::NoiseHandshakeFailed),
        }
    }

    /// The daemon said something.
    pub(super) fn answered(
        &mut self,
        port: &mut MachineBase<Output>,
        session: SessionId,
        me: &HandshakeContext<'_>,
        body: &Bytes,
    ) -> Step {
        match &mut self.phase {
            Phase::Handshaking { handshake, again } => {
                let again = *again;
                port.feed(&mut **handshake, initiator::Input::Received(body.clone()));
                match handshake.poll_output() {
                    Some(outcome) => self.shook(session, outcome, again, port.now()),
                    None => Step::Nothing,
                }
            }
            Phase::KeyRequested { noise, .. } => match key_answer(noise, body) {
                Some(answer) => self.keyed(session, me, answer),
                None => Step::Nothing,
            },
            _ => Step::Nothing,
        }
    }

    /// The handshake has ended. Where another one may end better, it is tried `again`.
    fn shook(&mut self, session: SessionId, outcome: initiator::Output<N>, again: Instant, now: Instant) -> Step {
        match outcome {
            initiator::Output::Established { mut noise, .. } => {
                let mut message = Vec::new();
                if noise.seal(&KeyRequest { session }.encode(), &mut message).is_err() {
                    return self.fail(Reason::NoiseHandshakeFailed);
                }
                self.phase = Phase::KeyRequested { noise, until: now.after(ANSWER_TIMEOUT) };
                Step::Send(peer(session, message.into()))
            }
            initiator::Output::Failed(Failure::Refused(Refused { reason, .. }))
                if !reason.is_temporary() && reason != Reason::TokenExpired =>
            {
                self.fail(reason)
            }
            initiator::Output::Failed(_) | initiator::Output::Send(_) => {
                self.phase = Phase::BackingOff { again };
                Step::Nothing
            }
        }
    }

    fn keyed(&mut self, session: SessionId, me: &HandshakeContext<'_>, KeyAnswer { epoch, secret }: KeyAnswer) -> Step {
        self.read(session, me, epoch, EpochSecret::new(secret))
    }

    /// A record came.
    pub(super) fn record(&mut self, epoch: u32, sequence: u64, sealed: &[u8], buffers: &mut BufferPool) -> Step {
        let Phase::Reading { opener, next, exited } = &mut self.phase else { return Step::Nothing };
        if sequence < *next {
            return Step::Nothing;
        }
        let mut plaintext = buffers.buffer(sealed.len().saturating_sub(TAG_LEN));
        let opened = sequence == *next && opener.open_to(epoch, sequence, sealed, &mut plaintext).is_ok();
        match opened.then(|| Record::take(buffers.hand_out(plaintext))) {
            Some(Ok(record)) => {
                *next = next.saturating_add(1);
                *exited = matches!(record.content, Content::Exit { .. });
                Step::Show(record)
            }
            _ => self.fail(Reason::RecordForged),
        }
    }

    /// The end came. A relay that keeps the last records back can say that the stream was cut, but not that the command ended:
    /// the record that says so is sealed.
    pub(super) fn end(&mut self, all: u64, outcome: Outcome) -> Step {
        match self.phase {
            Phase::Reading { next, exited, .. } if next == all && (exited || outcome == Outcome::Cut) => {
                self.phase = Phase::Over;
                Step::Over(outcome)
            }
            Phase::Reading { .. } => self.fail(Reason::RecordForged),
            _ => Step::Nothing,
        }
    }

    /// There was no answer in time, or the pause is over: the daemon is asked from the beginning.
    pub(super) fn start_over(&mut self) {
        self.phase = Phase::Wanted { again: None };
    }

    fn fail(&mut self, reason: Reason) -> Step {
        self.phase = Phase::Over;
        Step::Failed(reason)
    }
}

impl<N: Noise> Timed for Watched<N> {
    type Timer = Timer;

    fn deadline(&self) -> Option<Deadline<Timer>> {
        match &self.phase {
            Phase::Wanted { again } => again.map(|at| Deadline::new(at, Timer::AskForKeys)),
            Phase::Handshaking { handshake, .. } => {
                handshake.poll_timeout().map(|deadline| deadline.map(|_| Timer::DaemonAnswer))
            }
            Phase::BackingOff { again } => Some(Deadline::new(*again, Timer::AskAgain)),
            Phase::KeyRequested { until, .. } => Some(Deadline::new(*until, Timer::DaemonAnswer)),
            _ => None,
        }
    }
}

/// What a daemon answers to a request for a key; any peer can send garbage through the relay, and it changes nothing.
fn key_answer<N: Noise>(noise: &mut N, body: &[u8]) -> Option<KeyAnswer> {
    let mut plaintext = Vec::new();
    noise.open(body, &mut plaintext).ok()?;
    KeyAnswer::decode(&plaintext).ok()
}

fn peer(session: SessionId, body: Bytes) -> Frame {
    Frame { head: Head::Peer { session, viewer: 0 }, body }
}
