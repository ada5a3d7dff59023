//! WebSocket (RFC 6455) over a byte stream that was upgraded already: binary messages, nothing else.
//!
//! ```text
//!  Opening ──► Open ──peer closes────────────► Closing, Flushed ──our close frame is out──┐
//!               ├────we close────────────────► Closing, PeerClose ──its close frame───────┤
//!               ├────peer breaks the protocol► Closing, Silence ──it hangs up─────────────┼─► Ended
//!               └────peer hangs up───────────► Closing, Drained ──all it sent was read────┤
//!  any ──────────────fail(fault)─────────────► Closing, Now ──────────────────────────────┘
//! ```
//!
//! Frame headers, accept keys and close codes are tungstenite's; the buffers are our own, because an idle connection must hold
//! none of them, and what is sent to many is not to be copied for each of them.

mod client;
mod close;
mod inbound;
mod mask;
mod outbound;
mod server;
#[cfg(test)]
mod tests;

use std::{io::IoSlice, mem, time::Duration};

use bytes::Bytes;
use proto_core::{
    Entropy,
    effect::{Close, Closed, IoEvent, NetFault},
};
use tungstenite::protocol::Role;

pub use client::WebSocketClient;
pub use server::{UpgradeRefused, answer_upgrade};

use crate::{MessageSocket, Transducer};
use close::CloseFrame;
use inbound::{Inbound, Incoming, Violation};
use mask::Masking;
use outbound::Outbound;

/// How long the end of a WebSocket may take, from the moment [`MessageSocket::is_closing`] says that it has begun.
pub const LINGER: Duration = Duration::from_secs(2);

/// One end of an open WebSocket. Holds memory only for messages that are under way.
#[derive(Debug)]
pub struct WebSocket {
    inbound: Inbound,
    outbound: Outbound,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// With what [`IoEvent::Connected`] will hand over.
    Opening(Entropy),
    Open,
    Closing(Closed, Until),
    Ended,
}

/// What the end still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// The other side's close frame.
    PeerClose,
    /// The other side hanging up; what it sends until then is not looked at.
    Silence,
    /// The last of what was received before the other side hung up.
    Drained,
    /// Our close frame being transmitted.
    Flushed,
    /// Nothing.
    Now,
}

/// What the bytes received so far come to.
enum Frames {
    Message(Bytes),
    /// No whole frame that would mean something.
    Incomplete,
    /// The end of the connection; the state says which.
    Ended,
}

impl WebSocket {
    /// The server's end of a stream that [`answer_upgrade`] agreed to. A longer message than `max_message` ends it.
    /// `entropy` comes back with [`IoEvent::Connected`], for the handshake that follows.
    pub fn server(max_message: usize, entropy: Entropy) -> Self {
        Self::new(Role::Server, Masking::None, max_message, entropy)
    }

    fn client(masking: Masking, max_message: usize, entropy: Entropy) -> Self {
        Self::new(Role::Client, masking, max_message, entropy)
    }

    fn new(role: Role, masking: Masking, max_message: usize, entropy: Entropy) -> Self {
        Self { inbound: Inbound::new(role, max_message), outbound: Outbound::new(masking), state: State::Opening(entropy) }
    }

    /// Changes the longest message that is accepted, from the next frame on: small before a peer is known (ADM-1), and what
    /// was agreed on after that.
    pub const fn set_max_message(&mut self, max_message: usize) {
        self.inbound.set_max_message(max_message);
    }

    /// Takes frames apart up to the next message, or to one that ends the connection.
    fn next_frames(&mut self) -> Frames {
        loop {
            match self.inbound.next() {
                Ok(Some(Incoming::Message(message))) if self.delivers() => return Frames::Message(message),
                Ok(Some(Incoming::Message(_) | Incoming::Pong)) => {}
                Ok(Some(Incoming::Ping(payload))) => self.outbound.pong(&payload),
                Ok(Some(Incoming::Close(frame))) => {
                    self.closed_by_peer(frame.as_ref());
                    return Frames::Ended;
                }
                Ok(None) => {
                    let State::Closing(outcome, Until::Drained) = self.state else { return Frames::Incomplete };
                    self.state = State::Closing(outcome, Until::Now);
                    return Frames::Ended;
                }
                Err(violation) => {
                    self.violated(violation);
                    return Frames::Ended;
                }
            }
        }
    }

