//! An adapter without a runtime: blocking connects, non-blocking sockets, one `poll(2)` for all of them, one thread.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use io_engine::{
    ClientConnection, FileJob, Home, Hop, HttpCall, LINGER, MessageSocket, Network, SystemClock, Transducer, WebSocketClient,
    connect_fault, fresh_entropy,
};
use proto_core::{
    Deadline, Instant,
    effect::{Close, Closed, Connect, Effect, HttpRequest, IoEvent, NetFault},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Performs effects named by an `I`. Everything goes on inside of [`SuperLoop::next`].
pub(crate) struct SuperLoop<I> {
    home: Option<Home>,
    network: Network,
    clock: SystemClock,
    requests: Vec<(I, Wire<HttpCall>)>,
    links: Vec<(I, Wire<WebSocketClient>)>,
    io_events: VecDeque<IoEvent<I>>,
}

/// A transducer over a socket, and until when something has to have happened.
struct Wire<T> {
    stream: TcpStream,
    connection: ClientConnection<T>,
    limit: Option<Instant>,
    reads: bool,
    blocked: bool,
}

impl<I: Clone + PartialEq> SuperLoop<I> {
    /// One whose files live in `home` and whose clients go by `network`.
    pub(crate) fn new(home: Option<Home>, network: Network) -> Self {
        let clock = SystemClock::start();
        Self { home, network, clock, requests: Vec::new(), links: Vec::new(), io_events: VecDeque::new() }
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Carries out `effect`, or begins to. Files and connecting block.
    pub(crate) fn perform(&mut self, effect: Effect<I>) {
        match effect {
            Effect::Http(id, request) => match self.request(&request) {
                Ok(wire) => self.requests.push((id, wire)),
                Err(fault) => self.io_events.push_back(IoEvent::Unanswered(id, fault)),
            },
            Effect::Connect(id, connect) => {
                self.links.retain(|(name, _)| *name != id);
                self.io_events.retain(|io_event| link_of(io_event) != Some(&id));
                match self.connect(&connect) {
                    Ok(wire) => self.links.push((id, wire)),
                    Err(fault) => self.io_events.push_back(IoEvent::Closed(id, Closed::Fault(fault))),
                }
            }
            Effect::Send(id, message) => self.with_link(&id, |link| link.send(message)),
            Effect::Close(id, close) => self.with_link(&id, |link| link.close(close)),
            Effect::Store(id, file, contents) => self.file(id, &FileJob::Store(file, contents)),
            Effect::Remove(id, file) => self.file(id, &FileJob::Remove(file)),
            Effect::Load(id, file) => self.file(id, &FileJob::Load(file)),
        }
    }

    /// What happens next; `None` once the deadline is reached and nothing has happened.
    pub(crate) fn next(&mut self, deadline: Option<Deadline>) -> Option<IoEvent<I>> {
        loop {
            // What was read is taken before anything more is: a machine that does not keep up makes the other side wait.
            if let Some(io_event) = self.io_events.pop_front() {
                return Some(io_event);
            }
            let progress = self.turn();
            if !self.io_events.is_empty() {
                continue;
            }
            if deadline.is_some_and(|deadline| deadline.at <= self.now()) {
                return None;
            }
            if !progress {
                self.wait(deadline);
            }
        }
    }

    /// Closes the WebSockets normally; what was to be stored is stored.
    pub(crate) fn shutdown(mut self) {
        self.requests.clear();
        self.links.iter_mut().for_each(|(_, wire)| wire.connection.close(Close::Normal));
        while !self.links.is_empty() {
            self.next(None);
        }
    }

    /// Gives every socket one turn. Whether anything moved.
    fn turn(&mut self) -> bool {
        let now = self.now();
        let Self { requests, links, io_events, .. } = self;
        let mut progress = false;
        requests.retain_mut(|(id, wire)| {
            progress |= wire.turn(now);
            let Some(outcome) = wire.connection.poll_event() else { return true };
            io_events.push_back(match outcome {
                Ok(answer) => IoEvent::Answered(id.clone(), answer),
                Err(fault) => IoEvent::Unanswered(id.clone(), fault),
            });
            false
        });
        links.retain_mut(|(id, wire)| {
            progress |= wire.turn(now);
            while let Some(event) = wire.connection.poll_event() {
                let last = matches!(event, IoEvent::Closed(..));
                if matches!(event, IoEvent::Connected(..)) {
                    wire.limit = None;
                }
                io_events.push_back(event.with_id(id.clone()));
                if last {
                    return false;
                }
            }
            if wire.connection.is_closing() {
                wire.limit = wire.limit.or(Some(now.after(LINGER)));
            }
            true
        });
        progress
    }

    /// Sleeps until a socket is ready or something is due.
    fn wait(&self, deadline: Option<Deadline>) {
        let requests = self.requests.iter().map(|(_, wire)| (&wire.stream, wire.interest(), wire.limit));
        let links = self.links.iter().map(|(_, wire)| (&wire.stream, wire.interest(), wire.limit));
        let wires: Vec<_> = requests.chain(links).collect();
        let due = wires.iter().filter_map(|(_, _, limit)| *limit).chain(deadline.map(|deadline| deadline.at)).min();
        let left = due.map(|due| due.since(self.now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds: Vec<_> = wires.iter().map(|(stream, interest, _)| PollFd::new(stream, *interest)).collect();
        // An interrupted sleep is a turn too early, and no more.
        let _ = poll(&mut fds, timeout.as_ref());
    }

    fn request(&self, request: &HttpRequest) -> Result<Wire<HttpCall>, NetFault> {
        let (hop, connection) = self.network.http(request)?;
        self.wire(&hop, connection, request.timeout)
    }

    fn connect(&self, connect: &Connect) -> Result<Wire<WebSocketClient>, NetFault> {
        let (hop, connection) = self.network.websocket(connect, &fresh_entropy())?;
        self.wire(&hop, connection, connect.timeout)
    }

    fn wire<T>(&self, hop: &Hop, connection: ClientConnection<T>, timeout: Duration) -> Result<Wire<T>, NetFault> {
        let limit = Some(self.now().after(timeout));
        let stream = dial(hop, std::time::Instant::now() + timeout).map_err(|fault| hop.fault(fault))?;
        Ok(Wire { stream, connection, limit, reads: true, blocked: false })
    }

    fn with_link(&mut self, id: &I, order: impl FnOnce(&mut ClientConnection<WebSocketClient>)) {
        if let Some((_, wire)) = self.links.iter_mut().find(|(name, _)| name == id) {
            order(&mut wire.connection);
        }
    }

    fn file(&mut self, id: I, job: &FileJob) {
        self.io_events.push_back(job.carry_out(id, self.home.as_ref()));
    }
}

impl<T: Transducer> Wire<T> {
    /// Writes once, reads once, and looks at the clock. Whether anything moved.
    fn turn(&mut self, now: Instant) -> bool {
        let late = self.limit.is_some_and(|limit| limit <= now);
        if late {
            self.connection.fail(NetFault::TimedOut);
        }
        let wrote = self.write();
        let read = self.reads && self.read();
        late || wrote || read
    }

    fn write(&mut self) -> bool {
        let mut slices = [IoSlice::new(&[]); 64];
        let used = self.connection.transmit(&mut slices);
        self.blocked = false;
        if used == 0 {
            return false;
        }
        match self.stream.write_vectored(&slices[..used]) {
            Ok(0) => self.connection.fail(NetFault::Broken),
            Ok(count) => self.connection.transmitted(count),
            Err(error) if waits(&error) => {
                self.blocked = true;
                return false;
            }
            Err(_) => self.connection.fail(NetFault::Broken),
        }
        true
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => {
                self.reads = false;
                self.connection.receive_end();
            }
            Ok(count) => self.connection.receive(&buffer[..count]),
            Err(error) if waits(&error) => return false,
            Err(_) => {
                self.reads = false;
                self.connection.fail(NetFault::Broken);
            }
        }
        true
    }

    fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::IN, self.reads);
        interest.set(PollFlags::OUT, self.blocked);
        interest
    }
}

/// The WebSocket that it is about.
fn link_of<I>(io_event: &IoEvent<I>) -> Option<&I> {
    match io_event {
        IoEvent::Connected(id, _) | IoEvent::Received(id, _) | IoEvent::Sent(id, _) | IoEvent::Closed(id, _) => Some(id),
        IoEvent::Answered(..)
        | IoEvent::Unanswered(..)
        | IoEvent::Stored(_)
        | IoEvent::NotStored(_)
        | IoEvent::Loaded(..)
        | IoEvent::NotLoaded(_) => None,
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// One address after the other, all of them until `end`. Blocks.
fn dial(hop: &Hop, end: std::time::Instant) -> Result<TcpStream, NetFault> {
    let addresses = (hop.host.as_str(), hop.port).to_socket_addrs().map_err(|_| NetFault::Dns)?;
    let mut fault = NetFault::Dns;
    for address in addresses {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Err(NetFault::TimedOut);
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                let ready = stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true));
                return ready.map(|()| stream).map_err(|_| NetFault::Refused);
            }
            Err(error) => fault = connect_fault(&error),
        }
    }
    Err(fault)
}
