//! The other side of all work: one thread with blocking sockets, which serves one connection after the other.

use std::{
    io::{self, BufRead, BufReader, IoSlice, Read, Write},
    net::{TcpListener, TcpStream},
};

use bytes::Bytes;
use io_engine::{MessageSocket, Transducer, WebSocket, answer_upgrade, fresh_entropy};
use proto_core::effect::IoEvent;

use crate::work::{Messages, Work};

/// The body of every answer.
const BODY: &str = "{\"status\":\"pending\"}";

/// How many messages are written at a time.
const BATCH: u32 = 16;

/// A server that lives as long as this program.
pub(crate) struct Server {
    address: String,
}

impl Server {
    /// Serves on loopback.
    ///
    /// # Panics
    /// When it cannot listen.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // The client finds out about a failure and fails the reading.
                if let Err(error) = stream.and_then(|stream| serve(&stream)) {
                    eprintln!("the server: {error}");
                }
            }
        });
        Self { address }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

fn serve(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    while reader.read_until(b'\n', &mut head)? > 2 {}
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let path = head.split(' ').nth(1).unwrap_or_default();
    match Work::parse(path.trim_start_matches('/')) {
        Some(Work::Asking) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BODY}", BODY.len())
        }
        Some(Work::Sending(_)) => upgrade(stream.try_clone()?, &head)?.until_closed(),
        Some(Work::Receiving(messages)) => {
            let mut socket = upgrade(stream.try_clone()?, &head)?;
            socket.send(messages)?;
            socket.until_closed()
        }
        None => Err(io::Error::other(format!("asked for {path}"))),
    }
}

/// A client sends nothing behind its request before it is upgraded.
fn upgrade(mut stream: TcpStream, head: &str) -> io::Result<Socket> {
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let request = headers.fold(http::Request::get("/"), |request, (name, value)| request.header(name, value));
    let request = request.body(()).map_err(io::Error::other)?;
    let answer: http::Response<()> = answer_upgrade(&request).map_err(io::Error::other)?;
    let mut text = String::from("HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in answer.headers() {
        text.extend([name.as_str(), ": ", value.to_str().map_err(io::Error::other)?, "\r\n"]);
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())?;
    Ok(Socket { stream, socket: WebSocket::server(1 << 20, fresh_entropy()) })
}

/// A WebSocket over a blocking socket.
struct Socket {
    stream: TcpStream,
    socket: WebSocket,
}

impl Socket {
    fn send(&mut self, Messages { count, size }: Messages) -> io::Result<()> {
        let message = Bytes::from(vec![7; size]);
        for _ in 0..count / BATCH {
            (0..BATCH).for_each(|_| self.socket.send(message.clone()));
            self.flush()?;
            while self.socket.poll_event().is_some() {}
        }
        Ok(())
    }

    fn until_closed(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            while let Some(event) = self.socket.poll_event() {
                if let IoEvent::Closed(..) = event {
                    return self.flush();
                }
            }
            self.flush()?;
            match self.stream.read(&mut buffer)? {
                0 => self.socket.receive_end(),
                count => self.socket.receive(&buffer[..count]),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            let mut slices = [IoSlice::new(&[]); BATCH as usize * 2];
            let used = self.socket.transmit(&mut slices);
            if used == 0 {
                return Ok(());
            }
            let count = self.stream.write_vectored(&slices[..used])?;
            self.socket.transmitted(count);
        }
    }
}
