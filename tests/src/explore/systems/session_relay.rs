//! A session and the relay's hub and store, over connections that break at any moment (SES-1, SES-2).

use std::collections::VecDeque;

use proto_core::{
    Instant, Machine, SessionId, Status,
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Scope},
    },
    device::session::{Input, Output, Session},
    relay::hub::{self, Confirmed, ConnectionId, Hub, Kind, Write},
    wire::{Content, Frame, Outcome},
};

use crate::{
    explore::{Broken, Log, System},
    fixtures::{parsed, secret},
    laws::START,
};

/// The system. The daemon between the two only passes frames on.
#[derive(Clone, Copy, Debug)]
pub struct Resuming {
    /// Records that are made.
    pub records: u8,
    /// Connections that break.
    pub breaks: u8,
}

/// A state.
#[derive(Clone, Debug, Hash)]
pub struct State {
    session: Session,
    hub: Hub,
    /// The number of the connection, while there is one.
    connection: Option<u64>,
    connections: u64,
    up: VecDeque<Frame>,
    down: VecDeque<Frame>,
    /// Writes that are not durable yet, in order, and how many records are.
    unwritten: VecDeque<Write>,
    stored: Vec<u64>,
    has_end: bool,
    made: u8,
    has_ended: bool,
    breaks: u8,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Action {
    Connect,
    Break,
    Push,
    End,
    Up,
    Down,
    /// The oldest write becomes durable.
    Written,
}

const ID: SessionId = SessionId([7; 16]);

impl System for Resuming {
    type State = State;
    type Action = Action;

    fn bounds(&self) -> String {
        format!("{} records and the end; {} connections that break, with everything under way", self.records, self.breaks)
    }

    fn starts(&self) -> Vec<State> {
        let scope = Scope { org: parsed("A"), session: ID, cipher: Cipher::ChaCha20Poly1305 };
        let session = Session::new(&PureRust, scope, EpochSecret::new(secret(1)), START);
        vec![State {
            session,
            hub: Hub::new(),
            connection: None,
            connections: 0,
            up: VecDeque::new(),
            down: VecDeque::new(),
            unwritten: VecDeque::new(),
            stored: Vec::new(),
            has_end: false,
            made: 0,
            has_ended: false,
            breaks: 0,
        }]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        if state.connection.is_none() {
            actions.push(Action::Connect);
        } else if state.breaks < self.breaks {
            actions.push(Action::Break);
        }
        if !state.has_ended {
            actions.push(Action::End);
            actions.extend((state.made < self.records).then_some(Action::Push));
        }
        actions.extend((!state.up.is_empty()).then_some(Action::Up));
        actions.extend((!state.down.is_empty()).then_some(Action::Down));
        actions.extend((!state.unwritten.is_empty()).then_some(Action::Written));
        actions
    }

    fn step(&self, state: &mut State, action: &Action, log: &mut Log) -> Result<(), Broken> {
        match action {
            Action::Connect => {
                state.connections += 1;
                state.connection = Some(state.connections);
                let kind = Kind::Daemon(proto_core::secret::SecretText::new("credential"));
                let confirmed = Confirmed { org: parsed("A"), target: parsed("r"), kind };
                drive(state, hub::Input::Confirmed(ConnectionId(state.connections), confirmed));
                let _ = state.session.handle_input(START, Input::Attached);
            }
            Action::Break => {
                state.breaks += 1;
                state.up.clear();
                state.down.clear();
                if let Some(connection) = state.connection.take() {
                    drive(state, hub::Input::Gone(ConnectionId(connection)));
                }
                let _ = state.session.handle_input(START, Input::Detached);
            }
            Action::Push => {
                state.made += 1;
                let _ = state.session.handle_input(START, Input::Push(Content::Output(vec![state.made].into())));
            }
            Action::End => {
                state.has_ended = true;
                let _ = state.session.handle_input(START, Input::End(Outcome::Exited));
            }
            Action::Up => {
                if let (Some(connection), Some(frame)) = (state.connection, state.up.pop_front()) {
                    drive(state, hub::Input::Received(ConnectionId(connection), frame));
                }
            }
            Action::Down => {
                if let Some(frame) = state.down.pop_front() {
                    let _ = state.session.handle_input(START, Input::Frame(frame));
                }
            }
            Action::Written => written(state)?,
        }
        hear(state, log)
    }

