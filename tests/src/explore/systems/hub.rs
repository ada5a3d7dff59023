//! The relay's hub between two organizations that use the same names for everything (ADM-4, ISO-2, LINK-2).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proto_core::{
    Instant, Machine, OrgId, SessionId,
    relay::hub::{Confirmed, ConnectionId, Hub, Input, Kind, Output, SessionNumber, Write},
    secret::SecretText,
    wire::{Frame, Head, Outcome},
};

use crate::{
    explore::{Broken, Log, System},
    fixtures::parsed,
    laws::START,
};

/// The system: a daemon, a second one with the same credential, and a viewer, in each of the two orgs.
#[derive(Clone, Copy, Debug)]
pub struct Routing {
    /// Records that each daemon sends.
    pub records: u64,
}

/// A state.
#[derive(Clone, Debug, Hash)]
pub struct State {
    hub: Hub,
    /// The same hub, which never hears of B.
    without_b: Hub,
    connected: BTreeSet<u64>,
    sent: [u64; 2],
    opened: BTreeSet<u64>,
    unwritten: [Vec<(SessionNumber, Option<u64>)>; 2],
    is_revoked: bool,
    ended: [bool; 2],
    watched: BTreeSet<u64>,
    /// Whose session a number is, as the hub said when it made it.
    owners: BTreeMap<SessionNumber, usize>,
    /// The number of A's session where there is no B.
    alone: Option<SessionNumber>,
}

/// Connections: daemon, its successor and the viewer of A, then those of B.
const CONNECTIONS: [u64; 6] = [1, 2, 3, 11, 12, 13];
const SESSION: SessionId = SessionId([7; 16]);

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    Connects(u64),
    Goes(u64),
    Opens(u64),
    Sends(u64),
    Ends(u64),
    Watches(u64),
    /// A viewer knocks at the session's daemon.
    Knocks(u64),
    Written(usize),
    /// The platform revoked org B.
    RevokesB,
}

const fn org(connection: u64) -> usize {
    if connection > 10 { 1 } else { 0 }
}

fn name(org: usize) -> OrgId {
    parsed(if org == 0 { "A" } else { "B" })
}

const fn is_viewer(connection: u64) -> bool {
    connection % 10 == 3
}

/// Content that shows whose it is.
fn canary(org: usize) -> Bytes {
    Bytes::from(vec![b'A' + u8::try_from(org).unwrap_or(0); 8])
}

impl Routing {
    fn input(state: &State, action: Action) -> Option<Input> {
        let received = |connection: u64, head: Head, body: Bytes| Input::Received(ConnectionId(connection), Frame { head, body });
        Some(match action {
            Action::Connects(connection) => {
                let credential = SecretText::new(format!("credential of {}", name(org(connection))));
                let kind = if is_viewer(connection) { Kind::Viewer } else { Kind::Daemon(credential) };
                let target = parsed(if is_viewer(connection) { "v" } else { "r" });
                Input::Confirmed(ConnectionId(connection), Confirmed { org: name(org(connection)), target, kind })
            }
            Action::Goes(connection) => Input::Gone(ConnectionId(connection)),
            Action::Opens(connection) => received(connection, Head::Open { session: SESSION, cipher: 1 }, Bytes::new()),
            Action::Sends(connection) => {
                let sequence = state.sent.get(org(connection)).copied()?;
                received(connection, Head::Data { session: SESSION, epoch: 0, sequence }, canary(org(connection)))
            }
            Action::Ends(connection) => {
                let next = state.sent.get(org(connection)).copied()?;
                received(connection, Head::End { session: SESSION, next, outcome: Outcome::Exited }, Bytes::new())
            }
            Action::Watches(connection) => received(connection, Head::Resume { session: SESSION, next: 0 }, Bytes::new()),
            Action::Knocks(connection) => {
                received(connection, Head::Peer { session: SESSION, viewer: 0 }, canary(org(connection)))
            }
            Action::Written(of) => match state.unwritten.get(of)?.first()? {
                (number, Some(next)) => Input::Appended(*number, *next),
                (number, None) => Input::Ended(*number),
            },
            Action::RevokesB => Input::Revoked { targets: Vec::new(), orgs: vec![name(1)] },
        })
    }

