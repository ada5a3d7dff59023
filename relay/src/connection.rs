//! One connection: a socket, the machine that knows what to do with it, and the way to the hub and back.

use std::{
    future::{pending, poll_fn},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use io_engine::AwsLc;
use io_tokio::{Clock, DriverLoop, MachineIo, Next, Perform, Socket, accept, drive};
use proto_core::{
    Entropy, Misuse, Reason,
    effect::{Closed, Effect, IoEvent},
    noise::Snow,
    relay::{
        connection::{Connection, Device, EffectId, Ended, Input, Output, Stage},
        hub::{self, ConnectionId},
    },
    wire::{MAX_FIRST_MESSAGE, Role},
};
use tokio::{net::TcpStream, sync::watch};

use crate::{
    event_log::Entry,
    hub::ToHub,
    mailbox::Mailbox,
    shared::{Shared, Slot},
    tap::Tapped,
};

/// How many messages are read before the hub gets them.
const BATCH: usize = 64;

/// The answer to a lookup or a request of the machine, on its way. There is one at a time; a newer one replaces it.
type Asked = Pin<Box<dyn Future<Output = Input> + Send>>;

/// Serves an upgraded connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, stream: TcpStream, read_already: Bytes, address: IpAddr, slot: Slot) {
    let mut socket = accept(stream, read_already, MAX_FIRST_MESSAGE);
    let IoEvent::Connected((), entropy) = socket.next().await else { return };
    Box::pin(run(ConnectionIo::new(shared, socket, address, slot), entropy)).await;
}

async fn run(mut line: ConnectionIo, entropy: Entropy) {
    let mut clock = Clock::start();
    let wall = clock.wall();
    let mut machine: Connection<Snow<AwsLc>> = Connection::new(wall.at(), Arc::clone(&line.shared.settings), wall, &entropy);
    drive(&mut machine, &mut DriverLoop::new(wall), &mut clock, &mut line).await;
    line.flush_and_close().await;
}

/// What surrounds a connection's machine: its socket, the hub, and the task that answers its lookups.
struct ConnectionIo {
    shared: Arc<Shared>,
    id: ConnectionId,
    address: IpAddr,
    socket: Socket<TcpStream>,
    is_closed: bool,
    mailbox: Arc<Mailbox>,
    asked: Option<Asked>,
    shutdown: watch::Receiver<bool>,
    /// What is handed to the hub at the end of the turn, in order; and frames, which come after all of that.
    to_hub: Vec<ToHub>,
    for_hub: Vec<hub::Input>,
    slot: Slot,
}

impl MachineIo<Connection<Snow<AwsLc>>> for ConnectionIo {
    async fn inputs(&mut self, machine: &Connection<Snow<AwsLc>>, inputs: &mut Vec<Input>) -> Next {
        tokio::select! {
            () = events(&mut self.socket, machine.is_reading(), inputs) => self.happened(inputs),
            mut messages = self.mailbox.fetch() => inputs.append(&mut messages),
            input = answer(&mut self.asked) => {
                self.asked = None;
                inputs.push(input);
            }
            () = stopped(&mut self.shutdown) => inputs.push(shutdown_input(machine)),
        }
        if self.is_closed { Next::Stop } else { Next::GoOn }
    }

    /// The hub is behind when it does not take this at once: then this connection reads nothing more.
    async fn flush(&mut self, _machine: &Connection<Snow<AwsLc>>) {
        self.close_batch();
        for message in self.to_hub.drain(..) {
            self.shared.hub.send(message).await;
        }
    }
}

impl Perform<Connection<Snow<AwsLc>>> for ConnectionIo {
    fn perform(&mut self, output: Output) {
        match output {
            Output::Effect(effect) => self.carry_out(effect),
            Output::Frame(frame) => {
                if let Some(tap) = &self.shared.tap {
                    tap.record(Tapped::Frame(&frame));
                }
                self.for_hub.push(hub::Input::Received(self.id, frame));
            }
            Output::Taken(weight) => self.for_hub.push(hub::Input::Taken(self.id, weight)),
            Output::Renewed(token) => {
                self.shared.event_log.record(Entry { address: Some(self.address), ..Entry::new("credential renewed") });
                self.for_hub.push(hub::Input::Renewed(self.id, token));
            }
            Output::LookUp(effect_id, kid) => {
                let keys = self.shared.keys.clone();
                self.asked = Some(Box::pin(async move { Input::Key(effect_id, keys.look(kid).await) }));
            }
            Output::Confirmed(device) => self.enter(&device),
            Output::Ended(ended) => self.leave(ended),
        }
    }

