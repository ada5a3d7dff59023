//! Viewers that ask for a session's key, through the relay (WIRE section 8).
//!
//! ```text
//!                        credential is looked up    Send(message 2)        first KeyRequest
//!   message 1 ──► Entering ──────────────────► Entering ──────────► Entering ──────────► Inside ──┐ KeyRequest:
//!      ▲             │                            │ refused            │                    ▲     │ KeyAnswer
//!      └── again ────┴────────────────────────────┴────────────────────┘                    └─────┘
//!                    does not open · not confirmed within 10 s: gone
//! ```
//!
//! Each visitor shakes hands with a [`Responder`] of its own. An attacker can replay a recorded message 1, so it is answered with
//! message 2 only; the key is sent only after the handshake was confirmed. A new message 1 starts over.

use alloc::{boxed::Box, string::String, vec::Vec};

use bytes::Bytes;

use super::Output;
use crate::{
    Deadline, Entropy, Machine, MachineBase, Reason, SessionId, Status, UnixTime,
    crypto::{StaticKeys, seal::EpochSecret},
    id::{DeviceKind, OrgId},
    jose::{Expectation, Expiry, JwkSet, Thumbprint, Unverified},
    key::StaticKey,
    keyset::LookupId,
    machine::timed::{Timed, TimedMap},
    noise::{
        Noise,
        handshake::responder::{self, Responder, Verdict},
    },
    wire::{Frame, Head, KeyAnswer, KeyRequest, Pattern, Refused, Welcome},
};

/// The most viewers that are served at once; the one that has been quiet for longest makes room.
pub(super) const MAX_KEY_REQUESTS: usize = 256;

/// A viewer's connection at the relay, and the session it asks about.
pub(super) type RequesterId = (SessionId, u64);

/// All viewers that are being served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyRequests<N> {
    visits: TimedMap<RequesterId, Requester<N>, responder::Timer>,
    /// Counts what happened, so that the quietest visitor is known.
    turn: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Requester<N> {
    stage: Stage<N>,
    turn: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage<N> {
    /// It shakes hands. `applicant` is there while the key that is said to have signed its credential is being looked up.
    Entering { handshake: Box<Responder<N>>, applicant: Option<Box<Applicant>> },
    /// It is who it says it is, and it is there: it may ask for the key, and again.
    Inside(N),
}

/// What a visitor says that it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Applicant {
    lookup: LookupId,
    static_key: StaticKey,
    token: Unverified,
}

/// What a verdict is made of.
pub(super) struct VerdictContext<'a> {
    pub(super) org: &'a OrgId,
    pub(super) software: &'a str,
    pub(super) keys: Option<&'a JwkSet>,
    pub(super) unix: UnixTime,
}

/// What a message of a viewer leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing; the machine that ignored it counts it.
    Nothing,
    /// Nothing: it does not open, or is not valid here.
    Strange,
    /// Send this back.
    Send(Frame),
    /// Look this key up, then tell [`KeyRequests::looked_up`].
    Look(LookupId, Thumbprint),
}

impl<N: Noise> KeyRequests<N> {
    pub(super) const fn new() -> Self {
        Self { visits: TimedMap::new(), turn: 0 }
    }

    /// When the next handshake is given up.
    pub(super) fn next_deadline(&self) -> Option<Deadline<responder::Timer>> {
        self.visits.next_deadline()
    }

    /// A viewer's message about a session whose first secret is `secret`. `entropy` is used if a handshake begins.
    pub(super) fn message(
        &mut self,
        port: &mut MachineBase<Output>,
        visitor: RequesterId,
        body: &Bytes,
        secret: &EpochSecret,
        local: &StaticKeys,
        entropy: &Entropy,
    ) -> Step {
        self.turn = self.turn.saturating_add(1);
        if let Some(plaintext) = self.open(visitor, body) {
            return self.asked(visitor, &plaintext, secret);
        }
        if let Some((handshake, applicant)) = begin(port, body, local, entropy, LookupId(self.turn)) {
            let look = Step::Look(applicant.lookup, applicant.token.kid());
            let stage = Stage::Entering { handshake: Box::new(handshake), applicant: Some(Box::new(applicant)) };
            self.make_room(visitor);
            self.visits.insert(&visitor, Requester { stage, turn: self.turn });
            return look;
        }
        match self.shake_on(port, visitor, body) {
            Some(responder::Output::Confirmed { noise, plaintext }) => {
                self.visits.insert(&visitor, Requester { stage: Stage::Inside(noise), turn: self.turn });
                self.asked(visitor, &plaintext, secret)
            }
            None if self.visits.get(&visitor).is_some_and(Requester::is_entering) => Step::Nothing,
            Some(_) | None => Step::Strange,
        }
    }

    /// The key was looked up, found or not: the visitor who waited for it gets an answer.
    pub(super) fn looked_up(
        &mut self,
        port: &mut MachineBase<Output>,
        lookup: LookupId,
        host: &VerdictContext<'_>,
    ) -> Option<Frame> {
        let visitor = self.visits.iter().find(|(_, visit)| visit.waits_for(lookup)).map(|(visitor, _)| *visitor)?;
        let message = self.visits.touch(&visitor, |visit| visit.decide(port, host)).flatten();
        self.dismiss_if_over(visitor);
        Some(frame(visitor, message?))
    }

    /// Gives up the handshakes whose time is over.
    pub(super) fn expire(&mut self, port: &MachineBase<Output>) {
        for visitor in self.visits.due(port.now()) {
            self.visits.touch(&visitor, |visit| {
                if let Stage::Entering { handshake, .. } = &mut visit.stage {
                    handshake.handle_timeout(port.now());
                }
            });
            self.dismiss_if_over(visitor);
        }
    }

