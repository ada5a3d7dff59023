//! The task that owns the hub: frames of all connections come in, letters and writes go out, many at a time.

mod lobby;

use std::{collections::HashMap, sync::Arc};

use io_tokio::{Clock, Host, Next, Perform, Turns, drive};
use proto_core::{
    Misuse, Reason, WallClock,
    relay::{
        connection,
        hub::{Confirmed, ConnectionId, Counters, Hub, Input, OrgState, Output, SessionNumber, Write},
    },
};
use tokio::sync::{mpsc, oneshot};

use self::lobby::Lobby;
use crate::{
    mailbox::Mailbox,
    store::{Answer, Store},
};

/// Batches of connections that wait for the hub at most. When it does not keep up, connections stop reading.
const WAITING: usize = 256;
/// How many batches are taken before their outputs are handed on.
const ROUND: usize = 64;

/// Something for the hub.
#[derive(Debug)]
pub(crate) enum ToHub {
    /// A device came in; what the hub has for it goes to this mailbox.
    Enter(ConnectionId, Confirmed, Arc<Mailbox>),
    /// What a connection brings.
    Inputs(Vec<Input>),
    /// A connection is over.
    Leave(ConnectionId),
    /// The relay stops: nothing more counts.
    Stop,
    /// What is the state of things?
    Report(oneshot::Sender<Report>),
}

/// The state of things, for `/state` and `/metrics`.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) counters: Counters,
    pub(crate) unstored: usize,
    pub(crate) orgs: Vec<OrgState>,
}

/// The way to the hub.
#[derive(Clone, Debug)]
pub(crate) struct HubHandle(mpsc::Sender<ToHub>);

impl HubHandle {
    /// Hands something to the hub, once there is room. It ends after all connections, so this arrives.
    pub(crate) async fn send(&self, message: ToHub) {
        let _ = self.0.send(message).await;
    }

    /// Asks for the state of things; `None` while the relay stops.
    pub(crate) async fn report(&self) -> Option<Report> {
        let (ask, answer) = oneshot::channel();
        self.send(ToHub::Report(ask)).await;
        answer.await.ok()
    }
}

/// The task.
pub(crate) struct HubTask {
    hub: Hub,
    wall: WallClock,
    clock: Clock,
    desk: Desk,
}

/// What the hub stands in.
struct Desk {
    store: Store,
    inbox: mpsc::Receiver<ToHub>,
    answers: mpsc::UnboundedReceiver<Answer>,
    /// What the store answered, and was not handed over yet.
    answered: Vec<Answer>,
    /// Who waits until the sessions of an organization are loaded.
    lobby: Lobby,
    /// Taken from the inbox and not handed over yet, the latest first.
    messages: Vec<ToHub>,
    mailboxes: HashMap<ConnectionId, Arc<Mailbox>>,
    /// Whose mailbox has something new.
    to_ring: Vec<ConnectionId>,
    writes: Vec<Write>,
}

impl HubTask {
    /// A hub that numbers new sessions from there on. What the store answers comes through `answers`.
    pub(crate) fn new(store: Store, first: SessionNumber, answers: mpsc::UnboundedReceiver<Answer>) -> (Self, HubHandle) {
        let (sender, inbox) = mpsc::channel(WAITING);
        let clock = Clock::start();
        let desk = Desk {
            store,
            inbox,
            answers,
            answered: Vec::new(),
            lobby: Lobby::default(),
            messages: Vec::new(),
            mailboxes: HashMap::new(),
            to_ring: Vec::new(),
            writes: Vec::new(),
        };
        (Self { hub: Hub::numbering_from(first), wall: clock.wall(), clock, desk }, HubHandle(sender))
    }

    /// Serves until [`ToHub::Stop`]; gives the store back, to be closed.
    pub(crate) async fn run(mut self) -> Store {
        drive(&mut self.hub, &mut Turns::new(self.wall), &mut self.clock, &mut self.desk).await;
        self.desk.store
    }
}

impl Host<Hub> for Desk {
    async fn facts(&mut self, hub: &Hub, facts: &mut Vec<Input>) -> Next {
        if self.messages.is_empty() {
            tokio::select! {
                received = self.inbox.recv_many(&mut self.messages, ROUND) => {
                    if received == 0 {
                        return Next::Stop;
                    }
                    self.messages.reverse();
                }
                _ = self.answers.recv_many(&mut self.answered, ROUND) => {
                    self.take_answers(facts);
                    return Next::GoOn;
                }
            }
        }
        self.take(hub, facts)
    }

