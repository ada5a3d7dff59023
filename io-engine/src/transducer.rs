//! The interface between an adapter and everything that speaks a protocol over a byte stream.

use std::io::IoSlice;

use bytes::Bytes;
use proto_core::effect::{Close, IoEvent, NetFault};

/// Bytes from the network in, events out; and the other way round.
pub trait Transducer {
    /// What comes out.
    type Event;

    /// Takes bytes that came from the network.
    fn receive(&mut self, bytes: &[u8]);

    /// The other side will send no more.
    fn receive_end(&mut self);

    /// The connection is lost, or time is up. What had come to an end by then stays as it is.
    fn fail(&mut self, fault: NetFault);

    /// Shows what is to be written to the network, in order, and returns how many of `slices` it used. Zero: nothing waits.
    fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize;

    /// The network took the first `count` bytes of what [`transmit`](Self::transmit) showed.
    fn transmitted(&mut self, count: usize);

    /// The next event.
    fn poll_event(&mut self) -> Option<Self::Event>;
}

/// A WebSocket as a transducer: [`IoEvent::Connected`] comes once and first, [`IoEvent::Closed`] once and last.
pub trait MessageSocket: Transducer<Event = IoEvent<()>> {
    /// Queues one binary message. [`IoEvent::Sent`] counts it once it was transmitted. After the end: dropped.
    fn send(&mut self, message: Bytes);

    /// Queues a close frame after what was sent before.
    fn close(&mut self, close: Close);

    /// Whether the end has begun: an adapter now waits at most [`LINGER`](crate::LINGER) for
    /// [`IoEvent::Closed`] before it calls [`Transducer::fail`].
    fn is_closing(&self) -> bool;
}