    /// A message of a visitor that is inside already.
    fn open(&mut self, visitor: RequesterId, body: &[u8]) -> Option<Vec<u8>> {
        let turn = self.turn;
        let opened = self.visits.touch(&visitor, |visit| {
            let Stage::Inside(noise) = &mut visit.stage else { return None };
            let mut plaintext = Vec::new();
            noise.open(body, &mut plaintext).ok()?;
            visit.turn = turn;
            Some(plaintext)
        });
        opened.flatten()
    }

    /// A visitor that is inside asks for something.
    fn asked(&mut self, visitor: RequesterId, request: &[u8], secret: &EpochSecret) -> Step {
        let answer = self.visits.touch(&visitor, |visit| {
            let Stage::Inside(noise) = &mut visit.stage else { return None };
            KeyRequest::decode(request).ok().filter(|request| request.session == visitor.0)?;
            let answer = KeyAnswer { epoch: 0, secret: secret.secret().clone() };
            let mut message = Vec::new();
            noise.seal(&answer.encode(), &mut message).ok()?;
            Some(frame(visitor, message.into()))
        });
        answer.flatten().map_or(Step::Strange, Step::Send)
    }

    /// The next message of a handshake; what the responder says to it.
    fn shake_on(&mut self, port: &mut MachineBase<Output>, visitor: RequesterId, body: &Bytes) -> Option<responder::Output<N>> {
        let said = self.visits.touch(&visitor, |visit| {
            let Stage::Entering { handshake, .. } = &mut visit.stage else { return None };
            port.feed(&mut **handshake, responder::Input::Received(body.clone()));
            handshake.poll_output()
        });
        self.dismiss_if_over(visitor);
        said.flatten()
    }

    fn dismiss_if_over(&mut self, visitor: RequesterId) {
        if self.visits.get(&visitor).is_some_and(Requester::is_over) {
            self.visits.remove(&visitor);
        }
    }

    fn make_room(&mut self, visitor: RequesterId) {
        if self.visits.len() >= MAX_KEY_REQUESTS && self.visits.get(&visitor).is_none() {
            let quietest = self.visits.iter().min_by_key(|(_, visit)| visit.turn).map(|(visitor, _)| *visitor);
            quietest.map(|visitor| self.visits.remove(&visitor));
        }
    }
}

impl<N: Noise> Requester<N> {
    const fn is_entering(&self) -> bool {
        matches!(self.stage, Stage::Entering { .. })
    }

    fn is_over(&self) -> bool {
        matches!(&self.stage, Stage::Entering { handshake, .. } if matches!(handshake.status(), Status::Failed(_)))
    }

    fn waits_for(&self, lookup: LookupId) -> bool {
        matches!(&self.stage, Stage::Entering { applicant: Some(applicant), .. } if applicant.lookup == lookup)
    }

    /// Message 2, whatever it says.
    fn decide(&mut self, port: &mut MachineBase<Output>, host: &VerdictContext<'_>) -> Option<Bytes> {
        let Stage::Entering { handshake, applicant } = &mut self.stage else { return None };
        let verdict = match admit(*applicant.take()?, host) {
            Ok(()) => {
                let welcome = Welcome { frame_max: 0, time: host.unix.0, software: String::from(host.software) };
                Verdict::Admit { psk: None, welcome }
            }
            Err(reason) => Verdict::Refuse(Refused { reason, retry_after: 0 }),
        };
        port.feed(&mut **handshake, responder::Input::Verdict(verdict));
        match handshake.poll_output() {
            Some(responder::Output::Send(message)) => Some(message),
            _ => None,
        }
    }
}

impl<N: Noise> Timed for Requester<N> {
    type Timer = responder::Timer;

    fn deadline(&self) -> Option<Deadline<responder::Timer>> {
        match &self.stage {
            Stage::Entering { handshake, .. } => handshake.poll_timeout(),
            Stage::Inside(_) => None,
        }
    }
}

/// A handshake that begins with this message, if it is the first one of a viewer with a credential that can be read. Only plain IK
/// is spoken here.
fn begin<N: Noise>(
    port: &mut MachineBase<Output>,
    body: &Bytes,
    local: &StaticKeys,
    entropy: &Entropy,
    lookup: LookupId,
) -> Option<(Responder<N>, Applicant)> {
    let mut handshake = Responder::new(port.now(), responder::Acceptor::Peers, local.clone(), entropy);
    port.feed(&mut handshake, responder::Input::Received(body.clone()));
    let Some(responder::Output::Hello { preamble, static_key, hello }) = handshake.poll_output() else { return None };
    if preamble.suite.pattern() != Pattern::Ik {
        return None;
    }
    let token = Unverified::parse(&hello.token).ok()?;
    Some((handshake, Applicant { lookup, static_key, token }))
}

/// Whether a viewer may have the key: a credential of this org, for a viewer, whose key the handshake proved.
fn admit(applicant: Applicant, host: &VerdictContext<'_>) -> Result<(), Reason> {
    let keys = host.keys.ok_or(Reason::JwksUnreachable)?;
    let expected = Expectation { issuer: None, expiry: Expiry::Connect };
    let claims = applicant.token.verify(keys, host.unix, &expected)?;
    if claims.role != DeviceKind::Viewer || claims.org != *host.org {
        return Err(Reason::TokenWrongAudience);
    }
    if claims.confirmation.static_key != applicant.static_key {
        return Err(Reason::TokenKeyMismatch);
    }
    Ok(())
}

fn frame((session, viewer): RequesterId, body: Bytes) -> Frame {
    Frame { head: Head::Peer { session, viewer }, body }
}
