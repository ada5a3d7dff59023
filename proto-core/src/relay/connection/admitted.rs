//! A connection whose device is in: frames both ways, liveness, keys, renewal.

use alloc::{boxed::Box, string::String, sync::Arc};
use core::time::Duration;

use bytes::Bytes;

use super::{
    Connection, State,
    event::{Device, Errand, Output},
};
use crate::{
    Aside, Reason,
    effect::{Close, Effect},
    id::{GivenId, OrgId},
    key::StaticKey,
    machine::{
        Deadline, Machine,
        time::{Instant, WallClock},
    },
    noise::{Noise, NoiseError, channel::Channel},
    relay::{
        admission::{self, Admission, Applicant, Gate},
        hub::weight,
    },
    secret::SecretText,
    wire::{
        Frame, Head, Preamble, Role,
        liveness::{PING_AFTER, REKEY_AFTER, SILENCE_MAX},
        sealed_len,
    },
};

/// When the platform could not be asked about a renewed credential, it is asked again after this.
const RENEWAL_RETRY: Duration = Duration::from_secs(30);

/// How a frame is put into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    /// All of it inside Noise.
    Whole,
    /// The body, which is sealed already, beside it.
    Tail,
}

/// What is known of an admitted device and its link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Admitted<N> {
    channel: Channel<N>,
    org: OrgId,
    target: GivenId,
    preamble: Preamble,
    static_key: StaticKey,
    hearing: Hearing,
    sent_at: Instant,
    keyed_at: Instant,
    pings: Aside<u64>,
    /// How many decisions were begun, the first one included.
    decisions: Aside<u32>,
    renewal: Renewal,
}

/// Whether the device can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Hearing {
    /// Yes, and this is when it last was.
    Since(Instant),
    /// The hub has asked not to read.
    Held,
}

/// What becomes of a renewed credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Renewal {
    /// There is none.
    None,
    /// It is being decided about.
    Deciding(Box<Admission>, SecretText),
    /// The platform could not be asked; it is asked again.
    Waiting(SecretText, Instant),
}

/// What a decision about a renewed credential leads to.
enum Step {
    /// Somebody is to be asked.
    Ask(Output),
    /// The credential counts from now on; its generation.
    Renewed(SecretText, u64),
}

impl<N: Noise> Admitted<N> {
    pub(super) fn new(now: Instant, channel: Channel<N>, device: &Device, preamble: Preamble, static_key: StaticKey) -> Self {
        Self {
            channel,
            org: device.org.clone(),
            target: device.target.clone(),
            preamble,
            static_key,
            hearing: Hearing::Since(now),
            sent_at: now,
            keyed_at: now,
            pings: Aside(0),
            decisions: Aside(1),
            renewal: Renewal::None,
        }
    }

    pub(super) const fn is_held(&self) -> bool {
        matches!(self.hearing, Hearing::Held)
    }

    pub(super) fn deadline(&self) -> Deadline {
        let ping = Deadline::new(self.sent_at.after(PING_AFTER), "peer: ping");
        let silence = self.silent_at().map(|at| Deadline::new(at, "peer: silence"));
        let retry = match self.renewal {
            Renewal::Waiting(_, at) => Some(Deadline::new(at, "peer: renewal")),
            Renewal::None | Renewal::Deciding(..) => None,
        };
        let rest = Deadline::earliest(silence, retry);
        rest.map_or(ping, |rest| rest.min(ping))
    }

    const fn silent_at(&self) -> Option<Instant> {
        match self.hearing {
            Hearing::Since(heard) => Some(heard.after(SILENCE_MAX)),
            Hearing::Held => None,
        }
    }

    /// WIRE section 6: what this side may be sent, and by whom.
    fn may_send(&self, frame: &Frame) -> bool {
        let daemon = self.preamble.role == Role::Daemon;
        match &frame.head {
            Head::Ping { .. } | Head::Pong { .. } | Head::Rotate { .. } | Head::Rekey | Head::Error { .. } => true,
            Head::Open { .. } => daemon && frame.body.is_empty(),
            Head::Data { .. } | Head::End { .. } => daemon,
            Head::Resume { .. } => !daemon,
            Head::Peer { viewer, .. } => daemon || *viewer == 0,
            Head::Acknowledge { .. } | Head::Rotated { .. } | Head::Revoke { .. } => false,
        }
    }

    /// The device said something: the frame, where it opens and this side may say that.
    pub(super) fn hear(&mut self, now: Instant, message: &Bytes) -> Result<Frame, Reason> {
        if let Hearing::Since(heard) = &mut self.hearing {
            *heard = now;
        }
        let frame = self.channel.open(message)?;
        self.allow(frame)
    }

