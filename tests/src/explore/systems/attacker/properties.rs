//! What must hold whatever the attacker does.

use bytes::Bytes;
use proto_core::wire::Pattern;

use super::{Attacked, Compromised, DEVICE, RELAY, Session, State, key};
use crate::explore::{Broken, systems::algebra::First};

impl Attacked {
    /// PIN-1, KCI: what the device takes for the relay's answer is the relay's answer to this very message 1.
    pub(super) fn authentic_relay(&self, state: &State, to: usize) -> Result<(), Broken> {
        let Some(session) = state.sessions.get(to) else { return Ok(()) };
        let Some(second) = &session.second else { return Ok(()) };
        let is_relays =
            state.connections.iter().any(|end| end.second.as_ref() == Some(second) && end.first.as_ref() == Some(&session.first));
        // A peer with the relay's key is the relay, unless there is a PSK as well.
        let may_be_forged = self.compromised == Compromised::Relay && !self.has_psk;
        if is_relays || may_be_forged {
            return Ok(());
        }
        Err(Broken::new("NOI-9", "the device has a session with a peer that is not the relay"))
    }

    /// A peer that is let in as the device is the device, now, on this connection and on no other; under a PSK where one is wanted.
    pub(super) fn authentic_device(&self, state: &State, to: usize) -> Result<(), Broken> {
        let Some(end) = state.connections.get(to) else { return Ok(()) };
        let (Some(first), Some(third)) = (&end.first, &end.confirmed_by) else { return Ok(()) };
        let parsed = First::parse(first).map_err(|_| Broken::new("NOI-9", "let in without a message 1"))?;
        if self.has_psk && parsed.preamble.suite.pattern() == Pattern::Ik {
            return Err(Broken::new("NOI-3", "plain IK was completed by an org that wants a PSK"));
        }
        if parsed.local.0 != key(DEVICE) {
            return Err(Broken::new("JWT-4", "another device is let in with the device's credential"));
        }
        let is_devices =
            |session: &Session| session.first == *first && session.second == end.second && session.third.as_ref() == Some(third);
        let is_there = state.sessions.iter().any(is_devices);
        let may_be_forged = self.compromised == Compromised::Device && !self.has_psk;
        if !is_there && !may_be_forged {
            return Err(Broken::new("NOI-4", "an attacker is let in as the device, and the device is not there"));
        }
        let twins = state.connections.iter().filter(|other| other.confirmed_by.is_some() && other.second == end.second);
        if twins.count() > 1 {
            return Err(Broken::new("NOI-9", "one session of the device is two of the relay's"));
        }
        Ok(())
    }

    /// The credential stays between device and relay, and what they say in a session as well, even when keys are lost.
    pub(super) fn secrecy(&self, state: &State) -> Result<(), Broken> {
        let relay = key(RELAY);
        for session in &state.sessions {
            let Ok(first) = First::parse(&session.first) else { continue };
            if self.compromised != Compromised::Relay && state.knowledge.reads_first(&first, &relay).is_some() {
                return Err(Broken::new("NOI-9", "the attacker reads the device's credential"));
            }
            let genuine = |second: &&Bytes| state.connections.iter().any(|end| end.second.as_ref() == Some(*second));
            let answerer = session.second.as_ref().filter(genuine).and_then(|second| second.first_chunk::<32>().copied());
            if answerer.is_some_and(|answerer| state.knowledge.reads_session(&first, &relay, &answerer).is_some()) {
                return Err(Broken::new("NOI-9", "the attacker reads a session of device and relay"));
            }
        }
        Ok(())
    }
}