    const fn is_about_a(action: Action) -> bool {
        match action {
            Action::Connects(connection)
            | Action::Goes(connection)
            | Action::Opens(connection)
            | Action::Sends(connection)
            | Action::Ends(connection)
            | Action::Watches(connection)
            | Action::Knocks(connection) => org(connection) == 0,
            Action::Written(of) => of == 0,
            Action::RevokesB => false,
        }
    }
}

impl System for Routing {
    type State = State;
    type Action = Action;

    fn bounds(&self) -> String {
        format!(
            "two orgs with the same target and session id; two daemons and a viewer each; {} records each, which sockets take at once",
            self.records
        )
    }

    fn starts(&self) -> Vec<State> {
        vec![State {
            hub: Hub::new(),
            without_b: Hub::new(),
            connected: BTreeSet::new(),
            sent: [0; 2],
            opened: BTreeSet::new(),
            unwritten: [Vec::new(), Vec::new()],
            is_revoked: false,
            ended: [false; 2],
            watched: BTreeSet::new(),
            owners: BTreeMap::new(),
            alone: None,
        }]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        for connection in CONNECTIONS {
            let of = org(connection);
            if !state.connected.contains(&connection) {
                actions.push(Action::Connects(connection));
                continue;
            }
            actions.push(Action::Goes(connection));
            if is_viewer(connection) {
                actions.extend((!state.watched.contains(&connection)).then_some(Action::Watches(connection)));
                actions.push(Action::Knocks(connection));
            } else if !state.opened.contains(&connection) {
                actions.push(Action::Opens(connection));
            } else if !state.ended[of] {
                actions.extend((state.sent[of] < self.records).then_some(Action::Sends(connection)));
                actions.push(Action::Ends(connection));
            }
        }
        actions.extend((0..2).filter(|of| !state.unwritten[*of].is_empty()).map(Action::Written));
        if !state.is_revoked {
            actions.push(Action::RevokesB);
        }
        actions
    }

    fn step(&self, state: &mut State, action: &Action, log: &mut Log) -> Result<(), Broken> {
        let Some(input) = Self::input(state, *action) else { return Ok(()) };
        let twin = Self::is_about_a(*action).then(|| state.as_alone(input.clone()));
        note(state, *action);
        let said = tell(&mut state.hub, input);
        for output in &said {
            log.say(|| format!("{output:?}").chars().take(110).collect());
        }
        for output in &said {
            hear(state, output)?;
        }
        let alone = twin.map(|input| tell(&mut state.without_b, input)).unwrap_or_default();
        state.alone = alone.iter().find_map(made).or(state.alone);
        let alone: Vec<_> = alone.into_iter().map(numberless).collect();
        let about_a: Vec<_> = said.into_iter().filter(|output| whose(state, output) == 0).map(numberless).collect();
        if about_a == alone {
            Ok(())
        } else {
            Err(Broken::new("ISO-2", format!("A is told {about_a:?}, and without B {alone:?}")))
        }
    }

    fn now(&self, _: &State) -> Instant {
        START
    }

    fn check(&self, state: &State) -> Result<(), Broken> {
        let b = state.hub.orgs().into_iter().find(|org| org.org == name(1));
        match b {
            Some(b) if state.is_revoked && b.daemons + b.viewers > 0 => {
                Err(Broken::new("JWT-5", "a revoked org has connections"))
            }
            Some(b) if b.daemons > 1 => Err(Broken::new("LINK-2", "two links of one binding count")),
            _ => Ok(()),
        }
    }

