//! The task that owns the hub: frames of all connections come in, letters and writes go out, many at a time.

use std::{collections::HashMap, sync::Arc, time::Instant as SystemInstant};

use proto_core::{
    Instant, Machine as _, Reason,
    relay::{
        connection,
        hub::{Confirmed, ConnectionId, Counters, Hub, Input, OrgState, Output, StoredSession, Write},
    },
};
use tokio::sync::{mpsc, oneshot};

use crate::{mailbox::Mailbox, store::Store};

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
    zero: SystemInstant,
    store: Store,
    inbox: mpsc::Receiver<ToHub>,
    answers: mpsc::UnboundedReceiver<Input>,
    mailboxes: HashMap<ConnectionId, Arc<Mailbox>>,
    /// Whose mailbox has something new.
    to_ring: Vec<ConnectionId>,
    writes: Vec<Write>,
}

impl HubTask {
    /// A hub that knows what is in the store. What the store answers comes through `answers`.
    pub(crate) fn new(store: Store, sessions: Vec<StoredSession>, answers: mpsc::UnboundedReceiver<Input>) -> (Self, HubHandle) {
        let (sender, inbox) = mpsc::channel(WAITING);
        let mut task = Self {
            hub: Hub::new(),
            zero: SystemInstant::now(),
            store,
            inbox,
            answers,
            mailboxes: HashMap::new(),
            to_ring: Vec::new(),
            writes: Vec::new(),
        };
        for session in sessions {
            task.feed(Input::Stored(session));
        }
        (task, HubHandle(sender))
    }

    /// Serves until [`ToHub::Stop`]; gives the store back, to be closed.
    pub(crate) async fn run(mut self) -> Store {
        let (mut messages, mut answers) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                received = self.inbox.recv_many(&mut messages, ROUND) => {
                    if received == 0 {
                        return self.store;
                    }
                }
                _ = self.answers.recv_many(&mut answers, ROUND) => {}
            }
            let mut stop = false;
            for message in messages.drain(..) {
                stop |= matches!(message, ToHub::Stop);
                self.take(message);
            }
            for answer in answers.drain(..) {
                self.feed(answer);
            }
            self.hand_on();
            if stop {
                return self.store;
            }
        }
    }

    fn take(&mut self, message: ToHub) {
        match message {
            ToHub::Inputs(inputs) => inputs.into_iter().for_each(|input| self.feed(input)),
            ToHub::Enter(connection, confirmed, mailbox) => {
                self.mailboxes.insert(connection, mailbox);
                self.feed(Input::Confirmed(connection, confirmed));
            }
            ToHub::Leave(connection) => {
                if self.mailboxes.remove(&connection).is_some() {
                    self.feed(Input::Gone(connection));
                }
            }
            ToHub::Stop => {}
            ToHub::Report(answer) => {
                let report = Report { counters: *self.hub.counters(), unstored: self.hub.unstored(), orgs: self.hub.orgs() };
                // Who asked may be gone.
                let _ = answer.send(report);
            }
        }
    }

    fn feed(&mut self, input: Input) {
        let now = Instant::ZERO.after(self.zero.elapsed());
        // Drained every time, so never full.
        let _ = self.hub.handle_input(now, input);
        while let Some(output) = self.hub.poll_output() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::SendTail(to, frame) => self.post(to, connection::Input::SendTail(frame)),
            Output::Send(to, frame) => self.post(to, connection::Input::Send(frame)),
            Output::Close(to, reason) => self.dismiss(to, reason),
            Output::Hold(whom) => self.post(whom, connection::Input::Hold),
            Output::Release(whom) => self.post(whom, connection::Input::Release),
            Output::Write(write) => self.writes.push(write),
            Output::Read(read) => self.store.read(read),
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

    fn hand_on(&mut self) {
        for connection in self.to_ring.drain(..) {
            if let Some(mailbox) = self.mailboxes.get(&connection) {
                mailbox.ring();
            }
        }
        if !self.writes.is_empty() {
            self.store.write(std::mem::take(&mut self.writes));
        }
    }
}
