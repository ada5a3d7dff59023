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
use io_tokio::{Clock, Socket, accept};
use proto_core::{
    Entropy, Machine as _, Reason,
    effect::{Closed, Effect, Happening},
    noise::Snow,
    relay::{
        connection::{Connection, Ended, Errand, Input, Output, Stage},
        hub::{self, ConnectionId},
    },
    wire::{FIRST_MESSAGE_MAX, Role},
};
use tokio::{net::TcpStream, sync::watch};

use crate::{
    hub::ToHub,
    journal::Entry,
    mailbox::Mailbox,
    relay::{Shared, Slot},
    tap::Tapped,
};

/// How many messages are read before the hub gets them.
const BATCH: usize = 64;

/// The answer to a lookup or a request of the machine, on its way. There is one at a time; a newer one replaces it.
type Asked = Pin<Box<dyn Future<Output = Input> + Send>>;

/// Serves an upgraded connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, stream: TcpStream, read_already: Bytes, address: IpAddr, slot: Slot) {
    let mut socket = accept(stream, read_already, FIRST_MESSAGE_MAX);
    let Happening::Connected((), entropy) = socket.next().await else { return };
    let task = Task::new(shared, socket, &entropy, address, slot);
    Box::pin(task.run()).await;
}

struct Task {
    shared: Arc<Shared>,
    id: ConnectionId,
    address: IpAddr,
    clock: Clock,
    socket: Socket<TcpStream>,
    machine: Connection<Snow<AwsLc>>,
    mailbox: Arc<Mailbox>,
    asked: Option<Asked>,
    for_hub: Vec<hub::Input>,
    state: State,
    _slot: Slot,
}

/// What the socket is still needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The machine runs.
    Running,
    /// It has ended; what was said last is still on its way.
    Closing,
    /// Nothing.
    Over,
}

/// What a task waits for.
enum Fact {
    Happened(Vec<Happening<()>>),
    Letters(Vec<Input>),
    Answer(Input),
    Deadline,
    Shutdown,
}

impl Task {
    fn new(shared: Arc<Shared>, socket: Socket<TcpStream>, entropy: &Entropy, address: IpAddr, slot: Slot) -> Self {
        let clock = Clock::start();
        let machine = Connection::new(clock.now(), Arc::clone(&shared.settings), clock.wall(), entropy);
        Self {
            id: shared.next_connection(),
            shared,
            address,
            clock,
            socket,
            machine,
            mailbox: Arc::default(),
            asked: None,
            for_hub: Vec::new(),
            state: State::Running,
            _slot: slot,
        }
    }

    async fn run(mut self) {
        let mut shutdown = self.shared.shutdown.clone();
        while self.state != State::Over {
            let fact = self.next_fact(&mut shutdown).await;
            let now = self.clock.now();
            self.machine.handle_timeout(now);
            match fact {
                Fact::Happened(happenings) => happenings.into_iter().for_each(|happening| self.happened(happening)),
                Fact::Letters(letters) => letters.into_iter().for_each(|letter| self.feed(letter)),
                Fact::Answer(input) => self.feed(input),
                Fact::Deadline => {}
                Fact::Shutdown => self.shut_down(),
            }
            self.perform().await;
        }
    }

    async fn next_fact(&mut self, shutdown: &mut watch::Receiver<bool>) -> Fact {
        let reading = self.machine.is_reading() || self.state != State::Running;
        let running = self.state == State::Running;
        tokio::select! {
            happenings = next_happenings(&mut self.socket, reading) => Fact::Happened(happenings),
            letters = self.mailbox.fetch() => Fact::Letters(letters),
            input = answer(&mut self.asked) => {
                self.asked = None;
                Fact::Answer(input)
            }
            () = self.clock.sleep_until(self.machine.poll_timeout()) => Fact::Deadline,
            // Without a sender the relay is gone already.
            _ = shutdown.wait_for(|stop| *stop), if running => Fact::Shutdown,
        }
    }

    fn happened(&mut self, happening: Happening<()>) {
        if let (Some(tap), Happening::Received((), message)) = (&self.shared.tap, &happening) {
            tap.record(Tapped::Message(message));
        }
        if let Happening::Closed((), _) = happening {
            self.state = State::Over;
        }
        self.feed(Input::Happened(happening.with_id(Errand::Socket)));
    }