    /// Once for many facts: rings at the mailboxes that have something new, and hands the writes to the store.
    async fn flush(&mut self, _hub: &Hub) {
        for connection in self.to_ring.drain(..) {
            if let Some(mailbox) = self.mailboxes.get(&connection) {
                mailbox.ring();
            }
        }
        self.hand_over_writes();
    }
}

impl Perform<Hub> for Desk {
    fn perform(&mut self, output: Output) {
        match output {
            Output::SendTail(to, frame) => self.post(to, connection::Input::SendTail(frame)),
            Output::Send(to, frame) => self.post(to, connection::Input::Send(frame)),
            Output::Close(to, reason) => self.dismiss(to, reason),
            Output::Hold(whom) => self.post(whom, connection::Input::Hold),
            Output::Release(whom) => self.post(whom, connection::Input::Release),
            Output::Recheck(whom) => self.post(whom, connection::Input::Recheck),
            Output::Write(write) => self.writes.push(write),
            Output::Read(read) => self.store.read(read),
        }
    }

    /// The hub is drained after every fact, so it is never full.
    fn refused(&mut self, misuse: Misuse) {
        tracing::error!(%misuse, "the hub did not take a fact");
    }
}

impl Desk {
    /// Takes messages up to the next one whose answer depends on those before it.
    fn take(&mut self, hub: &Hub, facts: &mut Vec<Input>) -> Next {
        while let Some(message) = self.messages.pop_if(|message| facts.is_empty() || !message.waits_for_its_turn()) {
            match message {
                ToHub::Inputs(inputs) => facts.extend(self.lobby.pass(inputs)),
                ToHub::Enter(connection, confirmed, mailbox) => {
                    self.mailboxes.insert(connection, mailbox);
                    self.enter(connection, confirmed, facts);
                }
                ToHub::Leave(connection) => {
                    if self.mailboxes.remove(&connection).is_some() && !self.lobby.leave(connection) {
                        facts.push(Input::Gone(connection));
                    }
                }
                ToHub::Stop => return Next::Stop,
                ToHub::Report(answer) => {
                    let report = Report { counters: *hub.counters(), unstored: hub.unstored(), orgs: hub.orgs() };
                    // Who asked may be gone.
                    let _ = answer.send(report);
                }
            }
        }
        Next::GoOn
    }

    /// A connection whose organization is loaded is confirmed at once; another one waits for that.
    fn enter(&mut self, connection: ConnectionId, confirmed: Confirmed, facts: &mut Vec<Input>) {
        let org = confirmed.org.clone();
        match self.lobby.enter(connection, confirmed) {
            lobby::Entry::Loaded(confirmed) => facts.push(Input::Confirmed(connection, confirmed)),
            lobby::Entry::Waits => {}
            lobby::Entry::First => {
                self.hand_over_writes();
                self.store.load(org);
            }
        }
    }

    fn take_answers(&mut self, facts: &mut Vec<Input>) {
        for answer in std::mem::take(&mut self.answered) {
            match answer {
                Answer::Hub(input) => facts.push(input),
                Answer::Leaving(sessions) => facts.extend(sessions.into_iter().map(Input::Leaving)),
                Answer::Loaded(org, Ok(sessions)) => {
                    facts.extend(sessions.into_iter().map(Input::Stored));
                    facts.extend(self.lobby.loaded(&org));
                }
                Answer::Loaded(org, Err(error)) => {
                    tracing::error!(%error, %org, "the sessions of an organization cannot be read");
                    for connection in self.lobby.failed(&org) {
                        self.dismiss(connection, Reason::RelayClosed);
                    }
                }
            }
        }
    }

    fn hand_over_writes(&mut self) {
        if !self.writes.is_empty() {
            self.store.write(std::mem::take(&mut self.writes));
        }
    }

    fn post(&mut self, to: ConnectionId, letter: connection::Input) {
        if let Some(mailbox) = self.mailboxes.get(&to) {
            mailbox.put(letter);
            if self.to_ring.last() != Some(&to) {
                self.to_ring.push(to);
            }
        }
    }

    /// The hub has forgotten this connection; so does the task.
    fn dismiss(&mut self, connection: ConnectionId, reason: Reason) {
        if let Some(mailbox) = self.mailboxes.remove(&connection) {
            mailbox.put(connection::Input::Close(reason));
            mailbox.ring();
        }
    }
}

impl ToHub {
    /// Whether what becomes of it depends on what the hub made of the facts before it.
    const fn waits_for_its_turn(&self) -> bool {
        matches!(self, Self::Leave(_) | Self::Report(_))
    }
}
