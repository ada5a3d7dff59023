//! The other ends of connections: scripts on threads of their own, over blocking sockets.

use std::{
    io::{ErrorKind, IoSlice, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use io_engine::{
    Connection, MessageSocket, Network, Roots, ServerKey, Tls, Transducer, Trust, WebSocket, answer_upgrade, fresh_entropy,
};
use proto_core::effect::{IoEvent, NetFault};

/// What a server does with a client that connected.
pub type Script = Box<dyn FnOnce(Far) + Send>;

/// A server that follows a script with the first client that connects.
pub struct Peer {
    address: SocketAddr,
    /// The address of a connection that only says that no client will follow.
    last: Arc<Mutex<Option<SocketAddr>>>,
    script: JoinHandle<()>,
}

impl Peer {
    /// Serves plain TCP.
    pub fn plain(script: impl FnOnce(Far) + Send + 'static) -> Self {
        Self::serve(|| Connection::plain(Pipe::default()), usize::MAX, vec![Box::new(script)])
    }

    /// Serves plain TCP, and sends every byte by itself.
    pub fn piecemeal(script: impl FnOnce(Far) + Send + 'static) -> Self {
        Self::serve(|| Connection::plain(Pipe::default()), 1, vec![Box::new(script)])
    }

    /// Serves plain TCP to one after the other, each by the next script.
    pub fn in_turn(scripts: Vec<Script>) -> Self {
        Self::serve(|| Connection::plain(Pipe::default()), usize::MAX, scripts)
    }

    /// Serves TLS, as `key`.
    pub fn secure(key: ServerKey, script: impl FnOnce(Far) + Send + 'static) -> Self {
        Self::serve(move || Connection::secure(Pipe::default(), Tls::server(&key).unwrap()), usize::MAX, vec![Box::new(script)])
    }

    /// Serves TLS, as `key`, and sends every byte by itself, so that the handshake takes its time.
    pub fn secure_piecemeal(key: ServerKey, script: impl FnOnce(Far) + Send + 'static) -> Self {
        Self::serve(move || Connection::secure(Pipe::default(), Tls::server(&key).unwrap()), 1, vec![Box::new(script)])
    }

    fn serve(connection: impl Fn() -> Connection<Pipe> + Send + 'static, piece: usize, scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let last = Arc::new(Mutex::new(None));
        let is_last = Arc::clone(&last);
        let script = std::thread::spawn(move || {
            for script in scripts {
                let (stream, from) = listener.accept().unwrap();
                if *is_last.lock().unwrap() == Some(from) {
                    return;
                }
                stream.set_nodelay(true).unwrap();
                script(Far { stream, connection: connection(), piece });
            }
        });
        Self { address, last, script }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of this server under the name `localhost`, for the scheme `scheme`.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}/path", self.address.port())
    }

    /// The same with its address for a name.
    pub fn url_by_address(&self, scheme: &str) -> String {
        format!("{scheme}://{}/path", self.address)
    }

    /// Waits for the end of the script, and fails as it failed. No client connects any more: one whose time was up before it could
    /// leaves the script without its part.
    pub fn finish(self) {
        if let Ok(mut last) = self.last.lock() {
            *last = TcpStream::connect(self.address).and_then(|stream| stream.local_addr()).ok();
        }
        if let Err(panic) = self.script.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A key for `localhost`, and a network whose roots vouch for it alone.
pub fn identity() -> (ServerKey, Network) {
    identity_until("localhost", 4096)
}

/// The same for another name.
pub fn identity_of(name: &str) -> (ServerKey, Network) {
    identity_until(name, 4096)
}

/// [`identity`], whose time is over.
pub fn expired_identity() -> (ServerKey, Network) {
    identity_until("localhost", 2001)
}

fn identity_until(name: &str, year: i32) -> (ServerKey, Network) {
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let private = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&private).unwrap().pem();
    let key = ServerKey::from_pem(pem.as_bytes(), private.serialize_pem().as_bytes()).unwrap();
    (key, Roots::only(Trust::only(&[pem]).unwrap()).into())
}

/// A way to hold a script back.
pub fn gate() -> (Opener, PlatformAccess) {
    let (opener, gate) = mpsc::channel();
    (Opener(opener), PlatformAccess(gate))
}

/// Lets the script at the [`PlatformAccess`] go on when it is dropped.
pub struct Opener(#[expect(dead_code, reason = "its end is what it says")] mpsc::Sender<()>);

/// Where a script waits.
pub struct PlatformAccess(mpsc::Receiver<()>);

impl PlatformAccess {
    /// Waits until the [`Opener`] is gone.
    pub fn wait(&self) {
        let _ = self.0.recv();
    }
}

/// The script's end of a connection.
pub struct Far {
    stream: TcpStream,
    connection: Connection<Pipe>,
    /// How many bytes are sent at a time.
    piece: usize,
}

impl Far {
    /// Waits for bytes; empty at the connection's end, however it ended.
    pub fn read(&mut self) -> Vec<u8> {
        let mut buffer = [0; 16 * 1024];
        loop {
            self.flush();
            let pipe = self.connection.protocol();
            if !pipe.received.is_empty() || pipe.ended {
                return std::mem::take(&mut pipe.received);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => self.connection.receive_end(),
                Ok(count) => self.connection.receive(&buffer[..count]),
            }
        }
    }

    /// Reads until `done` with what was read.
    pub fn read_until(&mut self, done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut all = Vec::new();
        while !done(&all) {
            let more = self.read();
            assert!(!more.is_empty(), "the client hung up early");
            all.extend(more);
        }
        all
    }

    /// Waits until the client is gone.
    pub fn read_to_end(&mut self) {
        while !self.read().is_empty() {}
    }

    /// Sends bytes. A client that is gone is found out about when reading.
    pub fn write(&mut self, bytes: &[u8]) {
        self.connection.protocol().waiting.extend_from_slice(bytes);
        self.flush();
    }

    /// Sends the same again and again, as fast as it is taken, until the client hangs up. Gives how many bytes were taken.
    pub fn pour(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        loop {
            match self.stream.write(bytes) {
                Ok(count) if count < bytes.len() && self.stream.write_all(&bytes[count..]).is_err() => return taken,
                Ok(_) => taken += bytes.len(),
                Err(_) => return taken,
            }
        }
    }

    /// Sends the same byte again and again, a millisecond apart, until the client hangs up.
    pub fn trickle(&mut self, byte: u8) {
        self.stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        while self.stream.write_all(&[byte]).is_ok() {
            match self.stream.read(&mut [0; 1024]) {
                Ok(0) => return,
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                _ => {}
            }
        }
    }

    /// Reads the head of an HTTP request, or of an upgrade, as far as it comes: a client may be out of time by then.
    pub fn head(&mut self) {
        let mut head = Vec::new();
        while !head.windows(4).any(|four| four == b"\r\n\r\n") {
            match self.read() {
                end if end.is_empty() => return,
                more => head.extend(more),
            }
        }
    }

    /// Reads a whole HTTP request: its head, and its body.
    pub fn request(&mut self) -> (String, Vec<u8>) {
        let head_len = |bytes: &[u8]| bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        let mut all = self.read_until(|bytes| head_len(bytes).is_some());
        let head = String::from_utf8(all.drain(..head_len(&all).unwrap()).collect()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().unwrap());
        while all.len() < length {
            all.extend(self.read());
        }
        (head, all)
    }

    /// Agrees to the upgrade that the client asks for.
    pub fn upgrade(mut self, max_message: usize) -> FarSocket {
        let head = String::from_utf8(self.read_until(|bytes| bytes.ends_with(b"\r\n\r\n"))).unwrap();
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let request = headers.fold(http::Request::get("/path"), |request, (name, value)| request.header(name, value));
        let answer: http::Response<()> = answer_upgrade(&request.body(()).unwrap()).unwrap();
        self.write(b"HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in answer.headers() {
            self.write(format!("{name}: {}\r\n", value.to_str().unwrap()).as_bytes());
        }
        self.write(b"\r\n");
        let mut socket = FarSocket { far: self, socket: WebSocket::server(max_message, fresh_entropy()) };
        assert!(matches!(socket.wait(), IoEvent::Connected(..)));
        socket
    }

    /// Sends no more, and still reads.
    pub fn stop_sending(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Breaks the connection so that the client gets a reset (RFC 9293 section 3.5.3), not an end.
    pub fn reset(self) {
        let at_once = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&self.stream, at_once).unwrap();
    }

    fn flush(&mut self) {
        loop {
            let mut slices = [IoSlice::new(&[]); 1];
            if self.connection.transmit(&mut slices) == 0 {
                return;
            }
            let piece = slices[0].len().min(self.piece);
            match self.stream.write(&slices[0][..piece]) {
                Ok(count) => self.connection.transmitted(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

/// The script's end of a WebSocket.
pub struct FarSocket {
    far: Far,
    socket: WebSocket,
}

impl FarSocket {
    /// What happens next.
    pub fn wait(&mut self) -> IoEvent<()> {
        loop {
            if let Some(event) = self.socket.poll_event() {
                return event;
            }
            if self.flush() {
                continue;
            }
            match &self.far.read()[..] {
                [] => self.socket.receive_end(),
                bytes => self.socket.receive(bytes),
            }
        }
    }

    /// The WebSocket itself, to send on and to close.
    pub const fn socket(&mut self) -> &mut WebSocket {
        &mut self.socket
    }

    /// Sends back what comes, until the end, which it gives.
    pub fn echo(mut self) -> IoEvent<()> {
        loop {
            match self.wait() {
                IoEvent::Received((), message) => self.send(message),
                closed @ IoEvent::Closed(..) => return closed,
                _ => {}
            }
        }
    }

    /// Sends one message.
    pub fn send(&mut self, message: Bytes) {
        self.socket.send(message);
        while self.flush() {}
    }

    /// The connection below.
    pub fn into_bytes(self) -> Far {
        self.far
    }

    fn flush(&mut self) -> bool {
        let mut any = false;
        loop {
            let mut slices = [IoSlice::new(&[]); 1];
            if self.socket.transmit(&mut slices) == 0 {
                return any;
            }
            let count = slices[0].len();
            self.far.write(&slices[0]);
            self.socket.transmitted(count);
            any = true;
        }
    }
}

/// Bytes as they are, for what speaks over TLS.
#[derive(Default)]
pub struct Pipe {
    received: Vec<u8>,
    ended: bool,
    waiting: Vec<u8>,
}

impl Transducer for Pipe {
    type Event = ();

    fn receive(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    fn receive_end(&mut self) {
        self.ended = true;
    }

    fn fail(&mut self, _: NetFault) {
        self.ended = true;
    }

    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        if self.waiting.is_empty() {
            return 0;
        }
        slices[0] = IoSlice::new(&self.waiting);
        1
    }

    fn transmitted(&mut self, count: usize) {
        self.waiting.drain(..count);
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }
}
