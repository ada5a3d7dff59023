//! What daemons send, and what the store says about it.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    DECLINED_FOR, Hub, MAX_UNSTORED, PEER_WINDOW, REPLY_WINDOW, RUNNING_PER_DAEMON, SESSIONS_PER_ORG, UNSTORED_PER_DAEMON,
    event::{ConnectionId, Output, SealedRecord, SessionNumber, Write},
    state::{Arrival, Link, LinkRole, Session, SessionPhase},
};
use crate::{
    Reason,
    id::{OrgId, PlatformId, SessionId},
    wire::{Frame, Head, Outcome},
};

impl Hub {
    /// `Open`: the session is this daemon's, new or again; or it is declined, and nothing else happens (F4).
    pub(super) fn open(&mut self, from: ConnectionId, id: SessionId, cipher: u8) -> Result<(), Reason> {
        let number = match self.find_or_create(from, id, cipher) {
            Err(reason @ Reason::SessionLimit) => {
                self.counters.0.declined_sessions += 1;
                self.reply(from, Head::Decline { session: id, reason, retry_after: DECLINED_FOR });
                return Ok(());
            }
            found => found?,
        };
        let session = self.sessions.get_mut(&number).ok_or(Reason::SessionUnknown)?;
        let daemon = self.links.get_mut(&from).and_then(Link::daemon_mut).ok_or(Reason::PeerError)?;
        if session.writer.replace(from) != Some(from) {
            daemon.opened.insert(id, number);
            daemon.unstored = daemon.unstored.saturating_add(session.pending_bytes);
        }
        let (next, durable) = (session.expected(), session.acknowledged());
        self.reply(from, Head::Resume { session: id, next });
        if durable > 0 {
            self.reply(from, Head::Acknowledge { session: id, next: durable });
        }
        Ok(())
    }

    fn find_or_create(&mut self, from: ConnectionId, id: SessionId, cipher: u8) -> Result<SessionNumber, Reason> {
        let link = self.links.get(&from).ok_or(Reason::PeerError)?;
        let org = self.orgs.get(&link.org).ok_or(Reason::PeerError)?;
        if !(1..=2).contains(&cipher) {
            return Err(Reason::FrameMalformed);
        }
        let Some(number) = org.sessions.get(&id).copied() else {
            let (org, target) = (link.org.clone(), link.target.clone());
            return self.create(org, id, target, cipher);
        };
        let session = self.sessions.get(&number).ok_or(Reason::SessionUnknown)?;
        match (session.target == link.target, session.cipher == cipher) {
            (false, _) => Err(Reason::SessionUnknown),
            (true, false) => Err(Reason::FrameMalformed),
            (true, true) => Ok(number),
        }
    }

    fn create(&mut self, org_id: OrgId, id: SessionId, target: PlatformId, cipher: u8) -> Result<SessionNumber, Reason> {
        let org = self.orgs.entry(org_id.clone()).or_default();
        let is_full = org.sessions.len() >= SESSIONS_PER_ORG;
        let daemon = org.daemons.get_mut(&target).ok_or(Reason::PeerError)?;
        if is_full || daemon.running >= RUNNING_PER_DAEMON {
            return Err(Reason::SessionLimit);
        }
        let number = SessionNumber(self.next_number);
        self.next_number = self.next_number.saturating_add(1);
        org.sessions.insert(id, number);
        daemon.sessions = daemon.sessions.saturating_add(1);
        daemon.running = daemon.running.saturating_add(1);
        if daemon.sessions == 1 {
            let credential = daemon.credential.clone();
            let write = Write::Credential { org: org_id.clone(), target: target.clone(), credential };
            self.port.push(Output::Write(write));
        }
        let viewers: Vec<_> = org.viewers.iter().copied().collect();
        let mut session = Session::new(org_id.clone(), id, target.clone(), cipher);
        let now = self.unix();
        session.tally.0.began = now;
        session.tell(now, 0);
        self.sessions.insert(number, session);
        self.port.push(Output::Write(Write::Session { number, org: org_id, session: id, target, cipher }));
        self.announce(number, viewers);
        Ok(number)
    }

