//! Viewers that ask for a session's key, through the relay (WIRE section 8).
//!
//! ```text
//!   message 1 ──► Parked ── its platform key was looked up ──► Answered ── KeyRequest ──► KeyAnswer
//! ```
//!
//! Whoever records a message 1 can send it again, so nothing but message 2 comes of it; the key goes out only after a
//! transport message was opened.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};

use crate::{
    Entropy, Reason, SessionId, UnixTime,
    crypto::{StaticKeys, seal::EpochSecret},
    id::{DeviceKind, OrgId},
    jose::{Expectation, Expiry, JwkSet, Thumbprint, Unverified},
    key::StaticKey,
    keyset::LookupId,
    noise::Noise,
    wire::{Answer, Frame, Head, Hello, KeyAnswer, KeyRequest, Pattern, Refused, Role, Welcome},
};

/// The most viewers that are served at once; the one that has been quiet for longest makes room.
pub(super) const MAX_VISITORS: usize = 256;

/// A viewer's connection at the relay, and the session it asks about.
pub(super) type Visitor = (SessionId, u64);

/// All viewers that are being served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Visitors<N> {
    doors: BTreeMap<Visitor, Door<N>>,
    /// Counts what happened, so that the quietest visitor is known.
    turn: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Door<N> {
    noise: N,
    phase: Phase,
    turn: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Message 1 was read; the key that is said to have signed its credential is being looked up.
    Parked { lookup: LookupId, static_key: StaticKey, token: Box<Unverified> },
    /// Message 2 said welcome.
    Answered,
}

/// What a verdict is made of.
pub(super) struct Host<'a> {
    pub(super) org: &'a OrgId,
    pub(super) software: &'a str,
    pub(super) keys: Option<&'a JwkSet>,
    pub(super) unix: UnixTime,
}

/// What a frame of a viewer leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: it does not open, or makes no sense.
    Ignored,
    /// Send this back.
    Send(Frame),
    /// Look this key up, then tell [`Visitors::looked_up`].
    Look(LookupId, Thumbprint),
}

impl<N: Noise> Visitors<N> {
    pub(super) const fn new() -> Self {
        Self { doors: BTreeMap::new(), turn: 0 }
    }

    /// A viewer's message about a session whose first secret is `secret`. `entropy` is used if a handshake begins.
    pub(super) fn message(
        &mut self,
        visitor: Visitor,
        body: &[u8],
        secret: &EpochSecret,
        local: &StaticKeys,
        entropy: Entropy,
    ) -> Step {
        self.turn = self.turn.saturating_add(1);
        if let Some(frame) = self.key_request(visitor, body, secret) {
            return Step::Send(frame);
        }
        self.knock(visitor, body, local, entropy)
    }

    /// The key was looked up, found or not: the visitor who waited for it gets an answer.
    pub(super) fn looked_up(&mut self, lookup: LookupId, host: &Host<'_>) -> Option<Frame> {
        let is_meant = |door: &Door<N>| matches!(door.phase, Phase::Parked { lookup: its, .. } if its == lookup);
        let visitor = self.doors.iter().find(|(_, door)| is_meant(door)).map(|(visitor, _)| *visitor)?;
        let mut door = self.doors.remove(&visitor)?;
        let Phase::Parked { static_key, token, .. } = door.phase else { return None };
        let verdict = admit(*token, static_key, host);
        let answer = match verdict {
            Ok(()) => Answer::Welcome(Welcome { frame_max: 0, time: host.unix.0, software: String::from(host.software) }),
            Err(reason) => Answer::Refused(Refused { reason, retry_after: 0 }),
        };
        let message = door.noise.answer(None, &answer.encode()).ok()?;
        if verdict.is_ok() {
            self.doors.insert(visitor, Door { phase: Phase::Answered, ..door });
        }
        Some(frame(visitor, message))
    }

    fn knock(&mut self, visitor: Visitor, body: &[u8], local: &StaticKeys, entropy: Entropy) -> Step {
        let Ok((noise, first)) = N::respond(local, entropy, body) else { return Step::Ignored };
        if first.preamble.role != Role::Peer || first.preamble.suite.pattern() != Pattern::Ik {
            return Step::Ignored;
        }
        let token = Hello::decode(&first.payload).ok().and_then(|hello| Unverified::parse(&hello.token).ok());
        let Some(token) = token else { return Step::Ignored };
        self.make_room(visitor);
        let (lookup, kid) = (LookupId(self.turn), token.kid());
        let phase = Phase::Parked { lookup, static_key: first.static_key, token: Box::new(token) };
        self.doors.insert(visitor, Door { noise, phase, turn: self.turn });
        Step::Look(lookup, kid)
    }

    fn key_request(&mut self, visitor: Visitor, body: &[u8], secret: &EpochSecret) -> Option<Frame> {
        let door = self.doors.get_mut(&visitor).filter(|door| door.phase == Phase::Answered)?;
        let mut plaintext = Vec::new();
        door.noise.open(body, &mut plaintext).ok()?;
        door.turn = self.turn;
        KeyRequest::decode(&plaintext).ok().filter(|request| request.session == visitor.0)?;
        let answer = KeyAnswer { epoch: 0, secret: secret.secret().clone() };
        let mut message = Vec::new();
        door.noise.seal(&answer.encode(), &mut message).ok()?;
        Some(frame(visitor, message))
    }

    fn make_room(&mut self, visitor: Visitor) {
        if self.doors.len() >= MAX_VISITORS && !self.doors.contains_key(&visitor) {
            let quietest = self.doors.iter().min_by_key(|(_, door)| door.turn).map(|(visitor, _)| *visitor);
            quietest.map(|visitor| self.doors.remove(&visitor));
        }
    }
}

/// Whether a viewer may have the key: a credential of this org, for a viewer, whose key the handshake proved.
fn admit(token: Unverified, static_key: StaticKey, host: &Host<'_>) -> Result<(), Reason> {
    let keys = host.keys.ok_or(Reason::JwksUnreachable)?;
    let expected = Expectation { issuer: None, expiry: Expiry::Connect };
    let claims = token.verify(keys, host.unix, &expected)?;
    if claims.role != DeviceKind::Viewer || claims.org != *host.org {
        return Err(Reason::TokenWrongAudience);
    }
    if claims.confirmation.static_key != static_key {
        return Err(Reason::TokenKeyMismatch);
    }
    Ok(())
}

fn frame((session, viewer): Visitor, body: Vec<u8>) -> Frame {
    Frame { head: Head::Peer { session, viewer }, body: body.into() }
}
