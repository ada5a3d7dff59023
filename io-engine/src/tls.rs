//! TLS as a layer between the network and a protocol: rustls over in-memory buffers.

mod setup;

use std::{
    io::{BufRead, ErrorKind, IoSlice, Write},
    sync::Arc,
};

use proto_core::effect::NetFault;
use rustls::{CertificateError, ClientConnection, Connection, ServerConnection, pki_types::ServerName};

pub use setup::{ServerKey, TlsSetupError, Trust};

use crate::Transducer;

/// How much encrypted output may wait for the network before the protocol above has to wait.
const OUT_LIMIT: usize = 64 * 1024;

/// How many pieces of the protocol's output are encrypted at a time.
const PIECES: usize = 64;

/// One end of a TLS 1.2 or 1.3 connection.
#[derive(Debug)]
pub struct Tls {
    session: Connection,
    /// Encrypted, for the network; the first `done` bytes were taken.
    out: Vec<u8>,
    done: usize,
}

impl Tls {
    /// The client's end, which accepts a server that `trust` vouches for under the name `host` (a name or an IP address).
    ///
    /// # Errors
    /// [`NetFault::BadUrl`] when `host` can be the name of no server.
    pub fn client(trust: &Trust, host: &str) -> Result<Self, NetFault> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| NetFault::BadUrl)?;
        let session = ClientConnection::new(Arc::clone(&trust.0), name).map_err(|_| NetFault::Tls)?;
        Ok(Self { session: session.into(), out: Vec::new(), done: 0 })
    }

    /// The server's end.
    ///
    /// # Errors
    /// [`NetFault::Tls`] when rustls has no use for the key.
    pub fn server(key: &ServerKey) -> Result<Self, NetFault> {
        let session = ServerConnection::new(Arc::clone(&key.0)).map_err(|_| NetFault::Tls)?;
        Ok(Self { session: session.into(), out: Vec::new(), done: 0 })
    }

    pub(crate) fn receive(&mut self, mut bytes: &[u8], above: &mut impl Transducer) {
        while !bytes.is_empty() {
            match self.session.read_tls(&mut bytes) {
                Ok(0) => return, // The other side had closed: what follows is not authentic.
                Ok(_) => {}
                Err(_) => return above.fail(NetFault::Broken),
            }
            if let Err(error) = self.session.process_new_packets() {
                tracing::debug!(%error, "TLS failed");
                return above.fail(fault(&error));
            }
            self.hand_up(above);
        }
    }

    /// An end without `close_notify` may be a truncation attack, so it is a fault (RFC 8446 section 6.1).
    pub(crate) fn receive_end(&mut self, above: &mut impl Transducer) {
        self.hand_up(above);
        above.fail(NetFault::Broken);
    }

    fn hand_up(&mut self, above: &mut impl Transducer) {
        let mut reader = self.session.reader();
        loop {
            let taken = match reader.fill_buf() {
                Ok([]) => return above.receive_end(),
                Ok(plain) => {
                    above.receive(plain);
                    plain.len()
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return above.fail(NetFault::Broken),
            };
            reader.consume(taken);
        }
    }

    pub(crate) fn transmit<'a>(&'a mut self, above: &mut impl Transducer, slices: &mut [IoSlice<'a>]) -> usize {
        self.encrypt(above);
        match (slices, &self.out[self.done..]) {
            ([], _) | (_, []) => 0,
            ([first, ..], waiting) => {
                *first = IoSlice::new(waiting);
                1
            }
        }
    }

    pub(crate) fn transmitted(&mut self, count: usize) {
        self.done += count;
        if self.done >= self.out.len() {
            self.done = 0;
            self.out = Vec::new();
        }
    }

    /// Before the handshake has ended rustls takes 64 KiB of plaintext and no more: the rest stays with the protocol above.
    fn encrypt(&mut self, above: &mut impl Transducer) {
        while self.out.len() - self.done < OUT_LIMIT {
            let taken = self.take_from(above);
            while self.session.wants_write() {
                // Writing to memory does not fail.
                let _ = self.session.write_tls(&mut self.out);
            }
            if taken == 0 {
                return;
            }
        }
    }

    fn take_from(&mut self, above: &mut impl Transducer) -> usize {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let used = above.transmit(&mut pieces);
        let taken = self.session.writer().write_vectored(&pieces[..used]).unwrap_or(0);
        above.transmitted(taken);
        taken
    }
}

/// Why the handshake failed, as far as people can do something about it.
fn fault(error: &rustls::Error) -> NetFault {
    let rustls::Error::InvalidCertificate(why) = error else { return NetFault::Tls };
    match why {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => NetFault::CertificateName,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => NetFault::CertificateExpired,
        _ => NetFault::CertificateUntrusted,
    }
}

#[cfg(test)]
mod tests;