    /// Drained after every fact, and no fact brings more than a window of frames: it is never full.
    fn refused(&mut self, misuse: Misuse) {
        tracing::error!(%misuse, "a connection did not take a fact");
    }
}

impl ConnectionIo {
    fn new(shared: Arc<Shared>, socket: Socket<TcpStream>, address: IpAddr, slot: Slot) -> Self {
        Self {
            id: shared.next_connection(),
            shutdown: shared.shutdown.clone(),
            shared,
            address,
            socket,
            is_closed: false,
            mailbox: Arc::default(),
            asked: None,
            to_hub: Vec::new(),
            for_hub: Vec::new(),
            slot,
        }
    }

    fn happened(&mut self, inputs: &[Input]) {
        if let Some(tap) = &self.shared.tap {
            for fact in inputs {
                if let Input::Io(IoEvent::Received(_, message)) = fact {
                    tap.record(Tapped::Message(message));
                }
            }
        }
        self.is_closed = matches!(inputs.last(), Some(Input::Io(IoEvent::Closed(..))));
    }

    /// The machine has ended; the last frames are still being written.
    async fn flush_and_close(mut self) {
        while !self.is_closed {
            self.is_closed = matches!(self.socket.next_with(true).await, IoEvent::Closed(..));
        }
    }

    fn carry_out(&mut self, effect: Effect<EffectId>) {
        match effect {
            Effect::Send(_, message) => self.socket.send(message),
            Effect::Close(_, close) => self.socket.close(close),
            Effect::Http(effect_id, request) => {
                let network = self.shared.network.clone();
                self.asked = Some(Box::pin(async move {
                    Input::Io(match io_tokio::request(&request, &network).await {
                        Ok(answer) => IoEvent::Answered(effect_id, answer),
                        Err(fault) => IoEvent::Unanswered(effect_id, fault),
                    })
                }));
            }
            // A connection at the relay asks for nothing else.
            Effect::Connect(..) | Effect::Store(..) | Effect::Remove(..) | Effect::Load(..) => {}
        }
    }

    fn enter(&mut self, device: &Device) {
        if !self.slot.admit(&self.shared) {
            self.mailbox.put(Input::Close(Reason::RelayFull));
            return self.mailbox.ring();
        }
        self.socket.set_max_message(usize::try_from(self.shared.settings.frame_max).unwrap_or(usize::MAX));
        let what = if device.role == Role::Daemon { "daemon admitted" } else { "viewer admitted" };
        let (org, target) = (Some(device.org.clone()), Some(device.target.clone()));
        self.shared.event_log.record(Entry { address: Some(self.address), org, target, ..Entry::new(what) });
        self.close_batch();
        self.to_hub.push(ToHub::Enter(self.id, device.for_hub(), Arc::clone(&self.mailbox)));
    }

    fn leave(&mut self, ended: Ended) {
        let what = if ended.stage == Stage::Admitted { "closed" } else { "refused" };
        let entry =
            Entry { reason: ended.reason, stage: Some(ended.stage.name()), address: Some(self.address), ..Entry::new(what) };
        self.shared.event_log.record(entry);
        self.asked = None;
        self.close_batch();
        if ended.stage == Stage::Admitted {
            self.to_hub.push(ToHub::Leave(self.id));
        }
    }

    /// What comes from now on is for another message to the hub.
    fn close_batch(&mut self) {
        if !self.for_hub.is_empty() {
            self.to_hub.push(ToHub::Inputs(std::mem::take(&mut self.for_hub)));
        }
    }
}

/// The relay stops: an admitted device is told so, the others are cut off.
fn shutdown_input(machine: &Connection<Snow<AwsLc>>) -> Input {
    if machine.stage() == Some(Stage::Admitted) {
        Input::Close(Reason::RelayClosed)
    } else {
        Input::Io(IoEvent::Closed(EffectId::Socket, Closed::ByUs))
    }
}

/// What happens next on the socket, and what else is there already. Without `reading` only writing goes on.
async fn events(socket: &mut Socket<TcpStream>, reading: bool, inputs: &mut Vec<Input>) {
    if !reading {
        let _never = socket.next_with(false).await;
    }
    poll_fn(|cx| {
        while inputs.len() < BATCH {
            match socket.poll_next(cx) {
                Poll::Ready(event) => {
                    let is_last = matches!(event, IoEvent::Closed(..));
                    inputs.push(Input::Io(event.with_id(EffectId::Socket)));
                    if is_last {
                        break;
                    }
                }
                Poll::Pending if inputs.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    })
    .await;
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // Without a sender the relay is gone already.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn answer(asked: &mut Option<Asked>) -> Input {
    match asked {
        Some(asked) => asked.await,
        None => pending().await,
    }
}