    const fn delivers(&self) -> bool {
        matches!(self.state, State::Open | State::Closing(_, Until::Drained))
    }

    fn closed_by_peer(&mut self, frame: Option<&CloseFrame>) {
        let outcome = if let State::Closing(outcome @ Closed::ByUs, _) = self.state {
            outcome
        } else {
            self.outbound.drop_unsent();
            self.outbound.close(frame.map(CloseFrame::echo).as_ref());
            Closed::ByPeer(frame.and_then(CloseFrame::reason))
        };
        self.state = State::Closing(outcome, Until::Flushed);
    }

    fn violated(&mut self, violation: Violation) {
        self.inbound.clear();
        let outcome = if let State::Closing(outcome, _) = self.state {
            outcome
        } else {
            self.outbound.drop_unsent();
            self.outbound.close(Some(&violation.close_frame()));
            Closed::Fault(violation.fault())
        };
        self.state = State::Closing(outcome, Until::Silence);
    }
}

impl Transducer for WebSocket {
    type Event = IoEvent<()>;

    fn receive(&mut self, bytes: &[u8]) {
        match self.state {
            State::Opening(_) | State::Open | State::Closing(_, Until::PeerClose) => self.inbound.extend(bytes),
            State::Closing(..) | State::Ended => {}
        }
    }

    fn receive_end(&mut self) {
        self.state = match self.state {
            State::Opening(_) | State::Open => State::Closing(Closed::Fault(NetFault::Broken), Until::Drained),
            State::Closing(outcome, Until::PeerClose | Until::Silence) => State::Closing(outcome, Until::Drained),
            State::Closing(..) | State::Ended => return,
        };
    }

    fn fail(&mut self, fault: NetFault) {
        self.state = match self.state {
            State::Opening(_) | State::Open => State::Closing(Closed::Fault(fault), Until::Now),
            State::Closing(outcome, _) => State::Closing(outcome, Until::Now),
            State::Ended => State::Ended,
        };
    }

    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        self.outbound.transmit(slices)
    }

    fn transmitted(&mut self, count: usize) {
        self.outbound.transmitted(count);
    }

    fn poll_event(&mut self) -> Option<IoEvent<()>> {
        if let Some(messages) = self.outbound.take_sent() {
            return Some(IoEvent::Sent((), messages));
        }
        loop {
            match self.state {
                State::Opening(_) => {
                    let State::Opening(entropy) = mem::replace(&mut self.state, State::Open) else { continue };
                    return Some(IoEvent::Connected((), entropy));
                }
                State::Open | State::Closing(_, Until::PeerClose | Until::Drained) => match self.next_frames() {
                    Frames::Message(message) => return Some(IoEvent::Received((), message)),
                    Frames::Incomplete => return None,
                    Frames::Ended => {}
                },
                State::Closing(outcome, Until::Flushed) if self.outbound.is_empty() => {
                    self.state = State::Closing(outcome, Until::Now);
                }
                State::Closing(_, Until::Flushed | Until::Silence) | State::Ended => return None,
                State::Closing(outcome, Until::Now) => {
                    self.state = State::Ended;
                    self.inbound.clear();
                    self.outbound.clear();
                    return Some(IoEvent::Closed((), outcome));
                }
            }
        }
    }
}

impl MessageSocket for WebSocket {
    fn send(&mut self, message: Bytes) {
        if matches!(self.state, State::Opening(_) | State::Open) {
            self.outbound.message(message);
        }
    }

    fn close(&mut self, close: Close) {
        if matches!(self.state, State::Opening(_) | State::Open) {
            self.outbound.close(Some(&CloseFrame::of(close)));
            self.state = State::Closing(Closed::ByUs, Until::PeerClose);
        }
    }

    fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing(..))
    }
}
