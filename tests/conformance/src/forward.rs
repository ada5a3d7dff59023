//! A forward proxy on loopback, with threads and blocking sockets, that knows every name as this machine's.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// A proxy that serves until the process ends.
pub struct ForwardProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<String>>,
    answer: Mutex<Option<String>>,
}

impl ForwardProxy {
    /// One that lets everything through, to the port that is asked for.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // A client or server that hangs up ends a connection; nobody waits for the thread.
                thread::spawn(move || drop(serve(client, &shared)));
            }
        });
        Self { address, shared }
    }

    /// Its address, as `host:port`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every request is answered with this status line, such as `403 Forbidden`; with none it is let through.
    pub fn refuse_with(&self, status: Option<&str>) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = status.map(str::to_owned);
    }

    /// The heads of the requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let (head, rest) = head_of(&mut client)?;
    shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let answer = shared.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(status) = answer {
        return client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes());
    }
    let invalid = || std::io::Error::from(ErrorKind::InvalidData);
    let mut words = head.split(' ');
    let (method, target) = words.next().zip(words.next()).ok_or_else(invalid)?;
    let is_tunnel = method == "CONNECT";
    let authority = if is_tunnel { target } else { target.strip_prefix("http://").ok_or_else(invalid)? };
    let (authority, path) = authority.find('/').map_or((authority, "/"), |at| authority.split_at(at));
    let port = authority.rsplit_once(':').map_or(Ok(80), |(_, port)| port.parse()).map_err(|_| invalid())?;
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.set_nodelay(true)?;
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        server.write_all(head.replacen(target, path, 1).as_bytes())?;
    }
    server.write_all(&rest)?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pump(from, to));
    pump(server, client);
    Ok(())
}

/// The head with the blank line at its end, and what came with it.
fn head_of(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut received = Vec::new();
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = received.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&received).into_owned(), rest));
        }
        let mut buffer = [0; 4096];
        let count = client.read(&mut buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(&buffer[..count]);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    // However one direction ends, the other side sees an end.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