    /// The session that this connection opened under that id.
    fn opened(&mut self, from: ConnectionId, id: SessionId) -> Option<(SessionNumber, &mut Session)> {
        let number = *self.links.get_mut(&from)?.daemon_mut()?.opened.get(&id)?;
        Some((number, self.sessions.get_mut(&number)?))
    }

    /// `Data`: stored in order, delivered at once.
    pub(super) fn data(&mut self, from: ConnectionId, id: SessionId, sequence: u64, record: SealedRecord) -> Result<(), Reason> {
        let now = self.unix();
        let (number, session) = self.opened(from, id).ok_or(Reason::FrameMalformed)?;
        match session.arrive(sequence, &record) {
            Arrival::Duplicate => self.counters.0.duplicate_records += 1,
            Arrival::OutOfPlace => return Err(Reason::FrameMalformed),
            Arrival::New => {
                session.tell(now, record.body.len());
                self.counters.0.records += 1;
                self.deliver_live(number, sequence, &record);
                self.hold_back(from, record.body.len());
                self.port.push(Output::Write(Write::Record { number, sequence, record }));
            }
        }
        Ok(())
    }

    fn hold_back(&mut self, from: ConnectionId, bytes: usize) {
        self.unstored = self.unstored.saturating_add(bytes);
        let is_behind = self.links.get_mut(&from).and_then(Link::daemon_mut).is_some_and(|daemon| {
            daemon.unstored = daemon.unstored.saturating_add(bytes);
            daemon.unstored >= UNSTORED_PER_DAEMON
        });
        if is_behind || self.unstored >= MAX_UNSTORED {
            self.hold(from);
        }
    }

    fn hold(&mut self, daemon: ConnectionId) {
        if self.held.insert(daemon) {
            self.port.push(Output::PauseReading(daemon));
        }
    }

    /// `End`: no more records; everything before it must have arrived. A daemon that was restarted takes an end that is durable for
    /// one more record, and puts its own behind it.
    pub(super) fn end(&mut self, from: ConnectionId, id: SessionId, next: u64, outcome: Outcome) -> Result<(), Reason> {
        let now = self.unix();
        let (number, session) = self.opened(from, id).ok_or(Reason::FrameMalformed)?;
        let behind = next.checked_sub(session.received()).filter(|behind| *behind <= u64::from(session.has_ended()));
        let behind = behind.ok_or(Reason::FrameMalformed)?;
        match session.life {
            SessionPhase::Running => {
                session.life = SessionPhase::Ending(outcome);
                session.tell(now, 0);
                let live = session.queue_live();
                self.port.push(Output::Write(Write::End { number, outcome }));
                self.deliver_end(number, live);
            }
            SessionPhase::Ending(_) => {}
            SessionPhase::Ended(_) => {
                let next = session.acknowledged().saturating_add(behind);
                self.reply(from, Head::Acknowledge { session: id, next });
            }
        }
        Ok(())
    }

    /// `Peer` from a daemon: to the viewer it names, when that watches the same org.
    pub(super) fn peer_to_viewer(&mut self, from: ConnectionId, id: SessionId, viewer: u64, body: Bytes) {
        let to = ConnectionId(viewer);
        let org = self.links.get(&from).map(|link| &link.org);
        let receiver = self.links.get(&to).filter(|link| Some(&link.org) == org);
        let reachable = receiver.is_some_and(|link| matches!(link.role, LinkRole::Viewer(_)));
        let owner = self.links.get(&from).and_then(|link| Some((link, self.session_of(&link.org, id)?)));
        if !reachable || owner.is_none_or(|(link, session)| link.target != session.target) {
            self.counters.0.peer_without_receiver += 1;
            return;
        }
        let frame = Frame { head: Head::Peer { session: id, viewer }, body };
        let Some(link) = self.links.get_mut(&to) else { return };
        if link.outstanding >= PEER_WINDOW {
            self.counters.0.peer_without_room += 1;
            return;
        }
        link.charge(&frame);
        self.counters.0.peer_frames += 1;
        self.port.push(Output::SendTail(to, frame));
    }

