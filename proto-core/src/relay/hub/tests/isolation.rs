//! Two orgs whose daemons use the same session ids, in any order of events: nothing crosses, nothing is lost (ADM-4, SES-1).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use proptest::prelude::*;

use super::{
    super::*,
    world::{World, data, session},
};
use crate::{id::SessionId, wire::Head};

const ORGS: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Step {
    ConnectDaemon { org: usize },
    ConnectViewer { org: usize, viewer: usize },
    Disconnect { org: usize },
    Data { org: usize, session: u8, size: usize },
    Resume { org: usize, viewer: usize, session: u8, next: u64 },
    Peer { org: usize, viewer: u64, session: u8 },
    Commit { count: usize },
    AnswerRead,
    Take { org: usize, viewer: usize },
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let org = 0..ORGS.len();
    let id = 0_u8..3;
    prop_oneof![
        1 => org.clone().prop_map(|org| Step::ConnectDaemon { org }),
        1 => (org.clone(), 0_usize..2).prop_map(|(org, viewer)| Step::ConnectViewer { org, viewer }),
        1 => org.clone().prop_map(|org| Step::Disconnect { org }),
        24 => (org.clone(), id.clone(), prop_oneof![Just(10_usize), Just(60_000), Just(500_000)])
            .prop_map(|(org, session, size)| Step::Data { org, session, size }),
        6 => (org.clone(), 0_usize..2, id.clone(), 0_u64..6)
            .prop_map(|(org, viewer, session, next)| Step::Resume { org, viewer, session, next }),
        4 => (org.clone(), 0_u64..12, id).prop_map(|(org, viewer, session)| Step::Peer { org, viewer, session }),
        4 => (0_usize..8).prop_map(|count| Step::Commit { count }),
        3 => Just(Step::AnswerRead),
        3 => (org, 0_usize..2).prop_map(|(org, viewer)| Step::Take { org, viewer }),
        1 => Just(Step::Crash),
    ]
}

/// What a well-behaved daemon of each org remembers, and which connections are whose.
#[derive(Default)]
struct Model {
    world: World,
    daemons: BTreeMap<usize, ConnectionId>,
    viewers: BTreeMap<(usize, usize), ConnectionId>,
    opened: BTreeSet<(usize, u8)>,
    /// Where each viewer's latest subscription began, and how much it had received by then.
    subscribed: BTreeMap<(ConnectionId, SessionId), (u64, usize)>,
}

