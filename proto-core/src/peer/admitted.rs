//! A connection whose device is in: frames both ways, liveness, keys, renewal.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::Bytes;

use super::{
    Connection, State,
    event::{Device, Errand, Output},
};
use crate::{
    Reason,
    admission::{self, Admission, Applicant},
    crypto::{
        channel::Channel,
        noise::{Noise, NoiseError},
    },
    effect::{Close, Effect},
    hub::weight,
    id::{GivenId, OrgId},
    key::StaticKey,
    link::{PING_AFTER, REKEY_AFTER, SILENCE_MAX},
    machine::{Deadline, Machine},
    secret::SecretText,
    time::Instant,
    wire::{Frame, Head, Preamble, Role, sealed_len},
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
    pings: u64,
    /// How many decisions were begun, the first one included.
    decisions: u32,
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
            pings: 0,
            decisions: 1,
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

    /// The messages of a frame: before it a rekey, when that is due.
    fn seal(&mut self, now: Instant, frame: &Frame, seal: Seal) -> Result<(Option<Bytes>, Bytes), NoiseError> {
        let rekey_is_due = self.channel.must_rekey() || now >= self.keyed_at.after(REKEY_AFTER);
        let rekey = if rekey_is_due {
            self.keyed_at = now;
            Some(self.message(&Head::Rekey.into(), Seal::Whole)?)
        } else {
            None
        };
        self.sent_at = now;
        Ok((rekey, self.message(frame, seal)?))
    }

    fn message(&mut self, frame: &Frame, seal: Seal) -> Result<Bytes, NoiseError> {
        let mut message = Vec::new();
        match seal {
            Seal::Whole => self.channel.seal(frame, &mut message)?,
            Seal::Tail => self.channel.seal_with_tail(frame, &mut message)?,
        }
        Ok(message.into())
    }
}

impl<N: Noise> Connection<N> {
    fn admitted_mut(&mut self) -> Option<&mut Admitted<N>> {
        match &mut self.state {
            State::Admitted(admitted) => Some(admitted),
            State::Entering(_) | State::Ended(_) => None,
        }
    }

    pub(super) fn open(&mut self, now: Instant, message: &Bytes) {
        let Some(admitted) = self.admitted_mut() else { return };
        if let Hearing::Since(heard) = &mut admitted.hearing {
            *heard = now;
        }
        match admitted.channel.open(message) {
            Ok(frame) => self.take_frame(now, frame),
            Err(reason) => self.break_off(now, reason),
        }
    }

    pub(super) fn take_frame(&mut self, now: Instant, frame: Frame) {
        let Some(admitted) = self.admitted_mut() else { return };
        if !admitted.may_send(&frame) {
            return self.break_off(now, Reason::FrameMalformed);
        }
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
        self.fail_once(reason);
    }

    fn fail_once(&mut self, reason: Reason) {
        if matches!(self.state, State::Admitted(_)) {
            self.fail(reason);
        }
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

    pub(super) fn fire_admitted(&mut self, now: Instant) {
        let Some(admitted) = self.admitted_mut() else { return };
        if admitted.silent_at().is_some_and(|at| at <= now) {
            return self.break_off(now, Reason::PingTimeout);
        }
        if admitted.sent_at.after(PING_AFTER) <= now {
            admitted.pings = admitted.pings.saturating_add(1);
            let nonce = admitted.pings;
            self.send_own(now, Head::Ping { nonce });
        }
        self.retry_renewal(now);
    }

    /// `Rotate`: the new credential is decided about like the first one.
    fn renew(&mut self, now: Instant, token: SecretText) {
        let (gate, clock) = (Arc::clone(&self.settings.gate), self.clock);
        let Some(admitted) = self.admitted_mut() else { return };
        let Preamble { role, suite } = admitted.preamble;
        let (pattern, static_key) = (suite.pattern(), admitted.static_key);
        let applicant = Applicant { role, pattern, static_key, token: token.clone() };
        admitted.renewal = Renewal::Deciding(Box::new(Admission::begin(now, gate, clock, applicant)), token);
        admitted.decisions = admitted.decisions.wrapping_add(1);
        self.drain_renewal(now);
    }

    fn retry_renewal(&mut self, now: Instant) {
        let Some(admitted) = self.admitted_mut() else { return };
        if let Renewal::Waiting(token, at) = &admitted.renewal
            && *at <= now
        {
            let token = token.clone();
            self.renew(now, token);
        }
    }

    pub(super) fn renewal_decided(&mut self, now: Instant, errand: Errand, answer: admission::Input) {
        let Some(admitted) = self.admitted_mut() else { return };
        let current = Errand::Decide(admitted.decisions.wrapping_sub(1));
        match &mut admitted.renewal {
            Renewal::Deciding(admission, _) if errand == current => {
                // Drained every time, so never full.
                let _ = admission.handle_input(now, answer);
                self.drain_renewal(now);
            }
            _ => self.ignore(),
        }
    }

    fn drain_renewal(&mut self, now: Instant) {
        loop {
            let Some(admitted) = self.admitted_mut() else { return };
            let errand = Errand::Decide(admitted.decisions.wrapping_sub(1));
            let Renewal::Deciding(admission, token) = &mut admitted.renewal else { return };
            match admission.poll_output() {
                Some(admission::Output::LookUp { kid }) => self.outbox.push(Output::LookUp(errand, kid)),
                Some(admission::Output::Effect(effect)) => {
                    self.outbox.push(Output::Effect(effect.map_id(|()| errand)));
                }
                Some(admission::Output::Admitted(accepted)) => {
                    let token = token.clone();
                    admitted.renewal = Renewal::None;
                    let claims = accepted.claims;
                    if claims.org != admitted.org || claims.runtime_target != admitted.target {
                        return self.break_off(now, Reason::TokenKeyMismatch);
                    }
                    self.outbox.push(Output::Renewed(token));
                    return self.send_own(now, Head::Rotated { generation: claims.generation });
                }
                Some(admission::Output::Refused(refused)) => {
                    let token = token.clone();
                    return self.renewal_refused(now, token, refused.reason);
                }
                None => return,
            }
        }
    }

    /// A platform that cannot be asked does not end a live link (ROT-5); a refusal does.
    fn renewal_refused(&mut self, now: Instant, token: SecretText, reason: Reason) {
        let cannot_say = matches!(reason, Reason::JwksUnreachable | Reason::ValidateUnreachable | Reason::InternalKeyMismatch);
        match self.admitted_mut() {
            Some(admitted) if cannot_say => admitted.renewal = Renewal::Waiting(token, now.after(RENEWAL_RETRY)),
            _ => self.break_off(now, reason),
        }
    }
}
