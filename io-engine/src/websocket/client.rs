//! The client's half of the upgrade, and the WebSocket it leads to.
//!
//! ```text
//!  Asking ──101 that fits──► Open(WebSocket)
//!    └────anything else────► Failed(why) ──reported──► Failed(None)
//! ```

use std::io::IoSlice;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use proto_core::{
    api::Problem,
    effect::{Close, Closed, Connect, IoEvent, NetFault, UpgradeRefusal},
    wire::SUBPROTOCOL,
};
use tungstenite::{
    handshake::{client::generate_key, derive_accept_key},
    protocol::Role,
};
use ureq_proto::parser::try_parse_response;

use super::WebSocket;
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
    Asking(Asking),
    Open(WebSocket),
    Failed(Option<Closed>),
}

#[derive(Debug)]
struct Asking {
    request: Vec<u8>,
    done: usize,
    accept_key: String,
    received: Vec<u8>,
    max_message: usize,
}

impl WebSocketClient {
    /// A client that asks for what `connect` wants, and where to connect to.
    ///
    /// # Errors
    /// [`NetFault::BadUrl`] when the URL is none.
    pub fn new(connect: &Connect) -> Result<(Target, Self), NetFault> {
        let target = Target::websocket(&connect.url)?;
        let key = generate_key();
        let Target { path, authority, .. } = &target;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        let asking = Asking {
            request: request.into_bytes(),
            done: 0,
            accept_key: derive_accept_key(key.as_bytes()),
            received: Vec::new(),
            max_message: connect.max_message,
        };
        Ok((target, Self { stage: Stage::Asking(asking) }))
    }
}

impl Asking {
    /// The WebSocket, once the answer is complete and agrees. What came after the answer is the first of it.
    fn answer(&mut self, bytes: &[u8]) -> Result<Option<WebSocket>, Closed> {
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
        let mut socket = WebSocket::new(Role::Client, self.max_message);
        socket.receive(&self.received[head_len..]);
        Ok(Some(socket))
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
                Ok(Some(socket)) => self.stage = Stage::Open(socket),
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
