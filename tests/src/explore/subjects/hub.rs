//! `hub`: a daemon and a viewer of one org, and a store that may have lost what it took. Two orgs: `hub-two-orgs`.

use bytes::Bytes;
use proto_core::{
    SessionId, Unhashed,
    relay::hub::{Confirmed, ConnectionId, Hub, Input, Kind, Output, Records, SealedRecord, SessionNumber, Write},
    secret::SecretText,
    wire::{Frame, Head, Outcome},
};

use super::link::name_of;
use crate::{
    explore::{Broken, Seen, Situation, Subject},
    fixtures::parsed,
};

/// The hub of one org.
#[derive(Clone, Copy, Debug, Default)]
pub struct Routing;

const SESSION: SessionId = SessionId([7; 16]);
const DAEMON: ConnectionId = ConnectionId(1);
const VIEWER: ConnectionId = ConnectionId(2);

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    DaemonConfirmed,
    ViewerConfirmed,
    DaemonGone,
    ViewerGone,
    Open,
    /// The next record.
    Data,
    /// A record that was sent before.
    DataAgain,
    End,
    Resume,
    PeerOfViewer,
    PeerOfDaemon,
    TakenByDaemon,
    TakenByViewer,
    /// The store has got on by one record.
    Appended,
    EndStored,
    Records,
    Unreadable,
    Renewed,
    Revoked,
    OrgGone,
    /// Revocations were not heard for a while.
    Revalidate,
    /// The store would keep the session no longer.
    Leaving,
}

const FACTS: [Fact; 22] = [
    Fact::DaemonConfirmed,
    Fact::ViewerConfirmed,
    Fact::DaemonGone,
    Fact::ViewerGone,
    Fact::Open,
    Fact::Data,
    Fact::DataAgain,
    Fact::End,
    Fact::Resume,
    Fact::PeerOfViewer,
    Fact::PeerOfDaemon,
    Fact::TakenByDaemon,
    Fact::TakenByViewer,
    Fact::Appended,
    Fact::EndStored,
    Fact::Records,
    Fact::Unreadable,
    Fact::Renewed,
    Fact::Revoked,
    Fact::OrgGone,
    Fact::Revalidate,
    Fact::Leaving,
];

/// What the outside and the properties remember.
#[derive(Clone, Debug, Default, Hash)]
pub struct Memory {
    /// Records that were written, and how many of them are durable.
    written: u64,
    durable: u64,
    has_end: bool,
    is_end_durable: bool,
    /// From where the viewer reads, and what it was sent last.
    reads: Option<u64>,
    shown: Option<u64>,
    /// Frames that the sockets have not taken yet.
    to_daemon: u8,
    to_viewer: u8,
    /// Sessions that were opened first, revocations.
    sessions: u8,
    revocations: u8,
    /// The session that was opened last.
    number: Unhashed<u64>,
}

fn record() -> SealedRecord {
    SealedRecord { epoch: 0, body: Bytes::from_static(b"sealed") }
}

impl Subject for Routing {
    type Machine = Hub;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "hub";
    const MAX_OUTPUTS: usize = 8;

    fn bounds(&self) -> String {
        "one org with a daemon, a viewer and a session of two records, which is opened anew once when it was lost, or left before any \
         revocation; two revocations; three frames that a socket has not taken"
            .into()
    }

