//! One session as the daemon sees it: where its frames come from, and whether they continue what the relay has.

use super::SourceId;
use crate::{
    SessionId,
    crypto::{Cipher, seal::EpochSecret},
    wire::{Frame, Head},
};

/// A session that was pinned to this binding. Its records are kept by the process that makes them, not here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    cipher: Cipher,
    secret: EpochSecret,
    flow: Flow,
    envelope: EnvelopeState,
}

/// Whether who holds the organization's key can open the session without this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum EnvelopeState {
    /// The relay has none, as far as is known.
    Missing,
    /// The relay does not have the session, or not yet.
    TooEarly,
    /// One is under way.
    Sent,
    /// The relay has one, durably.
    Kept,
}

/// Whether frames pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Flow {
    /// No process makes records at the moment: the session ended, or its process is away.
    Idle,
    /// The relay has not said yet where to go on; what comes is dropped, for it will come again.
    Waiting(SourceId),
    /// The frame that continues what was passed on is number `next`; others are dropped.
    Flowing { source: SourceId, next: u64 },
    /// The end was passed on, after `records` records.
    Ended { source: SourceId, records: u64 },
}

impl Stream {
    pub(super) const fn new(cipher: Cipher, secret: EpochSecret) -> Self {
        Self { cipher, secret, flow: Flow::Idle, envelope: EnvelopeState::Missing }
    }

    /// For viewers: the secret of epoch 0.
    pub(super) const fn secret(&self) -> &EpochSecret {
        &self.secret
    }

    pub(super) const fn envelope(&self) -> EnvelopeState {
        self.envelope
    }

    pub(super) const fn set_envelope(&mut self, envelope: EnvelopeState) {
        self.envelope = envelope;
    }

    pub(super) const fn source(&self) -> Option<SourceId> {
        match self.flow {
            Flow::Idle => None,
            Flow::Waiting(source) | Flow::Flowing { source, .. } | Flow::Ended { source, .. } => Some(source),
        }
    }

    /// A process makes records now; the one before it is forgotten.
    pub(super) const fn attach(&mut self, source: SourceId) {
        self.flow = Flow::Waiting(source);
    }

    pub(super) const fn detach(&mut self) {
        self.flow = Flow::Idle;
    }

    /// Whether the relay owes an answer to an `Open`.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.flow, Flow::Waiting(_))
    }

    /// The link came up or the process asked: what to tell the relay, if a process makes records.
    pub(super) fn open(&mut self, session: SessionId) -> Option<Frame> {
        let source = self.source()?;
        self.flow = Flow::Waiting(source);
        if self.envelope == EnvelopeState::TooEarly {
            self.envelope = EnvelopeState::Missing;
        }
        Some(Head::Open { session, cipher: self.cipher as u8 }.into())
    }

    /// The relay said where to go on.
    pub(super) const fn resume(&mut self, next: u64) {
        if let Some(source) = self.source() {
            self.flow = Flow::Flowing { source, next };
        }
    }

    /// Whether this record continues what was passed on.
    pub(super) fn passes_data(&mut self, sequence: u64) -> bool {
        match &mut self.flow {
            Flow::Flowing { next, .. } if *next == sequence => {
                *next = next.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// Whether this end continues what was passed on.
    pub(super) const fn passes_end(&mut self, records: u64) -> bool {
        match self.flow {
            Flow::Flowing { source, next } if next == records => {
                self.flow = Flow::Ended { source, records };
                true
            }
            _ => false,
        }
    }

    /// Whether the relay, which has everything below `next`, has all of it: the end counts as one more record.
    pub(super) const fn is_whole(&self, next: u64) -> bool {
        matches!(self.flow, Flow::Ended { records, .. } if next > records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    /// SES-1: an end passes behind the last record that passed, and nothing passes behind an end.
    #[test]
    fn an_end_passes_in_its_place_only() {
        let mut stream = Stream::new(Cipher::Aes256Gcm, EpochSecret::new(Secret::new([1; 32])));
        stream.attach(SourceId(1));
        assert!(!stream.passes_end(0), "the relay has not said where to go on");
        stream.resume(3);
        assert!(stream.passes_data(3));
        for elsewhere in [0, 3, 5] {
            assert!(!stream.passes_end(elsewhere));
        }
        assert!(stream.passes_end(4));
        assert!(!stream.passes_end(4));
        assert!(!stream.passes_data(4));
    }

    /// SES-2: the relay has all of a session when it has the end, which counts as one more record.
    #[test]
    fn a_session_is_whole_with_its_end() {
        let mut stream = Stream::new(Cipher::Aes256Gcm, EpochSecret::new(Secret::new([1; 32])));
        stream.attach(SourceId(1));
        stream.resume(4);
        assert!(!stream.is_whole(5));
        assert!(stream.passes_end(4));
        assert!(!stream.is_whole(4));
        assert!(stream.is_whole(5));
    }
}
