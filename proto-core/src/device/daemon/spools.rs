//! Between sessions and their bridges: what a relay does not keep up with is kept, and delivered over the binding that the session
//! is pinned to, or not at all (D17).

use alloc::collections::BTreeMap;

use super::{
    Daemon, EffectId, Event, Output,
    running::{Presence, SessionEntry},
};
use crate::{
    BindingId, Machine, Reason, SessionId, Status,
    crypto::Cipher,
    device::{
        bridge::{self, SourceId},
        files::SessionFile,
        incarnation::{Child, Incarnation},
        spool::{self, MAX_TOTAL, Spool},
    },
    effect::{Effect, StateFile},
    noise::Noise,
    wire::{Frame, Head},
};

impl<N: Noise> Daemon<N> {
    /// After a restart: what was kept goes on its way. What belongs to no session any more is erased.
    pub(super) fn recall_spools(&mut self, found: &BTreeMap<SessionId, BTreeMap<u64, u64>>) {
        for (session, segments) in found {
            let cipher = self.sessions.get(*session).and_then(|running| Cipher::from_byte(running.file.cipher));
            match cipher {
                Some(cipher) => {
                    let segments = segments.iter().map(|(first, bytes)| (*first, *bytes));
                    let spool = Spool::restore(self.port.now(), *session, cipher, segments);
                    self.add_spool(*session, spool);
                }
                None => self.erase(*session),
            }
        }
    }

    fn add_spool(&mut self, session: SessionId, machine: Spool) {
        self.spools.insert(&session, Child::new(self.lives.next(), machine));
        self.hear_spool(session);
    }

    /// A process makes records of a session: its spool stands between it and the bridge.
    pub(super) fn attach_spool(&mut self, source: SourceId, file: &SessionFile) {
        let (session, pin) = (file.session, file.pin());
        if self.spools.get(&session).is_none()
            && let Some(cipher) = Cipher::from_byte(file.cipher)
        {
            self.add_spool(session, Spool::new(self.port.now(), session, cipher));
        }
        if !self.is_source(session) {
            self.drive_bridge(&pin, bridge::Input::Attach(source, session));
        }
    }

    /// A bridge takes over: the process that handed records of this session to the previous one hands them to this one.
    pub(super) fn set_source(&mut self, id: &BindingId, running: &SessionEntry) {
        let session = running.file.session;
        let source = match running.presence() {
            _ if self.is_source(session) => SourceId::SPOOL,
            Presence::Here(source) => source,
            Presence::Away { .. } | Presence::Closing | Presence::Delivered | Presence::Abandoned => return,
        };
        self.drive_bridge(id, bridge::Input::Attach(source, session));
    }

    /// The process that makes records of a session says something.
    pub(super) fn feed_spool(&mut self, session: SessionId, frame: Frame) {
        let is_keeping = self.spools.get(&session).is_some_and(|spool| spool.machine.is_keeping());
        let free = if is_keeping { MAX_TOTAL.saturating_sub(self.spooled_bytes()) } else { MAX_TOTAL };
        self.drive_spool(session, spool::Input::Source { frame, free });
    }

    /// The relay sends a frame to the source that hands records to it.
    pub(super) fn relay_said(&mut self, source: SourceId, frame: Frame) {
        let session = frame.head.session().filter(|session| self.spools.get(session).is_some());
        match session {
            Some(session) => self.drive_spool(session, spool::Input::Relay(frame)),
            // That a binding ends is told to the processes of kept sessions when those are cut.
            None if source == SourceId::SPOOL => {}
            None => self.port.push(Output::ToSource(source, frame)),
        }
    }

    /// The binding of a session ends: its process is told, where the bridge does not know it.
    pub(super) fn tell_cut(&mut self, session: SessionId, reason: Reason) {
        if self.is_source(session) {
            self.tell_source(session, Head::Revoke { reason }.into());
        }
    }

    pub(super) fn drive_spool(&mut self, session: SessionId, input: spool::Input) {
        let port = &mut self.port;
        self.spools.touch(&session, |spool| port.feed(&mut *spool.machine, input));
        self.hear_spool(session);
    }

    pub(super) fn wake_spools(&mut self) {
        let now = self.port.now();
        for session in self.spools.due(now) {
            self.spools.touch(&session, |spool| spool.machine.handle_timeout(now));
            self.hear_spool(session);
        }
    }

    fn hear_spool(&mut self, session: SessionId) {
        while let Some((life, output)) = self.next_of_spool(session) {
            self.spool_said(session, life, output);
        }
        if self.spools.get(&session).is_some_and(|spool| !matches!(spool.machine.status(), Status::Running { .. })) {
            self.session_over(session);
        }
    }

    fn next_of_spool(&mut self, session: SessionId) -> Option<(Incarnation, spool::Output)> {
        self.spools.touch(&session, |spool| spool.machine.poll_output().map(|output| (spool.life, output))).flatten()
    }

    fn spool_said(&mut self, session: SessionId, life: Incarnation, output: spool::Output) {
        match output {
            spool::Output::ToSource(frame) => self.tell_source(session, frame),
            spool::Output::ToRelay(frame) => self.hand_over(session, frame),
            spool::Output::TakesOver | spool::Output::HandsBack => {
                if let Some(running) = self.sessions.get(session).cloned() {
                    self.set_source(&running.pin(), &running);
                }
            }
            spool::Output::Effect(effect) => {
                self.port.push(Output::Effect(effect.map_id(|ask| EffectId::Spool(session, life, ask))));
            }
            spool::Output::Trouble(reason) => self.log(Event::Trouble(reason)),
        }
    }

    fn tell_source(&mut self, session: SessionId, frame: Frame) {
        if let Some(Presence::Here(source)) = self.sessions.get(session).map(SessionEntry::presence) {
            self.port.push(Output::ToSource(source, frame));
        }
    }

    fn hand_over(&mut self, session: SessionId, frame: Frame) {
        let Some(running) = self.sessions.get(session) else { return };
        let source = match running.presence() {
            _ if self.is_source(session) => SourceId::SPOOL,
            Presence::Here(source) => source,
            Presence::Away { .. } | Presence::Closing | Presence::Delivered | Presence::Abandoned => return,
        };
        self.drive_bridge(&running.pin(), bridge::Input::Frame(source, frame));
    }

    fn is_source(&self, session: SessionId) -> bool {
        self.spools.get(&session).is_some_and(|spool| spool.machine.is_source())
    }

    /// Whether no more records of a session are taken.
    pub(super) fn is_closed(&self, session: SessionId) -> bool {
        self.spools.get(&session).is_some_and(|spool| spool.machine.is_closed())
    }

    /// Bytes that lie in all spools.
    fn spooled_bytes(&self) -> u64 {
        self.spools.values().map(|spool| spool.machine.bytes()).fold(0, u64::saturating_add)
    }

    /// The sessions of which something is kept, and how many bytes.
    pub(super) fn spooled(&self) -> impl Iterator<Item = (SessionId, u64)> {
        let bytes = self.spools.iter().map(|(session, spool)| (*session, spool.machine.bytes()));
        bytes.filter(|(_, bytes)| *bytes > 0)
    }

    /// Nothing stands between a session and its bridge any more: what is kept of it goes.
    pub(super) fn drop_spool(&mut self, session: SessionId) {
        if self.spools.remove(&session).is_some_and(|spool| spool.machine.leaves_files()) {
            self.erase(session);
        }
    }

    pub(super) fn erase(&mut self, session: SessionId) {
        self.port.push(Output::Effect(Effect::Remove(EffectId::Erase(session), StateFile::Spool(session))));
    }
}