    fn show(&self, state: &State) -> String {
        let orgs = state.hub.orgs();
        orgs.iter()
            .map(|org| format!("{}: {} daemons, {} viewers, {} sessions", org.org, org.daemons, org.viewers, org.sessions))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// What a hub says to an input. Sockets take at once what they are given.
fn tell(hub: &mut Hub, input: Input) -> Vec<Output> {
    let mut said = Vec::new();
    let _ = hub.handle_input(START, input);
    while let Some(output) = hub.poll_output() {
        if let Output::Send(to, _) | Output::SendTail(to, _) = &output {
            let _ = hub.handle_input(START, Input::Taken(*to, usize::MAX));
        }
        said.push(output);
    }
    said
}

impl State {
    /// What A does, as the hub without B hears it.
    fn as_alone(&self, input: Input) -> Input {
        match (input, self.alone) {
            (Input::Appended(_, next), Some(number)) => Input::Appended(number, next),
            (Input::Ended(_), Some(number)) => Input::Ended(number),
            (other, _) => other,
        }
    }
}

const fn made(output: &Output) -> Option<SessionNumber> {
    match output {
        Output::Write(Write::Session { number, .. }) => Some(*number),
        _ => None,
    }
}

fn note(state: &mut State, action: Action) {
    match action {
        Action::Connects(connection) => drop(state.connected.insert(connection)),
        Action::Goes(connection) => forget(state, connection),
        Action::Opens(connection) => drop(state.opened.insert(connection)),
        Action::Sends(connection) => state.sent[org(connection)] += 1,
        Action::Ends(connection) => state.ended[org(connection)] = true,
        Action::Watches(connection) => drop(state.watched.insert(connection)),
        Action::Written(of) => drop(state.unwritten[of].remove(0)),
        Action::RevokesB => state.is_revoked = true,
        Action::Knocks(_) => {}
    }
}

fn forget(state: &mut State, connection: u64) {
    for known in [&mut state.connected, &mut state.opened, &mut state.watched] {
        known.remove(&connection);
    }
}

/// ADM-4: what is sent to a connection is of its own org, and what is stored is stored under the org it came from.
fn hear(state: &mut State, output: &Output) -> Result<(), Broken> {
    let other = |of: usize| canary(1 - of);
    match output {
        Output::Send(ConnectionId(to), frame) | Output::SendTail(ConnectionId(to), frame) => {
            if frame.body == other(org(*to)) {
                return Err(Broken::new("ADM-4", format!("{} gets what is of the other org", name(org(*to)))));
            }
            if !state.connected.contains(to) {
                return Err(Broken::new("LINK-2", format!("{to} is gone and is sent {:?}", frame.head)));
            }
        }
        Output::Close(ConnectionId(of), reason) => {
            if reason.ends_binding() && org(*of) == 0 {
                return Err(Broken::new("ISO-2", format!("A is told what is B's: {reason:?}")));
            }
            forget(state, *of);
        }
        Output::Write(Write::Session { number, org, .. }) => {
            state.owners.insert(*number, usize::from(*org != name(0)));
        }
        Output::Write(Write::Record { number, sequence, record }) => {
            let of = owner(state, *number);
            if record.body != canary(of) {
                return Err(Broken::new("ADM-4", format!("a record is stored under {}", name(of))));
            }
            state.unwritten[of].push((*number, Some(sequence + 1)));
        }
        Output::Write(Write::End { number, .. }) => {
            let of = owner(state, *number);
            state.unwritten[of].push((*number, None));
        }
        _ => {}
    }
    Ok(())
}

fn owner(state: &State, number: SessionNumber) -> usize {
    state.owners.get(&number).copied().unwrap_or(0)
}

/// Whose an output is.
fn whose(state: &State, output: &Output) -> usize {
    match output {
        Output::Send(ConnectionId(to), _)
        | Output::SendTail(ConnectionId(to), _)
        | Output::Close(ConnectionId(to), _)
        | Output::PauseReading(ConnectionId(to))
        | Output::ResumeReading(ConnectionId(to))
        | Output::Revalidate(ConnectionId(to)) => org(*to),
        Output::Read(read) => org(read.viewer.0),
        Output::Write(Write::Session { org, .. } | Write::Credential { org, .. }) => usize::from(*org != name(0)),
        Output::Write(
            Write::Record { number, .. } | Write::End { number, .. } | Write::Envelope { number, .. } | Write::Remove { number },
        ) => owner(state, *number),
    }
}

/// The same output whatever the session's number: that counts sessions of all orgs.
fn numberless(output: Output) -> Output {
    let number = SessionNumber(0);
    match output {
        Output::Write(Write::Session { org, session, target, cipher, .. }) => {
            Output::Write(Write::Session { number, org, session, target, cipher })
        }
        Output::Write(Write::Record { sequence, record, .. }) => Output::Write(Write::Record { number, sequence, record }),
        Output::Write(Write::End { outcome, .. }) => Output::Write(Write::End { number, outcome }),
        Output::Write(Write::Envelope { envelope, .. }) => Output::Write(Write::Envelope { number, envelope }),
        Output::Read(read) => Output::Read(proto_core::relay::hub::Read { session: number, ..read }),
        other => other,
    }
}
