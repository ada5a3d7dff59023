//! One session as a viewer sees it: first its key, then its records.
//!
//! ```text
//!            Watch            vouched for       message 2         KeyAnswer
//!   Listed ────────► Wanted ──────────► Knocked ──────────► Asked ─────────► Reading ──► Over
//!                     ▲  ▲                 │ │ no answer      │
//!                     │  └─────────────────│─┴────────────────┘
//!                     └──── 5 s ── Turned away: for now, or by garbage
//! ```
//!
//! The handshake is an [`Initiator`], which knows a genuine message 2 and passes over a few that are not.

use alloc::{boxed::Box, vec::Vec};
use core::{str, time::Duration};

use bytes::Bytes;

use super::{Output, Timer};
use crate::{
    Deadline, Entropy, Instant, Machine, Port, Reason, SessionId, Spares,
    crypto::{
        Cipher, Primitives, StaticKeys, TAG_LEN,
        seal::{EpochSecret, Opener, Scope},
    },
    id::OrgId,
    jose::{Thumbprint, Unverified},
    key::StaticKey,
    machine::timed::Timed,
    noise::{
        InitiatorKeys, Noise,
        handshake::initiator::{self, Failure, Initiator},
    },
    secret::{SecretBytes, SecretText},
    wire::{Content, Frame, Head, Hello, KeyAnswer, KeyRequest, Outcome, Pattern, Preamble, Record, Refused, Role, Suite},
};

/// How long the daemon may take to answer before it is asked again.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A session of the org.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Watched<N> {
    /// How its records are sealed; `None` before the relay said that there is such a session.
    cipher: Option<Cipher>,
    /// The credential of the daemon that runs it, as the relay gave it.
    voucher: SecretBytes,
    /// That daemon's key, once the platform's signature vouched for it.
    daemon: Option<StaticKey>,
    phase: Phase<N>,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase<N> {
    /// Nobody wants to see it.
    Listed,
    /// Somebody wants to see it. Where the platform's keys cannot be had, they are asked for `again`.
    Wanted { again: Option<Instant> },
    /// The daemon was asked to shake hands; whatever comes of it, it is not asked `again` before.
    Knocked { handshake: Box<Initiator<N>>, again: Instant },
    /// It did not let this viewer in, for a reason that passes, or garbage came instead of its answer.
    TurnedAway { again: Instant },
    /// The handshake is through; the key was asked for.
    Asked { noise: N, until: Instant },
    /// Records are read; `next` is the first that is missing, `exited` whether the one before it said that the command ended.
    Reading { opener: Opener, next: u64, exited: bool },
    /// All of it was read, or it cannot be read.
    Over,
}

/// What a session that is wanted waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing that its viewer could do.
    Nothing,
    /// The key of that name, which is said to have signed its daemon's credential.
    Key(Thumbprint),
    /// A handshake with its daemon.
    Handshake,
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
pub(super) struct Me<'a> {
    pub(super) org: &'a OrgId,
    pub(super) keys: &'a StaticKeys,
    pub(super) token: &'a SecretText,
    pub(super) software: &'a str,
    pub(super) aes_in_hardware: bool,
    pub(super) primitives: &'static dyn Primitives,
}

impl<N: Noise> Watched<N> {
    /// Somebody names it, the relay or who wants to see it.
    pub(super) fn listed() -> Self {
        Self { cipher: None, voucher: SecretBytes::new(Vec::new()), daemon: None, phase: Phase::Listed }
    }

    /// Somebody wants to see it.
    pub(super) fn want(&mut self) {
        if matches!(self.phase, Phase::Listed) {
            self.phase = Phase::Wanted { again: None };
        }
    }

    /// The relay says that there is such a session, and what its daemon's latest credential is. Whether that is news.
    pub(super) fn opened(&mut self, cipher: Cipher, voucher: &Bytes) -> bool {
        if self.voucher.expose() != &voucher[..] {
            self.voucher = SecretBytes::new(voucher.to_vec());
            self.daemon = None;
        }
        self.cipher.replace(cipher).is_none()
    }

    /// What it takes to go on.
    pub(super) fn need(&self) -> Need {
        match (&self.phase, self.daemon) {
            (Phase::Wanted { .. }, Some(_)) => Need::Handshake,
            (Phase::Wanted { .. }, None) => self.unverified().map_or(Need::Nothing, |token| Need::Key(token.kid())),
            _ => Need::Nothing,
        }
    }

    /// Its daemon's credential, of which nothing is proven.
    pub(super) fn unverified(&self) -> Option<Unverified> {
        Unverified::parse(&SecretText::new(str::from_utf8(self.voucher.expose()).ok()?)).ok()
    }

