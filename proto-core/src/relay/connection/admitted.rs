//! A connection whose device is in: frames both ways, liveness, keys, renewal.

use alloc::{boxed::Box, string::String, sync::Arc};
use core::time::Duration;

use bytes::Bytes;

use super::{
    Connection, State,
    event::{Device, EffectId, Output, Timer},
};
use crate::{
    Reason, Unhashed,
    effect::{Close, Effect},
    id::{OrgId, PlatformId},
    jose::{SKEW, Unverified},
    key::StaticKey,
    machine::{
        Deadline, Machine,
        base::MachineBase,
        time::{Instant, WallClock},
    },
    noise::{Noise, NoiseError, channel::Channel},
    relay::{
        admission::{self, Admission, Applicant, PlatformAccess},
        hub::weight,
    },
    secret::SecretText,
    wire::{
        Frame, Head, Preamble, Role,
        liveness::{MAX_SILENCE, PING_AFTER, REKEY_AFTER},
        sealed_len,
    },
};

/// When the platform could not be asked about a renewed credential, or one that expired, it is asked again after this.
const RENEWAL_RETRY: Duration = Duration::from_secs(30);
/// When it could not be asked about one that may be revoked (D3: a revocation counts after 5 s).
const RECHECK_RETRY: Duration = Duration::from_secs(3);
/// A credential is validated again so long after it expired by the relay's clock: the platform's own may differ by the skew.
const EXPIRY_CHECK: u64 = SKEW + 1;

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
    target: PlatformId,
    preamble: Preamble,
    static_key: StaticKey,
    /// The current credential.
    token: SecretText,
    /// When that has expired and is validated again.
    expires_at: Instant,
    hearing: ReadState,
    sent_at: Instant,
    keyed_at: Instant,
    pings: Unhashed<u64>,
    /// How many decisions were begun, the first one included.
    decisions: Unhashed<u32>,
    renewal: Revalidation,
}

/// Whether the device can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ReadState {
    /// Yes, and this is when it last was.
    Since(Instant),
    /// The hub has asked not to read.
    Held,
}

/// Which credential is being validated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Revalidation {
    /// None.
    None,
    /// One is being decided about.
    Deciding(Box<Admission>, RevalidationCause),
    /// The platform could not be asked; it is asked again.
    Waiting(RevalidationCause, Instant),
}

/// A credential that has to be validated, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum RevalidationCause {
    /// The device renewed it, and is told when it counts. The platform is asked again after `retry` when it gives no answer.
    Renewed { token: SecretText, retry: Duration },
    /// The one that counts may have been revoked.
    Revoked,
    /// The one that counts has expired.
    Expired,
}

impl RevalidationCause {
    const fn retry(&self) -> Duration {
        match self {
            Self::Revoked => RECHECK_RETRY,
            Self::Renewed { retry, .. } => *retry,
            Self::Expired => RENEWAL_RETRY,
        }
    }
}

/// What a decision about a renewed credential leads to.
enum Step {
    /// The key set or the platform is to be asked.
    Emit(Output),
    /// The credential counts from now on; its generation.
    Renewed(SecretText, u64),
}

impl<N: Noise> Admitted<N> {
    pub(super) fn new(
        now: Instant,
        channel: Channel<N>,
        device: &Device,
        preamble: Preamble,
        static_key: StaticKey,
        clock: WallClock,
    ) -> Self {
        Self {
            token: device.token.clone(),
            expires_at: expiry_of(&device.token, clock),
            channel,
            org: device.org.clone(),
            target: device.target.clone(),
            preamble,
            static_key,
            hearing: ReadState::Since(now),
            sent_at: now,
            keyed_at: now,
            pings: Unhashed(0),
            decisions: Unhashed(1),
            renewal: Revalidation::None,
        }
    }

    pub(super) const fn is_held(&self) -> bool {
        matches!(self.hearing, ReadState::Held)
    }

    pub(super) fn deadline(&self) -> Deadline<Timer> {
        let ping = Deadline::new(self.sent_at.after(PING_AFTER), Timer::Ping);
        let silence = self.silent_at().map(|at| Deadline::new(at, Timer::Silence));
        let retry = match self.renewal {
            Revalidation::Waiting(_, at) => Some(Deadline::new(at, Timer::Revalidation)),
            Revalidation::None => Some(Deadline::new(self.expires_at, Timer::Expiry)),
            Revalidation::Deciding(..) => None,
        };
        let rest = Deadline::earliest(silence, retry);
        rest.map_or(ping, |rest| rest.min(ping))
    }

    const fn silent_at(&self) -> Option<Instant> {
        match self.hearing {
            ReadState::Since(heard) => Some(heard.after(MAX_SILENCE)),
            ReadState::Held => None,
        }
    }

