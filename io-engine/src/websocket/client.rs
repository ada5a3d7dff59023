//! The client's half of the upgrade, and the WebSocket it leads to.
//!
//! ```text
//!  Asking ──101 that fits──► Open(WebSocket)
//!    └────anything else────► Failed(why) ──reported──► Failed(None)
//! ```

use std::{io::IoSlice, mem};

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, Response, StatusCode, header};
use proto_core::{
    Entropy,
    api::Problem,
    effect::{Close, Closed, Connect, IoEvent, NetFault, UpgradeRefusal},
    wire::SUBPROTOCOL,
};
use tungstenite::handshake::derive_accept_key;
use ureq_proto::parser::try_parse_response;

use super::{
    WebSocket,
    mask::{MaskKeys, Masking},
};
use crate::{MessageSocket, Target, Transducer, http::retry_after};

/// The most that the answer to the upgrade may take, and the most headers in it.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// A client's WebSocket, from the request for the upgrade on.
#[derive(Debug)]
pub struct WebSocketClient {
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Asking(Box<Asking>),
    Open(WebSocket),
    Failed(Option<Closed>),
}

#[derive(Debug)]
struct Asking {
    /// What opens once the answer agrees.
    socket: WebSocket,
    request: Vec<u8>,
    done: usize,
    accept_key: String,
    received: Vec<u8>,
}

impl WebSocketClient {
    /// A client that asks for what `connect` wants, and where to connect to. From `entropy` come the key of the upgrade, the masks,
    /// and what [`IoEvent::Connected`] hands over for the handshake that follows.
    ///
    /// # Errors
    /// [`NetFault::BadUrl`] when the URL is none.
    pub fn new(connect: &Connect, entropy: &Entropy) -> Result<(Target, Self), NetFault> {
        Self::masking(connect, entropy, Masking::Fresh(Box::new(MaskKeys::new(entropy))))
    }

    /// [`WebSocketClient::new`] for a stream that stays on this machine, such as a Unix socket: its frames are masked with zeros,
    /// so that what is sent is not copied.
    ///
    /// # Errors
    /// As for [`WebSocketClient::new`].
    pub fn local(connect: &Connect, entropy: &Entropy) -> Result<(Target, Self), NetFault> {
        Self::masking(connect, entropy, Masking::Zero)
    }

    fn masking(connect: &Connect, entropy: &Entropy, masking: Masking) -> Result<(Target, Self), NetFault> {
        let target = Target::websocket(&connect.url)?;
        let key = BASE64.encode(&entropy.derive("upgrade").expose()[..16]);
        let Target { path, authority, .. } = &target;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        let handshake = Entropy::new(*entropy.derive("handshake").expose());
        let asking = Asking {
            socket: WebSocket::client(masking, connect.max_message, handshake),
            request: request.into_bytes(),
            done: 0,
            accept_key: derive_accept_key(key.as_bytes()),
            received: Vec::new(),
        };
        Ok((target, Self { stage: Stage::Asking(Box::new(asking)) }))
    }
}

impl Asking {
    /// How long the answer is, once it is complete and agrees. What came after it is the first of the WebSocket.
    fn answer(&mut self, bytes: &[u8]) -> Result<Option<usize>, Closed> {
        self.received.extend_from_slice(bytes);
        let parsed = try_parse_response::<MAX_HEADERS>(&self.received).map_err(|_| Closed::Fault(NetFault::NotUnderstood))?;
        let Some((head_len, response)) = parsed else {
            return if self.received.len() > MAX_HEAD { Err(Closed::Fault(NetFault::TooLarge)) } else { Ok(None) };
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            tracing::debug!(status = response.status().as_u16(), "the upgrade to a WebSocket was refused");
            return Err(Closed::Refused(refusal(&response)));
        }
        if !self.agrees(response.headers()) {
            return Err(Closed::Fault(NetFault::NotUnderstood));
        }
        Ok(Some(head_len))
    }

