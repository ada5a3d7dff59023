//! What must hold, judged from outside: each oracle sees what happens and looks at what stands in disks, relays and reports.
//!
//! `Oracle::see` is called at everything that happens, `Oracle::inspect` every so many steps. An oracle knows nothing of how
//! the machines work; it keeps its own small picture of what they said and compares.

mod bindings;
mod canary;
mod debug;
mod isolation;
mod links;
mod pairing;
mod pins;
mod relays;
mod rotation;
mod sessions;

use std::{collections::BTreeSet, fmt, time::Duration};

use bytes::Bytes;
use proto_core::{
    BindingId, Instant, OrgId, PlatformId, Reason, SessionId,
    device::{
        control::{Attached, PairEvent},
        daemon::{self, Answer, Request},
        files::Config,
    },
    effect::{HttpAnswer, HttpRequest, NetFault, StateFile},
    key::StaticKey,
    noise::Noise,
    relay::{connection::Device, hub::ConnectionId},
    secret::SecretBytes,
    wire::{Content, Frame, Outcome, Record},
};

use super::{START, Sim, net::End, story::clock};

/// Files of a home.
pub(super) type Files = std::collections::BTreeMap<StateFile, SecretBytes>;

/// Something that happened, as it can be seen from outside.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// A person asks a daemon.
    Commanded { host: usize, request: &'a Request },
    /// It answers.
    Answered { host: usize, answer: &'a Result<Answer, Reason> },
    /// It tells those who wait for a pairing.
    Pairing { host: usize, event: &'a PairEvent, disk: &'a Files, clock: Instant },
    /// It logs.
    Logged { host: usize, event: &'a daemon::Event },
    /// Its link came up, at a relay with this key.
    LinkUp { host: usize, binding: &'a BindingId, key: StaticKey, is_false: bool },
    /// It was told to try now.
    Hurried { host: usize },
    /// It tells a command where it streams to.
    Attached { host: usize, command: u64, directory: &'a str, attached: &'a Attached },
    /// A command shows something.
    Said { command: u64, content: &'a Content },
    /// A command's session is durable at its relay.
    Delivered { host: usize, session: SessionId },
    /// A daemon opens a connection for a binding.
    Dials { host: usize, binding: &'a BindingId },
    /// It sends a message over it.
    Sent { host: usize, binding: &'a BindingId, message: &'a Bytes },
    /// It receives something on it, at this moment of its own clock.
    Heard { host: usize, binding: &'a BindingId, clock: Instant },
    /// A party sends the platform a request, at this moment of its own clock.
    Asked { end: &'a End, request: &'a HttpRequest, clock: Instant },
    /// The platform answers; `again` when a proxy asked it twice.
    Platform { request: &'a HttpRequest, answer: &'a HttpAnswer, again: bool },
    /// The answer arrives, or none.
    Came { end: &'a End, outcome: &'a Result<HttpAnswer, NetFault> },
    /// A file is durable, or removed.
    Durable { host: usize, file: &'a StateFile, contents: Option<&'a SecretBytes> },
    /// `config.json` is durable, and says this; `None` when it cannot be read.
    Configured { host: usize, config: Option<&'a Config> },
    /// A disk lied, or a home was copied: what was durable may not be there.
    Damaged { host: usize },
    /// The user removed the whole home.
    Wiped { host: usize },
    /// A newer program wrote a member to `config.json`.
    Upgraded { host: usize },
    /// The code of a pairing is durable, at this moment of the machine's clock.
    CodeSaved { host: usize, clock: Instant },
    /// A command is away from its daemon.
    Left { host: usize, session: SessionId },
    /// A daemon died.
    Died { host: usize },
    /// It started, on this disk.
    Booted { host: usize, disk: &'a Files },
    /// A user pressed Approve; whether it counted.
    Approved { code: &'a str, counts: bool },
    /// A target's access was withdrawn.
    Revoked { target: &'a PlatformId },
    /// An org was deleted.
    Deleted { org: &'a OrgId },
    /// A relay let a device in, or took its renewed credential; whether it was an attacker's connection.
    Entered { device: &'a Device, is_attacker: bool },
    /// A relay took a frame from a device.
    Frame { device: Option<&'a Device>, frame: &'a Frame },
    /// A viewer showed a record.
    Shown { viewer: usize, session: SessionId, record: &'a Record },
    /// A viewer said that a session has ended.
    ShownEnd { viewer: usize, session: SessionId, outcome: Outcome },
    /// A viewer began anew.
    ViewerRestarted { viewer: usize },
}

/// One room of invariants.
pub(super) trait Oracle<N: Noise + 'static> {
    /// Something happened.
    fn see(&mut self, at: Instant, seen: &Seen<'_>, verdicts: &mut Verdicts);

    /// How many steps are between two looks; 0 when it only listens.
    fn every(&self) -> u64 {
        0
    }

    /// Looks at the whole world.
    fn inspect(&mut self, sim: &Sim<N>, verdicts: &mut Verdicts) {
        let _ = (sim, verdicts);
    }
}

/// Something that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Duration,
    /// The id of the invariant.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken at {}: {}", self.invariant, clock(self.at), self.what)
    }
}

/// What did not hold so far.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Vec<Violation>);

impl Verdicts {
    pub(super) fn broken(&mut self, at: Instant, invariant: &'static str, what: String) {
        self.0.push(Violation { at: at.since(START), invariant, what });
    }

    /// Says so unless something holds.
    pub(super) fn demand(&mut self, holds: bool, at: Instant, invariant: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(at, invariant, what());
        }
    }

    pub(super) const fn is_clean(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.0)
    }
}

/// All oracles.
pub(super) struct Oracles<N> {
    all: Vec<Box<dyn Oracle<N>>>,
    pub(super) verdicts: Verdicts,
    /// Connections of the attacker.
    pub(super) attackers: BTreeSet<ConnectionId>,
    /// Sessions that were delivered and records that were shown.
    delivered: (u64, u64),
}

impl<N> fmt::Debug for Oracles<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oracles").field("verdicts", &self.verdicts).finish_non_exhaustive()
    }
}

impl<N: Noise + 'static> Oracles<N> {
    pub(super) fn new() -> Self {
        let all: Vec<Box<dyn Oracle<N>>> = vec![
            Box::new(isolation::Isolation::default()),
            Box::new(debug::Silence::default()),
            Box::new(pairing::Pairings::default()),
            Box::new(bindings::Lives::default()),
            Box::new(rotation::Rotations::default()),
            Box::new(links::Links::default()),
            Box::new(pins::Pins::default()),
            Box::new(sessions::Sessions::default()),
            Box::new(relays::Relays::default()),
        ];
        Self { all, verdicts: Verdicts::default(), attackers: BTreeSet::new(), delivered: (0, 0) }
    }

    pub(super) fn see(&mut self, at: Instant, seen: &Seen<'_>) {
        match seen {
            Seen::Delivered { .. } => self.delivered.0 += 1,
            Seen::Shown { .. } => self.delivered.1 += 1,
            _ => {}
        }
        for oracle in &mut self.all {
            oracle.see(at, seen, &mut self.verdicts);
        }
    }

    pub(super) const fn delivered(&self) -> (u64, u64) {
        self.delivered
    }
}

impl<N: Noise + 'static> Sim<N> {
    /// Every oracle whose turn it is looks.
    pub(super) fn judge_step(&mut self) {
        let steps = self.steps;
        self.judge(|every| every > 0 && steps.is_multiple_of(every));
    }

    /// All of them look.
    pub(super) fn judge_all(&mut self) {
        self.judge(|every| every > 0);
    }

    fn judge(&mut self, is_due: impl Fn(u64) -> bool) {
        if !self.oracles.all.iter().any(|oracle| is_due(oracle.every())) {
            return;
        }
        let mut oracles = std::mem::take(&mut self.oracles.all);
        let mut verdicts = std::mem::take(&mut self.oracles.verdicts);
        for oracle in oracles.iter_mut().filter(|oracle| is_due(oracle.every())) {
            oracle.inspect(self, &mut verdicts);
        }
        self.oracles.all = oracles;
        self.oracles.verdicts = verdicts;
    }
}
