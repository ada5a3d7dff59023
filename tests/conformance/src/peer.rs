//! The other ends of connections: scripts on threads of their own, over blocking sockets.

use std::{
    io::{ErrorKind, IoSlice, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::JoinHandle,
};

use bytes::Bytes;
use io_engine::{Connection, MessageSocket, Roots, ServerKey, Tls, Transducer, Trust, WebSocket, answer_upgrade};
use proto_core::effect::{Happening, NetFault};

/// A server that follows a script with the first who connects.
pub struct Peer {
    address: SocketAddr,
    script: JoinHandle<()>,
}

impl Peer {
    /// Serves plain TCP.
    pub fn plain(script: impl FnOnce(Far) + Send + 'static) -> Self {
        Self::serve(|| Connection::plain(Pipe::default()), script)
    }

    /// Serves TLS, as `key`.
    pub fn secure(key: ServerKey, script: impl FnOnce(Far) + Send + 'static) -> Self {
        Self::serve(move || Connection::secure(Pipe::default(), Tls::server(&key).unwrap()), script)
    }

    fn serve(connection: impl FnOnce() -> Connection<Pipe> + Send + 'static, script: impl FnOnce(Far) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            script(Far { stream, connection: connection() });
        });
        Self { address, script }
    }

    /// A URL of this server under the name `localhost`, for the scheme `scheme`.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}/path", self.address.port())
    }

    /// The same with its address for a name.
    pub fn url_by_address(&self, scheme: &str) -> String {
        format!("{scheme}://{}/path", self.address)
    }

    /// Waits for the end of the script, and fails as it failed.
    pub fn finish(self) {
        if let Err(panic) = self.script.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A key for `localhost`, and roots that vouch for it alone.
pub fn identity() -> (ServerKey, Roots) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let key = ServerKey::from_pem(pem.as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    (key, Roots::only(Trust::only(&[pem]).unwrap()))
}

/// The script's end of a connection.
pub struct Far {
    stream: TcpStream,
    connection: Connection<Pipe>,
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
        let mut socket = FarSocket { far: self, socket: WebSocket::server(max_message) };
        assert!(matches!(socket.wait(), Happening::Connected(..)));
        socket
    }

    /// Sends no more, and still reads.
    pub fn stop_sending(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Breaks the connection so that the client gets a reset (RFC 9293 section 3.5.3), not an end.
    pub fn reset(self) {
        let at_once = Some(std::time::Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&self.stream, at_once).unwrap();
    }

    fn flush(&mut self) {
        loop {
            let mut slices = [IoSlice::new(&[]); 1];
            if self.connection.transmit(&mut slices) == 0 {
                return;
            }
            match self.stream.write(&slices[0]) {
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
    pub fn wait(&mut self) -> Happening<()> {
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
    pub fn echo(mut self) -> Happening<()> {
        loop {
            match self.wait() {
                Happening::Received((), message) => self.send(message),
                closed @ Happening::Closed(..) => return closed,
                _ => {}
            }
        }
    }

    /// The connection below.
    pub fn into_bytes(self) -> Far {
        self.far
    }

    fn send(&mut self, message: Bytes) {
        self.socket.send(message);
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