fn content(org: usize, id: u8, sequence: u64, size: usize) -> String {
    let mut text = format!("{} {id} {sequence} ", ORGS[org]);
    text.push_str(&"x".repeat(size.saturating_sub(text.len())));
    text
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::ConnectDaemon { org } => {
                self.daemons.insert(org, self.world.daemon(ORGS[org], "same"));
                self.opened.retain(|(o, _)| *o != org);
            }
            Step::ConnectViewer { org, viewer } => {
                self.connect_viewer(org, viewer);
            }
            Step::Disconnect { org } => {
                if let Some(daemon) = self.daemons.remove(&org) {
                    self.world.input(Input::Gone(daemon));
                    self.opened.retain(|(o, _)| *o != org);
                }
            }
            Step::Data { org, session: id, size } => self.data(org, id, size),
            Step::Resume { org, viewer, session: id, next } => self.resume(org, viewer, id, next),
            Step::Peer { org, viewer, session: id } => {
                let daemon = self.daemon_with(org, id);
                let body = content(org, id, 0, 10).into();
                self.world.send(daemon, Frame { head: Head::Peer { session: session(id), viewer }, body });
            }
            Step::Commit { count } => self.world.commit(count.min(self.world.uncommitted.len())),
            Step::AnswerRead => self.world.answer_read(),
            Step::Take { org, viewer } => {
                if let Some(id) = self.viewers.get(&(org, viewer)) {
                    self.world.take(*id);
                }
            }
            Step::Crash => {
                self.check();
                let world = core::mem::take(&mut self.world);
                *self = Self { world, ..Self::default() };
                self.world.crash();
            }
        }
    }

    fn connect_viewer(&mut self, org: usize, viewer: usize) -> ConnectionId {
        let id = self.world.viewer(ORGS[org], &format!("viewer{viewer}"));
        self.viewers.insert((org, viewer), id);
        id
    }

    /// The org's daemon, connected, with that session opened.
    fn daemon_with(&mut self, org: usize, id: u8) -> ConnectionId {
        let daemon = *self.daemons.entry(org).or_insert_with(|| self.world.daemon(ORGS[org], "same"));
        if self.opened.insert((org, id)) {
            self.world.open(daemon, session(id));
        }
        daemon
    }

    /// The daemon sends the record that the relay expects next.
    fn data(&mut self, org: usize, id: u8, size: usize) {
        let daemon = self.daemon_with(org, id);
        let next = self.world.received(ORGS[org], session(id));
        self.world.send(daemon, data(session(id), next, &content(org, id, next, size)));
    }

    fn resume(&mut self, org: usize, viewer: usize, id: u8, next: u64) {
        if self.world.received_if_known(ORGS[org], session(id)).is_none() {
            return;
        }
        let connected = self.viewers.get(&(org, viewer)).copied();
        let viewer = connected.unwrap_or_else(|| self.connect_viewer(org, viewer));
        let seen = self.world.records(viewer, session(id)).len();
        self.world.resume(viewer, session(id), next);
        self.subscribed.insert((viewer, session(id)), (next, seen));
    }

    /// What arrived is the org's own, and since each subscription without gaps and in order.
    fn check(&self) {
        for ((org, _), viewer) in &self.viewers {
            for frame in self.world.frames(*viewer) {
                let own = matches!(frame.head, Head::Open { .. }) || frame.body.starts_with(ORGS[*org].as_bytes());
                assert!(own, "a frame of another org: {:?}", frame.head);
            }
        }
        for ((viewer, id), (from, seen)) in &self.subscribed {
            let records = self.world.records(*viewer, *id);
            let sequences: Vec<_> = records.iter().skip(*seen).map(|(sequence, _)| *sequence).collect();
            let expected: Vec<_> = (*from..).take(sequences.len()).collect();
            assert_eq!(sequences, expected);
        }
        for stored in self.world.durable.values() {
            for (sequence, record) in stored.records.iter().enumerate() {
                let start = format!("{} {} {sequence} ", stored.org.as_str(), stored.session.0[0]);
                assert!(record.body.starts_with(start.as_bytes()), "a record stored elsewhere");
            }
        }
    }

    /// Once everything moves, every viewer has all of what it asked for.
    fn check_complete(&mut self) {
        self.world.settle();
        self.check();
        for ((org, _), viewer) in &self.viewers {
            if self.world.closed(*viewer).is_some() {
                continue;
            }
            for ((_, id), (from, seen)) in self.subscribed.iter().filter(|((v, _), _)| v == viewer) {
                let received = self.world.received(ORGS[*org], *id);
                let got = self.world.records(*viewer, *id).len() - seen;
                assert_eq!(got as u64, received.saturating_sub(*from), "viewer {viewer:?} of {id}");
            }
        }
    }
}

impl World {
    fn received_if_known(&self, org: &str, id: SessionId) -> Option<u64> {
        let number = self.hub.orgs.get(&super::world::org(org))?.sessions.get(&id)?;
        Some(self.hub.sessions[number].received())
    }

    fn received(&self, org: &str, id: SessionId) -> u64 {
        self.received_if_known(org, id).unwrap_or(0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_crosses_between_orgs_and_nothing_is_lost(steps in proptest::collection::vec(step(), 1..200)) {
        let mut model = Model::default();
        for step in steps {
            model.apply(&step);
        }
        model.check_complete();
        prop_assert!(model.world.inboxes.values().all(|inbox| !matches!(inbox.closed, Some(Reason::FrameMalformed))));
    }
}
