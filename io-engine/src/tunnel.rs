//! A tunnel through a proxy (`CONNECT`, RFC 9110 section 9.3.6), below whatever speaks with the server.
//!
//! ```text
//!  Asking ──2xx──────────────► Through
//!    └────anything else──────► Failed
//! ```

use std::{fmt, io::IoSlice, mem};

use bytes::Bytes;
use proto_core::{
    effect::{Close, NetFault},
    secret::SecretText,
};
use ureq_proto::parser::try_parse_response;
use zeroize::Zeroizing;

use crate::{MessageSocket, Transducer};

/// The most that the proxy's answer may take, interim ones included, and the most headers in one.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// `T`, once a proxy has opened a tunnel to its server; or `T` alone.
#[derive(Debug)]
pub struct Tunnel<T> {
    above: T,
    stage: Stage,
}

enum Stage {
    Asking(Box<Asking>),
    /// There is no proxy, or its tunnel is open.
    Through,
    Failed,
}

#[derive(Default)]
struct Asking {
    request: Zeroizing<Vec<u8>>,
    done: usize,
    received: Vec<u8>,
    /// What interim answers took.
    interim: usize,
}

impl<T: Transducer> Tunnel<T> {
    /// `above` alone, without a proxy that would have to be asked.
    pub const fn none(above: T) -> Self {
        Self { above, stage: Stage::Through }
    }

    /// Asks the proxy at the other end for a tunnel to `endpoint` (`host:port`), and shows it `authorization`.
    pub(crate) fn to(endpoint: &str, authorization: Option<&SecretText>, above: T) -> Self {
        let mut request = Zeroizing::new(format!("CONNECT {endpoint} HTTP/1.1\r\nHost: {endpoint}\r\n").into_bytes());
        if let Some(authorization) = authorization {
            let line = Zeroizing::new(format!("Proxy-Authorization: {}\r\n", authorization.expose()));
            request.extend_from_slice(line.as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        Self { above, stage: Stage::Asking(Box::new(Asking { request, ..Asking::default() })) }
    }
}

impl Asking {
    /// Whether the tunnel is open. What was received beyond the answer is the server's.
    fn answer(&mut self, bytes: &[u8]) -> Result<bool, NetFault> {
        self.received.extend_from_slice(bytes);
        loop {
            // No more than may be there, so that the outcome is the same however the stream was cut.
            let head = &self.received[..self.received.len().min(MAX_HEAD - self.interim)];
            let parsed = try_parse_response::<MAX_HEADERS>(head).map_err(|_| NetFault::ProxyBroken)?;
            let Some((head_len, response)) = parsed else {
                let is_too_long = self.received.len() >= MAX_HEAD - self.interim;
                return if is_too_long { Err(NetFault::ProxyBroken) } else { Ok(false) };
            };
            self.received.drain(..head_len);
            match response.status().as_u16() {
                200..300 => return Ok(true),
                100 | 102..200 => self.interim += head_len,
                status => {
                    tracing::debug!(status, "the proxy opens no tunnel");
                    return Err(NetFault::ProxyStatus(status));
                }
            }
        }
    }
}

impl<T: Transducer> Transducer for Tunnel<T> {
    type Event = T::Event;

    fn receive(&mut self, bytes: &[u8]) {
        match &mut self.stage {
            Stage::Through => self.above.receive(bytes),
            Stage::Failed => {}
            Stage::Asking(asking) => match asking.answer(bytes) {
                Ok(false) => {}
                Ok(true) => {
                    let rest = mem::take(&mut asking.received);
                    self.stage = Stage::Through;
                    if !rest.is_empty() {
                        self.above.receive(&rest);
                    }
                }
                Err(fault) => self.fail(fault),
            },
        }
    }

    fn receive_end(&mut self) {
        match self.stage {
            Stage::Through => self.above.receive_end(),
            Stage::Asking(_) => self.fail(NetFault::ProxyBroken),
            Stage::Failed => {}
        }
    }

    /// Before the tunnel is open, it is the proxy that fails.
    fn fail(&mut self, fault: NetFault) {
        match self.stage {
            Stage::Through => self.above.fail(fault),
            Stage::Asking(_) => {
                self.stage = Stage::Failed;
                self.above.fail(of_proxy(fault));
            }
            Stage::Failed => {}
        }
    }

    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        match (&mut self.stage, slices) {
            (Stage::Through, slices) => self.above.transmit(slices),
            (Stage::Asking(asking), [first, ..]) if asking.done < asking.request.len() => {
                *first = IoSlice::new(&asking.request[asking.done..]);
                1
            }
            (Stage::Asking(_) | Stage::Failed, _) => 0,
        }
    }

    fn transmitted(&mut self, count: usize) {
        match &mut self.stage {
            Stage::Through => self.above.transmitted(count),
            Stage::Asking(asking) => asking.done += count,
            Stage::Failed => {}
        }
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.above.poll_event()
    }
}

impl<T: MessageSocket> MessageSocket for Tunnel<T> {
    fn send(&mut self, message: Bytes) {
        self.above.send(message);
    }

    fn close(&mut self, close: Close) {
        self.above.close(close);
    }

    fn is_closing(&self) -> bool {
        self.above.is_closing()
    }
}

/// Without what the proxy is shown.
impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asking(_) => "Asking",
            Self::Through => "Through",
            Self::Failed => "Failed",
        })
    }
}

/// A fault of the connection to a proxy.
const fn of_proxy(fault: NetFault) -> NetFault {
    match fault {
        NetFault::CertificateUntrusted | NetFault::CertificateName | NetFault::CertificateExpired | NetFault::Tls => {
            NetFault::ProxyTls
        }
        NetFault::Broken => NetFault::ProxyBroken,
        other => other,
    }
}

#[cfg(test)]
mod tests;