    /// WIRE section 6: what this side may be sent, and by whom.
    fn may_send(&self, frame: &Frame) -> bool {
        let daemon = self.preamble.role == Role::Daemon;
        match &frame.head {
            Head::Ping { .. } | Head::Pong { .. } | Head::Rotate { .. } | Head::Rekey | Head::Error { .. } => true,
            Head::Open { .. } => daemon && frame.body.is_empty(),
            Head::Data { .. } | Head::End { .. } | Head::Envelope { .. } => daemon,
            Head::Resume { .. } => !daemon,
            Head::Peer { viewer, .. } => daemon || *viewer == 0,
            Head::Acknowledge { .. }
            | Head::Rotated { .. }
            | Head::Revoke { .. }
            | Head::Enveloped { .. }
            | Head::Decline { .. }
            | Head::Storing { .. } => false,
        }
    }

    /// The device said something: the frame, where it opens and this side may say that.
    pub(super) fn hear(&mut self, now: Instant, message: &Bytes) -> Result<Frame, Reason> {
        if let ReadState::Since(heard) = &mut self.hearing {
            *heard = now;
        }
        let frame = self.channel.open(message)?;
        self.allow(frame)
    }

    pub(super) fn allow(&self, frame: Frame) -> Result<Frame, Reason> {
        if self.may_send(&frame) { Ok(frame) } else { Err(Reason::FrameMalformed) }
    }

    /// What is due: the end of a link that is silent, a ping, another attempt to renew the credential.
    pub(super) fn fire(&mut self, now: Instant, gate: &Arc<PlatformAccess>, clock: WallClock) -> Result<Option<Head>, Reason> {
        if self.silent_at().is_some_and(|at| at <= now) {
            return Err(Reason::PingTimeout);
        }
        match &self.renewal {
            Revalidation::Waiting(doubt, at) if *at <= now => {
                let doubt = doubt.clone();
                self.validate(now, gate, clock, doubt);
            }
            Revalidation::None if self.expires_at <= now => self.validate(now, gate, clock, RevalidationCause::Expired),
            Revalidation::None | Revalidation::Waiting(..) | Revalidation::Deciding(..) => {}
        }
        if self.sent_at.after(PING_AFTER) > now {
            return Ok(None);
        }
        self.pings.count();
        Ok(Some(Head::Ping { nonce: self.pings.0 }))
    }

    /// Access may have ended: what is being validated is asked about once more, because the answer may be from before.
    fn recheck(&mut self, now: Instant, gate: &Arc<PlatformAccess>, clock: WallClock) {
        let doubt = match core::mem::replace(&mut self.renewal, Revalidation::None) {
            Revalidation::Deciding(_, RevalidationCause::Renewed { token, .. })
            | Revalidation::Waiting(RevalidationCause::Renewed { token, .. }, _) => {
                RevalidationCause::Renewed { token, retry: RECHECK_RETRY }
            }
            Revalidation::None | Revalidation::Deciding(..) | Revalidation::Waiting(..) => RevalidationCause::Revoked,
        };
        self.validate(now, gate, clock, doubt);
    }

    /// A renewed credential is decided about like the first one; the one that counts, once more.
    fn validate(&mut self, now: Instant, gate: &Arc<PlatformAccess>, clock: WallClock, doubt: RevalidationCause) {
        let Preamble { role, suite } = self.preamble;
        let (pattern, static_key, gate) = (suite.pattern(), self.static_key, Arc::clone(gate));
        let token = if let RevalidationCause::Renewed { token, .. } = &doubt { token.clone() } else { self.token.clone() };
        let applicant = Applicant { role, pattern, static_key, token };
        let admission = match doubt {
            RevalidationCause::Renewed { .. } => Admission::begin(now, gate, clock, applicant),
            RevalidationCause::Revoked | RevalidationCause::Expired => Admission::again(now, gate, clock, applicant),
        };
        self.renewal = Revalidation::Deciding(Box::new(admission), doubt);
        self.decisions = Unhashed(self.decisions.0.wrapping_add(1));
    }

    pub(super) fn tell_clock(&mut self, now: Instant, wall: WallClock) {
        if let Revalidation::Deciding(admission, _) = &mut self.renewal {
            admission.handle_clock(now, wall);
        }
        self.expires_at = expiry_of(&self.token, wall);
    }

    /// The platform says that the credential counts. One that it renewed replaces the one before.
    fn accept(&mut self, now: Instant, clock: WallClock, doubt: RevalidationCause, generation: u64) -> Option<Step> {
        self.renewal = Revalidation::None;
        match doubt {
            RevalidationCause::Renewed { token, .. } => {
                self.expires_at = expiry_of(&token, clock);
                self.token = token.clone();
                Some(Step::Renewed(token, generation))
            }
            // What counts although it has expired, by this clock, is asked about again.
            RevalidationCause::Revoked | RevalidationCause::Expired if self.expires_at <= now => {
                self.renewal = Revalidation::Waiting(RevalidationCause::Expired, now.after(RENEWAL_RETRY));
                None
            }
            RevalidationCause::Revoked | RevalidationCause::Expired => None,
        }
    }