    /// RFC 6455 section 4.1, what a client checks; and the subprotocol has to be ours.
    fn agrees(&self, headers: &HeaderMap) -> bool {
        lists(headers, &header::UPGRADE, "websocket")
            && lists(headers, &header::CONNECTION, "upgrade")
            && headers.get(header::SEC_WEBSOCKET_ACCEPT).is_some_and(|key| key == self.accept_key.as_str())
            && headers.get(header::SEC_WEBSOCKET_PROTOCOL).is_some_and(|protocol| protocol == SUBPROTOCOL)
            && !headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
    }
}

impl Transducer for WebSocketClient {
    type Event = IoEvent<()>;

    fn receive(&mut self, bytes: &[u8]) {
        match &mut self.stage {
            Stage::Asking(asking) => match asking.answer(bytes) {
                Ok(None) => {}
                Ok(Some(head_len)) => {
                    let Stage::Asking(mut asking) = mem::replace(&mut self.stage, Stage::Failed(None)) else { return };
                    asking.socket.receive(&asking.received[head_len..]);
                    self.stage = Stage::Open(asking.socket);
                }
                Err(closed) => self.stage = Stage::Failed(Some(closed)),
            },
            Stage::Open(socket) => socket.receive(bytes),
            Stage::Failed(_) => {}
        }
    }

    fn receive_end(&mut self) {
        match &mut self.stage {
            Stage::Open(socket) => socket.receive_end(),
            Stage::Asking(_) | Stage::Failed(_) => self.fail(NetFault::Broken),
        }
    }

    fn fail(&mut self, fault: NetFault) {
        match &mut self.stage {
            Stage::Asking(_) => self.stage = Stage::Failed(Some(Closed::Fault(fault))),
            Stage::Open(socket) => socket.fail(fault),
            Stage::Failed(_) => {}
        }
    }

    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        match (&mut self.stage, slices) {
            (Stage::Asking(asking), [first, ..]) if asking.done < asking.request.len() => {
                *first = IoSlice::new(&asking.request[asking.done..]);
                1
            }
            (Stage::Open(socket), slices) => socket.transmit(slices),
            (Stage::Asking(_) | Stage::Failed(_), _) => 0,
        }
    }

    fn transmitted(&mut self, count: usize) {
        match &mut self.stage {
            Stage::Asking(asking) => asking.done += count,
            Stage::Open(socket) => socket.transmitted(count),
            Stage::Failed(_) => {}
        }
    }

    fn poll_event(&mut self) -> Option<IoEvent<()>> {
        match &mut self.stage {
            Stage::Asking(_) => None,
            Stage::Open(socket) => socket.poll_event(),
            Stage::Failed(closed) => closed.take().map(|closed| IoEvent::Closed((), closed)),
        }
    }
}

impl MessageSocket for WebSocketClient {
    /// Before [`IoEvent::Connected`] there is no peer to send to: dropped.
    fn send(&mut self, message: Bytes) {
        if let Stage::Open(socket) = &mut self.stage {
            socket.send(message);
        }
    }

    fn close(&mut self, close: Close) {
        match &mut self.stage {
            Stage::Asking(_) => self.stage = Stage::Failed(Some(Closed::ByUs)),
            Stage::Open(socket) => socket.close(close),
            Stage::Failed(_) => {}
        }
    }

    fn is_closing(&self) -> bool {
        match &self.stage {
            Stage::Asking(_) => false,
            Stage::Open(socket) => socket.is_closing(),
            Stage::Failed(closed) => closed.is_some(),
        }
    }
}

fn refusal(response: &Response<()>) -> UpgradeRefusal {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    UpgradeRefusal {
        status: response.status().as_u16(),
        retry_after: retry_after(response),
        is_problem: content_type == Some(Problem::MEDIA_TYPE),
    }
}

/// Whether a comma-separated header names `token`, in any case.
fn lists(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}
