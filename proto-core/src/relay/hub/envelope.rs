//! What opens a session for who holds its organization's key: kept beside the records, given to viewers (WIRE section 12.2).

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    Hub,
    event::{ConnectionId, Output, SessionNumber, Write},
    state::{EnvelopeState, Link, Session},
};
use crate::{
    Reason,
    id::SessionId,
    orgkey::MAX_ENVELOPE,
    wire::{Frame, Head},
};

impl Hub {
    /// `Envelope` of a daemon: the first one of a session counts, and viewers get it at once.
    pub(super) fn envelope(&mut self, from: ConnectionId, id: SessionId, envelope: Bytes) -> Result<(), Reason> {
        if !(1..=MAX_ENVELOPE).contains(&envelope.len()) {
            return Err(Reason::FrameMalformed);
        }
        let Some((number, session)) = self.owned(from, id) else {
            self.counters.0.envelopes_of_no_session += 1;
            self.reply(from, Head::Enveloped { session: id, is_durable: false });
            return Ok(());
        };
        match session.envelope {
            EnvelopeState::None => {
                session.envelope = EnvelopeState::Stored(envelope.clone());
                self.port.push(Output::Write(Write::Envelope { number, envelope }));
                self.announce_envelope(number);
            }
            EnvelopeState::Stored(_) => {}
            EnvelopeState::Durable(_) => self.reply(from, Head::Enveloped { session: id, is_durable: true }),
        }
        Ok(())
    }

    /// The session of that id, if it is this connection's target's, whether it was opened over this link or not.
    fn owned(&mut self, from: ConnectionId, id: SessionId) -> Option<(SessionNumber, &mut Session)> {
        let link = self.links.get(&from)?;
        let number = *self.orgs.get(&link.org)?.sessions.get(&id)?;
        let session = self.sessions.get_mut(&number).filter(|session| session.target == link.target)?;
        Some((number, session))
    }

    /// The viewers that were sent `Open` are sent the envelope; the others, with the session.
    fn announce_envelope(&mut self, number: SessionNumber) {
        let org = self.sessions.get(&number).and_then(|session| self.orgs.get(&session.org));
        let viewers: Vec<_> = org.into_iter().flat_map(|org| org.viewers.iter().copied()).collect();
        for connection in viewers {
            let viewer = self.links.get_mut(&connection).and_then(Link::viewer_mut);
            if let Some(viewer) = viewer.filter(|viewer| !viewer.unannounced.contains(&number)) {
                viewer.unenveloped.insert(number);
            }
            self.pump(connection);
        }
    }

    /// Sends a viewer the envelope of a session, if it has one.
    pub(super) fn send_envelope(&mut self, connection: ConnectionId, number: SessionNumber) {
        let Self { sessions, links, port, .. } = self;
        let (Some(session), Some(link)) = (sessions.get(&number), links.get_mut(&connection)) else { return };
        let Some(envelope) = session.envelope.bytes() else { return };
        let frame = Frame { head: Head::Envelope { session: session.id }, body: envelope.clone() };
        link.charge(&frame);
        port.push(Output::Send(connection, frame));
    }

    /// The envelope of a session is durable: that is acknowledged to its daemon.
    pub(super) fn enveloped(&mut self, number: SessionNumber) {
        let session = self.sessions.get_mut(&number);
        let Some((session, envelope)) = session.and_then(|session| match &session.envelope {
            EnvelopeState::Stored(envelope) => Some(envelope.clone()).map(|envelope| (session, envelope)),
            EnvelopeState::None | EnvelopeState::Durable(_) => None,
        }) else {
            self.counters.0.stale_store_answers += 1;
            return;
        };
        session.envelope = EnvelopeState::Durable(envelope);
        let (id, daemon) = (session.id, self.orgs.get(&session.org).and_then(|org| org.links.get(&session.target)).copied());
        if let Some(daemon) = daemon {
            self.reply(daemon, Head::Enveloped { session: id, is_durable: true });
        }
    }
}