    /// The latest decision.
    const fn effect_id(&self) -> EffectId {
        EffectId::Decide(self.decisions.0.wrapping_sub(1))
    }

    /// An answer for the decision about a renewed credential. False when it is not awaited.
    pub(super) fn decided(&mut self, port: &mut MachineBase<Output>, effect_id: EffectId, answer: admission::Input) -> bool {
        let current = self.effect_id();
        match &mut self.renewal {
            Revalidation::Deciding(admission, _) if effect_id == current => {
                port.feed(&mut **admission, answer);
                true
            }
            _ => false,
        }
    }

    /// What the decision about a renewed credential leads to next, or why the link ends because of it. A platform that cannot be
    /// asked does not end a live link (ROT-5); a refusal does.
    fn poll_renewal(&mut self, now: Instant, clock: WallClock) -> Option<Result<Step, Reason>> {
        let effect_id = self.effect_id();
        let Revalidation::Deciding(admission, doubt) = &mut self.renewal else { return None };
        let step = match admission.poll_output()? {
            admission::Output::LookUp { kid } => Step::Emit(Output::LookUp(effect_id, kid)),
            admission::Output::Effect(effect) => Step::Emit(Output::Effect(effect.map_id(|()| effect_id))),
            admission::Output::Admitted(accepted) => {
                let (doubt, claims) = (doubt.clone(), accepted.claims);
                if claims.org != self.org || claims.runtime_target != self.target {
                    self.renewal = Revalidation::None;
                    return Some(Err(Reason::TokenKeyMismatch));
                }
                self.accept(now, clock, doubt, claims.generation)?
            }
            admission::Output::Refused(refused) => match refused.reason {
                Reason::JwksUnreachable | Reason::ValidateUnreachable | Reason::InternalKeyMismatch => {
                    let retry = now.after(doubt.retry());
                    self.renewal = Revalidation::Waiting(doubt.clone(), retry);
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

/// When a credential that was found valid is validated again because its time is over.
fn expiry_of(token: &SecretText, clock: WallClock) -> Instant {
    let parsed = Unverified::parse(token).map(|token| token.into_unproven().expires_at);
    // It was parsed before it was found valid.
    parsed.map_or(Instant::MAX, |expires_at| clock.moment_of(expires_at.plus(EXPIRY_CHECK)))
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
                self.port.push(Output::Effect(Effect::Close(EffectId::Socket, Close::Normal)));
            }
            _ => self.port.push(Output::Frame(frame)),
        }
    }

    /// A frame of the hub's. A `Peer` frame that grew too long on its way, by the viewer's number, is dropped: no peer may end
    /// another one's link with it.
    pub(super) fn send(&mut self, now: Instant, frame: &Frame, seal: Seal) {
        let longest = sealed_len(Frame::MAX_HEAD.saturating_add(frame.body.len()));
        if matches!(frame.head, Head::Peer { .. }) && longest > self.frame_max() {
            self.port.push(Output::Taken(weight(frame)));
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
            Some(admitted) => admitted.hearing = ReadState::Held,
            None => self.ignore(),
        }
    }

    /// While nothing was read the device could not be heard: its silence counts from now.
    pub(super) fn release(&mut self, now: Instant) {
        match self.admitted_mut() {
            Some(admitted) => admitted.hearing = ReadState::Since(now),
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

    /// `Rotate`.
    fn renew(&mut self, now: Instant, token: SecretText) {
        if let State::Admitted(admitted) = &mut self.state {
            admitted.validate(now, &self.settings.gate, self.clock, RevalidationCause::Renewed { token, retry: RENEWAL_RETRY });
        }
        self.drain_renewal(now);
    }

    pub(super) fn recheck(&mut self, now: Instant) {
        match &mut self.state {
            State::Admitted(admitted) => admitted.recheck(now, &self.settings.gate, self.clock),
            State::Entering(_) | State::Ended(_) => return self.ignore(),
        }
        self.drain_renewal(now);
    }

    pub(super) fn drain_renewal(&mut self, now: Instant) {
        let clock = self.clock;
        while let Some(step) = self.admitted_mut().and_then(|admitted| admitted.poll_renewal(now, clock)) {
            match step {
                Ok(Step::Emit(output)) => self.port.push(output),
                Ok(Step::Renewed(token, generation)) => {
                    self.port.push(Output::Renewed(token));
                    self.send_own(now, Head::Rotated { generation });
                }
                Err(reason) => self.break_off(now, reason),
            }
        }
    }
}