    pub(super) fn allow(&self, frame: Frame) -> Result<Frame, Reason> {
        if self.may_send(&frame) { Ok(frame) } else { Err(Reason::FrameMalformed) }
    }

    /// What is due: the end of a link that is silent, a ping, another attempt to renew the credential.
    pub(super) fn fire(&mut self, now: Instant, gate: &Arc<Gate>, clock: WallClock) -> Result<Option<Head>, Reason> {
        if self.silent_at().is_some_and(|at| at <= now) {
            return Err(Reason::PingTimeout);
        }
        if let Renewal::Waiting(token, at) = &self.renewal
            && *at <= now
        {
            let token = token.clone();
            self.renew(now, gate, clock, token);
        }
        if self.sent_at.after(PING_AFTER) > now {
            return Ok(None);
        }
        self.pings.count();
        Ok(Some(Head::Ping { nonce: self.pings.0 }))
    }

    /// `Rotate`: the new credential is decided about like the first one.
    fn renew(&mut self, now: Instant, gate: &Arc<Gate>, clock: WallClock, token: SecretText) {
        let Preamble { role, suite } = self.preamble;
        let (pattern, static_key) = (suite.pattern(), self.static_key);
        let applicant = Applicant { role, pattern, static_key, token: token.clone() };
        self.renewal = Renewal::Deciding(Box::new(Admission::begin(now, Arc::clone(gate), clock, applicant)), token);
        self.decisions = Aside(self.decisions.0.wrapping_add(1));
    }

    pub(super) fn tell_clock(&mut self, now: Instant, wall: WallClock) {
        if let Renewal::Deciding(admission, _) = &mut self.renewal {
            admission.handle_clock(now, wall);
        }
    }

    /// The latest decision.
    const fn errand(&self) -> Errand {
        Errand::Decide(self.decisions.0.wrapping_sub(1))
    }

    /// An answer for the decision about a renewed credential. False when nobody waits for it.
    pub(super) fn decided(&mut self, now: Instant, errand: Errand, answer: admission::Input) -> bool {
        let current = self.errand();
        match &mut self.renewal {
            Renewal::Deciding(admission, _) if errand == current => {
                // Drained every time, so never full.
                let _ = admission.handle_input(now, answer);
                true
            }
            _ => false,
        }
    }

    /// What the decision about a renewed credential leads to next, or why the link ends because of it. A platform that cannot be
    /// asked does not end a live link (ROT-5); a refusal does.
    fn poll_renewal(&mut self, now: Instant) -> Option<Result<Step, Reason>> {
        let errand = self.errand();
        let Renewal::Deciding(admission, token) = &mut self.renewal else { return None };
        let step = match admission.poll_output()? {
            admission::Output::LookUp { kid } => Step::Ask(Output::LookUp(errand, kid)),
            admission::Output::Effect(effect) => Step::Ask(Output::Effect(effect.map_id(|()| errand))),
            admission::Output::Admitted(accepted) => {
                let (token, claims) = (token.clone(), accepted.claims);
                self.renewal = Renewal::None;
                if claims.org != self.org || claims.runtime_target != self.target {
                    return Some(Err(Reason::TokenKeyMismatch));
                }
                Step::Renewed(token, claims.generation)
            }
            admission::Output::Refused(refused) => match refused.reason {
                Reason::JwksUnreachable | Reason::ValidateUnreachable | Reason::InternalKeyMismatch => {
                    self.renewal = Renewal::Waiting(token.clone(), now.after(RENEWAL_RETRY));
                    return None;
                }
                reason => return Some(Err(reason)),
            },
        };
        Some(Ok(step))
    }

    /// The messages of a frame: before it a rekey, when that is due.
    fn seal(&mut self, now: Instant, frame: &Frame, seal: Seal) -> Result<(Option<Bytes>, Bytes), NoiseError> {
        let rekey = if self.rekey_is_due(now) {
            self.keyed_at = now;
            Some(self.message(&Head::Rekey.into(), Seal::Whole)?)
        } else {
            None
        };
        self.sent_at = now;
        Ok((rekey, self.message(frame, seal)?))
    }

    fn rekey_is_due(&self, now: Instant) -> bool {
        now >= self.keyed_at.after(REKEY_AFTER) || self.channel.must_rekey()
    }

    fn message(&mut self, frame: &Frame, seal: Seal) -> Result<Bytes, NoiseError> {
        match seal {
            Seal::Whole => self.channel.seal(frame),
            Seal::Tail => self.channel.seal_with_tail(frame),
        }
    }
}

