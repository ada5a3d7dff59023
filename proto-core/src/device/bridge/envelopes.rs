//! Sealing sessions to the organization's key, so that they can be opened without this machine.

use alloc::vec::Vec;

use super::{Bridge, EnvelopeState, KeyEvent, Output};
use crate::{
    SessionId,
    device::uplink,
    noise::Noise,
    orgkey::Envelope,
    wire::{Frame, Head},
};

/// The most envelopes under way at a time: a daemon that comes back with thousands of sessions seals them one after the other.
const MAX_ENVELOPES: usize = 8;

impl<N: Noise> Bridge<N> {
    /// The link is new: what was under way over the one before may not have arrived.
    pub(super) fn seal_again(&mut self) {
        for stream in self.streams.values_mut().filter(|stream| stream.envelope() != EnvelopeState::Kept) {
            stream.set_envelope(EnvelopeState::Missing);
        }
        self.seal_next();
    }

    /// Seals sessions that have no envelope, as many as may be under way. Where no generation is known, the platform is asked.
    pub(super) fn seal_next(&mut self) {
        if !self.uplink.is_up() {
            return;
        }
        let with =
            |bridge: &Self, envelope| bridge.streams.iter().filter(move |(_, stream)| stream.envelope() == envelope).count();
        let room = MAX_ENVELOPES.saturating_sub(with(self, EnvelopeState::Sent));
        let missing = self.streams.iter().filter(|(_, stream)| stream.envelope() == EnvelopeState::Missing);
        let next: Vec<_> = missing.map(|(session, _)| *session).take(room).collect();
        if !next.is_empty() && self.organization_key().lineage().newest().is_none() {
            return self.drive(uplink::Input::PollOrganizationKey);
        }
        for session in next {
            self.seal(session);
        }
    }

    fn seal(&mut self, session: SessionId) {
        let (Some(entropy), Some(stream)) = (self.uplink.draw(), self.streams.get_mut(&session)) else { return };
        let Some(statement) = self.uplink.organization_key().lineage().newest() else { return };
        let Ok(envelope) = Envelope::seal(statement, session, stream.secret(), &self.identity, &entropy) else { return };
        stream.set_envelope(EnvelopeState::Sent);
        self.send(Frame { head: Head::Envelope { session }, body: envelope.encode().into() });
    }

    /// The relay has an envelope of this session, durably, or it does not have the session.
    pub(super) fn enveloped(&mut self, session: SessionId, is_durable: bool) {
        match self.streams.get_mut(&session) {
            Some(stream) => stream.set_envelope(if is_durable { EnvelopeState::Kept } else { EnvelopeState::TooEarly }),
            None => self.stats.0.unknown_session += 1,
        }
        self.seal_next();
    }

    pub(super) fn key_news(&mut self, news: KeyEvent) {
        let is_first = matches!(news, KeyEvent::Newer);
        self.port.push(Output::KeyNews(news));
        if is_first {
            self.seal_next();
        }
    }
}
