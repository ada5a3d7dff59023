//! The task that owns the hub: frames of all connections come in, messages and writes go out, many at a time.

mod load_queue;

use std::{collections::HashMap, sync::Arc};

use io_tokio::{Clock, DriverLoop, MachineIo, Next, Perform, drive};
use proto_core::{
    Misuse, Reason, WallClock,
    relay::{
        connection,
        hub::{Confirmed, ConnectionId, Counters, Hub, Input, OrgState, Output, SessionNumber, Write},
    },
};
use tokio::sync::{mpsc, oneshot};

use self::load_queue::LoadQueue;
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
    /// Asks for a [`Report`].
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
    desk: HubIo,
}

/// What the hub stands in.
struct HubIo {
    store: Store,
    inbox: mpsc::Receiver<ToHub>,
    answers: mpsc::UnboundedReceiver<Answer>,
    /// What the store answered, and was not handed over yet.
    answered: Vec<Answer>,
    /// Who waits until the sessions of an organization are loaded.
    lobby: LoadQueue,
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
        let desk = HubIo {
            store,
            inbox,
            answers,
            answered: Vec::new(),
            lobby: LoadQueue::default(),
            messages: Vec::new(),
            mailboxes: HashMap::new(),
            to_ring: Vec::new(),
            writes: Vec::new(),
        };
        let wall = clock.wall();
        (Self { hub: Hub::numbering_from(first, wall), wall, clock, desk }, HubHandle(sender))
    }

    /// Serves until [`ToHub::Stop`]; gives the store back, to be closed.
    pub(crate) async fn run(mut self) -> Store {
        drive(&mut self.hub, &mut DriverLoop::new(self.wall), &mut self.clock, &mut self.desk).await;
        self.desk.store
    }
}

impl MachineIo<Hub> for HubIo {
    async fn inputs(&mut self, hub: &Hub, inputs: &mut Vec<Input>) -> Next {
        if self.messages.is_empty() {
            tokio::select! {
                received = self.inbox.recv_many(&mut self.messages, ROUND) => {
                    if received == 0 {
                        return Next::Stop;
                    }
                    self.messages.reverse();
                }
                _ = self.answers.recv_many(&mut self.answered, ROUND) => {
                    self.take_answers(inputs);
                    return Next::GoOn;
                }
            }
        }
        self.take(hub, inputs)
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

impl Perform<Hub> for HubIo {
    fn perform(&mut self, output: Output) {
        match output {
            Output::SendTail(to, frame) => self.post(to, connection::Input::SendTail(frame)),
            Output::Send(to, frame) => self.post(to, connection::Input::Send(frame)),
            Output::Close(to, reason) => self.dismiss(to, reason),
            Output::PauseReading(whom) => self.post(whom, connection::Input::PauseReading),
            Output::ResumeReading(whom) => self.post(whom, connection::Input::ResumeReading),
            Output::Revalidate(whom) => self.post(whom, connection::Input::Revalidate),
            Output::Write(write) => self.writes.push(write),
            Output::Read(read) => self.store.read(read),
        }
    }

    /// The hub is drained after every fact, so it is never full.
    fn refused(&mut self, misuse: Misuse) {
        tracing::error!(%misuse, "the hub rejected an input");
    }
}

impl HubIo {
    /// Takes messages up to the next one whose answer depends on those before it.
    fn take(&mut self, hub: &Hub, inputs: &mut Vec<Input>) -> Next {
        while let Some(message) = self.messages.pop_if(|message| inputs.is_empty() || !message.waits_for_its_turn()) {
            match message {
                ToHub::Inputs(arrived) => inputs.extend(self.lobby.pass(arrived)),
                ToHub::Enter(connection, confirmed, mailbox) => {
                    self.mailboxes.insert(connection, mailbox);
                    self.enter(connection, confirmed, inputs);
                }
                ToHub::Leave(connection) => {
                    if self.mailboxes.remove(&connection).is_some() && !self.lobby.leave(connection) {
                        inputs.push(Input::Gone(connection));
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
    fn enter(&mut self, connection: ConnectionId, confirmed: Confirmed, inputs: &mut Vec<Input>) {
        let org = confirmed.org.clone();
        match self.lobby.enter(connection, confirmed) {
            load_queue::Entry::Loaded(confirmed) => inputs.push(Input::Confirmed(connection, confirmed)),
            load_queue::Entry::Waits => {}
            load_queue::Entry::First => {
                self.hand_over_writes();
                self.store.load(org);
            }
        }
    }

    fn take_answers(&mut self, inputs: &mut Vec<Input>) {
        for answer in std::mem::take(&mut self.answered) {
            match answer {
                Answer::Hub(input) => inputs.push(input),
                Answer::Leaving(sessions) => inputs.extend(sessions.into_iter().map(Input::Leaving)),
                Answer::Loaded(org, Ok(sessions)) => {
                    inputs.extend(sessions.into_iter().map(Input::Stored));
                    inputs.extend(self.lobby.loaded(&org));
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

    fn post(&mut self, to: ConnectionId, message: connection::Input) {
        if let Some(mailbox) = self.mailboxes.get(&to) {
            mailbox.put(message);
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
