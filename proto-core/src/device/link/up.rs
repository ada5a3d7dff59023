//! An open link: sealing and opening frames, and when a ping or a new key is due.

use bytes::Bytes;

use super::{STABLE_AFTER, event::Timer};
use crate::{
    Deadline, Instant, Reason, Unhashed,
    noise::{Noise, channel::Channel},
    wire::{
        Frame, Head, Welcome,
        liveness::{MAX_SILENCE, PING_AFTER, REKEY_AFTER},
    },
};

/// What is known of an open link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Up<N> {
    channel: Channel<N>,
    /// From then on the relay counts as stable, and attempts are counted from the beginning again.
    stable_at: Instant,
    sent_at: Instant,
    heard_at: Instant,
    keyed_at: Instant,
    /// Pings sent, for their nonces.
    pings: Unhashed<u64>,
    /// The longest message that may be sent.
    frame_max: usize,
}

impl<N: Noise> Up<N> {
    pub(super) fn new(channel: Channel<N>, welcome: &Welcome, now: Instant) -> Self {
        Self {
            channel,
            stable_at: now.after(STABLE_AFTER),
            sent_at: now,
            heard_at: now,
            keyed_at: now,
            pings: Unhashed(0),
            frame_max: usize::try_from(welcome.frame_max).unwrap_or(usize::MAX),
        }
    }

    /// The WebSocket message of a frame.
    pub(super) fn seal(&mut self, frame: &Frame, now: Instant) -> Result<Bytes, Reason> {
        let message = self.channel.seal(frame).map_err(|_| Reason::RelayClosed)?;
        if message.len() > self.frame_max {
            return Err(Reason::FrameTooLarge);
        }
        self.sent_at = now;
        if frame.head == Head::Rekey {
            self.keyed_at = now;
        }
        Ok(message)
    }

    /// The frame of a WebSocket message.
    pub(super) fn open(&mut self, message: &Bytes, now: Instant) -> Result<Frame, Reason> {
        self.heard_at = now;
        self.channel.open(message)
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        now >= self.heard_at.after(MAX_SILENCE)
    }

    pub(super) fn is_settled(&self, now: Instant) -> bool {
        now >= self.stable_at
    }

    pub(super) fn ping_is_due(&self, now: Instant) -> bool {
        now >= self.sent_at.after(PING_AFTER)
    }

    pub(super) const fn next_ping(&mut self) -> u64 {
        self.pings.count();
        self.pings.0
    }

    pub(super) fn rekey_is_due(&self, now: Instant) -> bool {
        now >= self.keyed_at.after(REKEY_AFTER) || self.channel.must_rekey()
    }

    /// The next moment at which something is due. `unsettled`: attempts are still to be forgotten.
    pub(super) fn deadline(&self, unsettled: bool) -> Deadline<Timer> {
        let silence = Deadline::new(self.heard_at.after(MAX_SILENCE), Timer::Silence);
        let ping = Deadline::new(self.sent_at.after(PING_AFTER), Timer::Ping);
        let rekey = Deadline::new(self.keyed_at.after(REKEY_AFTER), Timer::Rekey);
        let next = silence.min(ping).min(rekey);
        if unsettled { next.min(Deadline::new(self.stable_at, Timer::Stable)) } else { next }
    }
}