    /// A small answer of the relay's own.
    /// The store can, or cannot, make records of an org durable: its daemons are told, once each time.
    pub(super) fn storing(&mut self, org: OrgId, works: bool) {
        let links = self.orgs.get(&org).map(|org| org.links.values().copied().collect::<Vec<_>>());
        let is_new = if works { self.failing.remove(&org) } else { self.failing.insert(org) };
        for link in links.into_iter().flatten().filter(|_| is_new) {
            if matches!(self.links.get(&link), Some(Link { role: LinkRole::Daemon(_), .. })) {
                self.reply(link, Head::Storing { works });
            }
        }
    }

    pub(super) fn reply(&mut self, to: ConnectionId, head: Head) {
        let Some(link) = self.links.get_mut(&to) else { return };
        let frame = Frame::from(head);
        link.charge(&frame);
        // Who asks without reading the answers is not read any more.
        let is_full = link.answers() >= REPLY_WINDOW;
        self.port.push(Output::Send(to, frame));
        if is_full {
            self.hold(to);
        }
    }

    /// The store has everything below `next`: acknowledge it, and let held daemons go on.
    pub(super) fn appended(&mut self, number: SessionNumber, next: u64) {
        let Some(session) = self.sessions.get_mut(&number).filter(|s| s.durable < next) else {
            self.counters.0.stale_store_answers += 1;
            return;
        };
        let bytes = session.settle(next);
        let (id, durable, writer) = (session.id, session.durable, session.writer);
        self.unstored = self.unstored.saturating_sub(bytes);
        if let Some(writer) = writer {
            if let Some(daemon) = self.links.get_mut(&writer).and_then(|link| link.daemon_mut()) {
                daemon.unstored = daemon.unstored.saturating_sub(bytes);
            }
            self.reply(writer, Head::Acknowledge { session: id, next: durable });
        }
        self.release();
    }

    pub(super) fn release(&mut self) {
        if self.held.is_empty() || self.unstored > MAX_UNSTORED / 2 {
            return;
        }
        let Self { held, links, port, .. } = self;
        held.retain(|connection| {
            let still = links.get_mut(connection).is_some_and(|link| {
                let unstored = link.daemon_mut().map_or(0, |daemon| daemon.unstored);
                unstored > UNSTORED_PER_DAEMON / 2 || link.answers() > REPLY_WINDOW / 2
            });
            if !still {
                port.push(Output::ResumeReading(*connection));
            }
            still
        });
    }

    /// The end of a session is durable: acknowledge once more.
    pub(super) fn ended(&mut self, number: SessionNumber) {
        let Some(session) = self.sessions.get_mut(&number) else {
            self.counters.0.stale_store_answers += 1;
            return;
        };
        let SessionPhase::Ending(outcome) = session.life else {
            self.counters.0.stale_store_answers += 1;
            return;
        };
        session.life = SessionPhase::Ended(outcome);
        if let Some(daemon) = self.orgs.get_mut(&session.org).and_then(|org| org.daemons.get_mut(&session.target)) {
            daemon.running = daemon.running.saturating_sub(1);
        }
        let (id, next, writer) = (session.id, session.acknowledged(), session.writer);
        if let Some(writer) = writer {
            self.reply(writer, Head::Acknowledge { session: id, next });
        }
    }

    /// The store would keep a session no longer: it is forgotten when it has ended, durably, and is not watched.
    pub(super) fn leaving(&mut self, number: SessionNumber) {
        let is_over = |session: &&Session| matches!(session.life, SessionPhase::Ended(_)) && session.subscribers.is_empty();
        if !self.sessions.get(&number).as_ref().is_some_and(is_over) {
            self.counters.0.kept_sessions += 1;
            return;
        }
        let Some(session) = self.sessions.remove(&number) else { return };
        if let Some(daemon) = session.writer.and_then(|writer| self.links.get_mut(&writer)).and_then(Link::daemon_mut) {
            daemon.opened.remove(&session.id);
        }
        if let Some(org) = self.orgs.get_mut(&session.org) {
            org.forget(&session);
            if org.is_unused() {
                self.orgs.remove(&session.org);
            }
        }
        self.port.push(Output::Write(Write::Remove { number }));
    }
}