    /// The daemon's key is this; or why nobody can say so.
    pub(super) fn vouched(&mut self, verdict: Result<StaticKey, Reason>, now: Instant) -> Step {
        match (&mut self.phase, verdict) {
            (_, Ok(daemon)) => self.daemon = Some(daemon),
            (Phase::Wanted { again }, Err(Reason::JwksUnreachable)) => *again = Some(now.after(ANSWER_TIMEOUT)),
            (Phase::Wanted { .. }, Err(reason)) => return self.fail(reason),
            _ => {}
        }
        Step::Nothing
    }

    /// After a reconnect: where to go on, if records are being read.
    pub(super) fn resume(&self, session: SessionId) -> Option<Frame> {
        match self.phase {
            Phase::Reading { next, .. } => Some(Head::Resume { session, next }.into()),
            _ => None,
        }
    }

    /// Knocks at the daemon's door.
    pub(super) fn knock(&mut self, session: SessionId, me: &Me<'_>, entropy: Entropy, now: Instant) -> Step {
        let (Phase::Wanted { .. }, Some(responder)) = (&self.phase, self.daemon) else { return Step::Nothing };
        let suite = Suite::choose(Pattern::Ik, me.aes_in_hardware);
        let preamble = Preamble { suite, role: Role::Peer };
        let keys = InitiatorKeys { preamble, local: me.keys, responder, psk: None };
        let hello = Hello { token: me.token.clone(), software: me.software.into() };
        let mut handshake = Initiator::start_within(ANSWER_TIMEOUT, now, keys, entropy, &hello);
        match handshake.poll_output() {
            Some(initiator::Output::Send(message)) => {
                self.phase = Phase::Knocked { handshake: Box::new(handshake), again: now.after(ANSWER_TIMEOUT) };
                Step::Send(peer(session, message))
            }
            _ => self.fail(Reason::NoiseHandshakeFailed),
        }
    }

    /// The daemon said something.
    pub(super) fn answered(&mut self, port: &mut Port<Output>, session: SessionId, me: &Me<'_>, body: &Bytes) -> Step {
        match &mut self.phase {
            Phase::Knocked { handshake, again } => {
                let again = *again;
                port.feed(&mut **handshake, initiator::Input::Received(body.clone()));
                match handshake.poll_output() {
                    Some(outcome) => self.shook(session, outcome, again, port.now()),
                    None => Step::Nothing,
                }
            }
            Phase::Asked { noise, .. } => match key_answer(noise, body) {
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
                self.phase = Phase::Asked { noise, until: now.after(ANSWER_TIMEOUT) };
                Step::Send(peer(session, message.into()))
            }
            initiator::Output::Failed(Failure::Refused(Refused { reason, .. }))
                if !reason.is_temporary() && reason != Reason::TokenExpired =>
            {
                self.fail(reason)
            }
            initiator::Output::Failed(_) | initiator::Output::Send(_) => {
                self.phase = Phase::TurnedAway { again };
                Step::Nothing
            }
        }
    }

    fn keyed(&mut self, session: SessionId, me: &Me<'_>, KeyAnswer { epoch, secret }: KeyAnswer) -> Step {
        let Some(cipher) = self.cipher else {
            self.phase = Phase::Wanted { again: None };
            return Step::Nothing;
        };
        let scope = Scope { org: me.org.clone(), session, cipher };
        let opener = Opener::new(me.primitives, scope, epoch, EpochSecret::new(secret));
        self.phase = Phase::Reading { opener, next: 0, exited: false };
        Step::Send(Head::Resume { session, next: 0 }.into())
    }

    /// A record came.
    pub(super) fn record(&mut self, epoch: u32, sequence: u64, sealed: &[u8], spares: &mut Spares) -> Step {
        let Phase::Reading { opener, next, exited } = &mut self.phase else { return Step::Nothing };
        if sequence < *next {
            return Step::Nothing;
        }
        let mut plaintext = spares.buffer(sealed.len().saturating_sub(TAG_LEN));
        let opened = sequence == *next && opener.open_to(epoch, sequence, sealed, &mut plaintext).is_ok();
        match opened.then(|| Record::take(spares.hand_out(plaintext))) {
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
            Phase::Knocked { handshake, .. } => handshake.poll_timeout().map(|deadline| deadline.map(|_| Timer::DaemonAnswer)),
            Phase::TurnedAway { again } => Some(Deadline::new(*again, Timer::AskAgain)),
            Phase::Asked { until, .. } => Some(Deadline::new(*until, Timer::DaemonAnswer)),
            _ => None,
        }
    }
}

/// What a daemon answers to a request for a key; anybody can send garbage through the relay, and it changes nothing.
fn key_answer<N: Noise>(noise: &mut N, body: &[u8]) -> Option<KeyAnswer> {
    let mut plaintext = Vec::new();
    noise.open(body, &mut plaintext).ok()?;
    KeyAnswer::decode(&plaintext).ok()
}

fn peer(session: SessionId, body: Bytes) -> Frame {
    Frame { head: Head::Peer { session, viewer: 0 }, body }
}