    fn feed(&mut self, input: Input) {
        // Drained after every fact, and no fact brings more than a window of frames: never full.
        let _ = self.machine.handle_input(self.clock.now(), input);
    }

    /// The relay stops: an admitted device is told so, the others are cut off.
    fn shut_down(&mut self) {
        if self.machine.stage() == Some(Stage::Admitted) {
            self.feed(Input::Close(Reason::RelayClosed));
        } else {
            self.feed(Input::Happened(Happening::Closed(Errand::Socket, Closed::ByUs)));
        }
    }

    async fn perform(&mut self) {
        while let Some(output) = self.machine.poll_output() {
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
                    self.shared.journal.record(Entry { address: Some(self.address), ..Entry::new("credential renewed") });
                    self.for_hub.push(hub::Input::Renewed(self.id, token));
                }
                Output::LookUp(errand, kid) => {
                    let keys = self.shared.keys.clone();
                    self.asked = Some(Box::pin(async move { Input::Key(errand, keys.look(kid).await) }));
                }
                Output::Confirmed(device) => self.enter(&device).await,
                Output::Ended(ended) => self.leave(ended).await,
            }
        }
        self.hand_to_hub().await;
    }

    fn carry_out(&mut self, effect: Effect<Errand>) {
        match effect {
            Effect::Send(_, message) => self.socket.send(message),
            Effect::Close(_, close) => self.socket.close(close),
            Effect::Http(errand, request) => {
                let roots = self.shared.roots.clone();
                self.asked = Some(Box::pin(async move {
                    Input::Happened(match io_tokio::request(&request, &roots).await {
                        Ok(answer) => Happening::Answered(errand, answer),
                        Err(fault) => Happening::Unanswered(errand, fault),
                    })
                }));
            }
            // A connection at the relay asks for nothing else.
            Effect::Connect(..) | Effect::Store(..) | Effect::Remove(..) => {}
        }
    }

    async fn enter(&mut self, device: &proto_core::relay::connection::Device) {
        self.socket.set_max_message(usize::try_from(self.shared.settings.frame_max).unwrap_or(usize::MAX));
        let what = if device.role == Role::Daemon { "daemon admitted" } else { "viewer admitted" };
        let (org, target) = (Some(device.org.clone()), Some(device.target.clone()));
        self.shared.journal.record(Entry { address: Some(self.address), org, target, ..Entry::new(what) });
        self.shared.hub.send(ToHub::Enter(self.id, device.for_hub(), Arc::clone(&self.mailbox))).await;
    }

    async fn leave(&mut self, ended: Ended) {
        let what = if ended.stage == Stage::Admitted { "closed" } else { "refused" };
        let entry =
            Entry { reason: ended.reason, stage: Some(ended.stage.name()), address: Some(self.address), ..Entry::new(what) };
        self.shared.journal.record(entry);
        self.asked = None;
        self.hand_to_hub().await;
        if ended.stage == Stage::Admitted {
            self.shared.hub.send(ToHub::Leave(self.id)).await;
        }
        if self.state == State::Running {
            self.state = State::Closing;
        }
    }

    async fn hand_to_hub(&mut self) {
        if !self.for_hub.is_empty() {
            self.shared.hub.send(ToHub::Inputs(std::mem::take(&mut self.for_hub))).await;
        }
    }
}

/// What happens next on the socket, and what else is there already. Without `reading` only writing goes on.
async fn next_happenings(socket: &mut Socket<TcpStream>, reading: bool) -> Vec<Happening<()>> {
    if !reading {
        let _never = socket.next_with(false).await;
    }
    let mut happenings = Vec::new();
    poll_fn(|cx| {
        while happenings.len() < BATCH {
            match socket.poll_next(cx) {
                Poll::Ready(happening) => {
                    let last = matches!(happening, Happening::Closed(..));
                    happenings.push(happening);
                    if last {
                        break;
                    }
                }
                Poll::Pending if happenings.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    })
    .await;
    happenings
}

async fn answer(asked: &mut Option<Asked>) -> Input {
    match asked {
        Some(asked) => asked.await,
        None => pending().await,
    }
}