impl<N: Noise> Connection<N> {
    fn admitted_mut(&mut self) -> Option<&mut Admitted<N>> {
        match &mut self.state {
            State::Admitted(admitted) => Some(admitted),
            State::Entering(_) | State::Ended(_) => None,
        }
    }

    /// The device said this, or what ends the link.
    pub(super) fn heard(&mut self, now: Instant, heard: Result<Frame, Reason>) {
        let frame = match heard {
            Ok(frame) => frame,
            Err(reason) => return self.break_off(now, reason),
        };
        match frame.head {
            Head::Ping { nonce } => self.send_own(now, Head::Pong { nonce }),
            Head::Pong { .. } | Head::Rekey => {}
            Head::Rotate { token } => self.renew(now, token),
            Head::Error { reason, .. } => {
                self.end(Some(reason));
                self.outbox.push(Output::Effect(Effect::Close(Errand::Socket, Close::Normal)));
            }
            _ => self.outbox.push(Output::Frame(frame)),
        }
    }

    /// A frame of the hub's. A `Peer` frame that grew too long on its way, by the viewer's number, is dropped: nobody may end
    /// another one's link with it.
    pub(super) fn send(&mut self, now: Instant, frame: &Frame, seal: Seal) {
        let longest = sealed_len(Frame::HEAD_MAX.saturating_add(frame.body.len()));
        if matches!(frame.head, Head::Peer { .. }) && longest > self.frame_max() {
            self.outbox.push(Output::Taken(weight(frame)));
            return self.ignore();
        }
        self.seal_and_transmit(now, frame, seal, weight(frame));
    }

    fn frame_max(&self) -> usize {
        usize::try_from(self.settings.frame_max).unwrap_or(usize::MAX)
    }

    fn send_own(&mut self, now: Instant, head: Head) {
        self.seal_and_transmit(now, &head.into(), Seal::Whole, 0);
    }

    fn seal_and_transmit(&mut self, now: Instant, frame: &Frame, seal: Seal, weight: usize) {
        let frame_max = self.frame_max();
        let Some(admitted) = self.admitted_mut() else { return self.ignore() };
        match admitted.seal(now, frame, seal) {
            Ok((_, message)) if message.len() > frame_max => self.fail(Reason::FrameTooLarge),
            Ok((rekey, message)) => {
                if let Some(rekey) = rekey {
                    self.transmit(rekey, 0);
                }
                self.transmit(message, weight);
            }
            // Out of nonces: 2^64 messages.
            Err(_) => self.fail(Reason::RelayClosed),
        }
    }

    /// The hub ends it: the device is told why, under the key it pinned, and only then can it act on it (BIND-6).
    pub(super) fn close(&mut self, now: Instant, reason: Reason) {
        if !matches!(self.state, State::Admitted(_)) {
            return self.ignore();
        }
        self.break_off(now, reason);
    }

    fn break_off(&mut self, now: Instant, reason: Reason) {
        let farewell = if reason.ends_binding() {
            Head::Revoke { reason }
        } else {
            Head::Error { reason, retry_after: 0, detail: String::new() }
        };
        self.send_own(now, farewell);
        self.fail(reason);
    }

    pub(super) fn hold(&mut self) {
        match self.admitted_mut() {
            Some(admitted) => admitted.hearing = Hearing::Held,
            None => self.ignore(),
        }
    }

    /// While nothing was read the device could not be heard: its silence counts from now.
    pub(super) fn release(&mut self, now: Instant) {
        match self.admitted_mut() {
            Some(admitted) => admitted.hearing = Hearing::Since(now),
            None => self.ignore(),
        }
    }

    /// What was due.
    pub(super) fn fired(&mut self, now: Instant, fired: Result<Option<Head>, Reason>) {
        match fired {
            Ok(Some(ping)) => self.send_own(now, ping),
            Ok(None) => {}
            Err(reason) => self.break_off(now, reason),
        }
        self.drain_renewal(now);
    }

    fn renew(&mut self, now: Instant, token: SecretText) {
        if let State::Admitted(admitted) = &mut self.state {
            admitted.renew(now, &self.settings.gate, self.clock, token);
        }
        self.drain_renewal(now);
    }

    pub(super) fn drain_renewal(&mut self, now: Instant) {
        while let Some(step) = self.admitted_mut().and_then(|admitted| admitted.poll_renewal(now)) {
            match step {
                Ok(Step::Ask(output)) => self.outbox.push(output),
                Ok(Step::Renewed(token, generation)) => {
                    self.outbox.push(Output::Renewed(token));
                    self.send_own(now, Head::Rotated { generation });
                }
                Err(reason) => self.break_off(now, reason),
            }
        }
    }
}