    fn starts(&self) -> Vec<(Hub, Memory)> {
        vec![(Hub::new(), Memory::default())]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        let memory = &at.memory;
        let has_room = memory.to_daemon < 3 && memory.to_viewer < 3;
        let may = |fact: &Fact| match fact {
            Fact::TakenByDaemon | Fact::TakenByViewer | Fact::DaemonGone | Fact::ViewerGone => true,
            Fact::Revoked | Fact::OrgGone | Fact::Revalidate => memory.revocations < 2,
            Fact::Data => has_room && memory.written < 2,
            Fact::Open => has_room && memory.sessions < 3,
            Fact::Leaving => has_room && memory.sessions == 1 && memory.revocations == 0,
            _ => has_room,
        };
        FACTS.into_iter().filter(may).collect()
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        let memory = &at.memory;
        let number = SessionNumber(memory.number.0);
        let says = |from, head| Input::Received(from, Frame { head, body: record().body });
        let plain = |from, head: Head| Input::Received(from, head.into());
        let confirmed = |target, kind| Confirmed { org: parsed("A"), target: parsed(target), kind };
        match fact {
            Fact::DaemonConfirmed => Input::Confirmed(DAEMON, confirmed("r", Kind::Daemon(SecretText::new("first")))),
            Fact::ViewerConfirmed => Input::Confirmed(VIEWER, confirmed("v", Kind::Viewer)),
            Fact::DaemonGone => Input::Gone(DAEMON),
            Fact::ViewerGone => Input::Gone(VIEWER),
            Fact::Open => plain(DAEMON, Head::Open { session: SESSION, cipher: 1 }),
            Fact::Data => says(DAEMON, Head::Data { session: SESSION, epoch: 0, sequence: memory.written }),
            Fact::DataAgain => {
                says(DAEMON, Head::Data { session: SESSION, epoch: 0, sequence: memory.written.saturating_sub(1) })
            }
            Fact::End => plain(DAEMON, Head::End { session: SESSION, next: memory.written, outcome: Outcome::Exited }),
            Fact::Resume => plain(VIEWER, Head::Resume { session: SESSION, next: 0 }),
            Fact::PeerOfViewer => says(VIEWER, Head::Peer { session: SESSION, viewer: 0 }),
            Fact::PeerOfDaemon => says(DAEMON, Head::Peer { session: SESSION, viewer: VIEWER.0 }),
            Fact::TakenByViewer => Input::Taken(VIEWER, usize::MAX),
            Fact::TakenByDaemon => Input::Taken(DAEMON, usize::MAX),
            Fact::Appended => Input::Appended(number, (memory.durable + 1).min(memory.written)),
            Fact::EndStored => Input::Ended(number),
            Fact::Records => {
                let from = memory.reads.unwrap_or(0);
                Input::Records(Records { viewer: VIEWER, session: number, from, records: vec![record()] })
            }
            Fact::Unreadable => Input::Unreadable(VIEWER, number),
            Fact::Renewed => Input::Renewed(DAEMON, SecretText::new("second")),
            Fact::Revoked => Input::Revoked { targets: vec![parsed("r")], orgs: Vec::new() },
            Fact::OrgGone => Input::Revoked { targets: Vec::new(), orgs: vec![parsed("A")] },
            Fact::Revalidate => Input::Revalidate,
            Fact::Leaving => Input::Leaving(number),
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        match seen.fact {
            Some(Fact::Appended) => memory.durable = (memory.durable + 1).min(memory.written),
            Some(Fact::ViewerGone) => (memory.shown, memory.reads, memory.to_viewer) = (None, None, 0),
            Some(Fact::DaemonGone | Fact::TakenByDaemon) => memory.to_daemon = 0,
            Some(Fact::TakenByViewer) => memory.to_viewer = 0,
            Some(Fact::Revoked | Fact::OrgGone | Fact::Revalidate) => memory.revocations += 1,
            Some(Fact::Resume) => memory.shown = None,
            Some(Fact::Records) => memory.reads = None,
            Some(Fact::EndStored) => memory.is_end_durable = memory.has_end,
            _ => {}
        }
        seen.outputs.iter().try_for_each(|output| memory.judge(output))
    }

    fn state(&self, machine: &Hub) -> String {
        let Some(org) = machine.orgs().into_iter().next() else { return "nobody".into() };
        let who = match (org.daemons, org.viewers) {
            (0, 0) => "nobody",
            (_, 0) => "a daemon",
            (0, _) => "a viewer",
            _ => "daemon and viewer",
        };
        let session = match (org.sessions, org.running) {
            (0, _) => "no session",
            (_, 0) => "a session that rests",
            _ => "a session that runs",
        };
        format!("{who}, {session}")
    }

    fn say(&self, output: &Output) -> String {
        let to = |connection: &ConnectionId| if *connection == DAEMON { "daemon" } else { "viewer" };
        match output {
            Output::Send(who, frame) => format!("Send({}, {})", to(who), name_of(&frame.head)),
            Output::SendTail(who, frame) => format!("SendTail({}, {})", to(who), name_of(&frame.head)),
            Output::Close(who, reason) => format!("Close({}, {reason:?})", to(who)),
            Output::Write(Write::Credential { .. }) => "Write(Credential)".into(),
            Output::Write(Write::Session { .. }) => "Write(Session)".into(),
            Output::Write(Write::Record { .. }) => "Write(Record)".into(),
            Output::Write(Write::End { .. }) => "Write(End)".into(),
            Output::Write(Write::Remove { .. }) => "Write(Remove)".into(),
            Output::Write(Write::Envelope { .. }) => "Write(Envelope)".into(),
            Output::Read(_) => "Read".into(),
            Output::PauseReading(who) => format!("PauseReading({})", to(who)),
            Output::ResumeReading(who) => format!("ResumeReading({})", to(who)),
            Output::Revalidate(who) => format!("Revalidate({})", to(who)),
        }
    }

    fn ignored(&self, machine: &Hub) -> Vec<(&'static str, u64)> {
        let counters = machine.counters();
        vec![
            ("duplicate_records", counters.duplicate_records),
            ("unknown_connection", counters.unknown_connection),
            ("confirmed_twice", counters.confirmed_twice),
            ("misdirected", counters.misdirected),
            ("stale_store_answers", counters.stale_store_answers),
            ("kept_sessions", counters.kept_sessions),
            ("peer_without_receiver", counters.peer_without_receiver),
            ("peer_without_room", counters.peer_without_room),
        ]
    }
}

impl Memory {
    /// SES-1, SES-2: written without a gap, acknowledged when durable, shown in order.
    fn judge(&mut self, output: &Output) -> Result<(), Broken> {
        match output {
            Output::Send(DAEMON, _) => self.to_daemon += 1,
            Output::Send(..) | Output::SendTail(..) => self.to_viewer += 1,
            _ => {}
        }
        match output {
            Output::Write(Write::Session { number, .. }) => {
                *self = Self { number: Unhashed(number.0), sessions: self.sessions + 1, written: 0, durable: 0, ..self.clone() };
            }
            Output::Write(Write::Record { sequence, .. }) if *sequence != self.written => {
                return Err(Broken::new("SES-1", format!("record {sequence} is written, {} was due", self.written)));
            }
            Output::Write(Write::Record { .. }) => self.written += 1,
            Output::Write(Write::End { .. }) => self.has_end = true,
            Output::Write(Write::Remove { .. }) if !self.is_end_durable => {
                return Err(Broken::new("SES-2", "a session leaves before its end is durable"));
            }
            Output::Write(Write::Remove { .. }) => (self.has_end, self.is_end_durable) = (false, false),
            Output::Read(read) => self.reads = Some(read.from),
            Output::Send(DAEMON, Frame { head: Head::Acknowledge { next, .. }, .. })
                if *next > self.durable + u64::from(self.has_end) =>
            {
                return Err(Broken::new("SES-2", format!("{next} is acknowledged, {} are durable", self.durable)));
            }
            Output::SendTail(_, Frame { head: Head::Data { sequence, .. }, .. }) => {
                if *sequence != self.shown.map_or(0, |shown| shown + 1) {
                    return Err(Broken::new("SES-1", format!("record {sequence} is shown after {:?}", self.shown)));
                }
                self.shown = Some(*sequence);
            }
            _ => {}
        }
        Ok(())
    }
}