    fn now(&self, _: &State) -> Instant {
        START
    }

    fn check(&self, state: &State) -> Result<(), Broken> {
        let made = u64::from(state.made);
        if state.stored.iter().copied().ne(0..state.stored.len() as u64) || state.stored.len() as u64 > made {
            return Err(Broken::new("SES-1", format!("{:?} are stored of {made}", state.stored)));
        }
        let kept = state.session.pending_bytes() > 0;
        match state.session.status() {
            Status::Finished if state.stored.len() as u64 != made || !state.has_end => {
                Err(Broken::new("SES-2", "the session is over before all of it is durable"))
            }
            Status::Running { .. } if !kept && (state.stored.len() as u64) < made => {
                Err(Broken::new("SES-2", format!("only {} of {made} are durable, and nothing is kept", state.stored.len())))
            }
            Status::Failed(reason) => Err(Broken::new("SES-1", format!("the session failed: {reason:?}"))),
            _ => Ok(()),
        }
    }

    /// Once connections hold, all of it becomes durable and the session is over.
    fn settle(&self, state: &mut State, log: &mut Log) -> Result<(), Broken> {
        for _ in 0..60 {
            if state.session.status() == Status::Finished {
                return Ok(());
            }
            let action = match state {
                State { connection: None, .. } => Action::Connect,
                State { has_ended: false, .. } => Action::End,
                State { up, .. } if !up.is_empty() => Action::Up,
                State { unwritten, .. } if !unwritten.is_empty() => Action::Written,
                _ => Action::Down,
            };
            log.say(|| format!("{action:?}"));
            self.step(state, &action, log)?;
        }
        Err(Broken::new("LINK-4", "the session does not come to its end"))
    }

    fn show(&self, state: &State) -> String {
        format!(
            "{:?}, {} made, {} durable, {} kept",
            state.session.status(),
            state.made,
            state.stored.len(),
            state.session.pending_bytes()
        )
    }
}

fn drive(state: &mut State, input: hub::Input) {
    let _ = state.hub.handle_input(START, input);
}

/// The store got on by one write.
fn written(state: &mut State) -> Result<(), Broken> {
    match state.unwritten.pop_front() {
        Some(Write::Record { number, sequence, .. }) => {
            if sequence != state.stored.len() as u64 {
                return Err(Broken::new("SES-1", format!("record {sequence} is written after {} others", state.stored.len())));
            }
            state.stored.push(sequence);
            drive(state, hub::Input::Appended(number, sequence + 1));
        }
        Some(Write::End { number, .. }) => {
            state.has_end = true;
            drive(state, hub::Input::Ended(number));
        }
        Some(Write::Session { .. } | Write::Credential { .. } | Write::Envelope { .. } | Write::Remove { .. }) | None => {}
    }
    Ok(())
}

fn hear(state: &mut State, log: &mut Log) -> Result<(), Broken> {
    while let Some(output) = state.hub.poll_output() {
        log.say(|| format!("relay: {output:?}").chars().take(100).collect());
        match output {
            hub::Output::Send(ConnectionId(to), frame) | hub::Output::SendTail(ConnectionId(to), frame) => {
                if Some(to) == state.connection {
                    state.down.push_back(frame);
                }
            }
            hub::Output::Write(write) => state.unwritten.push_back(write),
            hub::Output::Close(_, reason) => return Err(Broken::new("SES-1", format!("the relay ends the link: {reason:?}"))),
            hub::Output::PauseReading(_) | hub::Output::ResumeReading(_) | hub::Output::Revalidate(_) | hub::Output::Read(_) => {}
        }
    }
    while let Some(Output::Send(frame)) = state.session.poll_output() {
        log.say(|| format!("session: {:?}", frame.head));
        if state.connection.is_some() {
            state.up.push_back(frame);
        }
    }
    Ok(())
}
